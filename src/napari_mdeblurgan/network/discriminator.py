"""The discriminator: is this a sharp micrograph, or one that the generator made?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn

STAGES = 4
SLOPE = 0.2
_CONTRAST_FLOOR = 0.02  # of the range: some 18 times the rounding error of 8 bits


class Discriminator(nn.Module):
    """Like VGG: 3×3 convolutions, every second one strided, feature maps doubling; global average
    pooling, one dense layer.

    Parameters
    ----------
    channels : {1, 3}
        Channels of the image.
    width : int
        Feature maps of the first of four stages; the last has 8 times as many. 64 is as in the
        networks it is modelled on, 24 is enough for a small generator and quick on a CPU.

    Attributes
    ----------
    smallest : int
        Pixels that an image must have along y and along x: 16.

    Notes
    -----
    An image is judged less the mean of each channel, over its standard deviation, so that neither
    brightness nor exposure can give it away, and a dim patch is judged like a bright one. The
    standard deviation has a floor, far below which there is only rounding to be told apart.

    There is no batch norm: the batches are small, and a judgement must not depend on which other
    images are in the batch.
    """

    smallest = 2**STAGES

    def __init__(self, channels: int = 1, width: int = 64) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, not {channels}")
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width}")
        self.channels, self.width = channels, width
        widths = [channels, *(width * 2**stage for stage in range(STAGES))]
        self.stages = nn.ModuleList(_stage(inputs, outputs) for inputs, outputs in pairwise(widths))
        self.dense = nn.Linear(widths[-1], 1, dtype=torch.float32)

    def forward(self, image: Tensor) -> Tensor:
        """Logits that the images are real: (batch, channels, y, x), range 1, y and x at least 16,
        to (batch,).
        """
        return self.judge(self.features(image))

    def probability(self, image: Tensor) -> Tensor:
        """Probability, 0 to 1, that each image is real: the sigmoid of `forward`."""
        return self(image).sigmoid()

    def features(self, image: Tensor) -> list[Tensor]:
        """The feature maps at the end of each stage, at 1/2, 1/4, 1/8 and 1/16
        of the image's size.
        """
        if (
            image.ndim != 4
            or image.shape[1] != self.channels
            or min(image.shape[-2:]) < self.smallest
        ):
            raise ValueError(
                f"expected (batch, {self.channels}, y, x) with y and x at least {self.smallest}, "
                f"got {tuple(image.shape)}"
            )
        maps = _standardised(image)
        found = []
        for stage in self.stages:
            maps = stage(maps)
            found.append(maps)
        return found

    def judge(self, features: list[Tensor]) -> Tensor:
        """Logits, (batch,), from what `features` gave: both at the price of one pass."""
        return self.dense(features[-1].mean(dim=(2, 3)))[:, 0]


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Gradients pass through `network` but none are kept for its weights: for the generator's step
    past the discriminator.
    """
    before = [weights.requires_grad for weights in network.parameters()]
    network.requires_grad_(False)
    try:
        yield
    finally:
        for weights, required in zip(network.parameters(), before, strict=True):
            weights.requires_grad_(required)


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for source, stride in ((inputs, 1), (outputs, 2)):
        convolution = nn.Conv2d(source, outputs, 3, stride=stride, padding=1, dtype=torch.float32)
        nn.init.kaiming_normal_(convolution.weight, SLOPE)
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
        layers += [convolution, nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


def _standardised(image: Tensor) -> Tensor:
    """Less the mean of each channel, over the standard deviation of all channels together."""
    centred = image.float() - image.float().mean(dim=(2, 3), keepdim=True)
    variance = centred.square().mean(dim=(1, 2, 3), keepdim=True)
    return centred / (variance + _CONTRAST_FLOOR**2).sqrt()
