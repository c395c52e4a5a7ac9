"""On a low screen, such as one of 1920 × 1080 at 200 %, what has come of a press on the button is
seen without scrolling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QWidget

from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    from tests.widgets.conftest import Gate

    Noise = Callable[..., np.ndarray]

SCREEN = 960, 535  # in Qt's pixels, less the frame of the window


def seen_in_full(widget: QWidget) -> bool:
    return widget.isVisible() and widget.visibleRegion().boundingRect() == widget.rect()


def top_of(widget: QWidget) -> int:
    return widget.mapToGlobal(QPoint(0, 0)).y()


def shown_low(viewer: Viewer, qtbot: QtBot) -> None:
    window = viewer.window._qt_window
    window.resize(*SCREEN)
    window.show()
    qtbot.wait(200)
    assert window.height() <= SCREEN[1]


def test_the_verdict_and_what_is_said_are_seen_after_a_run(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, qtbot: QtBot, wait_for_end: Callable
) -> None:
    shown_low(viewer, qtbot)
    viewer.add_image(noise(64, 64), name="nuclei")
    controls = widget.controls
    controls.trust.value = True
    qtbot.mouseClick(controls.run.native, Qt.MouseButton.LeftButton)
    wait_for_end()
    qtbot.waitUntil(lambda: bool(controls.headline.value))
    qtbot.wait(200)
    assert "was made in" in controls.status.value
    assert seen_in_full(controls.status.native)
    assert seen_in_full(controls.headline.native)


def test_why_nothing_can_be_done_is_seen(
    viewer: Viewer, widget: DeblurWidget, qtbot: QtBot
) -> None:
    shown_low(viewer, qtbot)
    assert not widget.controls.run.enabled
    assert "Open an image first" in widget.controls.status.value
    assert seen_in_full(widget.controls.status.native)


def test_nothing_moves_under_the_pointer_when_a_run_begins_and_is_cancelled(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    qtbot: QtBot,
    gate: Gate,
    wait_for_end: Callable,
) -> None:
    shown_low(viewer, qtbot)
    viewer.add_image(noise(64, 64), name="nuclei")
    controls = widget.controls
    qtbot.wait(200)
    below = controls.compare_by.native
    before = top_of(below)
    assert controls.time.native.isVisible()
    qtbot.mouseClick(controls.run.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: gate.begun > 0)
    qtbot.wait(200)
    assert seen_in_full(controls.cancel.native)
    assert controls.time.native.isHidden()
    assert top_of(below) == before
    qtbot.mouseClick(controls.cancel.native, Qt.MouseButton.LeftButton)
    gate.let_on(1)
    wait_for_end()
    qtbot.wait(200)
    assert controls.cancel.native.isVisible() is False
    assert top_of(below) == before
