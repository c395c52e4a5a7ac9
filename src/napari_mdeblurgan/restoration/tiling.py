"""Tile geometry: where to read, what to crop, where to write. Pure data, no network and no pixels.

Coordinates along an axis are pixels of the input image. The image is thought to go on beyond its
edges as its mirror image, up to the frame: `TILE_BORDER` pixels on each side, rounded up to the
network's grid. A tile reads what it writes and a halo around it, cut off at the frame. As every
tile reads from a multiple of the grid, and the network sees the same end of the world at the frame
whether it is given the whole image or a tile, tiles fit together to what one piece would give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Region = tuple[tuple[int, int], tuple[int, int]]  # start and stop along y, start and stop along x

TILE_BORDER = 24
GRID = 8  # sizes and starts of what a network reads are multiples of this
SMALLEST_TILE = 64


@dataclass(frozen=True, slots=True)
class Span:
    """One axis of a tile.

    Attributes
    ----------
    start, stop : int
        What the tile restores.
    read_start, read_stop : int
        What the network is given; may reach beyond the image, where it is mirrored.
    length : int
        Pixels of the image along this axis.
    """

    start: int
    stop: int
    read_start: int
    read_stop: int
    length: int

    @property
    def indices(self) -> np.ndarray:
        """Pixels of the image to read, in order; those beyond an edge are mirrored at the edge
        pixel.
        """
        period = max(1, 2 * (self.length - 1))
        folded = np.arange(self.read_start, self.read_stop) % period
        return np.minimum(folded, period - folded)

    @property
    def source(self) -> slice:
        """The smallest slice of the image that holds all of `indices`."""
        indices = self.indices
        return slice(int(indices.min()), int(indices.max()) + 1)

    @property
    def inside(self) -> slice:
        """Where the restored part lies within what was read."""
        return slice(self.start - self.read_start, self.stop - self.read_start)


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of the image that is restored in one go."""

    y: Span
    x: Span

    @property
    def edge(self) -> int:
        """Its longer edge, halo left out."""
        return max(self.y.stop - self.y.start, self.x.stop - self.x.start)

    @property
    def pixels(self) -> int:
        """Input pixels that the tile restores, halo left out."""
        return (self.y.stop - self.y.start) * (self.x.stop - self.x.start)


@dataclass(slots=True)
class TileLimit:
    """How large tiles may be, as far as a run has learned from memory that ran out.

    Attributes
    ----------
    edge : int or None
        Of a tile, in pixels; None while none has been too large.
    """

    edge: int | None = None

    def lower(self, quarters: Iterable[Tile]) -> None:
        """Take note that a tile did not fit of which these are the quarters."""
        edge = max(quarter.edge for quarter in quarters)
        self.edge = edge if self.edge is None else min(self.edge, edge)


@dataclass(frozen=True, slots=True)
class TileGrid:
    """How an image is cut into tiles.

    Attributes
    ----------
    shape : (int, int)
        Pixels of the image along y and x.
    region : ((int, int), (int, int))
        Start and stop along y and x of what is to be restored.
    tile : int
        Largest edge of a tile in pixels, halo left out.
    halo : int
        Pixels that the network needs around a tile; a multiple of `multiple`.
    multiple : int
        Sizes and starts of what the network reads are multiples of this.
    step : int
        Edges of tiles are multiples of this, but at the end of the region.
    """

    shape: tuple[int, int]
    region: Region
    tile: int
    halo: int
    multiple: int = GRID
    step: int = GRID

    def __post_init__(self) -> None:
        if self.halo % self.multiple or TILE_BORDER % self.multiple:
            raise ValueError(f"halo and border must be multiples of {self.multiple}")
        if self.tile < 1:
            raise ValueError("a tile has at least one pixel")
        for (start, stop), length in zip(self.region, self.shape, strict=True):
            if not 0 <= start < stop <= length:
                raise ValueError(
                    f"the region {self.region} does not lie within an image of {self.shape} pixels"
                )

    @property
    def spans(self) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
        """Tiles along y, tiles along x: as even as the grid allows."""
        return self._cut(0, *self.region[0]), self._cut(1, *self.region[1])

    @property
    def edge(self) -> int:
        """Of its largest tile, the longer one; halo left out."""
        return max(span.stop - span.start for spans in self.spans for span in spans)

    def __iter__(self) -> Iterator[Tile]:
        """All tiles, row by row."""
        rows, columns = self.spans
        for y in rows:
            for x in columns:
                yield Tile(y, x)

    def __len__(self) -> int:
        rows, columns = self.spans
        return len(rows) * len(columns)

    def tile_over(self, region: Region) -> Tile:
        """The tile that restores a rectangle, wherever it starts."""
        (y0, y1), (x0, x1) = region
        return Tile(self._span(0, y0, y1), self._span(1, x0, x1))

    def within(self, tile: Tile, limit: TileLimit) -> Iterator[Tile]:
        """The same rectangle in tiles that are not too large: itself, or what it is cut into."""
        if limit.edge is None or tile.edge <= limit.edge:
            yield tile
            return
        for quarter in self.quarters(tile):
            yield from self.within(quarter, limit)

    def quarters(self, tile: Tile) -> tuple[Tile, ...]:
        """The same rectangle in up to four tiles of half the edge; itself alone where it is too
        small to be cut.
        """
        cuts = []
        for axis, span in enumerate((tile.y, tile.x)):
            half = -(-(span.stop - span.start) // (2 * self.multiple)) * self.multiple
            edges = (span.start, min(span.start + max(half, SMALLEST_TILE), span.stop), span.stop)
            pairs = [(a, b) for a, b in pairwise(edges) if b > a]
            cuts.append([self._span(axis, a, b) for a, b in pairs])
        return tuple(Tile(y, x) for y in cuts[0] for x in cuts[1])

    def _cut(self, axis: int, start: int, stop: int) -> tuple[Span, ...]:
        extent = stop - start
        largest = self.tile // self.step * self.step or self.tile
        pieces = -(-extent // largest)
        edge = min(largest, -(-extent // (pieces * self.step)) * self.step)
        return tuple(self._span(axis, at, min(at + edge, stop)) for at in range(start, stop, edge))

    def _span(self, axis: int, start: int, stop: int) -> Span:
        length, step = self.shape[axis], self.multiple
        end = -TILE_BORDER - (-(length + 2 * TILE_BORDER) // step) * step
        return Span(
            start,
            stop,
            max(-TILE_BORDER, (start - self.halo) // step * step),
            min(end, -(-(stop + self.halo) // step) * step),
            length,
        )
