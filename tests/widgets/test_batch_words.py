"""What the dock Batch says while it works and afterwards, and where its buttons are meanwhile."""

from __future__ import annotations

import errno
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QPushButton, QWidget

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from tests.widgets.batch_dock import batch, click, inputs, press, states

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]

__all__ = ["batch", "inputs", "press"]  # fixtures


def gated(monkeypatch: pytest.MonkeyPatch, begin: int) -> threading.Event:
    """Let the work go on by itself up to the beginning of image number `begin`, and then only when
    the event is set.
    """
    from napari_mdeblurgan.batch import run

    make, gate = run.make_here, threading.Event()

    def held(items: list[Any], *arguments: Any) -> Any:
        number = 0
        for step in make(items, *arguments):
            yield step
            if isinstance(step, run.Begun):
                number += 1
                if number == begin:
                    assert gate.wait(60)

    monkeypatch.setattr(run, "make_here", held)
    return gate


def test_why_an_image_failed_comes_before_its_path(
    batch: BatchWidget, inputs: Path, tmp_path: Path, press: Callable[..., None]
) -> None:
    batch.add(str(inputs))
    batch.controls.output.value = str(tmp_path / "out")
    press()
    told = states(batch)["b.tif"]
    assert told.endswith(f" — {inputs / 'b.tif'}")
    assert told.index("b.tif") > 30  # nothing of the path before
    assert told.removeprefix("✗ failed: ")[0].isupper()


def test_a_result_in_the_way_is_called_by_its_name_in_the_output_folder(
    batch: BatchWidget, inputs: Path, tmp_path: Path, press: Callable[..., None]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.ome.tif").write_text("mine")
    batch.add(str(inputs / "a.tif"))
    batch.controls.output.value = str(tmp_path / "out")
    press()
    assert states(batch)["a.tif"].startswith("✗ failed: a.ome.tif is there already")


def test_rows_and_reasons_survive_a_retry_that_is_cancelled(
    batch: BatchWidget,
    inputs: Path,
    tmp_path: Path,
    qtbot: QtBot,
    press: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    noise: Noise,
) -> None:
    (inputs / "d.tif").write_bytes(b"nor is this")
    batch.add(str(inputs))
    batch.controls.output.value = str(tmp_path / "out")
    click(qtbot, batch.controls.run)
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    before = states(batch)
    assert [name for name, state in before.items() if state.startswith("✗")] == ["b.tif", "d.tif"]
    for name in "bd":
        write_image(inputs / f"{name}.tif", Micrograph(noise(), "YX"))
    gate = gated(monkeypatch, 1)
    click(qtbot, batch.controls.retry)
    qtbot.waitUntil(lambda: states(batch)["b.tif"].startswith("▶"), timeout=60_000)
    assert states(batch) == before | {"b.tif": "▶ working…"}
    click(qtbot, batch.controls.cancel)
    gate.set()
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    assert states(batch) == before
    click(qtbot, batch.controls.retry)
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    assert states(batch) == dict.fromkeys(("a.tif", "b.tif", "c.tif", "d.tif"), "✓ done")


def test_rows_and_reasons_survive_when_another_image_is_added(
    batch: BatchWidget, inputs: Path, tmp_path: Path, noise: Noise, press: Callable[..., None]
) -> None:
    batch.add(str(inputs))
    batch.controls.output.value = str(tmp_path / "out")
    press()
    before = states(batch)
    write_image(tmp_path / "new.tif", Micrograph(noise(), "YX"))
    batch.add(str(tmp_path / "new.tif"))
    assert states(batch) == before | {"new.tif": "· waiting"}
    assert batch.controls.retry.enabled


def test_why_the_button_is_grey_is_said(
    batch: BatchWidget, inputs: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    assert batch.controls.reason.value.startswith("Add images first")
    batch.add(str(inputs / "a.tif"))
    assert batch.controls.reason.value == "Choose the output folder."
    batch.controls.output.value = str(tmp_path / "out")
    assert batch.controls.reason.value == ""
    assert batch.controls.status.value == ""


def test_what_is_chosen_while_it_runs_is_said_afterwards_where_it_makes_the_button_grey(
    batch: BatchWidget, inputs: Path, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = gated(monkeypatch, 1)
    batch.add(str(inputs / "a.tif"))
    batch.controls.output.value = str(tmp_path / "out")
    click(qtbot, batch.controls.run)
    qtbot.waitUntil(lambda: states(batch)["a.tif"].startswith("▶"), timeout=60_000)
    batch.controls.place.value = "Scheduler"
    gate.set()
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    assert not batch.controls.run.enabled
    assert batch.controls.status.value.startswith("1 result in")
    assert (
        batch.controls.reason.value
        == "Give the address of the scheduler, or run it on this computer."
    )


def places(widget: QWidget) -> dict[str, QPoint]:
    """Where the buttons that can be seen are."""
    buttons = widget.findChildren(QPushButton)
    return {
        each.toolTip(): each.mapTo(widget, QPoint(0, 0)) for each in buttons if each.isVisible()
    }


def test_no_button_moves_and_none_changes_its_meaning_from_start_to_end(
    viewer: Viewer,
    batch: BatchWidget,
    inputs: Path,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer.window._qt_window.show()
    batch.controls.status.native.setText("")
    gate = gated(monkeypatch, 1)
    batch.add(str(inputs))
    batch.controls.output.value = str(tmp_path / "out")
    qtbot.wait(100)
    before = places(batch)
    assert len(before) >= 9
    click(qtbot, batch.controls.run)
    qtbot.waitUntil(lambda: states(batch).get("a.tif", "").startswith("▶"), timeout=60_000)
    qtbot.wait(100)
    assert places(batch) == before
    gate.set()
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    qtbot.wait(100)
    assert batch.controls.status.value.count("\n") >= 1
    assert places(batch) == before


def test_the_time_that_is_told_is_the_time_that_passed(
    batch: BatchWidget, inputs: Path, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = gated(monkeypatch, 1)
    batch.add(str(inputs / "a.tif"))
    batch.controls.output.value = str(tmp_path / "out")
    began = time.perf_counter()
    click(qtbot, batch.controls.run)
    qtbot.waitUntil(lambda: states(batch)["a.tif"].startswith("▶"), timeout=60_000)
    held = time.perf_counter()
    qtbot.wait(1500)
    held = time.perf_counter() - held
    gate.set()
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    passed = time.perf_counter() - began
    told = re.search(r"after ([\d.]+)\N{NO-BREAK SPACE}s\.", batch.controls.status.value)
    assert told, batch.controls.status.value
    assert held - 0.1 <= float(told[1]) <= passed + 0.1


def test_who_closes_the_window_is_told_in_words_what_is_running(
    viewer: Viewer,
    batch: BatchWidget,
    inputs: Path,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = gated(monkeypatch, 1)
    batch.add(str(inputs / "a.tif"))
    batch.controls.output.value = str(tmp_path / "out")
    click(qtbot, batch.controls.run)
    qtbot.waitUntil(lambda: states(batch)["a.tif"].startswith("▶"), timeout=60_000)
    words = "\n".join(viewer.window._task_status_manager.get_status())
    gate.set()
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    assert (
        "Executing the restoration of many images; what is done is kept and can be resumed" in words
    )
    assert " at 0x" not in words


@pytest.mark.skipif(os.name == "nt", reason="has locks of another kind")
def test_what_the_run_noticed_is_said_while_it_runs_and_after_it(
    batch: BatchWidget,
    inputs: Path,
    tmp_path: Path,
    press: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    batch.add(str(inputs / "a.tif"))
    batch.controls.output.value = str(tmp_path / "out")
    press()
    assert "1 result in" in batch.controls.status.value
    assert "without locks; see to it that no other batch" in batch.controls.status.value
    batch.controls.clear.native.click()
    assert "without locks" not in batch.controls.status.value


def test_a_long_reason_ends_in_dots_and_a_long_name_keeps_its_end(batch: BatchWidget) -> None:
    from qtpy.QtWidgets import QStyleOptionViewItem

    batch.files.offer(["a name of a file that is far too long for its column.tif"])
    option = QStyleOptionViewItem()
    index = batch.files.model().index(0, 1)
    batch.files.itemDelegateForColumn(1).initStyleOption(option, index)
    assert option.textElideMode == Qt.TextElideMode.ElideRight
    assert batch.files.textElideMode() == Qt.TextElideMode.ElideMiddle
    assert not batch.files.wordWrap()


@pytest.mark.parametrize(("binning", "shape"), [(2, (40, 48)), (3, (26, 32)), ("auto", (82, 96))])
def test_images_are_averaged_first_if_that_is_chosen(
    batch: BatchWidget,
    press: Callable[..., None],
    noise: Noise,
    tmp_path: Path,
    qtbot: QtBot,
    binning: int | str,
    shape: tuple[int, int],
) -> None:
    image = noise(41, 48)
    write_image(tmp_path / "a.tif", Micrograph(image, "YX"))
    batch.add(str(tmp_path / "a.tif"))
    batch.controls.output.value = str(tmp_path / "out")
    places = 4 if binning == "auto" else binning - 1
    for _ in range(places):
        qtbot.keyClick(batch.controls.average.native, Qt.Key.Key_Down)
    press()
    (path,) = (tmp_path / "out").glob("a*.tif")
    expected = restore(
        image, load_model("tiny-grey"), binning=1 if binning == "auto" else binning, device="cpu"
    )
    assert expected.shape == shape
    np.testing.assert_array_equal(read_image(path).data, expected)
