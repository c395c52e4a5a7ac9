"""Lazy arrays of which many parts are read: one at a time, and what is slow to read no more often
than it has to be.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise, product
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import psutil

from napari_mdeblurgan.restoration.arrays import is_lazy, read

SLOW_S = 0.05  # two parts that take so long are worth asking what the whole chunks take
ALIKE = 3.0  # times as long as a part: then a part is made by making the whole chunk
_SHARE_OF_MEMORY = 1 / 8  # that chunks may take to be kept
_MOST_CHUNKS = 4096  # of one part: keeping more of them would take its time, too
_KEPT_BYTES = 2**28  # of several chunks; a single one may take more

_Spans = tuple[tuple[int, int], ...]


class _Part(NamedTuple):
    """What is asked for: from where to where along each axis, which of these it is a place of, and
    the chunks that it lies in.
    """

    spans: _Spans
    places: tuple[int, ...]
    chunks: tuple[_Spans, ...]

    @property
    def share(self) -> float:
        """Of the values of the chunks."""
        return _values(self.spans) / sum(map(_values, self.chunks))


def read_in_turn(image: Any, lock: Lock | None = None) -> Any:
    """A lazy array as `ReadInTurn`, which stays as it is, as does any other."""
    if isinstance(image, ReadInTurn) or not is_lazy(image):
        return image
    return ReadInTurn(image, lock or Lock())


def each_in_turn(arrays: Sequence[Any]) -> list[Any]:
    """Arrays that are read side by side, the lazy ones as `ReadInTurn`, each by a lock of its own;
    all as they are where what they keep might not fit.
    """
    size = sum(math.prod(each.shape) * np.dtype(each.dtype).itemsize for each in arrays)
    return [read_in_turn(each) for each in arrays] if _fits(size) else list(arrays)


class ReadInTurn:
    """A lazy array for several threads, which read it one at a time: nobody knows whether its
    source bears more.

    Where a part of a chunk takes about as long as the whole, as that of a plane which a file holds
    in one compressed piece or which is computed in one go, the whole chunk is read and kept. So are
    the chunks of a part that is slow and takes in at least a third of them: the next part, and the
    next stage of the work, need them again. Those that were used last are kept.

    Parameters
    ----------
    image : array
        See `is_lazy`.
    lock : Lock
        Held while a part is read; it may be that of other arrays as well.
    """

    def __init__(self, image: Any, lock: Lock) -> None:
        self.shape, self.dtype, self.ndim = image.shape, image.dtype, image.ndim
        self.chunks = getattr(image, "chunks", None)
        self._image, self._lock = image, lock
        self._edges = _edges_of(image)
        self._seconds = deque[float](maxlen=2)  # for a chunk, that the last small parts took
        self._whole: bool | None = None  # read chunks whole for any part; None: not known yet
        self._slow_parts = 0  # that took in a good part of their chunks
        self._kept = OrderedDict[_Spans, np.ndarray]()

    def __getitem__(self, index: Any) -> np.ndarray:
        with self._lock:
            part = None if self._whole is False else self._part(index)
            if part is None:
                return read(self._image, index)
            if self._is_worth(part):
                return self._of_chunks(part)
            if self._asks_for_whole(part):
                usual = min(self._seconds)
                found, seconds = _timed(self._of_chunks, part)
                self._whole = seconds <= ALIKE * usual * len(part.chunks)
                if not self._whole:
                    self._kept.clear()
                return found
            found, seconds = _timed(read, self._image, index)
            if part.share < 1 / ALIKE:
                self._seconds.append(seconds / len(part.chunks))
            else:
                self._slow_parts += seconds >= SLOW_S
            return found

    def _is_worth(self, part: _Part) -> bool:
        """Whether the chunks of a part are there already, or are to be read whole for it."""
        if all(chunk in self._kept for chunk in part.chunks):
            return True
        slow = self._slow_parts >= 2 and part.share >= 1 / ALIKE
        return (slow or self._whole is True) and self._fits(part.chunks)

    def _asks_for_whole(self, part: _Part) -> bool:
        """Whether the last two small parts took so long that it is tried how long whole chunks
        take; the first one of all may have waited for the file to be opened.
        """
        slow = len(self._seconds) == 2 and min(self._seconds) >= SLOW_S
        return slow and self._whole is None and self._fits(part.chunks)

    def _part(self, index: Any) -> _Part | None:
        """What an index asks for; None where it has gaps, or the chunks are not known."""
        if self._edges is None or not isinstance(index, tuple) or len(index) > self.ndim:
            return None
        whole = [*index, *[slice(None)] * (self.ndim - len(index))]
        spans = [_span(key, length) for key, length in zip(whole, self.shape, strict=True)]
        known = tuple(span for span in spans if span is not None)
        if len(known) < self.ndim:
            return None
        along = [_within(*each) for each in zip(known, self._edges, strict=True)]
        if math.prod(map(len, along)) > _MOST_CHUNKS:
            return None
        places = tuple(axis for axis, key in enumerate(whole) if not isinstance(key, slice))
        return _Part(known, places, tuple(product(*along)))

    def _fits(self, chunks: Sequence[_Spans]) -> bool:
        """Whether there is room to keep chunks."""
        size = sum(map(_values, chunks)) * np.dtype(self.dtype).itemsize
        return _fits(size, len(chunks))

    def _of_chunks(self, part: _Part) -> np.ndarray:
        """A part, put together of its chunks; those that are not kept are read, in one piece."""
        lacking = [chunk for chunk in part.chunks if chunk not in self._kept]
        if lacking:
            self._make_room(part.chunks)
            box = tuple(
                (min(start for start, _ in along), max(stop for _, stop in along))
                for along in zip(*lacking, strict=True)
            )
            pixels = read(self._image, tuple(slice(*span) for span in box))
            for chunk in lacking:
                piece = pixels[_inside(chunk, box)]
                self._kept[chunk] = piece if len(lacking) == 1 else piece.copy()
        found = np.empty(
            [stop - start for start, stop in part.spans], self._kept[part.chunks[0]].dtype
        )
        for chunk in part.chunks:
            self._kept.move_to_end(chunk)
            common = tuple(
                (max(first, start), min(end, stop))
                for (first, end), (start, stop) in zip(chunk, part.spans, strict=True)
            )
            found[_inside(common, part.spans)] = self._kept[chunk][_inside(common, chunk)]
        return found[tuple(0 if axis in part.places else slice(None) for axis in range(self.ndim))]

    def _make_room(self, wanted: Sequence[_Spans]) -> None:
        """Let go of the chunks that were used longest ago, before others take as much."""
        size = np.dtype(self.dtype).itemsize
        room = _KEPT_BYTES - sum(map(_values, wanted)) * size
        used = sum(_values(chunk) for chunk in self._kept if chunk not in wanted) * size
        for chunk in [chunk for chunk in self._kept if chunk not in wanted]:
            if used <= room:
                return
            used -= self._kept.pop(chunk).nbytes


def _fits(size: int, chunks: int = 2) -> bool:
    """Whether so many bytes of so many chunks can be kept."""
    return (chunks == 1 or size <= _KEPT_BYTES) and (
        size <= _SHARE_OF_MEMORY * psutil.virtual_memory().available
    )


def _timed(work: Callable[..., np.ndarray], *given: Any) -> tuple[np.ndarray, float]:
    begun = time.perf_counter()
    return work(*given), time.perf_counter() - begun


def _values(spans: _Spans) -> int:
    return math.prod(stop - start for start, stop in spans)


def _inside(spans: _Spans, outer: _Spans) -> tuple[slice, ...]:
    """Where spans lie in others."""
    return tuple(
        slice(start - first, stop - first)
        for (start, stop), (first, _) in zip(spans, outer, strict=True)
    )


def _edges_of(image: Any) -> list[list[int]] | None:
    """Where the chunks of an array begin and end along each axis; None where nobody knows."""
    chunks = getattr(image, "chunks", None)
    if not isinstance(chunks, Sequence) or len(chunks) != image.ndim:
        return None
    edges = []
    for lengths, length in zip(chunks, image.shape, strict=True):
        if isinstance(lengths, int | np.integer) and lengths > 0:
            edges.append([*range(0, length, int(lengths)), length])
        elif isinstance(lengths, Sequence):
            edges.append([0, *accumulate(lengths)])
        else:
            return None
    return edges


def _span(key: Any, length: int) -> tuple[int, int] | None:
    """From where to where a position, or a part without gaps, goes along an axis."""
    if isinstance(key, slice):
        start, stop, step = key.indices(length)
        return (start, stop) if step == 1 and stop > start else None
    if isinstance(key, int | np.integer) and -length <= key < length:
        return int(key) % length, int(key) % length + 1
    return None


def _within(span: tuple[int, int], edges: list[int]) -> list[tuple[int, int]]:
    """The chunks along an axis that a span lies in."""
    start, stop = span
    return list(pairwise(edges[bisect_right(edges, start) - 1 : bisect_left(edges, stop) + 1]))
