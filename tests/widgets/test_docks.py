"""The docks of the plugin lie in one place as tabs, fit a small screen, and leave the docks of
others alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.qt import get_stylesheet
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QDockWidget,
    QLabel,
    QPushButton,
    QScrollArea,
    QTabBar,
    QTabWidget,
    QWidget,
)

from napari_mdeblurgan.model import Model, save_model
from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.fine_tune import FineTuneWidget
from napari_mdeblurgan.widgets.focus_stack import FocusStackWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

PLUGIN = "napari-mdeblurgan"
NAMES = ("Deblur + SR", "Batch", "Fine-tune", "Focus stack")
SCREEN = 1366, 768 - 40  # less the frame of the window
SMALLEST = 300  # pixels that a dock needs, so that it leaves room for the image


def dock(viewer: Viewer, name: str) -> QDockWidget:
    """The dock of a widget of the plugin, by the name that it has in the menu."""
    window = viewer.window._qt_window
    return next(
        each for each in window.findChildren(QDockWidget) if each.windowTitle().startswith(name)
    )


@pytest.fixture
def opened(viewer: Viewer, qtbot: QtBot) -> Viewer:
    """A viewer with a dock of somebody else's, and all of ours, opened as the menu does."""
    viewer.window._qt_window.show()
    viewer.window.add_dock_widget(QLabel("not ours"), name="Other")
    for name in NAMES:
        viewer.window.add_plugin_dock_widget(PLUGIN, name)
        qtbot.wait(100)
    return viewer


def test_they_are_tabs_of_one_place_and_the_newest_is_in_front(opened: Viewer) -> None:
    window = opened.window._qt_window
    docks = [dock(opened, name) for name in NAMES]
    assert set(window.tabifiedDockWidgets(docks[0])) == set(docks[1:])
    assert docks[-1].visibleRegion().isEmpty() is False
    assert docks[0].visibleRegion().isEmpty()


def click_on_tab(viewer: Viewer, qtbot: QtBot, name: str) -> None:
    """Bring a dock to the front as a user does."""
    bar = next(
        each
        for each in viewer.window._qt_window.findChildren(QTabBar)
        if each.count() == len(NAMES)
    )
    at = next(n for n in range(bar.count()) if bar.tabText(n).startswith(name))
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.tabRect(at).center())
    qtbot.waitUntil(lambda: not dock(viewer, name).visibleRegion().isEmpty())


def test_a_click_on_a_tab_shows_another(opened: Viewer, qtbot: QtBot) -> None:
    click_on_tab(opened, qtbot, "Batch")


def test_one_that_comes_to_the_front_offers_the_models_that_there_are_now(
    opened: Viewer,
    qtbot: QtBot,
    tiny_model: Callable[..., Model],
    models_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searches: list[object] = []
    monkeypatch.setattr("napari_mdeblurgan.widgets.shared.devices.find_devices", searches.append)
    batch = dock(opened, "Batch").findChild(BatchWidget)
    tiny, file = tiny_model(), models_folder / "meanwhile.safetensors"

    def seen_after_a_switch() -> bool:
        for name in ("Deblur + SR", "Batch"):
            click_on_tab(opened, qtbot, name)
        return "meanwhile" in batch.controls.grey_model.choices

    assert not seen_after_a_switch()
    save_model(tiny.network, tiny.card, file)
    assert seen_after_a_switch()
    file.unlink()
    assert not seen_after_a_switch()
    assert searches == []  # for devices it is looked once


def test_the_titles_on_the_tabs_can_be_read_in_full(opened: Viewer, qtbot: QtBot) -> None:
    bar = next(
        each
        for each in opened.window._qt_window.findChildren(QTabBar)
        if each.count() == len(NAMES)
    )
    qtbot.wait(50)
    assert {bar.tabText(n) for n in range(bar.count())} == set(NAMES)
    assert all(
        bar.tabRect(n).width() >= bar.fontMetrics().horizontalAdvance(bar.tabText(n))
        for n in range(bar.count())
    )


def test_a_closed_dock_can_be_opened_again(opened: Viewer, qtbot: QtBot) -> None:
    dock(opened, "Batch").destroyOnClose()
    qtbot.wait(50)
    assert not any(
        each.windowTitle() == "Batch"
        for each in opened.window._qt_window.findChildren(QDockWidget)
        if each.isVisible()
    )
    opened.window.add_plugin_dock_widget(PLUGIN, "Batch")
    qtbot.waitUntil(lambda: not dock(opened, "Batch").visibleRegion().isEmpty())


def test_the_dock_of_somebody_else_stays_as_it_was(opened: Viewer) -> None:
    window = opened.window._qt_window
    other = dock(opened, "Other")
    assert window.tabifiedDockWidgets(other) == []
    assert other.isVisible()


def test_one_that_the_user_has_put_elsewhere_stays_there(viewer: Viewer, qtbot: QtBot) -> None:
    window = viewer.window._qt_window
    window.show()
    viewer.window.add_plugin_dock_widget(PLUGIN, "Batch")
    qtbot.wait(50)
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock(viewer, "Batch"))
    viewer.window.add_plugin_dock_widget(PLUGIN, "Fine-tune")
    qtbot.wait(50)
    assert window.tabifiedDockWidgets(dock(viewer, "Fine-tune")) == []
    assert window.dockWidgetArea(dock(viewer, "Batch")) == Qt.DockWidgetArea.LeftDockWidgetArea
    viewer.window._qt_window.addDockWidget(
        Qt.DockWidgetArea.RightDockWidgetArea, dock(viewer, "Batch")
    )


def test_all_of_them_fit_a_screen_of_1366_by_768(viewer: Viewer, qtbot: QtBot) -> None:
    window = viewer.window._qt_window
    window.resize(*SCREEN)
    window.show()
    for name in NAMES:
        viewer.window.add_plugin_dock_widget(PLUGIN, name)
        qtbot.wait(100)
        assert (window.width(), window.height()) == SCREEN
    docks = [dock(viewer, name) for name in NAMES]
    qtbot.waitUntil(lambda: set(window.tabifiedDockWidgets(docks[0])) == set(docks[1:]))
    qtbot.waitUntil(lambda: window.minimumSizeHint().height() <= SCREEN[1])
    assert window.minimumSizeHint().width() <= SCREEN[0]


def crowded(viewer: Viewer, name: str) -> QWidget:
    """What is in a dock of ours, with long names and with all that can be folded out."""
    image = np.zeros((2, 16, 16), np.uint8)
    for what in ("low", "high"):
        viewer.add_image(
            image, name=f"the {what}-magnification images of a rather long series, section 12"
        )
    made = viewer.window.add_plugin_dock_widget(PLUGIN, name)[1]
    if isinstance(made, DeblurWidget):
        made.results.to_disk.value = True
        made.sharpness.group.fold.native.click()
        made.controls.compare.text = "Show before"
        return made.native
    if isinstance(made, FocusStackWidget):
        made.channel.addItem("Most detail")
        made.working.show()
        made.following.show()
    if isinstance(made, FineTuneWidget):
        made.training.advanced.click()
        made.pairs.overlay.show_array(np.zeros((32, 64, 3), np.uint8))
        made.training.preview.show_array(np.zeros((32, 256, 3), np.uint8))
    return made


def give_letters(viewer: Viewer, points: int) -> None:
    """Letters of this size, as one chooses them in napari's preferences."""
    sheet = get_stylesheet("dark", extra_variables={"font_size": f"{points}pt"})
    viewer.window._qt_window.setStyleSheet(sheet)


def _too_narrow(widget: QWidget, text: str) -> bool:
    return widget.fontMetrics().horizontalAdvance(text) > widget.width()


@pytest.mark.parametrize("points", [9, 15])
@pytest.mark.parametrize("name", NAMES)
def test_the_narrowest_dock_shows_all_its_width_in_any_size_of_letters(
    viewer: Viewer, qtbot: QtBot, name: str, points: int
) -> None:
    window = viewer.window._qt_window
    window.resize(*SCREEN)
    window.show()
    inside = crowded(viewer, name)
    qtbot.wait(100)
    give_letters(viewer, points)
    qtbot.wait(200)
    window.resizeDocks([dock(viewer, name)], [SMALLEST], Qt.Orientation.Horizontal)
    if points == 9:
        qtbot.waitUntil(lambda: dock(viewer, name).width() == SMALLEST)
    pages = inside.findChildren(QTabWidget)
    for page in range(pages[0].count() if pages else 1):
        if pages:
            pages[0].setCurrentIndex(page)
        qtbot.wait(100)
        areas = [each for each in inside.findChildren(QScrollArea) if each.isVisible()]
        assert all(each.verticalScrollBar().isVisible() for each in areas)  # with less room, too
        assert [each.horizontalScrollBar().maximum() for each in areas] == [0] * len(areas)
        buttons = [each for each in inside.findChildren(QPushButton) if each.isVisible()]
        fields = [each for each in inside.findChildren(QAbstractSpinBox) if each.isVisible()]
        narrow = [each.text() for each in buttons if _too_narrow(each, each.text())]
        narrow += [each.text() for each in fields if _too_narrow(each.lineEdit(), each.text())]
        assert buttons
        assert narrow == []
        assert all(each.widget().width() <= each.viewport().width() for each in areas)


@pytest.mark.parametrize("name", NAMES)
def test_a_dock_needs_no_more_room_than_before_when_large_letters_are_small_again(
    viewer: Viewer, qtbot: QtBot, name: str
) -> None:
    viewer.window._qt_window.show()
    inside = crowded(viewer, name)
    widths = []
    for points in (9, 18, 9):
        give_letters(viewer, points)
        qtbot.wait(200)
        widths.append(max(inside.minimumSizeHint().width(), inside.minimumWidth()))
    assert widths[0] == widths[2] == SMALLEST < widths[1]
