"""What a restoration is compared with. Each takes and gives (y, x) or (y, x, colours), float32 in [0, 1]."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from skimage.restoration import richardson_lucy

from napari_mdeblurgan.network.blocks import BicubicUpsampling


def bicubic(image: np.ndarray, scale: int = 2) -> np.ndarray:
    """Bicubic enlargement (Keys 1981, a = -0.5)."""
    planes = torch.from_numpy(np.atleast_3d(image).transpose(2, 0, 1).astype(np.float32))[None]
    enlarged = BicubicUpsampling(scale)(planes)[0].numpy().transpose(1, 2, 0)
    return enlarged.reshape(*enlarged.shape[:2], *image.shape[2:])


def gaussian_kernel(sigma: float) -> np.ndarray:
    """A Gaussian point-spread function cut at 4 standard deviations, of sum 1."""
    radius = max(1, int(np.ceil(4 * sigma)))
    point = np.zeros((2 * radius + 1,) * 2)
    point[radius, radius] = 1
    kernel = gaussian_filter(point, sigma, truncate=4)
    return kernel / kernel.sum()


def richardson_lucy_bicubic(image: np.ndarray, sigma: float, scale: int = 2, iterations: int = 30) -> np.ndarray:
    """Richardson-Lucy deconvolution told the true blur, then bicubic enlargement.

    The image is mirrored beyond its edges first, so that these do not ring.
    """
    kernel = gaussian_kernel(sigma)
    edge = 4 * len(kernel)
    planes = []
    for plane in np.moveaxis(np.atleast_3d(image), -1, 0):
        padded = np.pad(plane.astype(np.float64), edge, mode="reflect")
        sharp = richardson_lucy(padded, kernel, num_iter=iterations, filter_epsilon=1e-6)
        planes.append(sharp[edge:-edge, edge:-edge])
    return bicubic(np.stack(planes, axis=-1).reshape(image.shape), scale)
