"""One image out of the planes of a stack."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.focus.energy import doubled
from napari_mdeblurgan.pairs.search import reduced

# halvings: what is coarser passes from plane to plane over many pixels, so that no seam is seen
_COARSE = 3
_SMOOTH = 1.5  # pixels after them
_SHARPEST = (
    0.45  # of the depth: σ of the Gaussian by which planes are weighted where the height is sure
)
NARROW, WIDE = (
    0.2,
    1.5,
)  # planes: the least such σ, and the one where nothing is known of the height
_SURE = 0.5  # confidence from which a height is sure


def fused_steps(
    planes: np.ndarray, height: np.ndarray, confidence: np.ndarray | float, depth: float
) -> Generator[None, None, np.ndarray]:
    """Detail from the planes next to a place's height, and what is coarse from those of its
    surroundings.

    A step for each plane.

    Planes count by a Gaussian of their distance from the height. It is as wide as leaves detail
    sharp, by how many planes show the same detail, and wider where there is no detail: a mean of
    planes that look alike has less noise than any of them. Detail and what is coarse are blended in
    two bands (Burt and Adelson 1983). No value lies beyond those that the planes have there.

    Parameters
    ----------
    planes : ndarray
        (planes, y, x) or (planes, y, x, colours) float32.
    height : ndarray
        (y, x) in planes.
    confidence : ndarray or float
        (y, x), 0 to 1: of the heights.
    depth : float
        In planes, from `choice.depth`.

    Returns
    -------
    ndarray
        (y, x) or (y, x, colours) float32.
    """
    last = len(planes) - 1
    least = np.float32(max(NARROW, _SHARPEST * depth))
    doubted = np.float32(max(WIDE - float(least), 0))
    width = least + doubted * np.clip(1 - np.asarray(confidence, np.float32) / _SURE, 0, 1)
    height = np.clip(height, 0, last).astype(np.float32)
    total = np.zeros(height.shape, np.float32)
    for index in range(last + 1):
        total += _weight(height, width, index)
    found = np.zeros(planes.shape[1:], np.float32)
    for index, plane in enumerate(planes):
        yield
        weight = _weight(height, width, index) / total
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


def _weight(height: np.ndarray, width: np.ndarray, index: int) -> np.ndarray:
    """(y, x) float32: how much a plane counts; nothing where it is more than four times the width
    away.
    """
    distance = (height - np.float32(index)) / width
    return np.where(np.abs(distance) < 4, np.exp(-0.5 * distance * distance), 0).astype(np.float32)


def _coarse(image: np.ndarray) -> np.ndarray:
    """(y, x): what is left of an image at an eighth of the pixels."""
    height, width = image.shape
    whole = 2**_COARSE
    small = reduced(np.pad(image, [(0, -height % whole), (0, -width % whole)], mode="edge"), whole)
    small = ndimage.gaussian_filter(small, _SMOOTH, mode="nearest", truncate=3.0)
    return doubled(small, _COARSE)[:height, :width]
