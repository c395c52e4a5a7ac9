"""How much detail every plane of a stack has at every place: the focus measure, at three scales."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.pairs.search import reduced

_FINE = 1.2  # pixels: σ of the Laplacian of a Gaussian, at every scale's own pixels
_AROUND = 2.5  # pixels: σ of the Gaussian that its energy is averaged with
SCALES = 3  # each at half the pixels of the one before
SURE = 4.0  # standard deviations of what noise alone leaves: less is no detail
_TRUNCATE = 3.0


def energies(
    plane: np.ndarray, variance: float, scales: int = SCALES
) -> list[tuple[np.ndarray, float]]:
    """Energy of the detail of one plane around every pixel, scale by scale.

    It is that of the Laplacian of a Gaussian, squared and averaged (Pertuz et al. 2013 compare
    measures of focus). Coarser scales are measured on reduced planes: what is sharp is seen at the
    finest scale, and what has no fine detail at the next.

    Parameters
    ----------
    plane : ndarray
        (y, x) float32; y and x multiples of 4.
    variance : float
        Of its noise.
    scales : int
        How many, the finest first.

    Returns
    -------
    list of (ndarray, float)
        For each scale (y / 2ⁿ, x / 2ⁿ) float32 and the energy below which it may be noise.
    """
    found = []
    for scale in range(scales):
        if scale:
            plane, variance = reduced(plane, 2), variance / 4
        detail = _laplacian(plane)
        energy = ndimage.gaussian_filter(
            np.square(detail, out=detail), _AROUND, mode="reflect", truncate=_TRUNCATE
        )
        of_noise = variance * _gain()
        found.append((np.maximum(energy - np.float32(of_noise), 0), SURE * of_noise * spread()))
    return found


def doubled(image: np.ndarray, times: int) -> np.ndarray:
    """(…, y, x) enlarged 2ⁿ times along y and x, linearly between the middles of the pixels."""
    for _ in range(times):
        for axis in (-2, -1):
            first = np.take(image, [0], axis)
            last = np.take(image, [-1], axis)
            before = np.concatenate((first, np.delete(image, -1, axis)), axis)
            after = np.concatenate((np.delete(image, 0, axis), last), axis)
            pair = np.stack(
                (0.75 * image + 0.25 * before, 0.75 * image + 0.25 * after),
                axis=image.ndim + axis + 1,
            )
            shape = list(image.shape)
            shape[axis] *= 2
            image = pair.reshape(shape)
    return image


def _laplacian(image: np.ndarray) -> np.ndarray:
    """The Laplacian of a Gaussian, and nothing of what is the same everywhere: cut off as it is, it
    would leave some of that, which is no detail, and hides it on the offset of a camera.
    """
    found = ndimage.gaussian_laplace(image, _FINE, mode="reflect", truncate=_TRUNCATE)
    found -= image * image.dtype.type(_left_of_constant())
    return found  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _left_of_constant() -> float:
    return float(ndimage.gaussian_laplace(np.ones((33, 33)), _FINE, truncate=_TRUNCATE)[16, 16])


@lru_cache(maxsize=1)
def _response() -> np.ndarray:
    point = np.zeros((33, 33))
    point[16, 16] = 1
    return _laplacian(point)


def _gain() -> float:
    """Energy that white noise of variance 1 leaves."""
    return float((_response() ** 2).sum())


@lru_cache(maxsize=1)
def spread() -> float:
    """Standard deviation of that energy, averaged as it is, relative to its mean: measured on white
    noise of a fixed seed.
    """
    noise = np.random.default_rng(0).standard_normal((256, 256))
    squares = _laplacian(noise) ** 2
    averaged = ndimage.gaussian_filter(squares, _AROUND, truncate=_TRUNCATE)
    return float(averaged.std() / averaged.mean())
