"""Keys on the canvas, pressed through Qt: napari's own go on acting beside every dock, and Alt+B
compares.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer

    Noise = Callable[..., np.ndarray]

PLUGIN, DEBLUR = "napari-mdeblurgan", "Deblur + SR"
DOCKS = (DEBLUR, "Fine-tune", "Batch", "Focus stack")
ALT = Qt.KeyboardModifier.AltModifier


def press(
    viewer: Viewer, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
) -> None:
    """Press and release a key while the canvas has the focus."""
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, key, modifier)
    QApplication.processEvents()


def check_napari_keys(viewer: Viewer) -> None:
    """Keys of the viewer, of the dimensions and of the layer that is chosen do what napari says
    they do.
    """
    image = viewer.layers["stack"]
    viewer.layers.selection.active = image
    for key, mode in ((Qt.Key.Key_2, "transform"), (Qt.Key.Key_1, "pan_zoom")):
        press(viewer, key)
        assert image.mode == mode
    before = viewer.dims.current_step[0]
    press(viewer, Qt.Key.Key_Right)
    assert viewer.dims.current_step[0] == before + 1
    press(viewer, Qt.Key.Key_Left)
    assert viewer.dims.current_step[0] == before
    shown = image.visible
    press(viewer, Qt.Key.Key_V)
    assert image.visible is not shown
    press(viewer, Qt.Key.Key_V)
    assert image.visible is shown


@pytest.mark.parametrize(
    "names", [*((name,) for name in DOCKS), DOCKS], ids=[*DOCKS, "all of them"]
)
def test_keys_of_napari_act_while_docks_are_open_hidden_and_closed(
    viewer: Viewer, noise: Noise, names: tuple[str, ...]
) -> None:
    viewer.add_image(noise(5, 24, 24), name="stack")
    viewer.dims.set_current_step(0, 2)
    check_napari_keys(viewer)
    docks = [viewer.window.add_plugin_dock_widget(PLUGIN, name)[0] for name in names]
    check_napari_keys(viewer)
    for dock in docks:
        dock.hide()
    check_napari_keys(viewer)
    for dock in docks:
        viewer.window.remove_dock_widget(dock)
        check_napari_keys(viewer)


def test_alt_b_on_the_canvas_compares(
    viewer: Viewer, noise: Noise, run: Callable[[], None]
) -> None:
    viewer.add_image(noise())
    run()
    assert viewer.layers[1].visible
    press(viewer, Qt.Key.Key_B, ALT)
    assert not viewer.layers[1].visible
    press(viewer, Qt.Key.Key_B, ALT)
    assert viewer.layers[1].visible


@pytest.fixture
def pressed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Who was asked to compare, by the key's owner or by a dock."""
    found: list[object] = []
    monkeypatch.setattr(DeblurWidget, "compare", lambda self: found.append(id(self)))
    return found


@pytest.mark.parametrize("closed_first", [0, 1])
def test_alt_b_asks_the_dock_that_is_left_of_two_and_then_its_owner(
    viewer: Viewer, pressed: list[object], closed_first: int
) -> None:
    viewer.bind_key("Alt-B", lambda _: pressed.append("owner"), overwrite=True)
    docks = [DeblurWidget(viewer), DeblurWidget(viewer)]
    for dock in docks:
        viewer.window.add_dock_widget(dock)
    for dock in (docks[closed_first], docks[1 - closed_first]):
        press(viewer, Qt.Key.Key_B, ALT)
        viewer.window.remove_dock_widget(dock.native)
    press(viewer, Qt.Key.Key_B, ALT)
    assert pressed == [id(docks[1]), id(docks[1 - closed_first]), "owner"]


@pytest.mark.parametrize(
    "before", [None, ..., lambda _: None], ids=["nothing", "a blocker", "a function"]
)
def test_what_alt_b_meant_before_is_put_back(viewer: Viewer, before: Any) -> None:
    viewer.bind_key("Alt-B", before, overwrite=True)
    keymap = dict(viewer.keymap)
    dock, _ = viewer.window.add_plugin_dock_widget(PLUGIN, DEBLUR)
    assert dict(viewer.keymap) != keymap
    viewer.window.remove_dock_widget(dock)
    assert dict(viewer.keymap) == keymap


def test_what_another_has_bound_to_alt_b_since_stays(viewer: Viewer, pressed: list[object]) -> None:
    dock, _ = viewer.window.add_plugin_dock_widget(PLUGIN, DEBLUR)
    viewer.bind_key("Alt-B", lambda _: pressed.append("other"), overwrite=True)
    viewer.window.remove_dock_widget(dock)
    press(viewer, Qt.Key.Key_B, ALT)
    assert pressed == ["other"]


def test_a_widget_that_is_gone_without_being_closed_gives_alt_b_back(viewer: Viewer) -> None:
    from napari_mdeblurgan.widgets.deblur.keys import bind_key

    class Owner:
        def act(self) -> None:
            raise AssertionError

    keymap, owner = dict(viewer.keymap), Owner()
    bind_key(viewer, "Alt-B", owner.act)
    del owner
    gc.collect()
    assert dict(viewer.keymap) == keymap
