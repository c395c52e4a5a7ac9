"""The keyboard stays with what starts and stops the work, though that is disabled by turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QWidget

from napari_mdeblurgan.storage import Micrograph, write_image
from napari_mdeblurgan.widgets.fine_tune.panel import FineTunePanel
from napari_mdeblurgan.widgets.fine_tune.remembered import RememberedTuning
from tests.widgets.batch_dock import batch
from tests.widgets.focus_stack_dock import dock, stack

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    from napari_mdeblurgan.widgets.batch.widget import BatchWidget
    from napari_mdeblurgan.widgets.deblur import DeblurWidget
    from napari_mdeblurgan.widgets.focus_stack import FocusStackWidget

    Noise = Callable[..., np.ndarray]

__all__ = ["batch", "dock", "stack"]  # fixtures


@pytest.fixture
def space(qtbot: QtBot) -> Callable[[QWidget], None]:
    """Go to a button with the keyboard and press it."""

    def press(button: QWidget) -> None:
        window = button.window()
        window.show()
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)
        button.setFocus()
        qtbot.keyClick(button, Qt.Key.Key_Space)

    return press


def at(widget: QWidget) -> bool:
    """Whether a control has the keyboard."""
    return QApplication.focusWidget() is widget


def test_deblur(
    viewer: Viewer,
    widget: DeblurWidget,
    gate: Any,
    noise: Noise,
    space: Callable[[QWidget], None],
    qtbot: QtBot,
    wait_for_end: Callable[[], None],
) -> None:
    controls = widget.controls
    viewer.add_image(noise(), name="nuclei")
    space(controls.run.native)
    assert widget.running
    assert at(controls.cancel.native)
    qtbot.waitUntil(lambda: gate.begun == 1)
    qtbot.keyClick(controls.cancel.native, Qt.Key.Key_Space)
    assert at(controls.progress.native)
    gate.let_on(gate.TILES)
    wait_for_end()
    assert at(controls.run.native)
    space(controls.run.native)
    controls.image.native.setFocus()  # where the user goes on
    gate.let_on(gate.TILES)
    wait_for_end()
    assert at(controls.image.native)


def test_batch(
    batch: BatchWidget, space: Callable[[QWidget], None], tmp_path: Path, noise: Noise, qtbot: QtBot
) -> None:
    write_image(tmp_path / "a.tif", Micrograph(noise(), "YX"))
    batch.add(str(tmp_path / "a.tif"))
    batch.controls.output.value = str(tmp_path / "out")
    space(batch.controls.run.native)
    assert batch.running
    assert at(batch.controls.cancel.native)
    qtbot.keyClick(batch.controls.cancel.native, Qt.Key.Key_Space)
    assert at(batch.controls.progress.native)
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    assert at(batch.controls.run.native)


def test_focus_stack(
    viewer: Viewer, dock: FocusStackWidget, space: Callable[[QWidget], None], stack: np.ndarray
) -> None:
    viewer.add_image(stack, name="moss")
    space(dock.run)
    assert dock.running
    assert at(dock.cancel)
    space(dock.cancel)
    assert not dock.running
    assert at(dock.run)


def test_fine_tune(viewer: Viewer, space: Callable[[QWidget], None]) -> None:
    panel = FineTunePanel(RememberedTuning())
    viewer.window.add_dock_widget(panel, name="panel")
    panel.bar.setVisible(True)
    space(panel.start_button)
    panel.show_working(running=True, ready=False)
    assert at(panel.stop_button)
    panel.show_stopping()
    assert at(panel.bar)
    panel.show_working(running=False, ready=True)
    assert at(panel.start_button)
