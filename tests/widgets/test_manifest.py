"""The manifest: what it names exists, and napari opens it from its menus and finds it in its
command palette.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from npe2 import PluginManifest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

import napari_mdeblurgan
from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.fine_tune import FineTuneWidget
from napari_mdeblurgan.widgets.focus_stack import FocusStackWidget
from napari_mdeblurgan.widgets.shared.docking import dock_of

if TYPE_CHECKING:
    from napari import Viewer
    from npe2._pytest_plugin import TestPluginManager
    from pytestqt.qtbot import QtBot
    from qtpy.QtGui import QAction
    from qtpy.QtWidgets import QMenu

MANIFEST = str(Path(napari_mdeblurgan.__file__).with_name("napari.yaml"))
WIDGET = "Deblur + SR (M-Deblurgan)"
BATCH = "Batch (M-Deblurgan)"
FOCUS = "Focus stack (M-Deblurgan)"


@pytest.fixture
def viewer(
    npe2pm: TestPluginManager, make_napari_viewer: Callable[..., Viewer]
) -> Generator[Viewer, None, None]:
    """A viewer that knows this plugin alone, installed or not."""
    viewer = make_napari_viewer()
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        yield viewer


def menu_action(menu: QMenu, *titles: str) -> QAction:
    """The action under `menu` that is reached by opening the menus called `titles` one after the
    other.
    """
    for title in titles:
        menu.aboutToShow.emit()
        action = next(a for a in menu.actions() if a.text().replace("&", "") == title)
        menu = action.menu()
    return action


def launch(viewer: Viewer, qtbot: QtBot, words: str) -> None:
    """Type `words` into the command palette and press Enter."""
    viewer.window._toggle_command_palette()
    line = viewer.window._qt_window._command_palette._line
    qtbot.keyClicks(line, words)
    qtbot.keyClick(line, Qt.Key.Key_Return)


def docked(viewer: Viewer) -> list[DeblurWidget]:
    return [
        widget for widget in viewer.window.dock_widgets.values() if isinstance(widget, DeblurWidget)
    ]


def test_everything_that_the_manifest_names_can_be_imported() -> None:
    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()


@pytest.mark.parametrize("menu", ["layers", "plugins"])
def test_widget_opens_from_the_menu(viewer: Viewer, menu: str) -> None:
    path = {"layers": ("Filter", WIDGET), "plugins": ("M-Deblurgan", WIDGET)}[menu]
    menu_action(getattr(viewer.window, f"{menu}_menu"), *path).trigger()
    (widget,) = docked(viewer)
    assert widget.controls.status.value.startswith("Open an image first")


@pytest.mark.parametrize("menu", ["file", "plugins"])
def test_batch_opens_from_the_menu(viewer: Viewer, menu: str) -> None:
    path = {"file": ("IO Utilities", BATCH), "plugins": ("M-Deblurgan", BATCH)}[menu]
    menu_action(getattr(viewer.window, f"{menu}_menu"), *path).trigger()
    assert any(isinstance(widget, BatchWidget) for widget in viewer.window.dock_widgets.values())


@pytest.mark.parametrize("menu", ["layers", "plugins"])
def test_focus_stack_opens_from_the_menu_and_takes_the_stack_that_is_there(
    viewer: Viewer, qtbot: QtBot, menu: str
) -> None:
    viewer.open_sample("napari-mdeblurgan", "smear_stack")
    path = {"layers": ("Project", FOCUS), "plugins": ("M-Deblurgan", FOCUS)}[menu]
    menu_action(getattr(viewer.window, f"{menu}_menu"), *path).trigger()
    (widget,) = (
        each for each in viewer.window.dock_widgets.values() if isinstance(each, FocusStackWidget)
    )
    assert widget.layers == (viewer.layers[0],)
    assert widget.run.isEnabled()
    viewer.window._qt_window.show()
    dock = dock_of(widget)
    qtbot.waitUntil(lambda: dock.windowTitle() == "Focus stack")  # as short as a tab wants it


@pytest.mark.parametrize("words", ["deblur", "sharpen", "super-resolution", "M-Deblurgan SR"])
def test_command_palette_finds_the_widget(viewer: Viewer, words: str) -> None:
    from napari._qt.widgets.qt_command_palette import QCommandPalette

    palette = QCommandPalette(viewer.window._qt_window)
    palette.update_context(viewer.window._qt_window)
    found = [command.title for command in palette._list.iter_top_hits(words)]
    assert WIDGET in found


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("deblur sr", DeblurWidget),
        ("sharpen", DeblurWidget),
        ("deblur batch", BatchWidget),
        ("fine-tune", FineTuneWidget),
        ("all in focus", FocusStackWidget),
        ("depth of field", FocusStackWidget),
    ],
)
def test_widget_is_launched_from_the_command_palette(
    viewer: Viewer, qtbot: QtBot, words: str, kind: type[QWidget]
) -> None:
    viewer.open_sample("napari-mdeblurgan", "fluorescence")
    launch(viewer, qtbot, words)
    (widget,) = (each for each in viewer.window.dock_widgets.values() if isinstance(each, kind))
    if isinstance(widget, DeblurWidget):
        assert widget.image == viewer.layers[0]
        assert widget.problem is None


def test_sample_is_opened_and_a_pair_registered_from_the_command_palette(
    viewer: Viewer, qtbot: QtBot
) -> None:
    launch(viewer, qtbot, "nuclei fluorescence")
    (low,) = viewer.layers
    assert low.name == "nuclei"
    launch(viewer, qtbot, "register pair")
    assert not viewer.window.dock_widgets  # a pair takes two layers
    viewer.window._qt_window._command_palette.hide()
    high = viewer.add_image(
        np.repeat(np.repeat(low.data, 2, axis=0), 2, axis=1), name="sharp", scale=(0.5, 0.5)
    )
    viewer.layers.selection = {low, high}
    launch(viewer, qtbot, "register pair")
    (widget,) = viewer.window.dock_widgets.values()
    assert isinstance(widget, FineTuneWidget)
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)


def test_a_pair_is_offered_in_the_menu_where_two_images_are_selected(viewer: Viewer) -> None:
    action = menu_action(
        viewer.window.layers_menu, "Register", "Register two layers as a pair (M-Deblurgan)"
    )
    assert not action.isEnabled()
    for _ in range(2):
        viewer.add_image(np.zeros((8, 8)))
    viewer.layers.select_all()
    menu_action(viewer.window.layers_menu, "Register")
    assert action.isEnabled()


def test_icon_is_shipped_and_only_where_napari_takes_it_for_a_file() -> None:
    manifest = PluginManifest.from_file(MANIFEST)
    package, _, file = str(manifest.icon).partition(":")
    with Image.open(str(files(package) / file)) as icon:
        assert icon.size == (256, 256)
    widgets = {widget.command for widget in manifest.contributions.widgets}
    assert {command.id for command in manifest.contributions.commands if command.icon} == widgets


@pytest.mark.parametrize(
    ("title", "ndim", "rgb"),
    [
        ("Leaf epidermis (brightfield, colour)", 2, True),
        ("Nuclei (fluorescence, grey)", 2, False),
        ("Smear, out of focus (brightfield, grey)", 2, False),
        ("Smear, focus stack (brightfield, grey)", 3, False),
    ],
)
def test_sample_opens_from_the_menu(viewer: Viewer, title: str, ndim: int, rgb: bool) -> None:
    menu_action(viewer.window.file_menu, "Open Sample", "M-Deblurgan", title).trigger()
    (layer,) = viewer.layers
    assert (layer.ndim, layer.rgb) == (ndim, rgb)
    assert "licence" in layer.metadata["attribution"]


def test_widget_works_on_a_sample_when_opened_by_the_menu(
    viewer: Viewer, qtbot: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Napari hands a plugin its viewer and layers wrapped; they must be taken for what they are."""
    viewer.open_sample("napari-mdeblurgan", "fluorescence")
    menu_action(viewer.window.layers_menu, "Filter", WIDGET).trigger()
    (widget,) = docked(viewer)
    assert widget.image == viewer.layers["nuclei"]
    monkeypatch.setattr("napari_mdeblurgan.widgets.deblur.orders.PREVIEW_PIXELS", 32 * 32)
    widget.controls.preview.native.click()
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)  # type: ignore[attr-defined]
    assert [layer.name for layer in viewer.layers] == ["nuclei", "nuclei [preview]"]
    assert viewer.layers[1].data.shape == (64, 64)
    widget.compare()
    assert not viewer.layers[1].visible
