"""What needs no learning. Each takes and gives (y, x) or (y, x, colours), float32 in [0, 1]."""

from __future__ import annotations

import numpy as np
import torch
from skimage.restoration import richardson_lucy

from napari_mdeblurgan.network.blocks import BicubicUpsampling

ITERATIONS = 30


def bicubic(image: np.ndarray, scale: int = 2) -> np.ndarray:
    """Bicubic enlargement (Keys 1981, a = -0.5)."""
    planes = torch.from_numpy(np.atleast_3d(image).transpose(2, 0, 1).astype(np.float32))[None]
    enlarged = BicubicUpsampling(scale)(planes)[0].numpy().transpose(1, 2, 0)
    return enlarged.reshape(*enlarged.shape[:2], *image.shape[2:])


def richardson_lucy_bicubic(
    image: np.ndarray,
    psf: np.ndarray,
    scale: int = 2,
    iterations: int = ITERATIONS,
    offset: float = 0.0,
) -> np.ndarray:
    """Richardson-Lucy deconvolution told the true blur and the camera's offset, then bicubic
    enlargement.

    The image is mirrored beyond its edges first, so that these do not ring.

    Parameters
    ----------
    image : ndarray
        (y, x) or (y, x, colours), in [0, 1].
    psf : ndarray
        Point-spread function: square, odd edge, sum 1.
    scale : int
        Enlargement along y and x.
    iterations : int
        Of Richardson-Lucy.
    offset : float
        What the camera shows without light; taken off first and added again, because the method is
        about light.
    """
    edge = 4 * len(psf)
    planes = []
    for plane in np.moveaxis(np.atleast_3d(image), -1, 0):
        light = np.clip(plane.astype(np.float64) - offset, 0, None)
        padded = np.pad(light, edge, mode="reflect")
        sharp = richardson_lucy(padded, psf, num_iter=iterations, filter_epsilon=1e-6)
        planes.append(sharp[edge:-edge, edge:-edge] + offset)
    return bicubic(np.stack(planes, axis=-1).reshape(image.shape), scale)
