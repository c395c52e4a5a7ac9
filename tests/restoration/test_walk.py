"""The walk over tiles: order, reading and writing at the same time, errors, an early end, memory
that runs out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from napari_mdeblurgan import stopping
from napari_mdeblurgan.errors import OutOfMemory
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.crew import Crew
from napari_mdeblurgan.restoration.plan import RestorationPlan, make_plan
from napari_mdeblurgan.restoration.tiling import TileLimit
from napari_mdeblurgan.restoration.walk import DoesNotFit, Spot, TileArrays, TilePlace, Todo, walk
from napari_mdeblurgan.stopping import look_up, portion

COUNT = 20
EDGE = 64


class Operation:
    """Reads, works and finishes as it is told to; what is made of a tile is where it begins."""

    def __init__(self, read: Callable = int, work: Callable = int) -> None:
        self._read, self._work = read, work

    def read(self, place: TilePlace) -> int:
        return self._read(number(place))

    def work(self, given: Sequence[int]) -> Sequence[int]:
        return [self._work(each) for each in given]

    def finish(self, place: TilePlace, given: int, made: int) -> TileArrays:
        return {"made": np.full((2 * EDGE, 2 * EDGE), made)}


def number(place: TilePlace) -> int:
    return place.tile.y.start // EDGE


@pytest.fixture
def plan(tiny_model: Callable[..., Model]) -> RestorationPlan:
    return make_plan(np.zeros((COUNT * EDGE, EDGE), np.uint8), tiny_model().card, tile=EDGE)


def places(plan: RestorationPlan, count: int = COUNT) -> list[Spot]:
    return [Spot((), tile) for tile in plan.grid][:count]


def flat(turns: Iterator[list[Spot]]) -> list[int]:
    return [number(place) for turn in turns for place in turn]


def test_everything_is_read_worked_on_and_written_in_order(plan: RestorationPlan) -> None:
    written: list[tuple[int, int]] = []

    def write(place: Spot, made: TileArrays) -> None:
        written.append((number(place), int(made["made"][0, 0])))

    operation = Operation(lambda n: 10 * n, lambda n: n + 1)
    assert flat(walk(Todo(places(plan)), plan, operation, write)) == list(range(COUNT))
    assert written == [(n, 10 * n + 1) for n in range(COUNT)]


def test_reading_and_writing_go_on_while_work_does(plan: RestorationPlan) -> None:
    """The work on 1 waits for 2 to be read, and the work on 2 for 0 to be written: one after the
    other would hang.
    """
    read, written = ({n: threading.Event() for n in range(4)} for _ in range(2))

    def work(item: int) -> int:
        assert item != 1 or read[2].wait(10)
        assert item != 2 or written[0].wait(10)
        return item

    def reading(item: int) -> int:
        read[item].set()
        return item

    todo = Todo(places(plan, 4))
    turns = walk(
        todo, plan, Operation(reading, work), lambda place, _: written[number(place)].set()
    )
    assert flat(turns) == [0, 1, 2, 3]


def test_two_places_are_read_side_by_side_where_that_is_wished_for(plan: RestorationPlan) -> None:
    together, at_once, most = threading.Barrier(2, timeout=10), set[int](), []

    def reading(item: int) -> int:
        at_once.add(item)
        most.append(len(at_once))
        together.wait()  # one alone would wait in vain
        at_once.discard(item)
        together.wait()
        return item

    turns = walk(Todo(places(plan)), plan, Operation(reading), lambda *_: None, ahead=2)
    assert flat(turns) == list(range(COUNT))
    assert max(most) == 2


@pytest.mark.parametrize("where", ["read", "work", "write", "items"])
def test_what_goes_wrong_anywhere_is_raised_and_nothing_is_left_running(
    plan: RestorationPlan, where: str
) -> None:
    before = threading.active_count()

    def fail(place: str, item: int) -> int:
        if place == where and item == 3:
            raise ValueError(place)
        return item

    class Items(Todo):
        def __iter__(self) -> Iterator[list[Spot]]:
            for turn in super().__iter__():
                fail("items", number(turn[0]))
                yield turn

    operation = Operation(lambda item: fail("read", item), lambda item: fail("work", item))
    with pytest.raises(ValueError, match=where):
        list(
            walk(
                Items(places(plan)),
                plan,
                operation,
                lambda place, _: fail("write", number(place)) and None,
            )
        )
    assert threading.active_count() == before


def test_closing_writes_what_is_made_and_takes_no_more(plan: RestorationPlan) -> None:
    taken: list[int] = []
    worked: list[int] = []
    written: list[int] = []
    before = threading.active_count()
    operation = Operation(
        lambda item: taken.append(item) or item, lambda item: worked.append(item) or item
    )
    steps = walk(
        Todo(places(plan)), plan, operation, lambda place, _: written.append(number(place))
    )
    next(steps)
    steps.close()
    assert len(taken) <= 2
    assert worked == written == [0]
    assert threading.active_count() == before


def test_alike_tiles_come_together_and_those_that_are_wanted_first(plan: RestorationPlan) -> None:
    turns = [[number(place) for place in turn] for turn in Todo(places(plan), 4)]
    assert sorted(each for turn in turns for each in turn) == list(range(COUNT))
    assert turns[1] == [1, 2, 3, 4]  # the first sees less above it
    wanted = [turn[0] for turn in Todo(places(plan), first=lambda place: number(place) == 7)]
    assert [number(place) for place in wanted[:3]] == [7, 0, 1]


class Small(Operation):
    """Does not fit beyond some pixels at a time; gives the row of the image that each pixel lies
    in.
    """

    def __init__(self, rows: int, at_once: int = 1) -> None:
        self.rows, self.at_once, self.tried = rows, at_once, []

    def read(self, place: TilePlace) -> Any:
        return place.tile

    def work(self, given: Sequence[Any]) -> Sequence[Any]:
        heights = [tile.y.stop - tile.y.start for tile in given]
        self.tried.append(heights)
        if max(heights) > self.rows or len(heights) > self.at_once:
            raise DoesNotFit
        return given

    def finish(self, place: TilePlace, given: Any, made: Any) -> TileArrays:
        y, x = given.y, given.x
        rows = np.arange(y.start, y.stop)[:, None] + np.zeros(x.stop - x.start, int)
        return {
            "fine": rows.repeat(2, 0).repeat(2, 1),
            "coarse": rows,
            "colours": np.stack([rows] * 3, -1),
        }


def test_where_memory_runs_out_pieces_are_made_in_parts_and_come_whole(
    tiny_model: Callable[..., Model],
) -> None:
    plan = make_plan(np.zeros((1024, 256), np.uint8), tiny_model().card, tile=256)
    operation, limit = Small(rows=128), TileLimit()
    whole = {"fine": np.zeros((2048, 512), int), "coarse": np.zeros((1024, 256), int)}
    whole["colours"] = np.zeros((1024, 256, 3), int)

    def write(place: Spot, made: TileArrays) -> None:
        for name, array in whole.items():
            f = 2 if name == "fine" else 1
            array[place.tile.y.start * f : place.tile.y.stop * f] = made[name]

    list(walk(Todo([Spot((), tile) for tile in plan.grid]), plan, operation, write, limit))
    rows = np.arange(1024)
    for name, array in whole.items():
        expected = rows.repeat(2) if name == "fine" else rows
        assert (array.reshape(len(array), -1) == expected[:, None]).all(), name
    assert [each for each in operation.tried if max(each) > 128] == [[256]]  # it is learned once
    assert limit.edge == 128


def test_several_at_a_time_become_fewer_where_memory_runs_out(plan: RestorationPlan) -> None:
    operation, written = Small(rows=EDGE, at_once=2), []
    turns = walk(
        Todo(places(plan), 8), plan, operation, lambda place, _: written.append(number(place))
    )
    assert sorted(flat(turns)) == sorted(written) == list(range(COUNT))
    assert [len(each) for each in operation.tried if len(each) > 2] == [8, 4]


def test_no_room_for_the_smallest_tile_is_a_clear_error(plan: RestorationPlan) -> None:
    with pytest.raises(OutOfMemory, match="smallest tile"):
        list(walk(Todo(places(plan)), plan, Small(rows=1), lambda *_: None))


@pytest.mark.parametrize("where", ["read", "work"])
def test_a_tile_gives_signs_of_life_and_is_left_in_its_middle_when_the_walk_is_closed(
    plan: RestorationPlan, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(stopping, "HEARTBEAT_S", 0.01)
    before, written = threading.active_count(), []

    def endless(item: int) -> int:
        with portion(0, 0.5):
            pass
        while True:
            look_up()

    todo = Todo(places(plan))
    steps = walk(todo, plan, Operation(**{where: endless}), lambda place, _: written.append(place))
    assert [next(steps) for _ in range(20)] == [[]] * 20
    if where == "work":
        assert EDGE * EDGE / 2 <= todo.begun < EDGE * EDGE
    steps.close()
    assert written == []
    assert threading.active_count() == before


def test_what_is_begun_is_none_of_what_was_written(plan: RestorationPlan) -> None:
    todo = Todo(places(plan))
    for _ in walk(todo, plan, Operation(), lambda *_: None):
        assert todo.begun == 0


def test_walks_of_a_crew_share_its_threads_and_leave_nothing_running(plan: RestorationPlan) -> None:
    threads, running = set[int](), []

    def work(given: int) -> int:
        threads.add(threading.get_ident())
        running.append(given)
        while given == 3:
            look_up()
        running.remove(given)
        return given

    with Crew() as crew:
        for _ in range(3):
            with crew.at_work():
                turns = walk(Todo(places(plan)), plan, Operation(work=work), lambda *_: None)
                while 3 not in running:
                    next(turns)
                turns.close()
            assert crew.worker.submit(running.pop).result(10) == 3  # it has left the thread
    assert len(threads) == 1
