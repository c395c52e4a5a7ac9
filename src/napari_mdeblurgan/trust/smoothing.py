"""Gaussian averages of planes, as products with banded matrices: in a small part of the time of
filtering line by line, and on this thread alone.
"""

from __future__ import annotations

import functools

import numpy as np

# lines made by one product, and how long they are at most: so few that the library for linear
# algebra calls no helpers
_LINES, _LENGTH = 16, 1024


def gaussian_average(plane: np.ndarray, sigma: float, reach: int) -> np.ndarray:
    """Average over a Gaussian neighbourhood; what lies beyond the rim is as the rim.

    Parameters
    ----------
    plane : ndarray
        (y, x) float32.
    sigma : float
        Standard deviation in pixels.
    reach : int
        Pixels to each side at which it is cut off.

    Returns
    -------
    ndarray
        (y, x) float32, as of `scipy.ndimage.gaussian_filter` with mode "nearest".
    """
    return _along_x(_along_y(np.asarray(plane, np.float32), sigma, reach), sigma, reach)


def _along_y(plane: np.ndarray, sigma: float, reach: int) -> np.ndarray:
    height, width = plane.shape
    lines = _whole(height)
    wide = np.empty((lines + 2 * reach, width), np.float32)
    wide[:reach], wide[reach : reach + height], wide[reach + height :] = plane[0], plane, plane[-1]
    made = np.empty((lines, width), np.float32)
    seen = np.lib.stride_tricks.sliding_window_view(wide, _LINES + 2 * reach, axis=0)[::_LINES]
    into = made.reshape(-1, _LINES, width)
    for part in _parts(width):
        np.matmul(_band(sigma, reach), seen[:, part].swapaxes(1, 2), out=into[..., part])
    return made[:height]


def _along_x(plane: np.ndarray, sigma: float, reach: int) -> np.ndarray:
    """As along y, but without turning the plane, which takes longer than all else."""
    height, width = plane.shape
    lines, band = _whole(width), _band(sigma, reach).T
    wide = np.empty((height, lines + 2 * reach), np.float32)
    wide[:, :reach], wide[:, reach : reach + width] = plane[:, :1], plane
    wide[:, reach + width :] = plane[:, -1:]
    made = np.empty((height, lines), np.float32)
    for part in _parts(height):
        for start in range(0, lines, _LINES):
            given = wide[part, start : start + _LINES + 2 * reach]
            np.matmul(given, band, out=made[part, start : start + _LINES])
    return made[:, :width]


def _whole(length: int) -> int:
    """So many lines that products make all of them."""
    return -(-length // _LINES) * _LINES


def _parts(length: int) -> list[slice]:
    return [slice(start, start + _LENGTH) for start in range(0, length, _LENGTH)]


@functools.lru_cache(maxsize=8)
def _band(sigma: float, reach: int) -> np.ndarray:
    """Weights of the lines (columns) that lead to one line (rows)."""
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    band = np.zeros((_LINES, _LINES + 2 * reach), np.float32)
    for line in range(_LINES):
        band[line, line : line + len(weights)] = weights
    return band
