"""The deblurring module: an encoder-decoder with four skips and a multi-scale head."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mdeblurgan.network.blocks import (
    Convolution,
    Pooling,
    ResidualBlock,
    Upsampling,
    activate,
    activated,
    added,
)
from napari_mdeblurgan.network.reach import Reach
from napari_mdeblurgan.network.stages import Stage


class DeblurringModule(nn.Module):
    """From a blurred image to two sharper ones of the same size.

    Parameters
    ----------
    channels : int
        Channels of the image: 1 or 3.
    width : int
        Feature maps at full size; they double with every halving of the size.
    slope : float
        Of the activations below zero.

    Notes
    -----
    Encoder: one 5×5 convolution, residual blocks at full, 1/2, 1/4 and 1/8 size, learned pooling
    between them. Decoder: three 3×3 upsampling layers with residual blocks at 1/4, 1/2 and full
    size. Skips pass a 3×3 convolution and are added. Head: the bottleneck, the decoder's three maps
    and the map after the last skip, brought to 1/4 size, concatenated, and taken back to full size
    by two upsampling layers (International Journal of Optics 2021, 6493130, section 2.1).
    """

    downsampling = 8

    def __init__(self, channels: int, width: int, slope: float = 0.0) -> None:
        super().__init__()
        w, self.slope = width, slope
        self.first = Convolution(channels, w, 5)
        self.encoder = nn.ModuleList(ResidualBlock(w * 2**level, slope) for level in range(4))
        self.pooling = nn.ModuleList(
            Pooling(w * 2**level, w * 2 ** (level + 1)) for level in range(3)
        )
        self.upsampling = nn.ModuleList(
            Upsampling(w * 2 ** (level + 1), w * 2**level) for level in range(3)
        )
        self.decoder = nn.ModuleList(ResidualBlock(w * 2**level, slope) for level in range(3))
        self.skips = nn.ModuleList(Convolution(w * 2**level, w * 2**level) for level in range(3))
        self.last_skip = Convolution(w, w)
        self.to_image = Convolution(w, channels)

        self.from_bottleneck = Convolution(8 * w, 2 * w, 1)
        self.from_quarter = Convolution(4 * w, 2 * w, 1)
        self.from_half = Pooling(2 * w, 2 * w, 2)
        self.from_full = Pooling(w, 2 * w, 4)
        self.from_last = Pooling(w, 2 * w, 4)
        self.mix = Convolution(10 * w, 4 * w)
        self.to_half = Upsampling(4 * w, 2 * w)
        self.to_full = Upsampling(2 * w, w)
        self.head_to_image = Convolution(w, channels)
        for layer in (self.to_image, self.head_to_image):
            nn.init.zeros_(layer.weight)

    def forward(self, contrast: Tensor) -> tuple[Tensor, Tensor]:
        """Corrections to the input image.

        Parameters
        ----------
        contrast : Tensor
            (batch, channels, y, x), the image less its local mean; y and x are multiples of 8.

        Returns
        -------
        tuple of Tensor
            What the encoder-decoder adds to the input, and what the multi-scale head adds to that.
        """
        first, kept, half = self.encode(contrast)
        kept_half, kept_quarter, bottleneck = self.descend(half)
        quarter, coarse = self.ascend(bottleneck, kept_quarter)
        (half,) = self.rise(1, quarter, kept_half)
        correction, fine = self.decode(half, first, kept)
        (second,) = self.head(coarse, half, fine)
        return correction, second

    def encode(self, contrast: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """At full size: the first features, what the skip at full size keeps, and what goes down to
        half size.
        """
        first = activated(self.first, contrast, self.slope)
        kept = self.encoder[0](first)
        return first, kept, activated(self.pooling[0], kept, self.slope)

    def descend(self, half: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From half size down: what the skips at half and at quarter size keep,
        and the bottleneck.
        """
        kept_half = self.encoder[1](half)
        quarter = activated(self.pooling[1], kept_half, self.slope)
        kept_quarter = self.encoder[2](quarter, spent=True)
        eighth = activated(self.pooling[2], kept_quarter, self.slope)
        return kept_half, kept_quarter, self.encoder[3](eighth, spent=True)

    def ascend(self, bottleneck: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """The decoder's map at quarter size, and the head's view of it and of the bottleneck."""
        (quarter,) = self.rise(2, bottleneck, kept)
        deepest = functional.interpolate(
            self.from_bottleneck(bottleneck), scale_factor=2, mode="nearest"
        )
        return quarter, torch.cat([deepest, self.from_quarter(quarter)], dim=1)

    def rise(self, level: int, features: Tensor, kept: Tensor) -> tuple[Tensor]:
        """The decoder's map of a level (0 for full size, 1 for half, 2 for quarter) from the
        coarser one and the skip.
        """
        features = activated(self.upsampling[level], features, self.slope)
        features = added(self.skips[level], kept, features, spent=True)
        return (self.decoder[level](features, spent=True),)

    def decode(self, half: Tensor, first: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """At full size: the encoder-decoder's correction, and its two maps as the head sees them,
        at quarter size.
        """
        (full,) = self.rise(0, half, kept)
        last = added(self.last_skip, first, full)
        fine = torch.cat([self.from_full(full), self.from_last(last)], dim=1)
        return self.to_image(activate(last, self.slope)), fine

    def head(self, coarse: Tensor, half: Tensor, fine: Tensor) -> tuple[Tensor]:
        """The multi-scale head's correction."""
        scales = [coarse, self.from_half(half), fine]
        features = activate(torch.cat(scales, dim=1), self.slope)
        for layer in (self.mix, self.to_half, self.to_full):
            features = activated(layer, features, self.slope)
        return (self.head_to_image(features),)

    def stages(self, contrast: str) -> list[Stage]:
        """The module as stages, from the map called `contrast` to those called "first correction"
        and "second correction".
        """
        kept: dict[str, float] = {"kept half": 2, "kept quarter": 4}
        return [
            Stage(
                self.encode,
                self._encode_reach,
                (contrast,),
                {"first": 1, "kept": 1, "encoded": 2},
                2,
                3,
            ),
            Stage(self.descend, self._descend_reach, ("encoded",), kept | {"bottleneck": 8}, 8, 4),
            Stage(
                self.ascend,
                self._ascend_reach,
                ("bottleneck", "kept quarter"),
                {"quarter": 4, "coarse": 4},
                8,
                2,
            ),
            Stage(
                partial(self.rise, 1),
                partial(self._rise_reach, 1),
                ("quarter", "kept half"),
                {"half": 2},
                4,
                2.5,
            ),
            Stage(
                self.decode,
                self._decode_reach,
                ("half", "first", "kept"),
                {"first correction": 1, "fine": 4},
                4,
                4.5,
            ),
            Stage(
                self.head,
                self._head_reach,
                ("coarse", "half", "fine"),
                {"second correction": 1},
                4,
                2,
            ),
        ]

    def _encode_reach(self, contrast: Reach) -> tuple[Reach, Reach, Reach]:
        first = self.first.reach(contrast)
        kept = self.encoder[0].reach(first)
        return first, kept, self.pooling[0].reach(kept)

    def _descend_reach(self, half: Reach) -> tuple[Reach, Reach, Reach]:
        kept_half = self.encoder[1].reach(half)
        kept_quarter = self.encoder[2].reach(self.pooling[1].reach(kept_half))
        return kept_half, kept_quarter, self.encoder[3].reach(self.pooling[2].reach(kept_quarter))

    def _ascend_reach(self, bottleneck: Reach, kept: Reach) -> tuple[Reach, Reach]:
        (quarter,) = self._rise_reach(2, bottleneck, kept)
        return quarter, bottleneck.repeated(2).joined(quarter)

    def _rise_reach(self, level: int, features: Reach, kept: Reach) -> tuple[Reach]:
        joined = self.upsampling[level].reach(features).joined(self.skips[level].reach(kept))
        return (self.decoder[level].reach(joined),)

    def _decode_reach(self, half: Reach, first: Reach, kept: Reach) -> tuple[Reach, Reach]:
        (full,) = self._rise_reach(0, half, kept)
        last = full.joined(self.last_skip.reach(first))
        return self.to_image.reach(last), self.from_full.reach(full).joined(
            self.from_last.reach(last)
        )

    def _head_reach(self, coarse: Reach, half: Reach, fine: Reach) -> tuple[Reach]:
        scales = coarse.joined(self.from_half.reach(half), fine)
        return (
            self.head_to_image.reach(
                self.to_full.reach(self.to_half.reach(self.mix.reach(scales)))
            ),
        )
