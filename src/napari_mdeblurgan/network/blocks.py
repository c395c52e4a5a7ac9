"""The layers that the three modules are made of.

Every layer looks up before it works, so that a tile can be stopped, and tell how far it is, in the
middle of the network. No layer adds a bias and none normalises, so each is positively homogeneous:
twice the contrast in, twice the contrast out.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mdeblurgan.network.fused import (
    can_fuse,
    convolved_and_activated,
    convolved_and_added,
    enlarged_and_activated,
)
from napari_mdeblurgan.network.reach import Reach
from napari_mdeblurgan.network.separable import KernelLines, can_filter, filtered
from napari_mdeblurgan.stopping import look_up


def full_precision(x: Tensor) -> AbstractContextManager[None]:
    """Switch mixed precision off: images keep all their bits; only the corrections to them are made
    in fewer.
    """
    if x.is_meta:
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)


def activate(x: Tensor, slope: float) -> Tensor:
    """ReLU, or leaky ReLU where `slope`, the gradient below zero, is not 0; in inference mode `x`
    itself becomes that.
    """
    in_place = torch.is_inference_mode_enabled()
    return functional.leaky_relu(x, slope, in_place) if slope else functional.relu(x, in_place)


def activated(layer: nn.Module, x: Tensor, slope: float) -> Tensor:
    """What a layer makes of `x`, see `activate`."""
    if can_fuse(x) and isinstance(layer, nn.Conv2d):
        look_up()
        return convolved_and_activated(layer, x, slope)
    if can_fuse(x) and isinstance(layer, nn.ConvTranspose2d):
        look_up()
        return enlarged_and_activated(layer, x, slope)
    return activate(layer(x), slope)


def added(layer: nn.Module, x: Tensor, to: Tensor, spent: bool = False) -> Tensor:
    """`to`, and what a layer makes of `x`; in inference mode `to` itself becomes the sum if it is
    `spent`, that is, of no further use.
    """
    if can_fuse(x) and isinstance(layer, nn.Conv2d) and to.dtype is torch.bfloat16:
        look_up()
        return convolved_and_added(layer, x, to, spent)
    correction: Tensor = layer(x)
    return correction.add_(to) if torch.is_inference_mode_enabled() else to + correction


class Convolution(nn.Conv2d):
    """A "flat" convolution: centred, odd kernel, same size out, no bias."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3) -> None:
        super().__init__(
            inputs, outputs, kernel_size, padding=kernel_size // 2, bias=False, dtype=torch.float32
        )
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        look_up()
        return super().forward(x)

    def reach(self, reach: Reach) -> Reach:
        return reach.convolved(self.kernel_size[0])


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut; no batch norm."""

    def __init__(self, features: int, slope: float = 0.0) -> None:
        super().__init__()
        self.slope = slope
        self.first = Convolution(features, features)
        self.second = Convolution(features, features)
        nn.init.normal_(self.second.weight, std=0.1 * (2 / (9 * features)) ** 0.5)

    def forward(self, x: Tensor, spent: bool = False) -> Tensor:
        """In inference mode `x` itself becomes the result if it is `spent`, of no further use."""
        return added(self.second, activated(self.first, x, self.slope), x, spent)

    def reach(self, reach: Reach) -> Reach:
        return self.second.reach(self.first.reach(reach))


class Pooling(nn.Conv2d):
    """Learned pooling: every `factor` × `factor` block becomes one feature.

    In bfloat16 on a processor, pixels side by side in blocks of more than 2 × 2 are taken for
    features of one, which moves nothing where features lie beside each other in memory: of 16 and
    of 24 features oneDNN gets the convolution by 4 × 4 wrong there (torch 2.13, AMX).
    """

    def __init__(self, inputs: int, outputs: int, factor: int = 2) -> None:
        super().__init__(inputs, outputs, factor, stride=factor, bias=False, dtype=torch.float32)
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        look_up()
        factor = self.stride[0]
        if factor == 2 or not _in_bfloat16(x):
            return super().forward(x)
        images, inputs, height, width = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(images, height, width // factor, factor * inputs)
        weight = self.weight.permute(0, 3, 1, 2).reshape(-1, factor * inputs, factor, 1)
        return functional.conv2d(rows.permute(0, 3, 1, 2), weight, stride=(factor, 1))

    def reach(self, reach: Reach) -> Reach:
        return reach.pooled(self.stride[0])


def _in_bfloat16(x: Tensor) -> bool:
    """Whether what is made of features on a processor is computed in bfloat16."""
    if x.device.type != "cpu":
        return False
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    return dtype is torch.bfloat16


class Upsampling(nn.ConvTranspose2d):
    """A 3×3 upsampling layer: transposed convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            inputs,
            outputs,
            3,
            stride=2,
            padding=1,
            output_padding=1,
            bias=False,
            dtype=torch.float32,
        )
        nn.init.normal_(self.weight, std=(2 / (2.25 * inputs)) ** 0.5)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        look_up()
        return super().forward(x, output_size)

    def reach(self, reach: Reach) -> Reach:
        return reach.upsampled()


class SubPixelUpsampling(nn.Module):
    """A trainable ×2 sub-pixel layer (Shi et al. 2016): convolution, then depth to space."""

    def __init__(self, inputs: int, outputs: int, slope: float = 0.0) -> None:
        super().__init__()
        self.slope = slope
        self.convolution = Convolution(inputs, 4 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.pixel_shuffle(self.convolved(x), 2)

    def convolved(self, x: Tensor) -> Tensor:
        """Four features for each that is to come, before they become pixels."""
        return activated(self.convolution, x, self.slope)

    def reach(self, reach: Reach) -> Reach:
        return self.convolution.reach(reach)


class Fixed(nn.Module):
    """A module with a separable kernel that is computed, not learned, so that no file holds it.

    Attributes
    ----------
    lines : tuple of tuple of float
        The kernel along an axis, see `filtered`.
    """

    kernel: Tensor
    lines: KernelLines

    def fill(self) -> None:
        """Compute the kernel, on the CPU."""
        lines = self.computed()
        self.lines = tuple(tuple(line) for line in lines.tolist())
        self.register_buffer("kernel", self.arranged(lines).float(), persistent=False)

    def computed(self) -> Tensor:
        """(factor, taps): for each pixel that one becomes along an axis, a weight for each of those
        around it.
        """
        raise NotImplementedError

    def arranged(self, lines: Tensor) -> Tensor:
        """The kernel as torch's convolutions want it."""
        raise NotImplementedError


class LocalMean(Fixed):
    """Gaussian mean over a neighbourhood (17×17 pixels, standard deviation 4), edges repeated."""

    radius = 8
    sigma = 4.0

    def __init__(self) -> None:
        super().__init__()
        self.fill()

    def computed(self) -> Tensor:
        offsets = torch.tensor(
            range(-self.radius, self.radius + 1), dtype=torch.float32, device="cpu"
        )
        kernel = torch.exp(-0.5 * (offsets / self.sigma) ** 2)
        return (kernel / kernel.sum())[None]

    def arranged(self, lines: Tensor) -> Tensor:
        return lines[None]

    def forward(self, x: Tensor) -> Tensor:
        r, kernel = self.radius, self.kernel.to(x.dtype)
        with full_precision(x):
            if can_filter(x):
                return filtered(x, self.lines)
            planes = x.reshape(-1, 1, *x.shape[-2:])
            planes = functional.pad(planes, (r, r, r, r), mode="replicate")
            planes = functional.conv2d(
                functional.conv2d(planes, kernel[..., None]), kernel[..., None, :]
            )
            return planes.reshape(x.shape)

    def reach(self, reach: Reach) -> Reach:
        return reach.convolved(2 * self.radius + 1)


def cubic(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -0.5 (Keys 1981), for distances in pixels."""
    d = distance.abs()
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


class BicubicUpsampling(Fixed):
    """Bicubic enlargement by a whole factor as one convolution and a depth-to-space step; edges
    repeated.
    """

    radius = 2

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.fill()

    def computed(self) -> Tensor:
        factor = self.factor
        phases = (
            torch.tensor(range(factor), dtype=torch.float64, device="cpu") + 0.5
        ) / factor - 0.5
        taps = torch.tensor(range(-self.radius, self.radius + 1), dtype=torch.float64, device="cpu")
        return cubic(phases[:, None] - taps[None, :])

    def arranged(self, lines: Tensor) -> Tensor:
        kernel = lines[:, None, :, None] * lines[None, :, None, :]
        return kernel.reshape(self.factor * self.factor, 1, 5, 5)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        r = self.radius
        with full_precision(x):
            if can_filter(x):
                return filtered(x, self.lines)
            planes = x.reshape(batch * channels, 1, height, width)
            planes = functional.pad(planes, (r, r, r, r), mode="replicate")
            planes = functional.pixel_shuffle(
                functional.conv2d(planes, self.kernel.to(x.dtype)), self.factor
            )
        return planes.reshape(batch, channels, height * self.factor, width * self.factor)

    def reach(self, reach: Reach) -> Reach:
        return reach.convolved(5)
