"""One image out of the planes of a stack."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.focus.energy import doubled
from napari_mdeblurgan.pairs.search import reduced

COARSE = 3  # halvings: what is coarser passes from plane to plane over many pixels, so that no seam is seen
SMOOTH = 1.5  # pixels after them


def fused_steps(planes: np.ndarray, height: np.ndarray) -> Generator[None, None, np.ndarray]:
    """Detail from the planes that a place lies between, and what is coarse from those of its surroundings.

    A step for each plane.

    That is blending in two bands (Burt and Adelson 1983). No value lies beyond those that the planes have there.

    Parameters
    ----------
    planes : ndarray
        (planes, y, x) or (planes, y, x, colours) float32.
    height : ndarray
        (y, x) in planes.

    Returns
    -------
    ndarray
        (y, x) or (y, x, colours) float32.
    """
    found = np.zeros(planes.shape[1:], np.float32)
    for index, plane in enumerate(planes):
        yield
        weight = _weight(height, index, len(planes) - 1)
        if not weight.any():
            continue
        coarse = _coarse(weight)
        if planes.ndim == 4:
            weight, coarse = weight[..., None], coarse[..., None]
            base = np.stack([_coarse(plane[..., c]) for c in range(plane.shape[-1])], axis=-1)
        else:
            base = _coarse(plane)
        found += weight * plane + (coarse - weight) * base
    return np.clip(found, planes.min(axis=0), planes.max(axis=0), out=found)


def _weight(height: np.ndarray, index: int, last: int) -> np.ndarray:
    """(y, x) float32: the share of a plane in what is shown; most places are shown by one plane.

    A mean of a sharp and a blurred plane is neither, so the share falls from 1 to 0 more steeply than a straight line.
    """
    part = np.clip(1 - np.abs(np.clip(height, 0, last) - index), 0, 1).astype(np.float32)
    return part * part * (3 - 2 * part)


def _coarse(image: np.ndarray) -> np.ndarray:
    """(y, x): what is left of an image at an eighth of the pixels."""
    height, width = image.shape
    whole = 2**COARSE
    small = reduced(np.pad(image, [(0, -height % whole), (0, -width % whole)], mode="edge"), whole)
    small = ndimage.gaussian_filter(small, SMOOTH, mode="nearest", truncate=3.0)
    return doubled(small, COARSE)[:height, :width]
