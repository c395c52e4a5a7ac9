"""The deblurring module: an encoder-decoder with four skips and a multi-scale head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mdeblurgan.network.blocks import Convolution, Pooling, ResidualBlock, Upsampling, activate
from napari_mdeblurgan.network.reach import Reach


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
    Encoder: one 5×5 convolution, residual blocks at full, 1/2, 1/4 and 1/8 size, learned pooling between them. Decoder:
    three 3×3 upsampling layers with residual blocks at 1/4, 1/2 and full size. Skips pass a 3×3 convolution and are added.
    Head: the bottleneck, the decoder's three maps and the map after the last skip, brought to 1/4 size, concatenated, and
    taken back to full size by two upsampling layers (International Journal of Optics 2021, 6493130, section 2.1).
    """

    downsampling = 8

    def __init__(self, channels: int, width: int, slope: float = 0.0) -> None:
        super().__init__()
        w, self.slope = width, slope
        self.first = Convolution(channels, w, 5)
        self.encoder = nn.ModuleList(ResidualBlock(w * 2**level, slope) for level in range(4))
        self.pooling = nn.ModuleList(Pooling(w * 2**level, w * 2 ** (level + 1)) for level in range(3))
        self.upsampling = nn.ModuleList(Upsampling(w * 2 ** (level + 1), w * 2**level) for level in range(3))
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
        slope = self.slope
        features = first = activate(self.first(contrast), slope)
        kept = []
        for block, pooling in zip(self.encoder[:3], self.pooling, strict=True):
            features = block(features)
            kept.append(features)
            features = activate(pooling(features), slope)
        bottleneck = features = self.encoder[3](features)

        decoded = []
        for level in (2, 1, 0):
            features = activate(self.upsampling[level](features), slope) + self.skips[level](kept[level])
            features = self.decoder[level](features)
            decoded.append(features)
        quarter, half, full = decoded
        last = full + self.last_skip(first)

        scales = [
            functional.interpolate(self.from_bottleneck(bottleneck), scale_factor=2, mode="nearest"),
            self.from_quarter(quarter),
            self.from_half(half),
            self.from_full(full),
            self.from_last(last),
        ]
        head = activate(self.mix(activate(torch.cat(scales, dim=1), slope)), slope)
        head = activate(self.to_full(activate(self.to_half(head), slope)), slope)
        return self.to_image(activate(last, slope)), self.head_to_image(head)

    def reach(self, reach: Reach) -> Reach:
        features = first = self.first.reach(reach)
        kept = []
        for block, pooling in zip(self.encoder[:3], self.pooling, strict=True):
            features = block.reach(features)
            kept.append(features)
            features = pooling.reach(features)
        bottleneck = features = self.encoder[3].reach(features)
        decoded = []
        for level in (2, 1, 0):
            features = self.upsampling[level].reach(features).joined(self.skips[level].reach(kept[level]))
            features = self.decoder[level].reach(features)
            decoded.append(features)
        quarter, half, full = decoded
        last = full.joined(self.last_skip.reach(first))
        head = bottleneck.repeated(2).joined(
            quarter, self.from_half.reach(half), self.from_full.reach(full), self.from_last.reach(last)
        )
        head = self.to_full.reach(self.to_half.reach(self.mix.reach(head)))
        return self.to_image.reach(last).joined(self.head_to_image.reach(head))
