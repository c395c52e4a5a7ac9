"""The outline of a shape over the levels of a result: which pixels lie in it, and levels that have
no value outside, as they are read. No Qt in here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.storage.array_part import ArrayPart, Spans

LEAST_CORNERS = 3

Empty = Callable[[np.ndarray, np.ndarray], np.ndarray]


def pixels_inside(
    outline: NDArray[np.float64], rows: Sequence[int] | range, columns: Sequence[int] | range
) -> NDArray[np.bool_]:
    """Which pixels have their centre in a polygon, by the even-odd rule.

    Parameters
    ----------
    outline : ndarray, shape (n, 2)
        y and x of its corners in pixels, whose centres are whole numbers.
    rows, columns : sequence of int
        Which pixels are asked for; columns in ascending order.

    Returns
    -------
    ndarray of bool, shape (rows, columns)
        Of a centre right on an edge, the left one and the upper one are inside.
    """
    y, x = np.asarray(rows), np.asarray(columns)
    crossed = np.zeros((len(y), len(x) + 1), bool)
    for (y0, x0), (y1, x1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        at = np.flatnonzero((y >= min(y0, y1)) & (y < max(y0, y1)))
        if at.size:
            crossings = x0 + (y[at] - y0) * (x1 - x0) / (y1 - y0)
            crossed[at, np.searchsorted(x, crossings)] ^= True
    return np.asarray(np.logical_xor.accumulate(crossed, axis=1)[:, :-1])


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """A shape over the levels of a result, or of a map of it.

    Attributes
    ----------
    corners : ndarray, shape (n, 2)
        float64: y and x in pixels of the finest level, whose centres are whole numbers.
    first : int
        How many axes come before y and x.
    empty : callable
        Takes the values from pixels, (..., y, x, ...), where (y, x) bool is False.
    """

    corners: NDArray[np.float64]
    first: int
    empty: Empty

    def inside(
        self, level: int, rows: Sequence[int] | range, columns: Sequence[int] | range
    ) -> NDArray[np.bool_]:
        """Which pixels of a level, each half as large as the one before, lie in the shape."""
        return pixels_inside((self.corners + 0.5) / 2**level - 0.5, rows, columns)

    def over(self, levels: Sequence[Any]) -> list[ArrayPart]:
        """Levels, the finest first, without a value outside; nothing is read before it is asked
        for.
        """
        return [
            self._over(partial(_read_spans, each), level, each) for level, each in enumerate(levels)
        ]

    def over_lazy(self, levels: Sequence[Any]) -> list[Any]:
        """The same of levels that are dask arrays, as dask arrays of the same chunks."""
        import dask.array as da  # takes half a second

        arrays = []
        for part, level in zip(self.over(levels), levels, strict=True):
            chunks = tuple(
                each if sum(each) == length else (length,)  # colours get an opacity
                for each, length in zip(level.chunks, part.shape, strict=True)
            )
            meta = np.empty((0,) * part.ndim, part.dtype)
            arrays.append(
                da.from_array(part, chunks, name=False, asarray=True, fancy=False, meta=meta)
            )
        return arrays

    def pixels(self, found: Callable[[Spans], np.ndarray], level: int, spans: Spans) -> np.ndarray:
        """Some spans of a level, of which `found` gives what is there; see `ArrayPart`."""
        first = self.first
        y, x = (
            span if isinstance(span, range) else range(span, span + 1)
            for span in spans[first : first + 2]
        )
        if not len(y) or not len(x):
            inside = np.zeros((len(y), len(x)), bool)
        else:
            backwards = x.step < 0
            inside = self.inside(level, y, x[::-1] if backwards else x)
            inside = inside[:, ::-1] if backwards else inside
        whole = self.empty(found((*spans[:first], y, x)), inside)
        leading = (slice(None),) * sum(isinstance(span, range) for span in spans[:first])
        kept = (0 if isinstance(span, int) else slice(None) for span in spans[first : first + 2])
        rest = (
            span if isinstance(span, int) else slice(span.start, max(span.stop, 0), span.step)
            for span in spans[first + 2 :]
        )
        return whole[(*leading, *kept, *rest)]

    def _over(self, read_all: Callable[[Spans], np.ndarray], level: int, data: Any) -> ArrayPart:
        first = self.first
        small = np.zeros((1,) * (first + 2) + tuple(data.shape[first + 2 :]), data.dtype)
        emptied = self.empty(small, np.zeros((1, 1), bool))
        shape = (*data.shape[: first + 2], *emptied.shape[first + 2 :])
        return ArrayPart(partial(self.pixels, read_all, level), shape, emptied.dtype)


def outline_in(told: Any) -> NDArray[np.float64] | None:
    """Corners of an outline that stood in a file; None for whatever else stands there."""
    try:
        corners = np.array(told, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    fits = corners.ndim == 2 and corners.shape[1:] == (2,) and len(corners) >= LEAST_CORNERS
    return corners if fits and np.isfinite(corners).all() else None


def _read_spans(data: Any, spans: Spans) -> np.ndarray:
    """Spans of an array, with all of the axes after them."""
    return read(
        data,
        tuple(
            span
            if isinstance(span, int)
            else slice(span.start, None if span.stop < 0 else span.stop, span.step)
            for span in spans
        ),
    )
