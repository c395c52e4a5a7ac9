"""Where a large image shows something: small squares spread over it are looked at, and nothing
else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_mdeblurgan.training.data.sharp_image import Sharp

PROBES, PROBE_EDGE = 12, 64
ANYWHERE = 0.1


def grid(lengths: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of squares that are looked at in an image of (y, x) pixels."""
    rows, columns = (min(PROBES, max(1, length // PROBE_EDGE)) for length in lengths)
    return rows, columns


def probes(lengths: Sequence[int]) -> Iterator[tuple[slice, slice]]:
    """Where these squares are, row by row."""
    cells = grid(lengths)
    for at in np.ndindex(*cells):
        y, x = (
            max(0, int((cell + 0.5) * length / count) - PROBE_EDGE // 2)
            for cell, length, count in zip(at, lengths, cells, strict=True)
        )
        yield slice(y, y + PROBE_EDGE), slice(x, x + PROBE_EDGE)


def rich_place(
    contrasts: np.ndarray, lengths: Sequence[int], edge: int, random: np.random.Generator
) -> tuple[int, int]:
    """First row and column of a square: where the image shows much with the probability of its
    contrast, sometimes anywhere.

    Parameters
    ----------
    contrasts : ndarray
        From `contrast_map`.
    lengths : (int, int)
        y and x of the image.
    edge : int
        Of the square, at most the image's.
    random : numpy Generator
        Moved on.
    """
    chances = contrasts.astype(np.float64).ravel()
    chances += ANYWHERE * chances.mean() + np.finfo(np.float32).tiny
    cell = np.unravel_index(random.choice(chances.size, p=chances / chances.sum()), contrasts.shape)
    y, x = (
        min(max(int((at + random.random()) * length / count) - edge // 2, 0), length - edge)
        for at, length, count in zip(cell, lengths, contrasts.shape, strict=True)
    )
    return y, x


def contrast_map(image: Sharp) -> np.ndarray:
    """Standard deviations of up to 12 × 12 small squares spread evenly over an image: float32,
    (rows, columns).
    """
    lengths = image.shape[1:]
    found = [image[:, y, x].std() for y, x in probes(lengths)]
    return np.array(found, np.float32).reshape(grid(lengths))
