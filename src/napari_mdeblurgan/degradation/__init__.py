"""From a sharp image to a blurred one of lower density: by the paper's protocol, or as objective
and camera do it.
"""

from __future__ import annotations

from napari_mdeblurgan.degradation.camera import Camera, Degraded
from napari_mdeblurgan.degradation.degradable import OpticsError
from napari_mdeblurgan.degradation.gaussian_blur import (
    downsample,
    gaussian_blur,
    gaussian_protocol,
    quantise,
    softened,
)
from napari_mdeblurgan.degradation.mixture import Mixture
from napari_mdeblurgan.degradation.optics import Optics, blur, defocus_psf
from napari_mdeblurgan.degradation.protocols import GAUSSIAN, PHYSICAL, STRONG, Condition

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
