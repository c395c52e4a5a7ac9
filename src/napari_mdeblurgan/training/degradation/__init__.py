"""From a sharp image to a blurred one of lower density: by the paper's protocol, or as objective and camera do it."""

from __future__ import annotations

from napari_mdeblurgan.training.degradation.camera import Camera, Degraded
from napari_mdeblurgan.training.degradation.gaussian import (
    downsample,
    gaussian_blur,
    gaussian_protocol,
    quantise,
    softened,
)
from napari_mdeblurgan.training.degradation.mixture import Mixture
from napari_mdeblurgan.training.degradation.optics import Optics, OpticsError, blur, defocus_psf
from napari_mdeblurgan.training.degradation.protocols import GAUSSIAN, PHYSICAL, STRONG, Condition

__all__ = [
    "GAUSSIAN",
    "PHYSICAL",
    "STRONG",
    "Camera",
    "Condition",
    "Degraded",
    "Mixture",
    "Optics",
    "OpticsError",
    "blur",
    "defocus_psf",
    "downsample",
    "gaussian_blur",
    "gaussian_protocol",
    "quantise",
    "softened",
]
