"""Every control of every dock says what it is for, can be reached and left without a mouse, fits
the screen, and leaves the wheel and the keys of napari alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QScrollBar,
    QTabBar,
    QWidget,
)

from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.fine_tune import FineTuneWidget
from napari_mdeblurgan.widgets.focus_stack import FocusStackWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

KINDS = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QTabBar,
)
DOCKS: dict[str, tuple[Callable[..., Any], int]] = {  # each with how many controls it has at least
    "Deblur + SR": (DeblurWidget, 14),
    "Batch": (BatchWidget, 16),
    "Fine-tune": (FineTuneWidget, 26),
    "Focus stack": (FocusStackWidget, 13),
}


@pytest.fixture(params=DOCKS)
def dock(request: pytest.FixtureRequest, viewer: Viewer) -> QWidget:
    """A dock beside a stack, with as much to see as it can show."""
    viewer.add_image(np.zeros((2, 3, 16, 16), np.uint8), name="stack")
    made = DOCKS[request.param][0](viewer)
    if isinstance(made, DeblurWidget):
        made.results.to_disk.value = True
        made.controls.status.value = "A sentence that tells how far to trust it. " * 6
    viewer.window.add_dock_widget(made, name=request.param)
    native = made if isinstance(made, QWidget) else made.native
    native.setObjectName(request.param)
    return native


@pytest.fixture
def controls(dock: QWidget) -> list[QWidget]:
    """All that can be operated in a dock, hidden or not; parts of a control, such as a drop-down's
    list, are none.
    """
    found = [
        each
        for each in dock.findChildren(QWidget)
        if isinstance(each, KINDS) and not isinstance(each, QScrollBar) and not _is_part(each, dock)
    ]
    assert len(found) >= DOCKS[dock.objectName()][1]
    return found


def _is_part(widget: QWidget, dock: QWidget) -> bool:
    above = widget.parentWidget()
    while above is not None and above is not dock:
        if isinstance(above, KINDS):
            return True
        above = above.parentWidget()
    return False


def _named(widget: QWidget) -> str:
    return f"{type(widget).__name__} {getattr(widget, 'text', str)() or widget.objectName()!r}"


def _tells(widget: QWidget) -> bool:
    tips = (
        [widget.tabToolTip(tab) for tab in range(widget.count())]
        if isinstance(widget, QTabBar)
        else [widget.toolTip()]
    )
    return all(tip.strip() for tip in tips)


def _takes_tab(widget: QWidget) -> bool:
    parts = [widget, *widget.findChildren(QWidget)]
    return any(bool(part.focusPolicy() & Qt.FocusPolicy.TabFocus) for part in parts)


def test_every_control_has_a_tooltip(controls: list[QWidget]) -> None:
    assert [_named(each) for each in controls if not _tells(each)] == []


def test_every_control_has_a_name_for_screen_readers(
    dock: QWidget, controls: list[QWidget]
) -> None:
    labelled = {label.buddy() for label in dock.findChildren(QLabel)}
    nameless = [
        each
        for each in controls
        if not (each.accessibleName() or each in labelled or isinstance(each, QTabBar))
        and not (isinstance(each, QAbstractButton) and each.text())
    ]
    assert [_named(each) for each in nameless] == []
    for each in (part for one in controls for part in one.findChildren(QAbstractSlider)):
        assert each.accessibleName() or isinstance(each, QScrollBar)


def test_every_control_can_be_reached_by_the_tab_key(controls: list[QWidget]) -> None:
    assert [_named(each) for each in controls if not _takes_tab(each)] == []


@pytest.mark.usefixtures("styled")
def test_every_dock_fits_a_full_hd_screen_at_200_percent(dock: QWidget) -> None:
    assert (
        dock.minimumSizeHint().height() <= 540 - 70
    )  # less the menu, the title and the status bar
    assert dock.minimumSizeHint().width() <= 480


def test_the_tab_key_leads_out_of_every_table(controls: list[QWidget]) -> None:
    tables = [each for each in controls if isinstance(each, QAbstractItemView)]
    assert [_named(each) for each in tables if each.tabKeyNavigation()] == []


def _wheel_down(widget: QWidget) -> None:
    place = widget.rect().center()
    none = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase
    there = QPointF(place), QPointF(widget.mapToGlobal(place))
    event = QWheelEvent(*there, QPoint(0, 0), QPoint(0, -120), *none, False)
    QApplication.sendEvent(widget, event)


def _state(control: QWidget) -> Any:
    if isinstance(control, QComboBox | QTabBar):
        return control.currentIndex()
    return control.value()  # type: ignore[attr-defined]


def test_the_wheel_scrolls_a_dock_and_changes_nothing_in_it(
    viewer: Viewer, controls: list[QWidget], qtbot: QtBot
) -> None:
    viewer.window._qt_window.show()
    qtbot.wait(50)
    turned = [
        each
        for each in controls
        if isinstance(each, QAbstractSlider | QAbstractSpinBox | QComboBox | QTabBar)
    ]
    before = [_state(each) for each in turned]
    for each in turned:
        _wheel_down(each)
    assert [_state(each) for each in turned] == before
    assert any(isinstance(each, QComboBox) and each.count() > 1 for each in turned)


def test_keys_of_napari_act_while_a_drop_down_has_the_focus(
    viewer: Viewer, controls: list[QWidget], qtbot: QtBot
) -> None:
    viewer.window._qt_window.show()
    qtbot.wait(50)
    box = next(each for each in controls if isinstance(each, QComboBox))
    for shown in (True, False):
        qtbot.keyClick(box, Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier)
        assert viewer.canvas.grid.enabled is shown
