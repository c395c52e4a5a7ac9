"""The one way of every tile: read, worked on, finished, written; and cut smaller where memory runs
out.

What is done with a tile is an `Operation`, where it goes a function. Whole images in memory, scans
on disk, lazy arrays, workers of a cluster, eight orientations, maps of trust and focus stacks all
come through here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from napari_mdeblurgan.errors import OutOfMemory
from napari_mdeblurgan.restoration.crew import crew
from napari_mdeblurgan.restoration.tiling import Tile, TileGrid, TileLimit
from napari_mdeblurgan.stopping import Attended, Meter, portion, waiting

TileArrays = Mapping[
    str, np.ndarray
]  # of a tile: arrays over it by name, each with its own pixels for one of the image


class DoesNotFit(Exception):
    """Memory ran out on a tile."""


class TilePlace(Protocol):
    """A tile of one image of a stack."""

    @property
    def index(self) -> tuple[int, ...]:
        """Which image: position along the axes before y."""

    @property
    def tile(self) -> Tile:
        """Which part of it."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A `TilePlace` and nothing else."""

    index: tuple[int, ...]
    tile: Tile


class Plan(Protocol):
    """What a walk has to know of the work that it is a part of, such as `RestorationPlan`."""

    @property
    def grid(self) -> TileGrid:
        """How an image is cut into tiles, and these into smaller ones."""

    @property
    def device(self) -> str:
        """Where memory may run out."""


class Operation(Protocol):
    """What is done with a tile."""

    def read(self, place: TilePlace) -> Any:
        """Get what a tile needs; in a thread of its own, while another tile is worked on."""

    def work(self, given: Sequence[Any]) -> Sequence[Any]:
        """Work on what was read for one tile, or for several that are `alike`; one call at a time.

        Raises
        ------
        DoesNotFit
            If memory runs out.
        """

    def finish(self, place: TilePlace, given: Any, made: Any) -> TileArrays:
        """Make a piece of it; in a thread of its own."""


P = TypeVar("P", bound=TilePlace)


class Todo(Generic[P]):
    """Places that are still to come, several at a time where they are alike.

    Parameters
    ----------
    places : iterable of TilePlace
        In the order in which they come if nobody wants another.
    most : int
        How many may be worked on together.
    first : callable, optional
        Whether a place is wanted before others; asked anew at every turn.

    Attributes
    ----------
    most : int
    begun : float
        What was done so far of places that a walk has not yielded yet, in pixels of the image.
    """

    def __init__(
        self, places: Iterable[P], most: int = 1, first: Callable[[P], bool] | None = None
    ) -> None:
        self._places, self.most, self._first = list(places), most, first
        self.begun = 0.0

    def __iter__(self) -> Iterator[list[P]]:
        while self._places:
            chosen = 0
            if self._first is not None:
                chosen = next((n for n, place in enumerate(self._places) if self._first(place)), 0)
            first = self._places.pop(chosen)
            like_it = (n for n, place in enumerate(self._places) if alike(place.tile, first.tile))
            further = list(islice(like_it, self.most - 1))
            yield [first, *reversed([self._places.pop(n) for n in reversed(further)])]


def alike(one: Tile, other: Tile) -> bool:
    """Whether two tiles can go through the network together."""
    pairs = ((one.y, other.y), (one.x, other.x))
    return all(
        a.inside == b.inside and a.read_stop - a.read_start == b.read_stop - b.read_start
        for a, b in pairs
    )


def walk(
    todo: Todo[P],
    plan: Plan,
    operation: Operation,
    write: Callable[[P, TileArrays], None],
    limit: TileLimit | None = None,
    *,
    ahead: int = 1,
    behind: int = 0,
) -> Generator[list[P], None, None]:
    """Do an operation on every place; yields those that are written, turn by turn, and none as a
    sign of life in between.

    While places are worked on, the next ones are read and those before are finished and written, in
    threads of their own. A place is only taken from `todo` when it is about to be read. What goes
    wrong anywhere is raised here, and ends it all. Closing ends it, too, as soon as what is being
    read and worked on looks up; what is being written by then is still written.

    Parameters
    ----------
    todo : Todo
        Where to go.
    plan : Plan
        Such as that of the restoration.
    operation : Operation
        What is done.
    write : callable
        Takes the piece that was made of a place, whole whatever it was cut into.
    limit : TileLimit, optional
        What is known about the memory from other walks, and will be for the next ones.
    ahead : int
        Turns that are read side by side, each in a thread of its own: more than 1 where that is
        most of the work.
    behind : int
        Turns that may wait to be written while the work goes on: for a disk, 1.

    Raises
    ------
    OutOfMemory
        If not even the smallest tile fits.
    """
    limit = TileLimit() if limit is None else limit

    def read(places: list[P]) -> list[Any]:
        return [operation.read(place) for place in places]

    def work(places: list[P], given: list[Any]) -> list[Callable[[], TileArrays]]:
        finishing: list[Callable[[], TileArrays]] = []
        while len(finishing) < len(places):
            now = slice(len(finishing), len(finishing) + todo.most)
            some, tile = places[now], places[now.start].tile
            if limit.edge is not None and tile.edge > limit.edge:
                finishing.append(partial(dict, made_of(some[0], plan, operation, limit)))
                continue
            done = len(finishing) / len(places), (len(finishing) + len(some)) / len(places)
            try:
                with portion(*done):
                    made = zip(some, given[now], operation.work(given[now]), strict=True)
            except DoesNotFit as error:
                if len(some) == 1:
                    limit.lower(_smaller(tile, plan, error))
                todo.most = max(len(some) // 2, 1)
                continue
            finishing += [partial(operation.finish, *each) for each in made]
        return finishing

    def put(places: list[P], finishing: list[Callable[[], TileArrays]]) -> None:
        for place, finish in zip(places, finishing, strict=True):
            write(place, finish())

    turns, writing = iter(todo), deque[tuple[list[P], Future[None]]]()
    reading = deque[tuple[list[P], Future[list[Any]], Meter]]()
    attended, meter = Attended(), Meter()
    of_reading = 0.5 if ahead > 1 else 0.0  # of the work on a place

    def begun(now: list[P]) -> float:
        """How much is done of what is being written, worked on and read, in pixels."""
        done: float = sum(_pixels(places) for places, _ in writing)
        done += _pixels(now) * (of_reading + (1 - of_reading) * meter.share)
        return done + of_reading * sum(_pixels(places) * each.share for places, _, each in reading)

    def written() -> Iterator[list[P]]:
        """Wait for what is being written first."""
        places, future = writing[0]
        todo.begun = begun([])
        for _ in waiting(future):
            yield []
        future.result()
        writing.popleft()
        todo.begun = begun([])
        yield places

    with crew() as threads:
        readers = cycle(threads.readers[:ahead])

        def begin(count: int) -> None:
            for places in islice(turns, count):
                own = Meter()
                future = attended.begin(next(readers), read, places, meter=own)
                reading.append((places, future, own))

        try:
            begin(ahead)
            while reading:
                places, future, _ = reading[0]
                for _ in waiting(future):
                    todo.begun = begun([])
                    yield []
                reading.popleft()
                given, meter = future.result(), Meter()
                begin(1)
                working = attended.begin(threads.worker, work, places, given, meter=meter)
                del given, future
                for _ in waiting(working):
                    todo.begun = begun(places)
                    yield []
                writing.append((places, threads.writer.submit(put, places, working.result())))
                del working
                while writing and (len(writing) > behind or writing[0][1].done()):
                    yield from written()
            while writing:
                yield from written()
        finally:
            attended.stop()


def _pixels(places: Sequence[TilePlace]) -> int:
    return sum(place.tile.pixels for place in places)


def made_of(
    place: TilePlace, plan: Plan, operation: Operation, limit: TileLimit
) -> dict[str, np.ndarray]:
    """What an operation makes of one place, in this thread; in parts where memory runs out.

    Raises
    ------
    OutOfMemory
        If not even the smallest tile fits.
    """
    parts: list[tuple[Tile, TileArrays]] = []
    todo, done = [place.tile], 0.0
    while todo:
        tile, *smaller = plan.grid.within(todo.pop(), limit)
        todo += reversed(smaller)
        part = Spot(place.index, tile)
        given = operation.read(part)
        share = tile.pixels / place.tile.pixels
        try:
            with portion(done, done + share):
                (made,) = operation.work([given])
        except DoesNotFit as error:
            limit.lower(_smaller(tile, plan, error))
            todo.append(tile)
            continue
        done += share
        parts.append((tile, operation.finish(part, given, made)))
    return dict(parts[0][1]) if len(parts) == 1 else _joined(place.tile, parts)


def _joined(tile: Tile, parts: list[tuple[Tile, TileArrays]]) -> dict[str, np.ndarray]:
    """The piece of a tile from those of its parts."""
    height, width = tile.y.stop - tile.y.start, tile.x.stop - tile.x.start
    part, piece = parts[0]
    factors = {name: len(array) // (part.y.stop - part.y.start) for name, array in piece.items()}
    whole = {
        name: np.empty(
            (height * factors[name], width * factors[name], *array.shape[2:]), array.dtype
        )
        for name, array in piece.items()
    }
    for part, piece in parts:
        for name, array in piece.items():
            whole[name][within(part, tile, factors[name])] = array
    return whole


def _smaller(tile: Tile, plan: Plan, error: DoesNotFit) -> tuple[Tile, ...]:
    """The quarters of a tile for which memory ran out."""
    quarters = plan.grid.quarters(tile)
    if len(quarters) == 1:
        raise OutOfMemory(
            f"Memory on {plan.device} ran out even for the smallest tile; close other programs or "
            "use another device."
        ) from error
    return quarters


def within(part: Tile, tile: Tile, factor: int) -> tuple[slice, slice]:
    """Where a part of a tile lies in it, with `factor` pixels for one of the image."""
    y, x = (
        slice((inner.start - outer.start) * factor, (inner.stop - outer.start) * factor)
        for inner, outer in ((part.y, tile.y), (part.x, tile.x))
    )
    return y, x
