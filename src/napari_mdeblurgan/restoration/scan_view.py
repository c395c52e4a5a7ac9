"""What a viewer shows of a scan on its way: the result as far as it is there, and elsewhere the
source, enlarged.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.storage.array_part import ArrayPart, Spans
from napari_mdeblurgan.storage.pyramid import halved

if TYPE_CHECKING:
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.scan import Scan

MOST_AVERAGED = 16 * 2**20  # pixels of the source: of more, every n-th row and column is read
MOST_KEPT = 16 * 2**20  # values of a part that is kept
PARTS_KEPT = 8  # the views of a level or two, and the coarsest levels of some planes
MOST_WAITED_FOR = 512 * 2**20  # pixels of a source on disk that are read before the result is shown


class SourceView:
    """The source of a scan, resampled to the levels of its result; nothing is read but what is
    asked for.

    Parameters
    ----------
    image : array
        (..., y, x) or (..., y, x, colours), in memory or lazy.
    coarser : sequence of array
        The same image with fewer pixels along y and x, where there is such a pyramid; the finest
        first.
    plan : RestorationPlan
        Of the scan.
    levels : sequence of ArrayPart
        Of the scan.
    """

    def __init__(
        self, image: Any, coarser: Sequence[Any], plan: RestorationPlan, levels: Sequence[ArrayPart]
    ) -> None:
        self._plan, self._first = plan, len(plan.leading)
        self._images = [image, *(each for each in coarser if self._is_same(each, image))]
        self._in_memory = _is_in_memory(image)
        self._shapes = [level.shape for level in levels]
        self._parts: OrderedDict[tuple[int, Spans], np.ndarray] = OrderedDict()
        self._lock = Lock()

    def pixels(self, level: int, spans: Spans) -> np.ndarray:
        """A part of a level, of the result's type; what is read is kept for a while."""
        with self._lock:
            kept = self._parts.get((level, spans))
            if kept is not None:
                self._parts.move_to_end((level, spans))
                return kept
        pixels = self._resampled(level, spans)
        if pixels.size <= MOST_KEPT:
            with self._lock:
                self._parts[level, spans] = pixels
                while len(self._parts) > PARTS_KEPT:
                    self._parts.popitem(last=False)
        return pixels

    def prepare(self, index: Sequence[int]) -> None:
        """Read the coarsest level of a plane, so that `at_once` has it; not of a source on disk
        that is too large for that.
        """
        last = len(self._shapes) - 1
        spans: Spans = (*index, *(range(length) for length in self._shapes[last][self._first :]))
        number, _, _ = self._reduction(last, 0)
        y, x = self._images[number].shape[self._first : self._first + 2]
        if not self._in_memory and y * x <= MOST_WAITED_FOR:
            self.pixels(last, spans)

    def at_once(self, level: int, spans: Spans) -> np.ndarray:
        """The same without waiting for a disk, as well as can be; middle grey where nothing is in
        memory.
        """
        first, last = self._first, len(self._shapes) - 1
        with self._lock:
            kept = dict(self._parts)
        if (level, spans) in kept:
            return kept[level, spans].copy()
        shape = [len(span) for span in spans if isinstance(span, range)]
        if self._in_memory and math.prod(shape) <= MOST_KEPT:
            return self._nearest(level, spans)
        whole = tuple(range(length) for length in self._shapes[last])
        coarsest = kept.get((last, (*spans[:first], *whole[first:])))
        if coarsest is None:
            return self._grey(shape, spans)
        places = [
            _places(span, self._shapes[level][axis], self._shapes[last][axis])
            for axis, span in enumerate(spans[first : first + 2], first)
        ]
        return _taken(
            coarsest,
            places,
            spans[first + 2 :],
            len(coarsest.shape[: -2 - len(spans[first + 2 :])]),
        ).reshape(shape)

    def _grey(self, shape: Sequence[int], spans: Spans) -> np.ndarray:
        index = tuple(
            span if isinstance(span, int) else span.start for span in spans[: self._first]
        )
        window = self._plan.window(index, self._plan.windows or ())
        return np.full(shape, (window.low + window.high) / 2).astype(self._plan.dtype)

    def _is_same(self, other: Any, image: Any) -> bool:
        """Whether a level of the source differs from the finest one in its size along y and x
        alone.
        """
        y, x = self._first, self._first + 1
        alike = len(other.shape) == len(image.shape) and all(
            n == m
            for axis, (n, m) in enumerate(zip(other.shape, image.shape, strict=True))
            if axis not in (y, x)
        )
        return alike and other.dtype == image.dtype

    def _centres(self, level: int, spans: Spans, axis: int) -> np.ndarray:
        """Where the pixels of a span along y or x lie in the source, of which pixel i goes from i
        to i + 1.
        """
        span = spans[self._first + axis]
        at = (np.atleast_1d(np.asarray(span)) + 0.5) * 2**level / self._plan.factor
        start, stop = self._plan.region[axis]
        return np.clip(at, 0, stop - start - 0.5) + start

    def _nearest(self, level: int, spans: Spans) -> np.ndarray:
        """A part of a level from the nearest pixels of a source in memory."""
        first = self._first
        places = [self._centres(level, spans, axis).astype(np.int64) for axis in (0, 1)]
        pixels = self._images[0][tuple(_key(span) for span in spans[:first])]
        leading = sum(isinstance(span, range) for span in spans[:first])
        found = _taken(pixels, places, spans[first + 2 :], leading).astype(
            self._plan.dtype, copy=False
        )
        return self._shaped(found, spans)

    def _resampled(self, level: int, spans: Spans) -> np.ndarray:
        """A part of a level: where the source has more pixels, their means."""
        first = self._first
        ys, xs = (self._centres(level, spans, axis) for axis in (0, 1))
        ranges = [span if isinstance(span, range) else range(span, span + 1) for span in spans]
        sizes = [len(span) for span in (*ranges[:first], *ranges[first + 2 :])]
        result = np.empty((*sizes[:first], len(ys), len(xs), *sizes[first:]), self._plan.dtype)
        if not result.size:
            return self._shaped(result, spans)
        number, halvings, stride = self._reduction(level, ys.size * xs.size)
        edge = max(
            self._plan.tile // (2**halvings * stride), 1
        )  # no more is read in one go than of a tile
        colours: tuple[Any, ...] = tuple(map(_key, ranges[first + 2 :]))
        for at in np.ndindex(*sizes[:first]):
            index = tuple(span[i] for span, i in zip(ranges, at, strict=False))
            for y in range(0, len(ys), edge):
                for x in range(0, len(xs), edge):
                    piece = self._piece(
                        number, index, ys[y : y + edge], xs[x : x + edge], halvings, stride
                    )
                    result[(*at, slice(y, y + edge), slice(x, x + edge))] = piece[(..., *colours)]
        return self._shaped(result, spans)

    def _reduction(self, level: int, pixels: int) -> tuple[int, int, int]:
        """Which of the source's levels to read, how often to halve it, and every how manieth row
        and column to read.
        """
        wanted = 2**level / self._plan.factor  # pixels of the source along a pixel of the level
        steps = [
            self._images[0].shape[self._first] / each.shape[self._first] for each in self._images
        ]
        number = max(
            (i for i, step in enumerate(steps) if step <= max(wanted, 1) * 1.01), default=0
        )
        halvings = max(math.floor(math.log2(wanted / steps[number]) + 0.01), 0)
        stride = 1
        while halvings and pixels * 4**halvings > MOST_AVERAGED:
            halvings, stride = halvings - 1, 2 * stride
        return number, halvings, stride

    def _piece(
        self,
        number: int,
        index: tuple[int, ...],
        ys: np.ndarray,
        xs: np.ndarray,
        halvings: int,
        stride: int,
    ) -> np.ndarray:
        """One plane's pixels at some places along y and x, given in pixels of the source."""
        image, spans, places = self._images[number], [], []
        step = 2**halvings * stride
        for axis, centres in enumerate((ys, xs), self._first):
            length = image.shape[axis]
            at = centres * length / self._images[0].shape[axis]
            start = max(math.floor(at.min() - step / 2 + 1e-6), 0)
            stop = min(max(math.ceil(at.max() + step / 2 - 1e-6), start + 1), length)
            spans.append(slice(start, stop, stride))
            reduced = -(-len(range(start, stop, stride)) // 2**halvings)
            places.append(np.clip(((at - start) / step).astype(np.int64), 0, reduced - 1))
        pixels = np.asarray(read(image, (*index, *spans)))
        if pixels.ndim == 3:
            pixels = np.moveaxis(pixels, -1, 0)
        for _ in range(halvings):
            pixels = halved(pixels)
        if pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, -1)
        return pixels[places[0]][:, places[1]]

    def _shaped(self, pixels: np.ndarray, spans: Spans) -> np.ndarray:
        """The same without the axes of which one place was asked for."""
        return pixels.reshape([len(span) for span in spans if isinstance(span, range)])


def _taken(
    pixels: np.ndarray, places: Sequence[np.ndarray], colours: Spans, leading: int
) -> np.ndarray:
    """Pixels at some places along y and x, which follow on so many axes before them."""
    around: tuple[Any, ...] = (slice(None),) * leading
    taken = pixels[(*around, places[0][:, None], places[1][None])]
    return taken[(*around, slice(None), slice(None), *(_key(span) for span in colours))]


def _places(span: int | range, length: int, other: int) -> np.ndarray:
    """Where the pixels of a span of an axis lie on the same axis of another length."""
    at = (np.atleast_1d(np.asarray(span)) + 0.5) * other / length
    return np.clip(at.astype(np.int64), 0, other - 1)


def _is_in_memory(image: Any) -> bool:
    """Whether all pixels of an array are there without a disk, to which a memory map would go."""
    while isinstance(image, np.ndarray) and not isinstance(image, np.memmap):
        if image.base is None or not isinstance(image.base, np.ndarray):
            return True
        image = image.base
    return False


def _key(span: int | range) -> int | slice:
    return span if isinstance(span, int) else slice(span.start, max(span.stop, 0), span.step)


def levels_over(scan: Scan, view: SourceView) -> list[ArrayPart]:
    """The levels of a scan for a viewer: what is done of it, and the source enlarged where nothing
    is.
    """

    def shown(level: int, spans: Spans) -> np.ndarray:
        pixels, there = scan.known[level](spans)
        if there.all():
            return pixels
        return np.where(there, pixels, view.pixels(level, spans))

    return [
        ArrayPart(partial(shown, level), each.shape, each.dtype)
        for level, each in enumerate(scan.levels)
    ]
