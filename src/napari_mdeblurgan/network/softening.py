"""A last stage that makes a result as soft as an objective would: a Gaussian blur behind the network.

No objective delivers an image that is sharp to the pixel. The Gaussian closest to the point-spread function in focus has a
standard deviation of 0.21 λ / NA (B. Zhang, J. Zerubia, J.-C. Olivo-Marin, Applied Optics 46, 1819, 2007).
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from napari_mdeblurgan.gaussian import gaussian_radius
from napari_mdeblurgan.network.reach import Reach
from napari_mdeblurgan.network.stages import Stage, Stages

NAME = "soft output"


def softened(stages: Stages, softness: float) -> Stages:
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

    last = Stage(partial(_blurred, softness=softness), reach, (bare,), {NAME: stride})
    return Stages((*stages.stages, last))


def _blurred(image: Tensor, softness: float) -> tuple[Tensor]:
    """(batch, channels, y, x), its edges repeated, in float32."""
    radius = gaussian_radius(softness)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32, device=image.device)
    kernel = torch.exp(-0.5 * (offsets / softness) ** 2)
    kernel /= kernel.sum()
    planes = image.float().flatten(0, 1)[:, None]
    with torch.autocast(image.device.type, enabled=False):
        planes = functional.pad(planes, (radius, radius, radius, radius), mode="replicate")
        planes = functional.conv2d(planes, kernel[None, None, :, None])
        planes = functional.conv2d(planes, kernel[None, None, None, :])
    return (planes.reshape(image.shape),)
