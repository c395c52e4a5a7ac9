"""A shown window with sources and results of even brightness, so that a pixel of the canvas tells
which of them it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

BEFORE, AFTER = 60, 200
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def pair(viewer: Viewer) -> Callable[..., tuple[Image, Image]]:
    """``pair(name, **look)``: a source, and right above it what tells of itself
    to be its result.
    """

    def add(name: str, **look: Any) -> tuple[Image, Image]:
        look = {"contrast_limits": (0, 255), **look}
        made = {"source": name, "preview": False, "scale": 2, "model": "tiny-grey"}
        source = viewer.add_image(
            np.full((40, 60), BEFORE, np.uint8), name=name, scale=(2, 2), **look
        )
        pixels = np.full((80, 120), AFTER, np.uint8)
        place = {"scale": (1, 1), "translate": (-0.5, -0.5)}
        return source, viewer.add_image(
            pixels, name=f"{name} [sharp ×2]", metadata={"mdeblurgan": made}, **place, **look
        )

    return add


@pytest.fixture
def docked(viewer: Viewer) -> Generator[Callable[[], DeblurWidget], None, None]:
    """``docked()``: show the window, and the widget in it, which takes up the results that there
    are.
    """
    made: list[DeblurWidget] = []

    def dock() -> DeblurWidget:
        viewer.window._qt_window.resize(1000, 700)
        viewer.window._qt_window.show()
        widget = DeblurWidget(viewer)
        viewer.window.add_dock_widget(widget, name="Deblur + SR")
        made.append(widget)
        QApplication.processEvents()
        viewer.fit_to_view()
        return widget

    yield dock
    for widget in made:
        widget.cancel()


def choose(widget: DeblurWidget, way: str) -> None:
    """Choose how to compare, by the keys of the drop-down."""
    box = widget.controls.compare_by.native
    QTest.keyClick(box, Qt.Key.Key_Home)
    for _ in range(box.findText(way)):
        QTest.keyClick(box, Qt.Key.Key_Down)
    QApplication.processEvents()
    assert box.currentText() == way


def press(button: Any) -> None:
    """Click a button of magicgui."""
    QTest.mouseClick(button.native, LEFT)
    QApplication.processEvents()


def drag(widget: Any, start: QPoint, by: int) -> None:
    """Press the left button on a Qt widget, move it sideways, and let it go."""
    QTest.mousePress(widget, LEFT, pos=start)
    place = widget.mapToGlobal(start)
    for part in (by // 2, by):
        QTest.mouseMove(widget, widget.mapFromGlobal(place + QPoint(part, 0)))
        QApplication.processEvents()
    QTest.mouseRelease(widget, LEFT, pos=widget.mapFromGlobal(place + QPoint(by, 0)))
    QApplication.processEvents()


def row(viewer: Viewer) -> np.ndarray:
    """The colours of the canvas along its middle line, (x, 3)."""
    QApplication.processEvents()
    picture = viewer.window.screenshot(canvas_only=True, flash=False, size=None)
    return picture[picture.shape[0] // 2, :, :3].astype(int)
