"""Levels of a pyramid, each half as large as the one before along y and x."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

COARSEST_EDGE = 1024


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Height and width of every level, from full resolution to one whose longer edge is at most
    1024 pixels.
    """
    sizes = [(height, width)]
    while max(sizes[-1]) > COARSEST_EDGE:
        height, width = sizes[-1]
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes


def halved(pixels: np.ndarray) -> np.ndarray:
    """Means of 2 × 2 pixels; a last odd row or column is averaged with itself.

    Parameters
    ----------
    pixels : ndarray, shape (..., y, x)
        Of any real type.

    Returns
    -------
    ndarray, shape (..., ⌈y/2⌉, ⌈x/2⌉)
        Of the same type; integers are rounded, for bool half of the pixels must be true.
    """
    if pixels.shape[-2] % 2:
        pixels = np.concatenate([pixels, pixels[..., -1:, :]], axis=-2)
    if pixels.shape[-1] % 2:
        pixels = np.concatenate([pixels, pixels[..., -1:]], axis=-1)
    dtype = pixels.dtype
    if dtype.kind in "iu" and dtype.itemsize == 8:
        return _mean(*(_mean(pixels[..., 0::2, x::2], pixels[..., 1::2, x::2]) for x in (0, 1)))
    wide = np.result_type(dtype, np.float32) if dtype.kind == "f" else _wider(dtype)
    rows = np.add(pixels[..., 0::2, :], pixels[..., 1::2, :], dtype=wide)
    total = rows[..., 0::2] + rows[..., 1::2]
    if dtype.kind == "f":
        return (total * np.asarray(0.25, wide)).astype(dtype)
    return total >= 2 if dtype.kind == "b" else ((total + 2) >> 2).astype(dtype)


def largest(pixels: np.ndarray) -> np.ndarray:
    """The same with the largest of 2 × 2 pixels; NaN only where all four are."""
    rows = np.fmax(pixels[..., 0::2, :], _shifted(pixels, -2))
    return np.asarray(np.fmax(rows[..., 0::2], _shifted(rows, -1)))


def first(pixels: np.ndarray) -> np.ndarray:
    """The same with the first of 2 × 2 pixels, for labels, of which there are no means."""
    return np.ascontiguousarray(pixels[..., 0::2, 0::2])


REDUCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": halved,
    "largest": largest,
    "first": first,
}


def _shifted(pixels: np.ndarray, axis: int) -> np.ndarray:
    """Every second row or column, beginning with the second; a last one without a neighbour is its
    own.
    """
    odd = pixels[..., 1::2, :] if axis == -2 else pixels[..., 1::2]
    if pixels.shape[axis] % 2 == 0:
        return odd
    return np.concatenate([odd, pixels[..., -1:, :] if axis == -2 else pixels[..., -1:]], axis=axis)


def _wider(dtype: np.dtype) -> np.dtype:
    return (
        np.dtype(np.uint8) if dtype.kind == "b" else np.dtype(f"{dtype.kind}{2 * dtype.itemsize}")
    )


def _mean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean of two integers, rounded down, without leaving their range."""
    return (a & b) + ((a ^ b) >> 1)
