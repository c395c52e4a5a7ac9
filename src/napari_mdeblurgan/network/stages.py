"""A network as stages that are carried out only where it matters.

A tile is read with a wide halo, for the coarse levels of the encoder look far. What follows looks
less far: the last stage needs a few pixels around what is wanted, the one before it a few more. So
each stage says which maps it makes of which, and how far it looks; from that follows, from the end
to the beginning, where every map is needed, and no more is computed. Stages that do not look far
are carried out in blocks, so that no map is large but those which later stages wait for.

Places are given in pixels of the network's input: the feature at index ``i`` of a map of stride
``s`` is at ``i * s``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock

from torch import Tensor

from napari_mdeblurgan.network.block_threads import Blocks, OneByOne
from napari_mdeblurgan.network.pages import empty_map
from napari_mdeblurgan.network.reach import Reach
from napari_mdeblurgan.stopping import portion

_Span = tuple[int, int]  # start and stop
_Spans = tuple[_Span, _Span]  # along y and along x

_WIDTH = 4  # maps of multiples of this are fast; oneDNN takes up to five times as long for others
_WIDER, _LARGER = 0.6, 1.2  # edges by which a block may be wider, and times as large as a square
# of an edge, and of the rows beyond it: lower blocks are not made for an even number of them
_LOWEST, _LEAST_MARGINS = 0.5, 6
FAR = (
    1 / 16
)  # a stage that looks farther than this part of a block's edge is carried out in one piece


@dataclass(frozen=True)
class Stage:
    """A part of the network.

    Attributes
    ----------
    run : callable
        From maps, (batch, features, y, x) each, of the same place, to a tuple of maps of that
        place. What it takes to be beyond the edges spoils no more than its reach.
    reach : callable
        The same for receptive fields: from the `Reach` of each map that goes in to that of each
        that comes out.
    inputs : tuple of str
        Names of the maps that go in; the network's own input is called "image".
    outputs : dict of str to float
        Names of the maps that come out, with their stride; below 1 for what is finer than the
        network's input.
    grid : int
        The places that it is given start and end on multiples of this.
    cost : float
        About how long it takes for a place, in a unit of the network's own: by this it is told how
        far the work is.
    """

    run: Callable[..., tuple[Tensor, ...]]
    reach: Callable[..., tuple[Reach, ...]]
    inputs: tuple[str, ...]
    outputs: dict[str, float]
    grid: int = 1
    cost: float = 1.0


@dataclass(frozen=True)
class Stages:
    """All of a network, in an order in which it can be carried out; the last
    map is what it is for.
    """

    stages: Sequence[Stage]

    @property
    def strides(self) -> dict[str, float]:
        """Of all maps, by name."""
        return {"image": 1.0} | {
            name: stride for stage in self.stages for name, stride in stage.outputs.items()
        }

    @property
    def result(self) -> str:
        """Name of the last map."""
        return list(self.stages[-1].outputs)[-1]

    @property
    def reach(self) -> Reach:
        """Receptive field of the last map."""
        reaches = {"image": Reach()}
        for stage in self.stages:
            made = stage.reach(*(reaches[name] for name in stage.inputs))
            reaches.update(zip(stage.outputs, made, strict=True))
        return reaches[self.result]

    def margin(self, stage: Stage) -> int:
        """How many pixels around what a stage makes it must be given; a multiple of its grid."""
        strides = self.strides
        made = stage.reach(*(Reach(stride=int(strides[name])) for name in stage.inputs))
        return -(-max(reach.radius for reach in made) // stage.grid) * stage.grid

    def _unit(self, stage: Stage) -> int:
        """What the width of a place is to be a multiple of, so that all maps that a stage is given
        there are of widths that are fast.
        """
        coarsest = max(1, *(int(self.strides[name]) for name in stage.inputs))
        return math.lcm(stage.grid, _WIDTH * coarsest)

    def needed(self, wanted: Mapping[str, _Spans], shape: tuple[int, int]) -> dict[str, _Spans]:
        """Where each map is needed for the places that are wanted of some, in an image of `shape`
        pixels.
        """
        spans = dict(wanted)
        for stage in reversed(self.stages):
            made = [spans[name] for name in stage.outputs if name in spans]
            if not made:
                continue
            around = _around(_hull(made), self.margin(stage), stage.grid, shape)
            everywhere = (0, shape[0]), (0, shape[1])
            around = _widened(around, stage.grid, self._unit(stage), everywhere)
            spans |= {name: _hull([around, spans.get(name, around)]) for name in stage.inputs}
        return spans

    def run(
        self, image: Tensor, wanted: _Spans, edge: int | None = None, blocks: Blocks | None = None
    ) -> Tensor:
        """The place `wanted` of the last map, as it would be if the whole image went through all
        stages; see `maps`.
        """
        return self.maps(image, {self.result: wanted}, edge, blocks)[self.result]

    def maps(
        self,
        image: Tensor,
        wanted: Mapping[str, _Spans],
        edge: int | None = None,
        blocks: Blocks | None = None,
    ) -> dict[str, Tensor]:
        """Places of some maps, as they would be if the whole image went through all stages.

        Parameters
        ----------
        image : Tensor
            (batch, channels, y, x), y and x multiples of every stage's grid.
        wanted : mapping of str to ((int, int), (int, int))
            By name of the map: start and stop along y and x, in pixels of the image.
        edge : int, optional
            Edge of a block, about, in pixels of the image, at stages of its resolution; without it,
            every stage is carried out in one piece.
        blocks : Blocks, optional
            Carries them out; by default one after the other on this thread.
        """
        shape, strides = (image.shape[-2], image.shape[-1]), self.strides
        places, blocks = self.needed(wanted, shape), blocks or OneByOne()
        maps = {"image": _Map(((0, shape[0]), (0, shape[1])), 1.0, image)}
        total = sum(
            stage.cost for stage in self.stages if not places.keys().isdisjoint(stage.outputs)
        )
        spent = 0.0
        for position, stage in enumerate(self.stages):
            made = {
                name: _Map(places[name], strides[name]) for name in stage.outputs if name in places
            }
            if not made:
                continue
            margin, given = self.margin(stage), [maps[name] for name in stage.inputs]
            finest = min(strides[name] for name in (*stage.inputs, *stage.outputs))
            size = None if edge is None else int(edge * min(2 * finest, max(finest, 1)))
            if size is not None and margin > FAR * size:
                size = None
            place = _around(_hull([each.spans for each in made.values()]), 0, stage.grid, shape)
            within, unit = _shared(each.spans for each in given), self._unit(stage)
            pieces = []
            lowest = max(_LOWEST * (size or 0), _LEAST_MARGINS * margin)
            for block, own in _blocks(place, size, stage.grid, blocks.count, lowest):
                around = _around(block, margin, stage.grid, shape)
                around = _widened(around, stage.grid, unit, within)
                pieces.append(partial(_carry_out, stage, given, around, made, own))
            with portion(spent / total, (spent + stage.cost) / total):
                for number, _ in enumerate(blocks.done(pieces), start=1):
                    with portion(0, number / len(pieces)):
                        pass
            spent += stage.cost
            later = {name for each in self.stages[position + 1 :] for name in each.inputs} | set(
                wanted
            )
            maps = {name: each for name, each in (maps | made).items() if name in later}
        return {name: maps[name].whole for name in wanted}


class _Map:
    """The part of a map that is needed, which may be put together block by block.

    Parameters
    ----------
    spans : ((int, int), (int, int))
        Where it lies, in pixels of the image.
    stride : float
    values : Tensor, optional
        All of it.
    """

    def __init__(self, spans: _Spans, stride: float, values: Tensor | None = None) -> None:
        self.spans, self._stride, self._values = spans, stride, values
        self._lock = Lock()

    @property
    def whole(self) -> Tensor:
        """All of it, once it is there."""
        if self._values is None:
            raise ValueError("no block of this map was made")
        return self._values

    def part(self, spans: _Spans) -> Tensor:
        """What lies at a place within it."""
        return _part(self.whole, self.spans, spans, self._stride)

    def fill(self, own: _Spans, values: Tensor, origin: _Spans) -> None:
        """Take what belongs to it of a block's own part, from values that begin at `origin`."""
        common = _common(own, self.spans)
        if common is None:
            return
        part = _part(values, origin, common, self._stride)
        if common == self.spans:
            self._values = part
            return
        with self._lock:
            if self._values is None:
                height, width = (round((b - a) / self._stride) for a, b in self.spans)
                self._values = empty_map((*part.shape[:2], height, width), part)
        self.part(common)[...] = part


def _carry_out(
    stage: Stage, given: Sequence[_Map], around: _Spans, made: Mapping[str, _Map], own: _Spans
) -> None:
    """A stage on one block and what is around it; kept is the block's own part."""
    values = stage.run(*(each.part(around) for each in given))
    for name, part in zip(stage.outputs, values, strict=True):
        if name in made:
            made[name].fill(own, part, around)


def _around(spans: _Spans, margin: int, grid: int, shape: tuple[int, int]) -> _Spans:
    """A place and what is around it, on the grid and within the image."""
    (y0, y1), (x0, x1) = (
        (max(0, (start - margin) // grid * grid), min(length, -(-(stop + margin) // grid) * grid))
        for (start, stop), length in zip(spans, shape, strict=True)
    )
    return (y0, y1), (x0, x1)


def _widened(spans: _Spans, grid: int, unit: int, within: _Spans) -> _Spans:
    """A place on a grid made wider, to a multiple of a unit, by steps of the grid and where there
    is room; along y any number of pixels is as fast.
    """
    y, (x0, x1) = spans
    missing = -(x1 - x0) % unit
    right = min(missing, (within[1][1] - x1) // grid * grid)
    left = missing - right
    return (y, (x0 - left, x1 + right)) if x0 - left >= within[1][0] else spans


def _hull(places: Sequence[_Spans]) -> _Spans:
    """The smallest place that holds all of them."""
    along_y, along_x = zip(*places, strict=True)
    starts_y, stops_y = zip(*along_y, strict=True)
    starts_x, stops_x = zip(*along_x, strict=True)
    return (min(starts_y), max(stops_y)), (min(starts_x), max(stops_x))


def _shared(places: Iterable[_Spans]) -> _Spans:
    """What all places, which overlap, have in common."""
    y, x = (
        (max(start for start, _ in spans), min(stop for _, stop in spans))
        for spans in zip(*places, strict=True)
    )
    return y, x


def _common(one: _Spans, other: _Spans) -> _Spans | None:
    """What two places have in common."""
    (y0, y1), (x0, x1) = ((max(a, c), min(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))
    return ((y0, y1), (x0, x1)) if y0 < y1 and x0 < x1 else None


def _blocks(
    spans: _Spans, edge: int | None, grid: int, times: int = 1, lowest: float = 1
) -> Iterator[tuple[_Spans, _Spans]]:
    """A place cut into blocks of one size, for which kernels are made once; the last of a row may
    overlap the one before. With each block comes its own part, which no other has: so the same
    comes out to the last bit, whichever is done first. Along x they are cut as seldom as can be,
    and along y so that they are hardly larger than squares of that edge, and that `times` of them
    at a time come out even, if none is made lower than `lowest` by that.
    """
    (y0, y1), (x0, x1) = spans
    if edge is None:
        return iter([(spans, spans)])
    columns = _cuts((x0, x1), math.ceil((x1 - x0) / edge - _WIDER), grid)
    width = columns[0][0][1] - columns[0][0][0]
    pieces = max(1, math.ceil((y1 - y0) * width / (_LARGER * edge**2)))
    even = next(n for n in range(pieces, pieces + times) if n * len(columns) % times == 0)
    rows = _cuts((y0, y1), even if (y1 - y0) / even >= lowest else pieces, grid)
    return (((y, x), (own_y, own_x)) for y, own_y in rows for x, own_x in columns)


def _cuts(span: _Span, pieces: int, grid: int) -> list[tuple[_Span, _Span]]:
    """Pieces of one length, and of each the part that no other has."""
    start, stop = span
    step = min(-(-(stop - start) // (max(1, pieces) * grid)) * grid, stop - start)
    return [
        ((min(at, stop - step), min(at + step, stop)), (at, min(at + step, stop)))
        for at in range(start, stop, step)
    ]


def _slices(spans: _Spans, origin: _Spans, stride: float) -> tuple[slice, slice]:
    """Where a place is in a map that begins at `origin`."""
    y, x = (
        slice(round((start - first) / stride), round((stop - first) / stride))
        for (start, stop), (first, _) in zip(spans, origin, strict=True)
    )
    return y, x


def _part(values: Tensor, origin: _Spans, spans: _Spans, stride: float) -> Tensor:
    return values[(..., *_slices(spans, origin, stride))]
