"""A dock beside other viewers, and in an installation that lacks what it needs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_mdeblurgan.storage import Micrograph, write_image
from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]


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
    qtbot.waitUntil(lambda: dock.controls.run.enabled, timeout=20_000)
    qtbot.waitUntil(lambda: not viewer.window._task_status_manager.is_busy(), timeout=20_000)
    other = make_napari_viewer()
    monkeypatch.setattr("napari._qt.qthreading.current_viewer", lambda: other)
    dock.controls.run.native.click()
    assert [each.window._task_status_manager.is_busy() for each in (viewer, other)] == [True, False]
    qtbot.waitUntil(lambda: not dock.running, timeout=60_000)
    assert not viewer.window._task_status_manager.is_busy()
    assert (tmp_path / "out" / "a.ome.tif").exists()


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
