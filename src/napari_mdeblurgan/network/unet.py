"""U-Net + SR: a plain U-Net for deblurring and a super-resolution network, one after the other.

It is what the paper compares M-Deblurgan with, made to be trained, stored and run like a generator
of ours.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mdeblurgan.network.approximation import OptimalApproximationModule
from napari_mdeblurgan.network.blocks import LocalMean
from napari_mdeblurgan.network.network import Network, Restoration
from napari_mdeblurgan.network.reach import Reach
from napari_mdeblurgan.network.stages import Stage, Stages
from napari_mdeblurgan.network.super_resolution import SuperResolutionModule
from napari_mdeblurgan.stopping import look_up

_LEVELS = 4


class TwoConvolutions(nn.Sequential):
    """Two 3×3 convolutions with biases, a ReLU behind each; same size out."""

    def __init__(self, inputs: int, outputs: int) -> None:
        first, second = (
            nn.Conv2d(features, outputs, 3, padding=1, dtype=torch.float32)
            for features in (inputs, outputs)
        )
        for layer in (first, second):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        super().__init__(first, nn.ReLU(), second, nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        for layer in self:
            look_up()
            x = layer(x)
        return x

    def reach(self, reach: Reach) -> Reach:
        return reach.convolved(3).convolved(3)


class UNet(nn.Module):
    """The U-Net of Ronneberger et al. (2015) with four levels and padded convolutions; it gives a
    correction to the image.

    Parameters
    ----------
    channels : int
        Channels of the image.
    width : int
        Feature maps at full size; they double with every halving of the size.
    """

    downsampling = 2 ** (_LEVELS - 1)

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(_LEVELS)]
        self.down = nn.ModuleList(
            TwoConvolutions(*pair) for pair in zip([channels, *widths[:-1]], widths, strict=True)
        )
        self.upsampling = nn.ModuleList(
            nn.ConvTranspose2d(2 * w, w, 2, stride=2, dtype=torch.float32) for w in widths[:-1]
        )
        self.up = nn.ModuleList(TwoConvolutions(2 * w, w) for w in widths[:-1])
        self.to_image = nn.Conv2d(width, channels, 1, dtype=torch.float32)
        for values in self.to_image.parameters():
            nn.init.zeros_(values)

    def forward(self, image: Tensor) -> Tensor:
        """From (batch, channels, y, x), y and x multiples of 8, to what should be added to it."""
        features, kept = image, []
        for level, block in enumerate(self.down):
            features = block(functional.max_pool2d(features, 2) if level else features)
            kept.append(features)
        for level in reversed(range(_LEVELS - 1)):
            features = self.up[level](
                torch.cat([self.upsampling[level](features), kept[level]], dim=1)
            )
        return self.to_image(features)

    def reach(self, reach: Reach) -> Reach:
        kept = []
        for level, block in enumerate(self.down):
            reach = block.reach(reach.pooled(2) if level else reach)
            kept.append(reach)
        for level in reversed(range(_LEVELS - 1)):
            reach = self.up[level].reach(reach.repeated(2).joined(kept[level]))
        return reach


class UNetSuperResolution(Network):
    """A U-Net and M-Deblurgan's super-resolution module in series: the second sees only the first
    one's image.

    Parameters
    ----------
    channels : {1, 3}
        Channels of the image.
    scale : {2, 4}
        How many times the pixel density grows along y and x.
    width : int
        Feature maps of the U-Net at full size. The super-resolution module is as wide as that of a
        generator of half this width, which at the default is the default generator's.

    Notes
    -----
    As in the generator both parts correct an image, so an untrained network is bicubic enlargement.
    Unlike there, the U-Net has biases and sees the image itself, as usual.
    """

    name, title, family = "unet-sr", "U-Net + SR", "u-net"

    def __init__(self, channels: int = 1, scale: int = 2, width: int = 32) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, not {channels}")
        if width < 2:
            raise ValueError(f"width must be at least 2, not {width}")
        self.channels, self.scale, self.width = channels, scale, width
        self.local_mean = LocalMean()
        self.deblurring = UNet(channels, width)
        self.downsampling = self.deblurring.downsampling
        self.approximation = OptimalApproximationModule(channels, "none")
        self.super_resolution = SuperResolutionModule(channels, width // 2, scale, slope=0.1)

    @property
    def architecture(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "channels": self.channels,
            "scale": self.scale,
            "width": self.width,
        }

    @property
    def described(self) -> str:
        return f"U-Net of width {self.width} and our super-resolution module in series"

    @property
    def stages(self) -> Stages:
        return Stages(
            (
                Stage(
                    self._deblur,
                    self._deblur_reach,
                    ("image",),
                    {"deblurred": 1},
                    self.downsampling,
                    3,
                ),
                Stage(
                    self._enlarge,
                    self._enlarge_reach,
                    ("deblurred",),
                    {"output": 1 / self.scale},
                ),
            )
        )

    def explain(self, image: Tensor) -> Restoration:
        """As `forward`, with the deblurred image in the place of both candidates: here there is
        nothing to choose from.
        """
        self.check(image)
        deblurred = image + self.deblurring(image).to(image.dtype)
        mean = self.local_mean(deblurred)
        passed = self.approximation((image, deblurred, deblurred), mean, mean)
        output = self.super_resolution(deblurred, deblurred - mean)
        return Restoration(
            output, deblurred, deblurred, deblurred, passed.weights, passed.distances
        )

    def _deblur(self, image: Tensor) -> tuple[Tensor]:
        return (image + self.deblurring(image).to(image.dtype),)

    def _deblur_reach(self, image: Reach) -> tuple[Reach]:
        return (self.deblurring.reach(image),)

    def _enlarge(self, deblurred: Tensor) -> tuple[Tensor]:
        return (self.super_resolution.folded(deblurred, deblurred - self.local_mean(deblurred)),)

    def _enlarge_reach(self, deblurred: Reach) -> tuple[Reach]:
        return (self.super_resolution.reach(self.local_mean.reach(deblurred)),)
