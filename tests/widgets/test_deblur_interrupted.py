"""Cancelling, closing, failing, and layers that go or change while an image is being restored."""

from __future__ import annotations

import importlib
import itertools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_mdeblurgan import stopping
from napari_mdeblurgan.errors import OutOfMemory
from napari_mdeblurgan.stopping import look_up
from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]


def begin(qtbot: QtBot, viewer: Viewer, widget: DeblurWidget, gate: Any, noise: Noise) -> None:
    """Start on a new image and come to its third tile."""
    viewer.add_image(noise(), name="nuclei")
    widget.controls.run.native.click()
    gate.let_on(2)
    qtbot.waitUntil(lambda: gate.begun == 3)
    qtbot.waitUntil(lambda: widget.controls.progress.native.text().startswith("2 %"))


def test_progress_and_time_left_are_shown(
    viewer: Viewer,
    widget: DeblurWidget,
    gate: Any,
    qtbot: QtBot,
    wait_for_end: Callable[[], None],
    noise: Noise,
) -> None:
    begin(qtbot, viewer, widget, gate, noise)
    assert not widget.controls.working.native.isHidden()
    assert widget.controls.progress.native.text() == "2 % · about 49 s left"
    assert not widget.controls.run.enabled
    assert not widget.controls.preview.enabled
    gate.let_on(gate.TILES)
    wait_for_end()
    assert widget.controls.working.native.isHidden()
    assert widget.controls.run.enabled
    assert len(viewer.layers) == 2


def test_bar_moves_without_a_number_until_the_first_tile_is_done(
    viewer: Viewer, widget: DeblurWidget, gate: Any, qtbot: QtBot, noise: Noise
) -> None:
    viewer.add_image(noise(), name="nuclei")
    widget.controls.run.native.click()
    qtbot.waitUntil(lambda: widget.controls.status.value == "Restoring…")
    bar = widget.controls.progress.native
    assert (bar.minimum(), bar.maximum(), bar.text()) == (0, 0, "")
    gate.let_on(1)
    qtbot.waitUntil(lambda: bar.text().startswith("1 %"))


def test_cancel_acts_within_one_tile(
    viewer: Viewer,
    widget: DeblurWidget,
    gate: Any,
    qtbot: QtBot,
    wait_for_end: Callable[[], None],
    noise: Noise,
) -> None:
    begin(qtbot, viewer, widget, gate, noise)
    widget.controls.cancel.native.click()
    assert widget.controls.status.value == "Cancelling…"
    gate.let_on(1)
    wait_for_end()
    assert gate.begun == 3
    assert len(viewer.layers) == 1
    assert widget.controls.status.value == "Cancelled; nothing was added."
    assert widget.controls.run.enabled


def test_can_run_again_after_cancelling(
    viewer: Viewer,
    widget: DeblurWidget,
    gate: Any,
    qtbot: QtBot,
    wait_for_end: Callable[[], None],
    noise: Noise,
) -> None:
    begin(qtbot, viewer, widget, gate, noise)
    widget.controls.cancel.native.click()
    gate.let_on(1)
    wait_for_end()
    widget.controls.run.native.click()
    assert widget.controls.cancel.enabled
    gate.let_on(gate.TILES)
    wait_for_end()
    assert len(viewer.layers) == 2


def test_source_deleted_while_running(
    viewer: Viewer,
    widget: DeblurWidget,
    gate: Any,
    qtbot: QtBot,
    wait_for_end: Callable[[], None],
    noise: Noise,
) -> None:
    begin(qtbot, viewer, widget, gate, noise)
    viewer.layers.clear()
    gate.let_on(gate.TILES)
    wait_for_end()
    assert [layer.name for layer in viewer.layers] == ["nuclei [sharp ×2]"]


def test_source_changed_while_running_does_not_move_the_result(
    viewer: Viewer,
    widget: DeblurWidget,
    gate: Any,
    qtbot: QtBot,
    noise: Noise,
    wait_for_end: Callable[[], None],
) -> None:
    begin(qtbot, viewer, widget, gate, noise)
    source = viewer.layers["nuclei"]
    source.data, source.scale, source.name = noise(10, 10), (5, 5), "other"
    gate.let_on(gate.TILES)
    wait_for_end()
    result = viewer.layers[1]
    assert result.name == "nuclei [sharp ×2]"
    assert result.data.shape == (80, 96)
    assert tuple(result.scale) == (0.5, 0.5)


def test_the_result_looks_as_its_source_does_when_it_comes(
    viewer: Viewer,
    widget: DeblurWidget,
    gate: Any,
    qtbot: QtBot,
    noise: Noise,
    wait_for_end: Callable[[], None],
) -> None:
    begin(qtbot, viewer, widget, gate, noise)
    source = viewer.layers["nuclei"]
    source.contrast_limits, source.gamma, source.colormap = (20, 90), 0.5, "magma"
    source.blending = "opaque"
    gate.let_on(gate.TILES)
    wait_for_end()
    result = viewer.layers[1]
    assert tuple(result.contrast_limits) == (20, 90)
    assert (result.gamma, result.colormap.name, result.blending) == (0.5, "magma", "opaque")


def test_result_lands_above_its_source_and_leaves_the_selection(
    viewer: Viewer,
    widget: DeblurWidget,
    gate: Any,
    qtbot: QtBot,
    wait_for_end: Callable[[], None],
    noise: Noise,
) -> None:
    begin(qtbot, viewer, widget, gate, noise)
    labels = viewer.add_labels(np.zeros((8, 8), int), name="cells")
    gate.let_on(gate.TILES)
    wait_for_end()
    assert [layer.name for layer in viewer.layers] == ["nuclei", "nuclei [sharp ×2]", "cells"]
    assert viewer.layers.selection.active is labels


def test_closing_the_widget_cancels(
    viewer: Viewer, widget: DeblurWidget, gate: Any, qtbot: QtBot, noise: Noise
) -> None:
    begin(qtbot, viewer, widget, gate, noise)
    viewer.window.remove_dock_widget(widget.native)
    assert not widget.running
    gate.let_on(1)
    qtbot.waitUntil(lambda: gate.closed)
    qtbot.wait(50)
    assert gate.begun == 3
    assert len(viewer.layers) == 1


def test_closing_the_viewer_cancels(
    viewer: Viewer, widget: DeblurWidget, gate: Any, qtbot: QtBot, noise: Noise
) -> None:
    begin(qtbot, viewer, widget, gate, noise)
    viewer.close()
    gate.let_on(1)
    qtbot.waitUntil(lambda: gate.closed)
    qtbot.wait(50)
    assert gate.begun == 3


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OutOfMemory("Not even the smallest tile fits: choose the processor."),
            "Not even the smallest tile fits",
        ),
        (
            MemoryError(),
            "There is not enough memory for the result; close other programs, or restore a part "
            "of the image.",
        ),
        (
            RuntimeError("kernel 7"),
            "Restoring 'nuclei' failed unexpectedly (RuntimeError: kernel 7); see the log.",
        ),
    ],
)
def test_failure_is_told_in_one_sentence(
    viewer: Viewer,
    widget: DeblurWidget,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    sentence: str,
    noise: Noise,
    wait_for_end: Callable[[], None],
) -> None:
    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr("napari_mdeblurgan.restoration.engine.restore_steps", fail)
    viewer.add_image(noise(), name="nuclei")
    widget.controls.run.native.click()
    wait_for_end()
    assert sentence in widget.controls.status.value
    assert len(viewer.layers) == 1
    assert widget.controls.run.enabled


def test_image_that_cannot_be_restored_is_refused_in_a_sentence(
    viewer: Viewer, widget: DeblurWidget, wait_for_end: Callable[[], None]
) -> None:
    viewer.add_image(np.full((16, 16), np.nan), contrast_limits=(0, 1))
    widget.controls.run.native.click()
    wait_for_end()
    assert len(viewer.layers) == 1
    assert "NaN" in widget.controls.status.value


def test_masked_whole_numbers_are_refused_when_they_are_to_be_restored_and_not_before(
    viewer: Viewer, widget: DeblurWidget, wait_for_end: Callable[[], None]
) -> None:
    pixels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    layer = viewer.add_image(np.ma.masked_array(pixels, pixels > 250))
    assert widget.controls.image.value is layer
    widget.controls.run.native.click()
    wait_for_end()
    assert "pixels of the image are masked" in widget.controls.status.value
    viewer.layers.clear()  # which the dock looks at, too
    assert widget.controls.image.value is None


@pytest.mark.parametrize(
    ("where", "after", "box"),
    [("network.blocks", 10, ""), ("network.blocks", 60, "ensemble"), ("trust.mapped", 3, "trust")],
)
def test_in_the_middle_of_a_tile_the_bar_moves_and_a_click_on_cancel_ends_the_work(
    viewer: Viewer,
    widget: DeblurWidget,
    qtbot: QtBot,
    wait_for_end: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    noise: Noise,
    where: str,
    after: int,
    box: str,
) -> None:
    """There is one tile, and whatever comes after some layers, or some maps, never comes to an end
    by itself.
    """
    module, looked = importlib.import_module(f"napari_mdeblurgan.{where}"), itertools.count()
    stuck = threading.Event()

    def never_ending() -> None:
        while next(looked) >= after:
            stuck.set()
            look_up()
            time.sleep(0.01)

    monkeypatch.setattr(stopping, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(module, "look_up", never_ending)
    viewer.add_image(noise(), name="nuclei")
    if box:
        getattr(widget.controls, box).value = True
    bar = widget.controls.progress.native
    viewer.window.show()
    qtbot.mouseClick(widget.controls.run.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(stuck.is_set)
    qtbot.waitUntil(lambda: 0 < bar.value() < bar.maximum())
    assert widget.running
    qtbot.mouseClick(widget.controls.cancel.native, Qt.MouseButton.LeftButton)
    wait_for_end()
    assert [layer.name for layer in viewer.layers] == ["nuclei"]
    assert widget.controls.status.value == "Cancelled; nothing was added."
