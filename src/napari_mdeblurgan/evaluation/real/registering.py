"""Lays the planes of a focus series on each other, with the change of magnification that comes with focus."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.training.pairs.align import align
from napari_mdeblurgan.training.pairs.refine import Sharp, seen, warped
from napari_mdeblurgan.training.pairs.structure import blurred
from napari_mdeblurgan.training.pairs.structure import plane as structure

LEAST_ALIKE = 0.3  # correlation of the two structures below which a place is not believed
COARSER = 1.1  # pixels of an image for one of the grid: from here on it is smoothed before
MARGIN = 3.0  # pixels: a spline knows nothing good of what is nearer to the edge


def onto(image: np.ndarray, sharper: np.ndarray, *, ratio: float = 1.0) -> np.ndarray:
    """How a sharper image of the same place lies: moved, turned, and enlarged evenly.

    Parameters
    ----------
    image, sharper : ndarray
        (y, x) or (y, x, colours).
    ratio : float
        Pixels of the sharper image for one of the other, to within 4 %.

    Returns
    -------
    ndarray
        (3, 3): from the (y, x, 1) of a pixel's centre in `image` to that in `sharper`.

    Raises
    ------
    ImageError
        If they have no place in common that stands out.
    """
    low, high = (structure(channels(each)) for each in (image, sharper))
    if not low.any() or not high.any():
        raise ImageError("An image of one value cannot be laid on another one.")
    found = align(low, Sharp(high, ratio), stretch=False)
    if found is None or found.fit.correlation < LEAST_ALIKE:
        raise ImageError("The two images show no place in common that stands out.")
    return found.fit.transform


def channels(image: np.ndarray) -> np.ndarray:
    """(channels, y, x) float32."""
    return np.ascontiguousarray(np.moveaxis(np.atleast_3d(image), -1, 0), np.float32)


def resampled(image: np.ndarray, transform: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An image on the pixels of another, by cubic splines; (y, x) or (y, x, colours) float32.

    Where its own pixels are the finer ones, it is smoothed before, so that nothing is folded back.
    """
    where = slice(0, shape[0]), slice(0, shape[1])
    coarser = float(np.sqrt(abs(np.linalg.det(transform[:2, :2]))))
    smooth = 0.5 * float(np.sqrt(coarser**2 - 1)) if coarser > COARSER else 0.0
    planes = []
    for each in channels(image):
        coefficients = ndimage.spline_filter(blurred(each, smooth), 3, np.float32, "mirror")
        planes.append(warped(coefficients, transform, where).clip(each.min(), each.max()))
    return np.stack(planes, axis=-1).reshape(*shape, *image.shape[2:])


def shown(transform: np.ndarray, shape: tuple[int, int], other: tuple[int, int]) -> np.ndarray:
    """Which pixels of an image of `shape` the other one shows, not too near to its edge; (y, x) bool."""
    return seen(transform, (slice(0, shape[0]), slice(0, shape[1])), other, MARGIN)
