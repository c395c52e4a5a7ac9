"""A last stage that makes a result as soft as an objective would: a Gaussian blur behind the
network.

No objective delivers an image that is sharp to the pixel. The Gaussian closest to the point-spread
function in focus has a standard deviation of 0.21 λ / NA (B. Zhang, J. Zerubia, J.-C. Olivo-Marin,
Applied Optics 46, 1819, 2007).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from napari_mdeblurgan.gaussian import gaussian_radius
from napari_mdeblurgan.network.reach import Reach
from napari_mdeblurgan.network.separable import LARGEST_RADIUS, can_filter, filtered
from napari_mdeblurgan.network.stages import Stage, Stages

_NAME = "soft output"


def softening_network(stages: Stages, softness: float) -> Stages:
    """The same with the result blurred by a Gaussian, carried out tile by tile like all stages.

    Parameters
    ----------
    stages : Stages
        Of a network whose result has as many channels as the image.
    softness : float
        Standard deviation of the blur in pixels of the result; 0 leaves `stages` as they are.
    """
    if not softness:
        return stages
    bare, stride = stages.result, stages.strides[stages.result]
    margin = -(-gaussian_radius(softness) // round(1 / stride))

    def reach(output: Reach) -> tuple[Reach]:
        return (Reach(output.left + margin, output.right + margin, output.stride),)

    last = Stage(partial(_blurred, softness=softness), reach, (bare,), {_NAME: stride})
    return Stages((*stages.stages, last))


def _blurred(image: Tensor, softness: float) -> tuple[Tensor]:
    """(batch, channels, y, x), its edges repeated, in float32."""
    radius = gaussian_radius(softness)
    weights = [math.exp(-0.5 * (offset / softness) ** 2) for offset in range(radius + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    kernel = [weight / total for weight in weights]
    with torch.autocast(image.device.type, enabled=False):
        image = image.float()
        if radius <= LARGEST_RADIUS and can_filter(image):
            return (filtered(image, ((*kernel[:0:-1], *kernel),)),)
        padded = functional.pad(image, (radius, radius, radius, radius), mode="replicate")
        return (_along(_along(padded, kernel, -2), kernel, -1),)


def _along(image: Tensor, kernel: Sequence[float], axis: int) -> Tensor:
    """Blurred along an axis, which loses its edges; a sum of shifted images, as convolutions of one
    channel are slow on CPUs.
    """
    radius = len(kernel) - 1
    length = image.shape[axis] - 2 * radius
    found = image.narrow(axis, radius, length) * kernel[0]
    for offset, weight in enumerate(kernel[1:], 1):
        for start in (radius - offset, radius + offset):
            found.add_(image.narrow(axis, start, length), alpha=weight)
    return found
