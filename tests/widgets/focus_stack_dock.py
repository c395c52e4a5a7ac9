"""The dock Focus stack with a stack of two halves, and the clicks on it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QAbstractButton, QCheckBox

from napari_mdeblurgan.widgets.focus_stack import FocusStackWidget
from tests.focus.test_stack import texture, two_halves

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

EDGE = 128

PLACE = {
    "scale": (2.0, 0.5, 0.25),
    "translate": (10.0, 3.0, -4.0),
    "units": ("um", "um", "um"),
    "axis_labels": ("z", "y", "x"),
}


@pytest.fixture(scope="module")
def stack() -> np.ndarray:
    """(planes, y, x) uint8."""
    return (two_halves(texture(EDGE)).clip(0, 1) * 250).astype(np.uint8)


@pytest.fixture
def dock(viewer: Viewer) -> Generator[FocusStackWidget, None, None]:
    """The dock, which takes planes as they lie."""
    made = FocusStackWidget(viewer)
    made.register.setChecked(False)
    viewer.window.add_dock_widget(made, name="Focus stack")
    yield made
    made.stop()


@pytest.fixture
def press(qtbot: QtBot) -> Callable[[QAbstractButton], None]:
    """Click on a button that can be clicked on, of a box on its mark."""

    def click(button: QAbstractButton) -> None:
        assert button.isEnabled()
        middle = button.rect().center()
        at = QPoint(8, middle.y()) if isinstance(button, QCheckBox) else middle
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton, pos=at)

    return click


@pytest.fixture
def run(dock: FocusStackWidget, press: Callable[..., None], qtbot: QtBot) -> Callable[..., None]:
    """Click on **Focus stack**, or on another button, and wait for what comes of it."""

    def click_and_wait(button: QAbstractButton | None = None) -> None:
        press(button or dock.run)
        assert dock.running
        qtbot.waitUntil(lambda: not dock.running, timeout=120_000)

    return click_and_wait


def names(viewer: Viewer) -> list[str]:
    return [layer.name for layer in viewer.layers]
