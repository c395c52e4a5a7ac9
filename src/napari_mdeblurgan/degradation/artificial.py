"""What no specimen shows and files still hold: areas of one colour with sharp edges, as around
stitched or masked scans.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from napari_mdeblurgan.degradation.camera import Degraded

MOST_SHAPES = 3


def random_area(random: np.random.Generator, height: int, width: int) -> Tensor:
    """Part of an image, bool (height, width): what lies beyond a straight line, or the inside or
    outside of a rectangle.
    """
    y, x = np.mgrid[:height, :width]
    if random.random() < 0.6:
        turned = random.random() < 0.4
        angle = random.uniform(0, 2 * math.pi) if turned else int(random.integers(4)) * math.pi / 2
        distance = math.cos(angle) * (x - width / 2) + math.sin(angle) * (y - height / 2)
        return torch.from_numpy(distance > random.uniform(-0.3, 0.3) * min(height, width))
    inside = np.ones((height, width), bool)
    for along, length in ((y, height), (x, width)):
        extent = random.integers(length // 6, length * 2 // 3)
        start = random.integers(0, length - extent)
        inside &= (along >= start) & (along < start + extent)
    return torch.from_numpy(inside if random.random() < 0.5 else ~inside)


def with_shapes(sharp: Tensor, random: np.random.Generator) -> Tensor:
    """A sharp image with one to three areas of one colour drawn over it, or over an area of one
    colour.

    Parameters
    ----------
    sharp : Tensor
        float32, (channels, y, x) in [0, 1].
    random : numpy Generator
        Moved on.
    """
    image = sharp if random.random() < 0.5 else _colour(sharp, random).expand_as(sharp)
    for _ in range(int(random.integers(1, MOST_SHAPES + 1))):
        image = torch.where(random_area(random, *sharp.shape[-2:]), _colour(sharp, random), image)
    return image.contiguous()


def padded(degraded: Degraded, index: int, random: np.random.Generator) -> None:
    """Paint part of one image of a batch black, white or grey, in place: in the blurred image as
    sharply as in the truth.
    """
    scale = degraded.sharp.shape[-1] // degraded.blurred.shape[-1]
    area = random_area(random, *degraded.blurred.shape[-2:])
    value = float(random.choice([0.0, 1.0, random.random()]))
    degraded.blurred[index].masked_fill_(area, value)
    degraded.sharp_low[index].masked_fill_(area, value)
    degraded.sharp[index].masked_fill_(
        area.repeat_interleave(scale, 0).repeat_interleave(scale, 1), value
    )


def _colour(image: Tensor, random: np.random.Generator) -> Tensor:
    """(channels, 1, 1): a colour, or a grey that is the same in all channels."""
    grey = random.random() < 0.5
    levels = np.full(len(image), random.random()) if grey else random.random(len(image))
    return torch.from_numpy(levels.astype(np.float32))[:, None, None]
