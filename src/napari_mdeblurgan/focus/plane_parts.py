"""Planes of any size read in part, and made smaller part by part, so that no large plane is held as
a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

READ_AT_ONCE = 2**22  # pixels that are read at a time, where the plane has no chunks of its own


def middle(shape: Sequence[int], edge: int) -> tuple[slice, slice]:
    """The middle of a plane of this shape, at most so many pixels high and wide."""
    y, x = (max(0, (length - edge) // 2) for length in shape[:2])
    return slice(y, y + edge), slice(x, x + edge)


def reduced_plane(plane: Any, factor: int) -> np.ndarray:
    """Means over blocks of factor × factor pixels; the last rows and columns that make no whole
    block are left out.

    Parameters
    ----------
    plane : array
        (y, x) or (y, x, colours), numpy or lazy.
    factor : int
        Pixels along an edge that become one.

    Returns
    -------
    ndarray
        float32, (y / factor, x / factor) or with the colours at the end.
    """
    if factor == 1:
        return np.asarray(plane[:, :]).astype(np.float32)
    height, width = (length // factor for length in plane.shape[:2])
    total = np.zeros((height, width, *plane.shape[2:]), np.float32)
    for rows, columns in _parts(plane, height * factor, width * factor):
        part = np.asarray(plane[rows, columns]).astype(np.float32)
        for axis, span in enumerate((rows, columns)):
            first = np.arange(span.start + -span.start % factor, span.stop, factor) - span.start
            starts = np.union1d([0], first).astype(
                int
            )  # blocks that began in the part before go on here
            part = np.add.reduceat(part, starts, axis=axis)
        y, x = rows.start // factor, columns.start // factor
        total[y : y + part.shape[0], x : x + part.shape[1]] += part
    total /= factor**2
    return total


def _parts(plane: Any, height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Parts of a plane as it is stored, or else of whole rows, up to a height and width."""
    chunks = getattr(plane, "chunks", None)
    edges = (
        [int(along[0]) for along in chunks[:2]]
        if chunks
        else [max(1, READ_AT_ONCE // width), width]
    )
    for y in range(0, height, edges[0]):
        for x in range(0, width, edges[1]):
            yield slice(y, min(y + edges[0], height)), slice(x, min(x + edges[1], width))
