"""The pyramid of an image that is still being made: it shows at every level
what there is so far.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import RLock

import numpy as np

from napari_mdeblurgan.storage.array_part import ArrayPart, Spans
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_chunks import Chunk, ChunkStore
from napari_mdeblurgan.storage.pyramid import REDUCTIONS

BUDGET_BYTES = 256 * 2**20


@dataclass
class OpenChunk:
    """A chunk of a coarser level, some of whose four parts are there.

    Attributes
    ----------
    pixels : ndarray
        What there is of it, of stored shape.
    there : ndarray of bool
        Which of them there are: the last two dimensions of `pixels`.
    parts : set of Chunk
        The chunks of the finer level that are whole in it.
    """

    pixels: np.ndarray
    there: np.ndarray
    parts: set[Chunk] = field(default_factory=set)

    def fill(self, row: int, column: int, pixels: np.ndarray) -> None:
        """Put in what there is now of the pixels from `row` and `column` on."""
        place = (..., slice(row, row + pixels.shape[-2]), slice(column, column + pixels.shape[-1]))
        self.pixels[place] = pixels
        self.there[place] = True


class LivePyramid:
    """Makes the coarser levels, each chunk as soon as the chunks below it are there; safe to use in
    several threads.

    What is on disk decides: a chunk that is not whole is kept in memory, as far as `budget` goes,
    only to be shown and to spare reading its parts again. The coarsest level of a single plane is
    one array that is filled in place, for viewers keep hold of it.
    """

    def __init__(self, store: ChunkStore, budget: int = BUDGET_BYTES) -> None:
        self.store = store
        self._halved = REDUCTIONS[store.layout.reduction]
        self.lock = RLock()
        self._budget = budget
        self._last = len(store.layout.levels) - 1
        self._done = [store.done(level) for level in range(self._last + 1)]
        self._open: OrderedDict[tuple[int, Chunk], OpenChunk] = OrderedDict()
        single = all(length == 1 for length in store.layout.planes)
        self._coarsest = np.asarray(store.array(self._last)[...]) if single else None
        self._there = np.zeros(
            store.layout.levels[self._last], bool
        )  # of the coarsest, if it is a single plane
        for *_, row, column in np.argwhere(self._done[self._last]).tolist():
            self._there[self._place(Chunk((), row, column))] = True

    def is_done(self, level: int, chunk: Chunk) -> bool:
        """Whether a chunk is on disk."""
        return bool(self._done[level][(*chunk.plane, chunk.row, chunk.column)])

    def count(self, level: int = 0) -> tuple[int, int]:
        """How many chunks of a level are on disk, and how many it has."""
        return int(self._done[level].sum()), self._done[level].size

    def add(self, level: int, chunk: Chunk, pixels: np.ndarray) -> None:
        """Take note of a chunk that is on disk, and carry it upwards."""
        with self.lock:
            self._done[level][(*chunk.plane, chunk.row, chunk.column)] = True
            if level == self._last:
                self._show(chunk, 0, 0, pixels)
                return
            above, small = _above(chunk), self._halved(pixels)
            block = self._opened(level + 1, above)
            row, column = self._corner(chunk)
            block.fill(row, column, small)
            block.parts.add(chunk)
            if all(self.is_done(level, part) for part in self._below(level + 1, above)):
                self._complete(level + 1, above)
            else:
                self._preview(level + 1, above, row, column, small)

    def finish(self) -> None:
        """Make what is missing of the coarser levels, from the finest to the coarsest; level 0 must
        be complete.
        """
        for level in range(1, self._last + 1):
            for *plane, row, column in np.argwhere(~self._done[level]).tolist():
                with self.lock:
                    chunk = Chunk(tuple(plane), row, column)
                    if not self.is_done(level, chunk):
                        self._complete(level, chunk)

    def revive(self) -> None:
        """Show what an earlier process has left on disk: fill chunks that are not whole from their
        parts.
        """
        for level in range(1, self._last + 1):
            below = np.argwhere(self._done[level - 1]).tolist()
            for *plane, row, column in below:
                chunk = Chunk(tuple(plane), row, column)
                with self.lock:
                    if not self.is_done(level, _above(chunk)):
                        self.add(level - 1, chunk, self.store.read(level - 1, chunk))

    def read(self, level: int, region: tuple[slice, ...]) -> np.ndarray:
        """A part of a level, of stored shape, with what is there so far and zeros elsewhere; not to
        be written to.
        """
        if level == self._last and self._coarsest is not None:
            return self._coarsest[region]
        with self.lock:
            pixels = np.asarray(self.store.array(level)[region])
            for (its_level, chunk), block in self._open.items():
                if its_level == level:
                    _overlay(pixels, region, block.pixels, self.store.region(level, chunk))
        return pixels

    def read_known(self, level: int, region: tuple[slice, ...]) -> tuple[np.ndarray, np.ndarray]:
        """The same, and which of the pixels are there: bool, of the same shape."""
        with self.lock:
            pixels = self.read(level, region)
            there = np.zeros(pixels.shape, bool)
            if not self.store.path.exists():  # zarr takes what is gone for zeros
                return pixels, there
            if level == self._last and self._coarsest is not None:
                there[...] = self._there[region[-2:]]
                return pixels.copy(), there
            for chunk in self._done_in(level, region):
                place = self.store.region(level, chunk)
                _overlay(
                    there, region, np.ones([edge.stop - edge.start for edge in place], bool), place
                )
            for (its_level, chunk), block in self._open.items():
                if its_level == level:
                    whole = np.broadcast_to(block.there, block.pixels.shape)
                    _overlay(there, region, whole, self.store.region(level, chunk), whole)
        return pixels, there

    def _done_in(self, level: int, region: tuple[slice, ...]) -> Iterator[Chunk]:
        """The chunks of a level that are on disk and lie in a region at least in part."""
        edges = (*self.store.layout.stored_chunk(level)[:-2], *self.store.layout.chunk)
        spans = tuple(
            slice(a.start // edge, -(-a.stop // edge))
            for a, edge in zip(region, edges, strict=True)
        )
        for position in np.argwhere(self._done[level][spans]).tolist():
            *plane, row, column = (
                at + span.start for at, span in zip(position, spans, strict=True)
            )
            yield Chunk(tuple(plane), row, column)

    def _complete(self, level: int, chunk: Chunk) -> None:
        block = self._opened(level, chunk)
        for part in self._below(level, chunk):
            if part not in block.parts:
                small = self._halved(self.store.read(level - 1, part))
                block.fill(*self._corner(part), small)
        self.store.write(level, chunk, block.pixels)
        self._open.pop((level, chunk), None)
        self.add(level, chunk, block.pixels)

    def _preview(self, level: int, chunk: Chunk, row: int, column: int, region: np.ndarray) -> None:
        """Show a part of a chunk that is not whole in the levels above it, as far as it halves
        evenly.
        """
        while level < self._last:
            own_row, own_column = self._corner(chunk)
            height, width = (
                edge.stop - edge.start for edge in self.store.region(level, chunk)[-2:]
            )
            whole = [
                start % 2 == 0 and (length % 2 == 0 or start + length == edge)
                for start, length, edge in (
                    (row, region.shape[-2], height),
                    (column, region.shape[-1], width),
                )
            ]
            if not all(whole):
                return
            level, chunk, region = level + 1, _above(chunk), self._halved(region)
            row, column = own_row + row // 2, own_column + column // 2
            self._opened(level, chunk).fill(row, column, region)
        self._show(chunk, row, column, region)

    def _show(self, chunk: Chunk, row: int, column: int, pixels: np.ndarray) -> None:
        """Fill in a part of a chunk of the coarsest level."""
        if self._coarsest is not None:
            y, x = (edge.start for edge in self._place(chunk))
            y, x = y + row, x + column
            place = slice(y, y + pixels.shape[-2]), slice(x, x + pixels.shape[-1])
            self._coarsest[(..., *place)] = pixels
            self._there[place] = True

    def _place(self, chunk: Chunk) -> tuple[slice, slice]:
        """Rows and columns of a chunk of the coarsest level."""
        rows, columns = self.store.region(
            self._last, Chunk((0,) * len(self.store.layout.planes), chunk.row, chunk.column)
        )[-2:]
        return rows, columns

    def _opened(self, level: int, chunk: Chunk) -> OpenChunk:
        key = (level, chunk)
        if key not in self._open:
            shape = [edge.stop - edge.start for edge in self.store.region(level, chunk)]
            self._open[key] = OpenChunk(
                np.zeros(shape, self.store.layout.dtype), np.zeros(shape[-2:], bool)
            )
            used = sum(block.pixels.nbytes + block.there.nbytes for block in self._open.values())
            while used > self._budget and len(self._open) > 1:
                evicted = self._open.popitem(last=False)[1]
                used -= evicted.pixels.nbytes + evicted.there.nbytes
        self._open.move_to_end(key)
        return self._open[key]

    def _corner(self, chunk: Chunk) -> tuple[int, int]:
        """Where a chunk begins in the one above it."""
        height, width = self.store.layout.chunk
        return chunk.row % 2 * (height // 2), chunk.column % 2 * (width // 2)

    def _below(self, level: int, chunk: Chunk) -> list[Chunk]:
        """The chunks of the finer level that make up a chunk."""
        rows, columns = self.store.layout.grid(level - 1)
        return [
            Chunk(chunk.plane, row, column)
            for row in range(2 * chunk.row, min(2 * chunk.row + 2, rows))
            for column in range(2 * chunk.column, min(2 * chunk.column + 2, columns))
        ]


def live_level(pyramid: LivePyramid, level: int) -> ArrayPart:
    """A level of an image that is still being made, with the image's axes: what there is of it, and
    zeros elsewhere.
    """
    layout = pyramid.store.layout
    order, stored = _image_order(pyramid), layout.stored_shape(level)

    def read(spans: Spans) -> np.ndarray:
        region, inside = _stored(pyramid, spans)
        return pyramid.read(level, region).transpose(order)[inside]

    return ArrayPart(read, [stored[axis] for axis in order], layout.dtype)


def known_level(
    pyramid: LivePyramid, level: int
) -> Callable[[Spans], tuple[np.ndarray, np.ndarray]]:
    """Reads the same: some spans of a level, with zeros where nothing is there, and which pixels
    are there (bool).
    """
    order = _image_order(pyramid)

    def read(spans: Spans) -> tuple[np.ndarray, np.ndarray]:
        region, inside = _stored(pyramid, spans)
        pixels, there = pyramid.read_known(level, region)
        return pixels.transpose(order)[inside], there.transpose(order)[inside]

    return read


def _image_order(pyramid: LivePyramid) -> list[int]:
    """Where each axis of the image is among the stored ones."""
    permutation = pyramid.store.layout.permutation
    return [permutation.index(axis) for axis in range(len(permutation))]


def _stored(
    pyramid: LivePyramid, spans: Spans
) -> tuple[tuple[slice, ...], tuple[int | slice, ...]]:
    """What to read of the stored axes for some spans of the image's, and what to take of that in
    the image's order.
    """
    reads = [_read(span) for span in spans]
    region = tuple(reads[axis][0] for axis in pyramid.store.layout.permutation)
    return region, tuple(inside for _, inside in reads)


def _above(chunk: Chunk) -> Chunk:
    return Chunk(chunk.plane, chunk.row // 2, chunk.column // 2)


def _overlay(
    pixels: np.ndarray,
    region: tuple[slice, ...],
    block: np.ndarray,
    place: tuple[slice, ...],
    where: np.ndarray | None = None,
) -> None:
    """Copy into `pixels`, which lie at `region`, what a block that lies at `place` has of it; only
    `where` that is true.
    """
    common = [
        (max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(region, place, strict=True)
    ]
    if all(start < stop for start, stop in common):
        into = tuple(
            slice(a - own.start, b - own.start) for (a, b), own in zip(common, region, strict=True)
        )
        of = tuple(
            slice(a - own.start, b - own.start) for (a, b), own in zip(common, place, strict=True)
        )
        np.copyto(pixels[into], block[of], where=True if where is None else where[of])


def _read(span: int | range) -> tuple[slice, int | slice]:
    """What to read along an axis, and what to take of that."""
    if isinstance(span, int):
        return slice(span, span + 1), 0
    if not span:
        return slice(0, 0), slice(None)
    return slice(min(span[0], span[-1]), max(span[0], span[-1]) + 1), slice(None, None, span.step)
