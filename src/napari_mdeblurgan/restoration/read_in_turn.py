"""Lazy arrays of which many parts are read: one at a time, and what is slow to read no more often
than it has to be.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from threading import Lock
from typing import Any

import numpy as np
import psutil

from napari_mdeblurgan.restoration.arrays import is_lazy, read

SLOW_S = 0.05  # two parts that take so long are worth asking what the whole chunk takes
ALIKE = 3.0  # times as long as a part: then a part is made by making the whole chunk
_SHARE_OF_MEMORY = 1 / 8  # that a chunk may take to be kept

_Spans = tuple[tuple[int, int], ...]


def read_in_turn(image: Any, lock: Lock | None = None) -> Any:
    """A lazy array as `ReadInTurn`, any other as it is."""
    return ReadInTurn(image, lock or Lock()) if is_lazy(image) else image


class ReadInTurn:
    """A lazy array for several threads, which read it one at a time: nobody knows whether its
    source bears more.

    Where a part of a chunk takes about as long as the whole, as that of a plane which a file holds
    in one compressed piece or which is computed in one go, the whole chunk is read and kept until
    another one is asked for.

    Parameters
    ----------
    image : array
        See `is_lazy`.
    lock : Lock
        Held while a part is read; it may be that of other arrays as well.
    """

    def __init__(self, image: Any, lock: Lock) -> None:
        self.shape, self.dtype, self.ndim = image.shape, image.dtype, image.ndim
        self._image, self._lock = image, lock
        self._edges = _edges_of(image)
        self._seconds = deque[float](maxlen=2)  # that the last parts of one chunk took
        self._timed_chunk: _Spans | None = None
        self._whole: bool | None = None  # read chunks whole; None: not known yet
        self._kept: tuple[_Spans, np.ndarray] | None = None

    def __getitem__(self, index: Any) -> np.ndarray:
        with self._lock:
            chunk = None if self._whole is False else self._chunk_of(index)
            if chunk is None:
                return read(self._image, index)
            if self._kept is not None and self._kept[0] == chunk:
                return self._cut(index)
            if not ((self._whole or self._is_slow(chunk)) and self._fits(chunk)):
                part, seconds = _timed(self._image, index)
                self._seconds.append(seconds)
                return part
            self._kept = None  # before the next one takes as much
            pixels, seconds = _timed(self._image, tuple(slice(*span) for span in chunk))
            self._kept = chunk, pixels
            part = self._cut(index)
            if self._whole is None:
                self._whole = seconds <= ALIKE * min(self._seconds)
                self._kept = self._kept if self._whole else None
            return part

    def _is_slow(self, chunk: _Spans) -> bool:
        """Whether the last two parts were of this chunk and took long; the first one of all may
        have waited for the file to be opened.
        """
        if self._timed_chunk != chunk:
            self._timed_chunk = chunk
            self._seconds.clear()
        return len(self._seconds) == 2 and min(self._seconds) >= SLOW_S

    def _chunk_of(self, index: Any) -> _Spans | None:
        """The one chunk that a part lies in; None where it lies in several."""
        if self._edges is None or not isinstance(index, tuple) or len(index) > self.ndim:
            return None
        whole = [*index, *[slice(None)] * (self.ndim - len(index))]
        spans = [
            _within(key, length, edges)
            for key, length, edges in zip(whole, self.shape, self._edges, strict=True)
        ]
        chunk = tuple(span for span in spans if span is not None)
        return chunk if len(chunk) == self.ndim else None

    def _fits(self, chunk: _Spans) -> bool:
        """Whether there is room to keep a chunk."""
        size = math.prod(stop - start for start, stop in chunk) * np.dtype(self.dtype).itemsize
        return size <= _SHARE_OF_MEMORY * psutil.virtual_memory().available

    def _cut(self, index: tuple[Any, ...]) -> np.ndarray:
        """A part of the chunk that is kept."""
        assert self._kept is not None
        chunk, pixels = self._kept
        cut = []
        for key, (start, _), length in zip(index, chunk, self.shape, strict=False):
            if isinstance(key, slice):
                first, stop, _ = key.indices(length)
                cut.append(slice(first - start, max(stop, first) - start))
            else:
                cut.append(int(key) % length - start)
        return pixels[tuple(cut)].copy()


def _timed(image: Any, index: tuple[Any, ...]) -> tuple[np.ndarray, float]:
    begun = time.perf_counter()
    return read(image, index), time.perf_counter() - begun


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


def _within(key: Any, length: int, edges: list[int]) -> tuple[int, int] | None:
    """The chunk that a position, or a part without gaps, lies in along an axis, if it is one."""
    if isinstance(key, slice):
        start, stop, step = key.indices(length)
        if step != 1 or stop <= start:
            return None
    elif isinstance(key, int | np.integer) and -length <= key < length:
        start = int(key) % length
        stop = start + 1
    else:
        return None
    number = bisect_right(edges, start)
    first, end = edges[number - 1 : number + 1]
    return (first, end) if stop <= end else None
