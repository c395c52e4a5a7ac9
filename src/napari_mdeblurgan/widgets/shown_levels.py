"""The levels of an image that is still being made, as arrays that never make the viewer wait.

napari cuts what it shows out of a layer's arrays on the main thread, and there a chunk of zarr takes too long to read. So
these arrays answer at once with what has been read already, enlarged from a coarser level where need be, and a thread of
their own reads the rest.
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

AT_ONCE = 2  # what napari shows of a layer: a part of one level, and the whole coarsest for the thumbnail
LARGEST_VALUES = 64 * 2**20  # more than any canvas shows


class ShownLevels:
    """Reads in the background what is asked for; close it, and its arrays read for themselves.

    Parameters
    ----------
    levels : sequence of array
        The finest first, (..., y, x) or (..., y, x, colours); `np.asarray` of a part may take long.
    rgb : bool
        Whether the last axis holds colours.
    on_change : callable
        Called without arguments, in the reading thread, when there is something new to be shown.
    valid : callable
        Whether the levels still lie where they were; what was read when they no longer do is not shown.
    """

    def __init__(
        self, levels: Sequence[Any], rgb: bool, on_change: Callable[[], None], valid: Callable[[], bool]
    ) -> None:
        self.levels = list(levels)
        self.axes = tuple(range(levels[0].ndim))[-3:-1] if rgb else tuple(range(levels[0].ndim))[-2:]
        self._on_change, self._valid = on_change, valid
        self._read: dict[int, tuple[Spans, np.ndarray]] = {}  # of each level, what was read last
        self._asked: OrderedDict[int, Spans] = OrderedDict()  # of the levels asked for last, what
        self._pending: set[int] = set()
        self._changed = threading.Condition()
        self._closed = False
        whole = levels[-1].shape
        single = all(length == 1 for length in whole[: self.axes[0]])
        self._coarsest = np.asarray(levels[-1]) if single else None  # filled in place, and napari may keep hold of it
        self._seen = np.array(self._coarsest)
        self.arrays = [
            ArrayPart(partial(self.pixels, level), each.shape, each.dtype) for level, each in enumerate(levels)
        ]
        self._thread = threading.Thread(target=self._work, name="mdeblurgan-shown-levels", daemon=True)
        self._thread.start()

    def look_again(self) -> None:
        """Read anew what is shown, as there may be more of it now."""
        with self._changed:
            self._pending.update(self._asked)
            self._changed.notify()
        if self._coarsest is not None and not np.array_equal(self._seen, self._coarsest):
            self._seen = self._coarsest.copy()
            self._on_change()

    def close(self) -> None:
        """End the reading; does not wait for it."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def pixels(self, level: int, spans: Spans) -> np.ndarray:
        """A part of a level as far as it is known; what is not is on its way, and zero until then."""
        if self._coarsest is not None and level == len(self.levels) - 1:
            return self._coarsest[_index(spans)]
        if self._closed or self._too_large(spans):
            return np.asarray(self.levels[level][_index(spans)])
        with self._changed:
            self._asked[level] = spans
            self._asked.move_to_end(level)
            while len(self._asked) > AT_ONCE:
                self._asked.popitem(last=False)
            known, pixels = self._read.get(level, ((), None))
            if pixels is not None and known == spans:
                return pixels
            self._pending.add(level)
            self._changed.notify()
            have = dict(self._read)
        return self._makeshift(level, spans, have)

    def _too_large(self, spans: Spans) -> bool:
        return math.prod(len(span) for span in spans if isinstance(span, range)) > LARGEST_VALUES

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._closed)
                if self._closed:
                    return
                level = next((level for level in reversed(self._asked) if level in self._pending), None)
                if level is None:
                    self._pending.clear()
                    continue
                self._pending.discard(level)
                spans = self._asked[level]
            try:
                self._look(level, spans)
            except Exception:
                log.exception("a part of level %d could not be read", level)

    def _look(self, level: int, spans: Spans) -> None:
        pixels = np.ascontiguousarray(self.levels[level][_index(spans)])
        if not self._valid():
            return
        with self._changed:
            known, old = self._read.get(level, ((), None))
            self._read[level] = spans, pixels
        if old is None or known != spans or not np.array_equal(pixels, old):
            self._on_change()

    def _makeshift(self, level: int, spans: Spans, have: dict[int, tuple[Spans, np.ndarray]]) -> np.ndarray:
        """A part of a level put together from what has been read of all of them, the coarsest first."""
        shape = [len(span) for span in spans if isinstance(span, range)]
        result = np.zeros(shape, self.levels[0].dtype)
        y, x = self.axes
        if any(isinstance(span, range) for span in spans[:y]) or not isinstance(spans[y], range):
            return result
        if self._coarsest is not None:
            last = len(self.levels) - 1
            whole = tuple(range(length) for length in self.levels[last].shape)
            have = {last: ((*spans[:y], *whole[y:]), self._coarsest[(0,) * y]), **have}
        for finer in sorted(have, reverse=True):
            known, pixels = have[finer]
            if known[:y] == spans[:y] and all(isinstance(known[axis], range) for axis in (y, x)):
                self._lay_over(result, level, spans, finer, known, pixels)
        return result

    def _lay_over(
        self, result: np.ndarray, level: int, spans: Spans, known_level: int, known: Spans, pixels: np.ndarray
    ) -> None:
        """Put what is known of a level over what is asked for of another one."""
        places = []
        for axis in self.axes:
            wanted, there = spans[axis], known[axis]
            assert isinstance(wanted, range)
            assert isinstance(there, range)
            ratio = self.levels[known_level].shape[axis] / self.levels[level].shape[axis]
            at = ((np.arange(wanted.start, wanted.stop) + 0.5) * ratio).astype(np.int64) - there.start
            inside = np.flatnonzero((at >= 0) & (at < len(there)))
            if not inside.size:
                return
            places.append((slice(inside[0], inside[-1] + 1), at[inside]))
        (into_y, of_y), (into_x, of_x) = places
        result[into_y, into_x] = pixels[of_y][:, of_x]


def _index(spans: Spans) -> tuple[int | slice, ...]:
    """The same as an index of a whole array."""
    return tuple(span if isinstance(span, int) else slice(span.start, max(span.stop, 0), span.step) for span in spans)
