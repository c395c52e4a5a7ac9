"""The super-resolution module: three convolutions, trainable sub-pixel layers, a last convolution,
a global skip.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mdeblurgan.network.blocks import (
    BicubicUpsampling,
    Convolution,
    SubPixelUpsampling,
    activated,
)
from napari_mdeblurgan.network.reach import Reach


class SuperResolutionModule(nn.Module):
    """From the approximated image to one of `scale` times the pixel density.

    Parameters
    ----------
    channels : int
        Channels of the image.
    width : int
        Feature maps of the network; the module works with twice as many.
    scale : {2, 4}
        Pixels of the output for one of the input, along y and along x; one sub-pixel layer for 2,
        two for 4.
    slope : float
        Of the activations below zero.
    """

    def __init__(self, channels: int, width: int, scale: int, slope: float = 0.0) -> None:
        super().__init__()
        if scale not in (2, 4):
            raise ValueError(f"scale must be 2 or 4, not {scale}")
        self.slope = slope
        features = 2 * width
        self.convolutions = nn.ModuleList(
            [
                Convolution(channels, features),
                Convolution(features, features),
                Convolution(features, features),
            ]
        )
        steps = [features] + [width] * (scale // 2)
        self.sub_pixel = nn.ModuleList(
            SubPixelUpsampling(*pair, slope) for pair in itertools.pairwise(steps)
        )
        self.last = Convolution(width, channels)
        nn.init.zeros_(self.last.weight)
        self.enlarge = BicubicUpsampling(scale)

    def forward(self, image: Tensor, contrast: Tensor) -> Tensor:
        """Enlarge `image`, (batch, channels, y, x); `contrast` is the same less the local mean of
        the input.
        """
        features = contrast
        for convolution in self.convolutions:
            features = activated(convolution, features, self.slope)
        for layer in self.sub_pixel:
            features = layer(features)
        return self.enlarge(image) + self.last(features).to(image.dtype)

    def folded(self, image: Tensor, contrast: Tensor) -> Tensor:
        """The same, faster: the last convolution comes before the pixels are shuffled, not after.

        On the coarser grid it has a feature for every pixel of a block of 2 × 2 and sees all those
        that went into it, so there are four times as many weights of which three quarters are zero;
        but shuffling is dear for many features and cheap for few, and processors and GPUs are bad
        at convolutions with a single feature at the end.
        """
        features = contrast
        for convolution in self.convolutions:
            features = activated(convolution, features, self.slope)
        for layer in self.sub_pixel[:-1]:
            features = layer(features)
        features = self.sub_pixel[-1].convolved(features)
        correction = functional.pixel_shuffle(
            functional.conv2d(features, self._folded_weight(), padding=1), 2
        )
        return self.enlarge(image) + correction.to(image.dtype)

    def _folded_weight(self) -> Tensor:
        """(4 · channels, 4 · features, 3, 3) from (channels, features, 3, 3)."""
        weight = self.last.weight
        moves = torch.zeros(
            2, 2, 3, 3, dtype=weight.dtype
        )  # to which of 2 pixels, from which of 2, in which block, by which tap
        for to in range(2):
            for tap in range(3):
                block, source = divmod(to + tap - 1, 2)
                moves[to, source, block + 1, tap] = 1
        moves = moves.to(weight.device)
        folded = torch.einsum("cfyx,pqay,rsbx->cprfqsab", weight, moves, moves)
        return folded.reshape(4 * weight.shape[0], 4 * weight.shape[1], 3, 3)

    def reach(self, reach: Reach) -> Reach:
        """In whole pixels of the input; what follows a sub-pixel layer is rounded up to one."""
        skip = self.enlarge.reach(reach)
        for layer in (*self.convolutions, *self.sub_pixel):
            reach = layer.reach(reach)
        return self.last.reach(reach).joined(skip)
