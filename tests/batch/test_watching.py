"""Folders that are watched: what comes is restored once, as soon as it is whole."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_mdeblurgan.batch import BatchSettings, Failure, Success, watching
from napari_mdeblurgan.batch.batch_table import TABLE
from napari_mdeblurgan.batch.watching import Found, Waiting, is_whole, open_watch
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import read_image

from .conftest import grey, names_in, write


class Clock:
    """A clock that goes on only when somebody sleeps, and something to do meanwhile."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps = 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watching, "time", clock)
    return clock


class Told:
    """A watch that is stepped through: until it has waited for so many seconds
    with nothing to do.
    """

    def __init__(self, watch: Any, clock: Clock) -> None:
        self.watch, self._clock = watch, clock
        self.steps = watch.steps()
        self.last = Waiting(0, 0, 0)

    def go(self, seconds: float = 10.0) -> list[str]:
        """Names of the results that come, and of the images that fail, until there is nothing to do
        for a while.
        """
        news, since = [], self._clock.now
        for step in self.steps:
            if isinstance(step, Waiting):
                self.last = step
                if self._clock.now - since >= seconds:
                    return news
                continue
            since = self._clock.now
            if isinstance(step, Found):
                continue
            if isinstance(step.news, Success):
                news.append(step.news.output.name)
            elif isinstance(step.news, Failure):
                news.append(f"failed: {Path(step.news.name).name}")
        raise AssertionError("it ended")


@pytest.fixture
def watched(
    settings: Callable[..., BatchSettings], tmp_path: Path, clock: Clock
) -> Iterator[Callable[..., Told]]:
    """``watched(**wishes)``: a watch of ``in`` into ``out``."""
    (tmp_path / "in").mkdir()
    opened: list[Told] = []

    def start(output: Path = tmp_path / "out", **wishes: Any) -> Told:
        told = Told(open_watch([tmp_path / "in"], output, settings(**wishes)), clock)
        opened.append(told)
        return told

    yield start
    for told in opened:
        stop(told)


def stop(told: Told) -> None:
    told.steps.close()
    told.watch.close()


def grow(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_what_is_there_is_done_first_then_what_comes_each_once(watched, tmp_path: Path) -> None:
    write(tmp_path / "in" / "b.tif")
    write(tmp_path / "in" / "a.tif")
    told = watched()
    assert told.go() == ["a.ome.tif", "b.ome.tif"]
    assert told.last == Waiting(2, 0, 0)
    write(tmp_path / "in" / "day2" / "c.tif")
    assert told.go() == ["c.ome.tif"]
    assert told.go() == []
    assert names_in(tmp_path / "out") == ["a.ome.tif", "b.ome.tif", "day2/c.ome.tif"]


def test_a_file_that_a_link_leads_to_is_done_once(watched, tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.tif")
    (tmp_path / "in" / "b.tif").symlink_to("a.tif")
    told = watched()
    assert told.go() == ["a.ome.tif"]
    assert told.last == Waiting(1, 0, 0)


def test_a_file_is_restored_only_when_it_has_stopped_growing(
    watched, tmp_path: Path, clock: Clock
) -> None:
    whole = write(tmp_path / "whole.tif", grey(40, 40)).read_bytes()
    told = watched()
    file = tmp_path / "in" / "a.tif"
    file.touch()
    for start in range(0, len(whole), 1 + len(whole) // 4):
        assert told.go(2) == []
        grow(file, whole[start : start + 1 + len(whole) // 4])
    assert told.go(1) == []
    assert told.last == Waiting(0, 0, 1)
    assert told.go() == ["a.ome.tif"]
    np.testing.assert_array_equal(read_image(file).data, grey(40, 40))


def test_half_a_file_that_is_still_for_a_while_is_no_error_until_patience_ends(
    watched, tmp_path: Path
) -> None:
    whole = write(tmp_path / "whole.tif", grey(40, 40)).read_bytes()
    (tmp_path / "in" / "a.tif").write_bytes(whole[:-100])
    told = watched()
    assert told.go(watching.WATCH_PATIENCE_S - 20) == []
    assert told.last == Waiting(0, 0, 1)
    grow(tmp_path / "in" / "a.tif", whole[-100:])
    assert told.go() == ["a.ome.tif"]
    (tmp_path / "in" / "b.tif").write_bytes(whole[:-100])
    assert told.go(watching.WATCH_PATIENCE_S + 10) == ["failed: b.tif"]
    assert told.go(watching.WATCH_PATIENCE_S + 10) == []
    (tmp_path / "in" / "b.tif").write_bytes(whole)
    assert told.go() == ["b.ome.tif"]
    assert told.last == Waiting(2, 0, 0)


def test_after_a_restart_nothing_is_done_twice_and_what_was_replaced_is_done_again(
    watched, tmp_path: Path
) -> None:
    for name in ("a.tif", "b.tif"):
        write(tmp_path / "in" / name)
    told = watched()
    assert len(told.go()) == 2
    stop(told)
    write(tmp_path / "in" / "b.tif", grey(30, 30))
    told = watched()
    assert told.go() == ["b.ome.tif"]
    assert told.last == Waiting(2, 0, 0)
    write(tmp_path / "in" / "a.tif", grey(32, 30))
    assert told.go() == ["a.ome.tif"]
    assert told.last == Waiting(2, 0, 0)
    assert read_image(tmp_path / "out" / "a.ome.tif").data.shape == (64, 60)


@pytest.mark.parametrize("place", ["in", "in/sharp"])
@pytest.mark.parametrize("form", ["ome-tiff", "ome-zarr"])
def test_results_are_never_taken_for_images(
    watched, tmp_path: Path, place: str, form: str, restored
) -> None:
    other = write(tmp_path / "other.tif")
    (saved,) = restored([other]).outputs
    saved.rename(tmp_path / "in" / "saved elsewhere.ome.tif")
    write(tmp_path / "in" / "a.tif")
    for _ in range(2):
        told = watched(tmp_path / place, format=form)
        assert len(told.go()) <= 1
        assert told.last == Waiting(1, 0, 0)
        stop(told)


def test_an_image_that_changes_while_it_is_restored_is_taken_again(watched, tmp_path: Path) -> None:
    file = write(tmp_path / "in" / "a.tif")
    told = watched()
    for step in told.steps:
        if not isinstance(step, Waiting | Found) and step.current:
            write(file, grey(30, 30))
            break
    assert told.go() == ["a.ome.tif"]
    assert told.last == Waiting(1, 0, 0)
    assert read_image(tmp_path / "out" / "a.ome.tif").data.shape == (60, 60)


def test_a_folder_that_is_away_for_a_while_is_told_and_waited_for(watched, tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.tif")
    told = watched()
    told.go()
    (tmp_path / "in").rename(tmp_path / "away")
    assert told.go() == []
    assert told.last.trouble == f"{tmp_path / 'in'} does not exist; check its name."
    (tmp_path / "away").rename(tmp_path / "in")
    write(tmp_path / "in" / "b.tif")
    assert told.go() == ["b.ome.tif"]
    assert told.last.trouble == ""


def test_the_folder_is_looked_at_once_a_second_and_large_ones_more_rarely(
    watched, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, look = [], watching.candidates

    def slow(*arguments: Any) -> Any:
        looks.append(clock.now)
        clock.now += took
        return look(*arguments)

    monkeypatch.setattr(watching, "candidates", slow)
    took = 0.0
    told = watched()
    looks.clear()
    told.go(10)
    assert np.diff(looks).min() == pytest.approx(1.0)
    assert clock.sleeps < 60
    took = 1.0
    told.go(10)
    looks.clear()
    told.go(20)
    assert np.diff(looks).min() == pytest.approx(5.0)


def test_the_table_has_all_that_was_done_whenever_there_is_nothing_to_do(
    watched, tmp_path: Path
) -> None:
    told = watched()
    for count, name in enumerate(("a.tif", "b.tif"), start=1):
        write(tmp_path / "in" / name)
        told.go()
        with (tmp_path / "out" / TABLE).open(encoding="utf-8-sig", newline="") as file:
            assert len(list(csv.DictReader(file))) == count


def test_a_single_folder_is_watched_not_the_letters_of_its_name(settings, tmp_path: Path) -> None:
    for folder in (tmp_path, str(tmp_path)):
        with open_watch(folder, tmp_path / "out", settings()) as watch:
            assert watch.inputs == (folder,)


def test_a_folder_that_is_not_there_is_said_at_once(settings, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="missing does not exist"):
        open_watch([tmp_path / "missing"], tmp_path / "out", settings())
    assert not (tmp_path / "out").exists()


def test_half_an_image_is_not_whole_in_any_format(tmp_path: Path) -> None:
    for name in ("a.tif", "a.ome.tif", "a.png"):
        path = write(tmp_path / name, grey(200, 200).astype(np.uint8))
        assert is_whole(path)
        os.truncate(path, path.stat().st_size // 2)
        assert not is_whole(path)


def test_a_file_of_no_kind_that_is_read_fails_without_being_waited_for(
    settings, tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "slide.vsi"
    path.write_bytes(b"II*\0" + bytes(200))
    told = Told(open_watch([path], tmp_path / "out", settings()), clock)
    assert told.go(watching.WATCH_PATIENCE_S / 2) == ["failed: slide.vsi"]
    assert told.last == Waiting(0, 1, 0)
    stop(told)
