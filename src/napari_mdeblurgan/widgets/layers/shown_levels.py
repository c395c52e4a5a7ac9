"""The levels of an image that is still being made, as arrays that never make the viewer wait.

napari cuts what it shows out of a layer's arrays on the main thread, and there a chunk of zarr
takes too long to read. So these arrays answer at once with what has been read already, enlarged
from a coarser level where need be, or with something that stands in for it, and a thread of their
own reads the rest.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from napari_mdeblurgan.storage.array_part import ArrayPart, Spans

log = logging.getLogger(__name__)

_AT_ONCE = (
    2  # what napari shows of a layer: a part of one level, and the whole coarsest for the thumbnail
)
_LARGEST_VALUES = 64 * 2**20  # more than any canvas shows

AtOnce = Callable[[int, Spans], np.ndarray]


class ShownLevels:
    """Reads in the background what is asked for; close it, and its arrays read for themselves.

    The thread lives only while there is something to be read, so that it keeps nothing alive.

    Parameters
    ----------
    levels : sequence of array
        The finest first, (..., y, x) or (..., y, x, colours); `np.asarray` of a part may take long.
    at_once : callable
        Gives an array that stands in for some spans of a level until these have been read, without
        taking long.
    rgb : bool
        Whether the last axis holds colours.
    on_change : callable
        Called without arguments, in the reading thread, when there is something new to be shown.
    valid : callable
        Whether the levels still lie where they were; what was read when they no longer do is not
        shown.
    """

    def __init__(
        self,
        levels: Sequence[Any],
        at_once: AtOnce,
        rgb: bool,
        on_change: Callable[[], None],
        valid: Callable[[], bool],
    ) -> None:
        self.levels = list(levels)
        self.axes = (
            tuple(range(levels[0].ndim))[-3:-1] if rgb else tuple(range(levels[0].ndim))[-2:]
        )
        self._at_once, self._on_change, self._valid = at_once, on_change, valid
        self._read: dict[int, tuple[Spans, np.ndarray]] = {}  # of each level, what was read last
        self._asked: OrderedDict[int, Spans] = OrderedDict()  # of the levels asked for last, what
        self._pending: set[int] = set()
        self._lock = threading.Lock()
        self._working = self._closed = False
        self._last = len(levels) - 1
        first, whole = self.axes[0], levels[-1].shape
        self._whole: Spans = (*(0,) * first, *(range(length) for length in whole[first:]))
        self._coarsest: np.ndarray | None = (
            None  # of a single plane; filled in place, as napari may keep hold of it
        )
        self.arrays = [
            ArrayPart(partial(self.pixels, level), each.shape, each.dtype)
            for level, each in enumerate(levels)
        ]
        if all(length == 1 for length in whole[:first]):
            self._coarsest = np.array(at_once(self._last, self._whole)).reshape(whole)
            self._look_at(self._last)

    def look_again(self) -> None:
        """Read anew what is shown, as there may be more of it now."""
        self._look_at(*self._asked, *([self._last] if self._coarsest is not None else []))

    def close(self) -> None:
        """End the reading; does not wait for it."""
        self._closed = True

    def pixels(self, level: int, spans: Spans) -> np.ndarray:
        """A part of a level as far as it is known; what is not is on its way."""
        if self._closed or self._too_large(spans):
            return np.asarray(self.levels[level][_index(spans)])
        if self._coarsest is not None and level == self._last:
            return self._coarsest[_index(spans)]
        with self._lock:
            self._asked[level] = spans
            self._asked.move_to_end(level)
            while len(self._asked) > _AT_ONCE:
                self._asked.popitem(last=False)
            known, pixels = self._read.get(level, ((), None))
            if pixels is not None and known == spans:
                return pixels
            have = dict(self._read)
        self._look_at(level)
        return self._makeshift(level, spans, have)

    def _look_at(self, *levels: int) -> None:
        """Have levels read in the background."""
        with self._lock:
            self._pending.update(levels)
            if self._working or not self._pending:
                return
            self._working = True
        threading.Thread(target=self._work, name="mdeblurgan-shown-levels", daemon=True).start()

    def _too_large(self, spans: Spans) -> bool:
        return math.prod(len(span) for span in spans if isinstance(span, range)) > _LARGEST_VALUES

    def _work(self) -> None:
        while True:
            with self._lock:
                asked = {
                    **({self._last: self._whole} if self._coarsest is not None else {}),
                    **self._asked,
                }
                level = next((level for level in reversed(asked) if level in self._pending), None)
                if level is None or self._closed:
                    self._pending.clear()
                    self._working = False
                    return
                self._pending.discard(level)
            try:
                self._look(level, asked[level])
            except Exception:
                log.exception("a part of level %d could not be read", level)

    def _look(self, level: int, spans: Spans) -> None:
        pixels = np.ascontiguousarray(self.levels[level][_index(spans)])
        if not self._valid():
            return
        if self._coarsest is not None and level == self._last:
            known, old = spans, self._coarsest[_index(spans)]
            changed = not _equal(pixels, old)
            old[...] = pixels
        else:
            with self._lock:
                known, old = self._read.get(level, ((), np.empty(0)))
                self._read[level] = spans, pixels
            changed = known != spans or not _equal(pixels, old)
        if changed:
            self._on_change()

    def _makeshift(
        self, level: int, spans: Spans, have: dict[int, tuple[Spans, np.ndarray]]
    ) -> np.ndarray:
        """A part of a level put together from what has been read of all of them, the coarsest
        first.
        """
        result = np.array(self._at_once(level, spans))
        y, x = self.axes
        if any(isinstance(span, range) for span in spans[:y]) or not isinstance(spans[y], range):
            return result
        if self._coarsest is not None:
            have = {self._last: (self._whole, self._coarsest[(0,) * y]), **have}
        for finer in sorted(have, reverse=True):
            known, pixels = have[finer]
            if known[:y] == spans[:y] and all(isinstance(known[axis], range) for axis in (y, x)):
                self._lay_over(result, level, spans, finer, known, pixels)
        return result

    def _lay_over(
        self,
        result: np.ndarray,
        level: int,
        spans: Spans,
        known_level: int,
        known: Spans,
        pixels: np.ndarray,
    ) -> None:
        """Put what is known of a level over what is asked for of another one."""
        places = []
        for axis in self.axes:
            wanted, there = spans[axis], known[axis]
            assert isinstance(wanted, range)
            assert isinstance(there, range)
            ratio = self.levels[known_level].shape[axis] / self.levels[level].shape[axis]
            at = ((np.arange(wanted.start, wanted.stop) + 0.5) * ratio).astype(
                np.int64
            ) - there.start
            inside = np.flatnonzero((at >= 0) & (at < len(there)))
            if not inside.size:
                return
            places.append((slice(inside[0], inside[-1] + 1), at[inside]))
        (into_y, of_y), (into_x, of_x) = places
        result[into_y, into_x] = pixels[of_y][:, of_x]


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _index(spans: Spans) -> tuple[int | slice, ...]:
    """The same as an index of a whole array."""
    return tuple(
        span if isinstance(span, int) else slice(span.start, max(span.stop, 0), span.step)
        for span in spans
    )
