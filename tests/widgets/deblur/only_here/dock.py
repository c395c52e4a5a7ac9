"""The dock Deblur + SR with shapes to restore, and the clicks on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]


def box(y0: float, y1: float, x0: float, x1: float) -> np.ndarray:
    """Corners of a rectangle."""
    return np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]], dtype=float)


@pytest.fixture
def press(qtbot: QtBot, widget: DeblurWidget, wait_for_end: Run) -> Run:
    """Click **Deblur + SR** and wait for the results."""

    def click() -> None:
        qtbot.mouseClick(widget.controls.run.native, Qt.MouseButton.LeftButton)
        assert widget.running, widget.controls.status.value
        wait_for_end()

    return click


@pytest.fixture
def choose(qtbot: QtBot, widget: DeblurWidget) -> Callable[[str], None]:
    """Choose an entry of **Only here** by typing its name."""

    def type_name(name: str) -> None:
        native = widget.only_here.box.native
        native.setFocus()
        qtbot.keyClick(native, Qt.Key.Key_Home)
        while native.currentText() != name:
            before = native.currentIndex()
            qtbot.keyClick(native, Qt.Key.Key_Down)
            assert native.currentIndex() != before, f"{name} is not offered"

    return type_name


def names(viewer: Viewer) -> list[str]:
    return [layer.name for layer in viewer.layers]


def whole_result(viewer: Viewer, choose: Callable[[str], None], press: Run, name: str) -> Image:
    choose("Whole image")
    press()
    return viewer.layers[name]
