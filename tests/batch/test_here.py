"""Several images of a batch at a time in this process: one is read, one or some are restored, one
is written.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_mdeblurgan.batch import Batch, BatchSettings, Success, here, open_batch
from napari_mdeblurgan.batch.manifest import MANIFEST
from napari_mdeblurgan.batch.output_folder import WORK
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration import memory
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.restoration.lanes import Lane
from napari_mdeblurgan.storage import read_image

from .conftest import LARGE, grey, names_in, write

IN_TIME_S = 60
one_or_two = pytest.mark.parametrize("processors", [1, 2], indirect=True)
two_processors = pytest.mark.parametrize("processors", [2], indirect=True)


class Stages:
    """Notes when an image enters and leaves a stage, and can hold it there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: dict[tuple[str, str], threading.Event] = {}
        self.held: dict[tuple[str, str], threading.Event] = {}
        self.in_memory, self.most = 0, 0
        for stage in ("readying", "making", "keeping"):
            monkeypatch.setattr(here, stage, self._noted(stage, getattr(here, stage)))

    def begun(self, stage: str, name: str) -> threading.Event:
        """Set once an image has come to a stage."""
        return self.seen.setdefault((stage, name), threading.Event())

    def hold(self, stage: str, name: str) -> threading.Event:
        """Keep an image in a stage until this is set."""
        return self.held.setdefault((stage, name), threading.Event())

    def _noted(self, stage: str, steps: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any) -> Iterator[Any]:
            image = given[0].image if stage != "readying" else given[0]
            name = image.name
            if stage == "readying":
                self.in_memory += 1
                self.most = max(self.most, self.in_memory)
            self.begun(stage, name).set()
            made = yield from steps(*given)
            held = self.held.get((stage, name))
            assert held is None or held.wait(IN_TIME_S)
            if stage == "keeping":
                self.in_memory -= 1
            return made

        return noted


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Stages:
    return Stages(monkeypatch)


def some(folder: Path, count: int = 4) -> list[Path]:
    return [write(folder / f"{n}.tif", grey(24, 28, seed=n)) for n in range(count)]


def assert_restored(batch: Batch, data: np.ndarray, model: Model) -> None:
    """The second image of a batch without failures is what is made of `data`."""
    assert not batch.failures
    expected = restore(data, model, device="cpu", precision="float32")
    assert np.array_equal(read_image(batch.outputs[1]).data, expected)


def until(event: threading.Event, step: Callable[[], object] = lambda: None) -> None:
    """Go on with a batch until something has come about."""
    for _ in range(10_000):
        if event.is_set():
            return
        step()
    raise AssertionError("it never came about")


def test_the_next_image_is_read_and_the_last_one_written_while_one_is_in_the_network(
    settings: Callable[..., BatchSettings], tmp_path: Path, stages: Stages
) -> None:
    gates = stages.hold("making", "1"), stages.hold("keeping", "0")
    with open_batch(some(tmp_path / "in"), tmp_path / "out", settings()) as batch:
        steps = batch.steps()
        for stage, name in (("making", "1"), ("keeping", "0"), ("readying", "2")):
            until(stages.begun(stage, name), lambda: next(steps))
        assert not batch.outputs
        assert not stages.begun("readying", "3").is_set()
        for gate in gates:
            gate.set()
        for _ in steps:
            pass
    assert [path.name for path in batch.outputs] == [f"{n}.ome.tif" for n in range(4)]
    assert stages.most == 3


def test_an_image_ends_while_the_next_one_is_in_the_network(
    settings: Callable[..., BatchSettings], tmp_path: Path, stages: Stages
) -> None:
    gate = stages.hold("making", "1")
    with open_batch(some(tmp_path / "in"), tmp_path / "out", settings()) as batch:
        steps = batch.steps()
        while not batch.outputs:
            next(steps)
        until(stages.begun("making", "1"), lambda: next(steps))
        assert names_in(tmp_path / "out") == ["0.ome.tif"]
        gate.set()
        for _ in steps:
            pass
    assert len(batch.outputs) == 4


@one_or_two
@pytest.mark.usefixtures("processors")
def test_results_and_failures_of_all_stages_come_in_the_order_of_the_images(
    settings: Callable[..., BatchSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = some(tmp_path / "in", 7)
    paths[1].write_text("no image")
    write(paths[4], np.full((9, 9), np.nan, np.float32))
    for stage, name in (("making", "2"), ("keeping", "5")):
        monkeypatch.setattr(here, stage, failing(getattr(here, stage), name))
    with open_batch(paths, tmp_path / "out", settings()) as batch:
        told = [step.news for step in batch.steps() if step.news is not None]
    assert [Path(news.name).stem for news in told] == list("0123456")
    lines = [json.loads(line) for line in (tmp_path / "out" / MANIFEST).read_text().splitlines()]
    ends = [(Path(each["input"]).stem, each["event"]) for each in lines if "input" in each]
    assert ends == [(n, "failed" if n in "1245" else "made") for n in "0123456"]
    assert [path.name for path in (tmp_path / "out" / WORK).iterdir()] == ["lock"]


def failing(steps: Callable[..., Any], name: str) -> Callable[..., Any]:
    def failed(ready: Any, *given: Any) -> Iterator[Any]:
        if ready.image.name == name:
            raise MemoryError
        return (yield from steps(ready, *given))

    return failed


def test_an_image_that_changes_after_it_was_read_ahead_is_restored_as_it_is_at_its_turn(
    settings: Callable[..., BatchSettings],
    tmp_path: Path,
    stages: Stages,
    tiny_model: Callable[..., Model],
) -> None:
    paths, gate = some(tmp_path / "in", 2), stages.hold("making", "0")
    data = grey(40, 32, seed=9)
    with open_batch(paths, tmp_path / "out", settings()) as batch:
        steps = batch.steps()
        until(stages.begun("readying", "1"), lambda: next(steps))
        write(paths[1], data)
        gate.set()
        for _ in steps:
            pass
    assert_restored(batch, data, tiny_model(1))


def test_an_image_that_changes_while_it_is_still_read_at_its_turn_is_read_anew(
    settings: Callable[..., BatchSettings],
    tmp_path: Path,
    stages: Stages,
    tiny_model: Callable[..., Model],
) -> None:
    paths, gate = some(tmp_path / "in", 2), stages.hold("readying", "1")
    data = grey(40, 32, seed=9)
    with open_batch(paths, tmp_path / "out", settings()) as batch:
        steps = batch.steps()
        while not batch.outputs:
            next(steps)
        write(paths[1], data)
        gate.set()
        for _ in steps:
            pass
    assert_restored(batch, data, tiny_model(1))


@one_or_two
@pytest.mark.usefixtures("processors")
def test_closing_ends_all_stages_and_leaves_nothing_that_has_no_name(
    settings: Callable[..., BatchSettings],
    restored: Callable[..., Batch],
    tmp_path: Path,
    stages: Stages,
) -> None:
    paths = some(tmp_path / "in")
    gates = stages.hold("making", "1"), stages.hold("keeping", "0")
    with open_batch(paths, tmp_path / "out", settings()) as batch:
        steps = batch.steps()
        for stage, name in (("making", "1"), ("keeping", "0")):
            until(stages.begun(stage, name), lambda: next(steps))
        for gate in gates:
            gate.set()
        steps.close()
        assert not batch.outputs
    threads = {thread.name.partition("_")[0] for thread in threading.enumerate()}
    assert not threads & {"opening", "lane", "keeping", "reading", "working", "writing"}
    left = [path for path in (tmp_path / "out" / WORK).rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["lock"]
    assert len(restored(paths).outputs) == 4


def test_a_large_image_is_made_alone_between_small_ones(
    settings: Callable[..., BatchSettings], tmp_path: Path, stages: Stages
) -> None:
    paths = [
        write(tmp_path / "in" / "a.tif", grey(8, 8).astype(np.uint8)),
        write(tmp_path / "in" / "b.tif", grey(150, 100)),
        write(tmp_path / "in" / "c.tif", grey(8, 8, seed=1).astype(np.uint8)),
    ]
    with open_batch(paths, tmp_path / "out", settings(**LARGE)) as batch:
        alone = [
            (len(batch.outputs), stages.begun("readying", "c").is_set())
            for step in batch.steps()
            if "b.tif" in str(step.current)
        ]
    assert [path.name for path in batch.outputs] == [f"{n}.ome.tif" for n in "abc"]
    assert not batch.failures
    assert alone[-1] == (1, False)


def test_the_times_of_the_images_are_not_more_than_all_of_it_took(
    settings: Callable[..., BatchSettings], tmp_path: Path
) -> None:
    with open_batch(some(tmp_path / "in"), tmp_path / "out", settings()) as batch:
        steps = list(batch.steps())
    seconds = [step.news.seconds for step in steps if step.news is not None]
    assert min(seconds) >= 0
    assert sum(seconds) <= steps[-1].seconds


@two_processors
@pytest.mark.usefixtures("processors")
def test_small_images_are_in_the_network_at_the_same_time_to_the_same_bits(
    settings: Callable[..., BatchSettings],
    tmp_path: Path,
    stages: Stages,
    tiny_model: Callable[..., Model],
) -> None:
    gates = stages.hold("making", "0"), stages.hold("making", "1")
    with open_batch(some(tmp_path / "in"), tmp_path / "out", settings()) as batch:
        steps = batch.steps()
        for name in "01":
            until(stages.begun("making", name), lambda: next(steps))
        assert len(next(steps).current) == 2
        assert not stages.begun("making", "2").is_set()
        gates[1].set()
        assert not next(steps).done
        gates[0].set()
        for _ in steps:
            pass
    assert [path.name for path in batch.outputs] == [f"{n}.ome.tif" for n in range(4)]
    for seed, path in enumerate(batch.outputs):
        expected = restore(
            grey(24, 28, seed=seed), tiny_model(1), device="cpu", precision="float32"
        )
        assert np.array_equal(read_image(path).data, expected)


@two_processors
@pytest.mark.usefixtures("processors")
def test_an_image_that_takes_all_processors_is_in_the_network_alone(
    settings: Callable[..., BatchSettings], tmp_path: Path, stages: Stages
) -> None:
    paths = some(tmp_path / "in", 3)
    write(paths[1], grey(16, 700))
    gates = [stages.hold("making", name) for name in "01"]
    with open_batch(paths, tmp_path / "out", settings(tile=None)) as batch:
        steps = batch.steps()
        for name, after in (("0", "1"), ("1", "2")):
            until(stages.begun("making", name), lambda: next(steps))
            until(stages.begun("readying", after), lambda: next(steps))
            for _ in range(3):
                next(steps)
            assert not stages.begun("making", after).is_set()
            gates.pop(0).set()
        for _ in steps:
            pass
    assert len(batch.outputs) == 3


def test_all_images_have_the_same_threads_and_memory_is_given_back_once(
    restored: Callable[..., Batch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_mdeblurgan.restoration.operations import Once

    threads, released, work = [], [], Once.work

    def noted(self: Once, given: Any) -> Any:
        threads.append(threading.get_ident())
        return work(self, given)

    monkeypatch.setattr(Once, "work", noted)
    monkeypatch.setattr(memory, "release", lambda: released.append(len(threads)))
    restored(some(tmp_path / "in"))
    assert len(threads) == 4
    assert len(set(threads)) == 1
    assert released == [4]


def test_images_that_go_through_the_network_side_by_side_share_the_time(
    settings: Callable[..., BatchSettings],
    tmp_path: Path,
    stages: Stages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(here, "small_lanes", lambda: [Lane(1), Lane(1)])
    monkeypatch.setattr(here._Small, "apart", True)
    paths = [write(tmp_path / "in" / f"{n}.tif", grey(8, 8).astype(np.uint8)) for n in "ab"]
    held = [stages.hold("making", name) for name in "ab"]
    seconds = []
    with open_batch(paths, tmp_path / "out", settings()) as batch:
        for step in batch.steps():
            if stages.begun("making", "b").is_set() and not held[0].is_set():
                time.sleep(0.6)  # both are under way
                for each in held:
                    each.set()
            if isinstance(step.news, Success):
                seconds.append(step.news.seconds)
    assert len(seconds) == 2
    assert min(seconds) >= 0.3
