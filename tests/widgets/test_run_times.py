"""How long a run will take is told before it is begun, by what runs on this computer took."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.runs.runner import Runner
from napari_mdeblurgan.widgets.shared import wording
from napari_mdeblurgan.widgets.shared.run_times import KINDS, RUNS, RunTimes, Work

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

KEPT = '{"runs": {"gray-x2 cpu auto model": [[RUN]]}, "devices": {"auto": "cpu"}}'
WORK = Work(1_000_000, "gray-x2", "auto", "auto", None, ensemble=False, trust=False, on_disk=False)


def after(*runs: tuple[Work, float]) -> RunTimes:
    """What is known when these have been done, each on the CPU."""
    times = RunTimes()
    for work, seconds in runs:
        times._begun = [work]
        times.end(0, "cpu", seconds)
    return RunTimes()


def test_what_was_done_on_the_same_device_is_known_however_it_was_chosen(
    choices_folder: Path,
) -> None:
    times = after((WORK, 20))
    assert times.seconds(replace(WORK, values=3_000_000)) == pytest.approx(60)
    assert times.seconds(replace(WORK, device="cpu")) == pytest.approx(20)
    assert times.seconds(replace(WORK, device="cuda:0")) is None
    assert times.seconds(replace(WORK, model="gray-x4")) is None
    assert times.seconds(replace(WORK, precision="float32")) is None


def test_what_no_run_tells_follows_from_the_bare_network(choices_folder: Path) -> None:
    times = after((WORK, 20))
    assert times.seconds(replace(WORK, ensemble=True)) == pytest.approx(160)
    assert times.seconds(replace(WORK, trust=True)) == pytest.approx(40)
    assert times.seconds(replace(WORK, on_disk=True)) == pytest.approx(20)
    times = after((WORK, 20), (replace(WORK, trust=True), 30))
    assert times.seconds(replace(WORK, trust=True)) == pytest.approx(30)


def test_a_much_smaller_run_tells_nothing_for_most_of_it_was_getting_ready(
    choices_folder: Path,
) -> None:
    times = after((replace(WORK, values=10_000), 6))
    assert times.seconds(WORK) is None
    assert times.told_of([WORK]) == wording.TIME_OF_LARGER_UNKNOWN
    assert times.seconds(replace(WORK, values=40_000)) == pytest.approx(24)
    assert times.told_of([replace(WORK, model="gray-x4")]) == wording.TIME_UNKNOWN


def test_two_small_runs_tell_what_getting_ready_takes_and_what_a_value_takes(
    choices_folder: Path,
) -> None:
    small, larger = replace(WORK, values=10_000), replace(WORK, values=110_000)
    assert after((small, 5.2), (larger, 7.2)).seconds(WORK) == pytest.approx(5 + 20)


def test_a_run_of_enough_values_tells_for_any_size(choices_folder: Path) -> None:
    assert after((replace(WORK, values=250_000), 8)).seconds(
        replace(WORK, values=10_000_000)
    ) == pytest.approx(320)


def test_runs_of_about_the_same_size_tell_most(choices_folder: Path) -> None:
    small = replace(WORK, values=10_000)
    assert after((small, 2)).seconds(small) == pytest.approx(2)
    assert after((WORK, 20)).seconds(WORK) == pytest.approx(20)
    assert RunTimes().seconds(small) == pytest.approx(2)
    assert RunTimes().seconds(replace(WORK, values=100_000)) == pytest.approx(2)


def test_the_last_runs_are_kept_and_no_more_than_a_few(choices_folder: Path) -> None:
    after(*((WORK, seconds) for seconds in range(1, 20)))
    after(*((replace(WORK, model=str(number)), 1) for number in range(KINDS - 1)))
    kept = json.loads((choices_folder / "run-times.json").read_text())["runs"]
    assert len(kept) == KINDS
    assert [seconds for _, seconds in kept["gray-x2 cpu auto model"]] == [15, 16, 17, 18, 19][
        -RUNS:
    ]


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"runs": 1, "devices": {}}']
    + [KEPT.replace("RUN", run) for run in ('1, "x"', "0, 1", "1, NaN", "1, 1e999", "1")],
)
def test_a_spoilt_file_is_as_if_there_had_been_no_run(choices_folder: Path, content: str) -> None:
    choices_folder.mkdir()
    (choices_folder / "run-times.json").write_text(content)
    assert RunTimes().seconds(WORK) is None
    assert after((WORK, 20)).seconds(WORK) == pytest.approx(20)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "A few seconds"), (41, "About 40 s"), (200, "About 3 min"), (3600 * 2.5, "About 2.5 h")],
)
def test_no_more_is_said_than_anybody_knows(seconds: float, words: str) -> None:
    assert wording.expected(seconds, "cpu") == f"{words} on the CPU."


def test_before_the_button_is_pressed_the_dock_says_how_long_it_will_take(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    qtbot: QtBot,
    wait_for_end: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Runner, "elapsed", property(lambda _: 20.0))
    time, controls = widget.controls.time, widget.controls
    viewer.window.show()
    assert time.value == ""
    small = viewer.add_image(noise(40, 48), name="small")
    assert time.value == wording.TIME_UNKNOWN
    qtbot.mouseClick(controls.run.native, Qt.MouseButton.LeftButton)
    assert widget.running
    assert time.value == ""  # not that it will be known after the first run
    wait_for_end()
    assert time.value == "About 20 s on the CPU."
    large = viewer.add_image(noise(80, 96), name="large")
    assert time.value == "About 80 s on the CPU."
    viewer.layers.selection = {small, large}
    assert time.value == "About 2 min on the CPU."
    viewer.layers.selection = {small}
    widget.controls.image.value = small
    qtbot.mouseClick(controls.ensemble.native, Qt.MouseButton.LeftButton)
    assert time.value == "About 3 min on the CPU."
    again = DeblurWidget(viewer)
    assert again.controls.time.value == "About 3 min on the CPU."


def test_a_cancelled_run_tells_nothing(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, gate: object, wait_for_end: Run
) -> None:
    viewer.add_image(noise())
    widget.start()
    widget.cancel()
    gate.let_on(1)  # type: ignore[attr-defined]
    wait_for_end()
    assert widget.controls.time.value == wording.TIME_UNKNOWN


def test_a_preview_tells_for_the_whole(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, qtbot: QtBot, wait_for_end: Run
) -> None:
    viewer.add_image(noise())
    viewer.window.show()
    qtbot.mouseClick(widget.controls.preview.native, Qt.MouseButton.LeftButton)
    wait_for_end()
    assert widget.controls.time.value.endswith("on the CPU.")


def test_a_run_on_disk_that_only_goes_on_tells_nothing(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run, choices_folder: Path
) -> None:
    viewer.add_image(noise())
    widget.results.to_disk.value = True
    run()
    kept = (choices_folder / "run-times.json").read_text()
    run()
    assert "had been made before" in widget.controls.status.value
    assert (choices_folder / "run-times.json").read_text() == kept
