"""A dock beside other viewers, and in an installation that lacks what it needs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import napari_mdeblurgan.widgets
from napari_mdeblurgan.storage import Micrograph, write_image
from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]

WIDGETS = Path(napari_mdeblurgan.widgets.__file__).parent


def test_a_run_goes_on_when_another_viewer_that_was_used_since_is_closed(
    make_napari_viewer: Callable[..., Viewer],
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run,
    monkeypatch,
) -> None:
    viewer.add_image(noise())
    other = make_napari_viewer()
    monkeypatch.setattr("napari._qt.qthreading.current_viewer", lambda: other)
    closed: list[bool] = []

    def in_between(*words: object) -> None:
        if not closed:
            closed.append(other.window._task_status_manager.is_busy())
            other.window._task_status_manager.cancel_all()  # as napari does at closing

    widget._runner._on_step = in_between  # type: ignore[assignment]
    run()
    assert closed == [False]
    assert len(viewer.layers) == 2


def test_a_batch_is_told_by_its_own_window_and_by_no_other(
    make_napari_viewer: Callable[..., Viewer],
    viewer: Viewer,
    noise: Noise,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch,
) -> None:
    write_image(tmp_path / "a.tif", Micrograph(noise(), "YX"))
    dock = BatchWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Batch")
    dock.controls.grey_model.value, dock.controls.output.value = "tiny-grey", str(tmp_path / "out")
    dock.add(str(tmp_path / "a.tif"))
    qtbot.waitUntil(lambda: dock.controls.run.enabled)
    qtbot.waitUntil(lambda: not viewer.window._task_status_manager.is_busy())
    other = make_napari_viewer()
    monkeypatch.setattr("napari._qt.qthreading.current_viewer", lambda: other)
    dock.controls.run.native.click()
    assert [each.window._task_status_manager.is_busy() for each in (viewer, other)] == [True, False]
    qtbot.waitUntil(lambda: not dock.running, timeout=60_000)
    assert not viewer.window._task_status_manager.is_busy()
    assert (tmp_path / "out" / "a.ome.tif").exists()


def test_a_folder_is_listed_to_its_end_when_another_viewer_is_closed(
    make_napari_viewer: Callable[..., Viewer],
    viewer: Viewer,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch,
) -> None:
    shown = threading.Event()

    def slowly(folder: str, _: str) -> Generator[list[str], None, bool]:
        yield [f"{folder}/a.tif"]
        assert shown.wait(20)
        yield [f"{folder}/b.tif"]
        return True

    monkeypatch.setattr("napari_mdeblurgan.widgets.batch.gathering.files_in", slowly)
    dock = BatchWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Batch")
    other = make_napari_viewer()
    monkeypatch.setattr("napari._qt.qthreading.current_viewer", lambda: other)
    dock.gathering.take_dropped([str(tmp_path)])
    qtbot.waitUntil(lambda: f"{tmp_path}/a.tif" in dock.files.states())
    assert not other.window._task_status_manager.is_busy()
    other.window._task_status_manager.cancel_all()  # as napari does at closing
    shown.set()
    names = [str(tmp_path / "a.tif"), str(tmp_path / "b.tif")]
    qtbot.waitUntil(lambda: list(dock.files.states()) == names)


def test_all_workers_of_the_widgets_are_told_by_their_own_window() -> None:
    places = [
        path.relative_to(WIDGETS).as_posix()
        for path in WIDGETS.rglob("*.py")
        if "create_worker(" in path.read_text(encoding="utf-8")
    ]
    assert places == ["shared/closing.py"]


def test_without_torch_the_dock_says_so(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run, monkeypatch
) -> None:
    viewer.add_image(noise())
    monkeypatch.setitem(sys.modules, "torch", None)
    run()
    assert widget.controls.status.value == (
        "PyTorch, which the models run on, is not installed; install it with `pip install torch`, "
        "and start anew."
    )
    assert len(viewer.layers) == 1
