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
    wide, made = _padded(plane, reach, 0)
    seen = np.lib.stride_tricks.sliding_window_view(wide, _LINES + 2 * reach, axis=0)[::_LINES]
    into = made.reshape(-1, _LINES, made.shape[1])
    for part in _parts(plane.shape[1]):
        np.matmul(_band(sigma, reach), seen[:, part].swapaxes(1, 2), out=into[..., part])
    return made[: len(plane)]


def _along_x(plane: np.ndarray, sigma: float, reach: int) -> np.ndarray:
    """As along y, but without turning the plane, which takes longer than all else."""
    wide, made = _padded(plane, reach, 1)
    seen = np.lib.stride_tricks.sliding_window_view(wide, _LINES + 2 * reach, axis=1)[:, ::_LINES]
    into = made.reshape(len(made), -1, _LINES)
    for part in _parts(len(plane)):
        given, result = seen[part].swapaxes(0, 1), into[part].swapaxes(0, 1)
        np.matmul(given, _band(sigma, reach).T, out=result)
    return made[:, : plane.shape[1]]


def _padded(plane: np.ndarray, reach: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """A plane, its rims repeated along an axis, for a whole number of products; and room for
    these.
    """
    length = -(-plane.shape[axis] // _LINES) * _LINES
    sides = [(0, 0), (0, 0)]
    sides[axis] = reach, reach + length - plane.shape[axis]
    shape = list(plane.shape)
    shape[axis] = length
    return np.pad(plane, sides, mode="edge"), np.empty(shape, np.float32)


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
