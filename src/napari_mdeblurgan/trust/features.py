"""What tells how far a restored pixel may be off: one number per pixel of the image and feature,
all logarithms of lengths in windows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from napari_mdeblurgan.trust.consistency import Difference, local_rms
from napari_mdeblurgan.trust.pieces import Piece
from napari_mdeblurgan.trust.psf import PointSpread
from napari_mdeblurgan.trust.samples import grey
from napari_mdeblurgan.trust.smoothing import gaussian_average

FEATURES = (
    "slope",
    "curvature",
    "contrast",
    "surroundings",
    "change",
    "residual",
    "noise",
    "blur",
    "distance",
    "closest",
)
WITH_DISAGREEMENT = (*FEATURES, "disagreement")
FINE_PX, COARSE_PX = 0.5, 2.0  # standard deviations of averages, in pixels of the input
_LEAST = 1e-3  # windows: less than that may be rounding
_ROWS = 96  # of blocks that are looked at together: they fit into the cache


class Details(NamedTuple):
    """What the pixels of a piece, and those of the result that they have become, look like: (y, x)
    float32 on the image's grid, with the margin, in windows.

    Attributes
    ----------
    level, within : ndarray
        Mean and variance of the result over the pixels that one has become.
    slope, curvature : ndarray
        Mean lengths of its gradient and of its Laplacian there.
    change : ndarray
        How far the level lies from the image.
    residual : ndarray
        Local root mean square of what sets the result, blurred again, apart from the image.
    noise : ndarray
        Standard deviation of that of the image.
    """

    level: np.ndarray
    within: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray
    change: np.ndarray
    residual: np.ndarray
    noise: np.ndarray


def details(piece: Piece, difference: Difference, sigma: np.ndarray) -> Details:
    """Of a piece whose gaps are filled.

    Parameters
    ----------
    piece : Piece
    difference : Difference
        From `compare`.
    sigma : ndarray
        (y, x, colours): standard deviation of the image's noise, in windows.
    """
    level, within, slope, curvature = _of_blocks(piece.restored, piece.factor)
    return Details(
        level=level,
        within=within,
        slope=slope,
        curvature=curvature,
        change=np.abs(level - grey(piece.blurred)),
        residual=np.nan_to_num(local_rms(difference.values), copy=False),
        noise=grey(sigma),
    )


def features(
    details: Details,
    inside: tuple[slice, slice],
    factor: int,
    psf: PointSpread,
    explanation: np.ndarray | None,
    spread: np.ndarray | None,
) -> np.ndarray:
    """Features of a tile on the image's grid: one value for all pixels of the result that one of
    the image has become.

    Parameters
    ----------
    details : Details
        Of the piece around the tile.
    inside : (slice, slice)
        Where the tile lies in it.
    factor : int
        Pixels of the result along one of the image.
    psf : PointSpread
        From the result back to the image.
    explanation : ndarray or None
        (y, x, 6) of the tile; None if the network has nothing to say, which then counts as
        distances of 0.
    spread : ndarray or None
        (factor · y, factor · x, colours) of the tile: standard deviation of the eight restorations,
        if they were made.

    Returns
    -------
    ndarray
        (features, y, x) float32 in the order of `FEATURES` or `WITH_DISAGREEMENT`.
    """
    planes = [
        _smooth(details.slope, FINE_PX),
        _smooth(details.curvature, FINE_PX),
        _deviation(details.level, details.within, FINE_PX),
        _deviation(details.level, details.within, COARSE_PX),
        _smooth(details.change, FINE_PX),
        details.residual,
        details.noise,
    ]
    found = [plane[inside] for plane in planes]
    found.append(np.array(psf.sigma_px * _LEAST, np.float32))  # the same everywhere
    if explanation is None:
        found += [np.zeros((), np.float32)] * 2
    else:
        found += [explanation[..., 5], _least(explanation[..., 3:])]
    if spread is not None:
        found.append(_means(grey(spread), factor))
    logs = np.empty((len(found), *found[0].shape), np.float32)
    for plane, log in zip(found, logs, strict=True):
        if plane.ndim:  # in place: all of it is in the cache
            np.log(np.add(plane, np.float32(_LEAST), out=log), out=log)
        else:
            log[...] = np.log(plane + np.float32(_LEAST))
    return logs


def _of_blocks(restored: np.ndarray, factor: int) -> np.ndarray:
    """(4, y, x) float32, of (factor · y, factor · x, colours): mean and variance of blocks of
    factor × factor pixels, means of their slopes and of their curvatures.
    """
    rows, columns = (length // factor for length in restored.shape[:2])
    found = np.empty((4, rows, columns), np.float32)
    for start in range(0, rows, _ROWS):
        first = max(start - 1, 0)  # with the neighbours of its rim
        strip = grey(restored[first * factor : (start + _ROWS + 1) * factor])
        inner = slice(start - first, start - first + _ROWS)
        level = _means(strip, factor)
        planes = (
            level,
            _variance(strip, level, factor),
            _means(_slope(strip), factor),
            _means(_curvature(strip), factor),
        )
        for whole, plane in zip(found, planes, strict=True):
            whole[start : start + _ROWS] = plane[inner]
    return found


def _means(plane: np.ndarray, factor: int) -> np.ndarray:
    """Means over blocks of factor × factor pixels, (y, x) float32."""
    if factor == 1:
        return plane
    rows = plane[::factor] + plane[1::factor]  # several times as fast as numpy along short axes
    for row in range(2, factor):
        rows += plane[row::factor]
    total = rows[:, ::factor] + rows[:, 1::factor]
    for column in range(2, factor):
        total += rows[:, column::factor]
    total /= np.float32(factor**2)
    return total


def _variance(plane: np.ndarray, level: np.ndarray, factor: int) -> np.ndarray:
    """Variance within blocks of factor × factor pixels, whose means are known; (y, x) float32."""
    total = np.zeros_like(level)
    for row, column in np.ndindex(factor, factor):
        off = plane[row::factor, column::factor] - level
        total += np.square(off, out=off)
    total /= np.float32(factor**2)
    return total


def _least(values: np.ndarray) -> np.ndarray:
    """The smallest of (y, x, 3) over the last axis; several times as fast as numpy's along a short
    one.
    """
    return np.minimum(np.minimum(values[..., 0], values[..., 1]), values[..., 2])


def _curvature(plane: np.ndarray) -> np.ndarray:
    """Absolute value of the Laplacian; what lies beyond the rim is as the rim."""
    total = plane * np.float32(-4)
    total[1:] += plane[:-1]
    total[:-1] += plane[1:]
    total[:, 1:] += plane[:, :-1]
    total[:, :-1] += plane[:, 1:]
    total[0] += plane[0]
    total[-1] += plane[-1]
    total[:, 0] += plane[:, 0]
    total[:, -1] += plane[:, -1]
    return np.abs(total, out=total)


def _slope(plane: np.ndarray) -> np.ndarray:
    """Length of the gradient, by the differences of neighbours on both sides; 0 at the rim, which
    is margin.
    """
    length = np.zeros_like(plane)
    inner = length[1:-1, 1:-1]
    off = plane[2:, 1:-1] - plane[:-2, 1:-1]
    np.square(off, out=inner)
    np.subtract(plane[1:-1, 2:], plane[1:-1, :-2], out=off)
    inner += np.square(off, out=off)
    np.sqrt(length, out=length)
    length *= np.float32(0.5)
    return length


def _smooth(plane: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_average(plane, sigma, int(3 * sigma + 0.5))


def _deviation(level: np.ndarray, within: np.ndarray, sigma: float) -> np.ndarray:
    """Local standard deviation, from the means of blocks and the variance within them."""
    off = level - _smooth(level, sigma)
    return np.sqrt(_smooth(off * off + within, sigma))
