"""The Batch widget as a user meets it, in a real viewer on a virtual screen."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from napari_mdeblurgan.widgets.batch.widget import BatchWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]


@pytest.fixture
def batch(viewer: Viewer) -> Generator[BatchWidget, None, None]:
    widget = BatchWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Batch")
    widget.controls.grey_model.value, widget.controls.rgb_model.value = "tiny-grey", "tiny-colour"
    yield widget
    widget.cancel()


@pytest.fixture
def press(batch: BatchWidget, qtbot: QtBot) -> Callable[[str], None]:
    """Press the button of that name, and wait until the work has ended."""

    def act(button: str = "run") -> None:
        getattr(batch.controls, button).native.click()
        assert batch.running
        qtbot.waitUntil(lambda: not batch.running, timeout=60_000)

    return act


@pytest.fixture
def inputs(tmp_path: Path, noise: Noise) -> Path:
    """Three images, one of them damaged."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    write_image(folder / "a.tif", Micrograph(noise(), "YX"))
    write_image(folder / "c.tif", Micrograph(noise(24, 24, 3), "YXS"))
    (folder / "b.tif").write_bytes(b"this is no image")
    return folder


def states(batch: BatchWidget) -> dict[str, str]:
    return {Path(name).name: state for name, state in batch.files.states().items()}


def test_nothing_can_be_started_without_images_and_an_output_folder(
    batch: BatchWidget, inputs: Path, tmp_path: Path
) -> None:
    assert not batch.controls.run.enabled
    batch.add(str(inputs / "a.tif"))
    assert not batch.controls.run.enabled
    batch.controls.output.value = str(tmp_path / "out")
    assert batch.controls.run.enabled
    batch.controls.clear.native.click()
    assert not batch.controls.run.enabled


def test_files_and_folders_are_picked_in_the_systems_dialogs(
    batch: BatchWidget, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(inputs / "a.tif")], ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(inputs))
    batch.controls.add_files.native.click()
    batch.controls.add_folder.native.click()
    batch.controls.choose.native.click()
    assert batch.inputs == [str(inputs / "a.tif"), str(inputs)]
    assert batch.controls.output.value == str(inputs)


def test_good_images_are_restored_and_the_bad_one_is_named_with_its_reason(
    batch: BatchWidget, inputs: Path, tmp_path: Path, noise: Noise, press: Callable[..., None]
) -> None:
    batch.add(str(inputs))
    batch.controls.output.value = str(tmp_path / "out")
    press()
    assert states(batch).keys() == {"a.tif", "b.tif", "c.tif"}
    assert states(batch)["a.tif"] == states(batch)["c.tif"] == "✓ done"
    assert states(batch)["b.tif"].startswith("✗ ")
    assert "b.tif" in states(batch)["b.tif"]
    summary, reason = batch.controls.status.value.split("\n")
    told = re.fullmatch(
        rf"2 results in {re.escape(str((tmp_path / 'out').resolve()))}, 1 failed, after (.+)\.",
        summary,
    )
    assert told, summary
    assert states(batch)["b.tif"] == f"✗ {reason}"
    result = read_image(tmp_path / "out" / "a.ome.tif").data
    np.testing.assert_array_equal(result, restore(noise(), load_model("tiny-grey")))
    assert batch.controls.retry.enabled
    assert batch.controls.open.enabled


def test_retry_does_only_what_failed(
    batch: BatchWidget, inputs: Path, tmp_path: Path, noise: Noise, press: Callable[..., None]
) -> None:
    batch.add(str(inputs))
    batch.controls.output.value = str(tmp_path / "out")
    press()
    write_image(inputs / "b.tif", Micrograph(noise(), "YX"))
    press("retry")
    assert states(batch) == dict.fromkeys(("a.tif", "b.tif", "c.tif"), "✓ done")
    assert not batch.controls.retry.enabled


def test_selected_layers_are_restored_with_their_pixel_sizes(
    viewer: Viewer, batch: BatchWidget, tmp_path: Path, noise: Noise, press: Callable[..., None]
) -> None:
    viewer.add_image(
        noise(2, 24, 24), name="stack", scale=(1, 0.5, 0.5), units="µm", axis_labels=("z", "y", "x")
    )
    viewer.add_image(noise(24, 24), name="other")
    viewer.layers.selection = {viewer.layers["stack"]}
    batch.controls.add_layers.native.click()
    batch.controls.output.value = str(tmp_path / "out")
    batch.controls.format.value = "ome-zarr"
    press()
    saved = read_image(tmp_path / "out" / "stack.ome.zarr")
    assert (saved.axes, saved.data.shape) == ("ZYX", (2, 48, 48))
    assert saved.pixel_size == {"Z": 1.0, "Y": 0.25, "X": 0.25}
    assert states(batch) == {"stack": "✓ done"}


def test_cancel_keeps_what_is_done_and_resume_does_the_rest(
    batch: BatchWidget,
    inputs: Path,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    noise: Noise,
) -> None:
    from napari_mdeblurgan.batch import run

    (inputs / "b.tif").unlink()
    make, gate, begun = run.make_here, threading.Event(), []

    def slow(items: list[Any], *arguments: Any) -> Any:
        for step in make(items, *arguments):
            yield step
            begun.append(step)
            if isinstance(step, run.Ended):
                assert gate.wait(60)

    monkeypatch.setattr(run, "make_here", slow)
    batch.add(str(inputs))
    batch.controls.output.value = str(tmp_path / "out")
    batch.controls.run.native.click()
    qtbot.waitUntil(lambda: states(batch).get("a.tif") == "✓ done", timeout=60_000)
    assert batch.controls.status.value == "1 of 2 images done."
    batch.controls.cancel.native.click()
    gate.set()
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    assert "kept" in batch.controls.status.value
    assert (tmp_path / "out" / "a.ome.tif").exists()
    assert not (tmp_path / "out" / "c.ome.tif").exists()
    assert batch.controls.run.text == "Resume"
    before = (tmp_path / "out" / "a.ome.tif").stat().st_mtime_ns
    batch.controls.run.native.click()
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    assert states(batch) == {"a.tif": "✓ done", "c.tif": "✓ done"}
    assert (tmp_path / "out" / "a.ome.tif").stat().st_mtime_ns == before


def test_what_cannot_begin_is_told_in_one_sentence(
    batch: BatchWidget, tmp_path: Path, press: Callable[..., None]
) -> None:
    batch.add(str(tmp_path / "missing.tif"))
    batch.controls.output.value = str(tmp_path / "out")
    press()
    assert batch.controls.status.value.endswith("missing.tif does not exist; check its name.")


def test_last_choices_come_back_the_next_time(
    viewer: Viewer, batch: BatchWidget, tmp_path: Path
) -> None:
    batch.controls.output.value = str(tmp_path)
    batch.controls.format.value = "ome-zarr"
    batch.controls.place.value = "Worker processes"
    batch.controls.workers.value = 1
    again = BatchWidget(viewer).controls
    assert (again.output.value, again.format.value, again.place.value) == (
        str(tmp_path),
        "ome-zarr",
        "Worker processes",
    )
    assert (again.workers.value, again.grey_model.value) == (1, "tiny-grey")


def test_every_control_has_a_tooltip(batch: BatchWidget) -> None:
    controls = batch.controls
    named = [getattr(controls, name) for name in type(controls).__slots__ if name != "status"]
    assert all(control.tooltip for control in named)


def test_opening_the_widget_does_not_import_torch() -> None:
    code = (
        "import sys, napari_mdeblurgan.widgets.batch.widget as w; w.list_models(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


def test_layers_are_added_one_after_another(
    viewer: Viewer, batch: BatchWidget, noise: Noise
) -> None:
    for name, shape in (("a", (24, 24)), ("b", (24, 24)), ("c", (30, 20))):
        viewer.add_image(noise(*shape), name=name)
        viewer.layers.selection = {viewer.layers[name]}
        batch.controls.add_layers.native.click()
    assert [each.name for each in batch.inputs] == ["a", "b", "c"]


def test_an_output_that_is_a_file_is_said(
    batch: BatchWidget, inputs: Path, tmp_path: Path, press: Callable[..., None]
) -> None:
    (tmp_path / "file").write_text("mine")
    batch.add(str(inputs))
    batch.controls.output.value = str(tmp_path / "file")
    press()
    assert batch.controls.status.value.endswith("file is a file; choose a folder for the results.")


def click(qtbot: QtBot, control: Any) -> None:
    """Press a button with the mouse, where it is on the screen."""
    control.native.window().show()
    assert control.native.isVisible()
    assert control.native.isEnabled()
    qtbot.mouseClick(control.native, Qt.MouseButton.LeftButton)


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
    assert told[2].isupper()


def test_a_result_in_the_way_is_called_by_its_name_in_the_output_folder(
    batch: BatchWidget, inputs: Path, tmp_path: Path, press: Callable[..., None]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.ome.tif").write_text("mine")
    batch.add(str(inputs / "a.tif"))
    batch.controls.output.value = str(tmp_path / "out")
    press()
    assert states(batch)["a.tif"].startswith("✗ a.ome.tif is there already")


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


def test_images_are_halved_first_if_that_is_ticked(
    batch: BatchWidget, press: Callable[..., None], noise: Noise, tmp_path: Path, qtbot: QtBot
) -> None:
    image = noise(41, 48)
    write_image(tmp_path / "a.tif", Micrograph(image, "YX"))
    batch.add(str(tmp_path / "a.tif"))
    batch.controls.output.value = str(tmp_path / "out")
    box = batch.controls.halve.native
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    press()
    (path,) = (tmp_path / "out").glob("a*.tif")
    expected = restore(image, load_model("tiny-grey"), binning=2, device="cpu")
    assert expected.shape == (40, 48)
    np.testing.assert_array_equal(read_image(path).data, expected)
