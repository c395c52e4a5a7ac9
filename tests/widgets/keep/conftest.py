"""A window whose viewer knows this plugin and napari's own, and what the file dialogs answer."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari_builtins
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

import napari_mdeblurgan
from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer
    from npe2._pytest_plugin import TestPluginManager
    from pytestqt.qtbot import QtBot

OURS = str(Path(napari_mdeblurgan.__file__).with_name("napari.yaml"))
NAPARIS = str(Path(napari_builtins.__file__).with_name("builtins.yaml"))
PLACE = ("scale", "translate", "rotate", "shear", "units", "axis_labels")
LOOK = ("name", "rgb", "contrast_limits", "blending", "opacity", "gamma", "visible")


@pytest.fixture(autouse=True)
def plugins(npe2pm: TestPluginManager) -> Generator[TestPluginManager, None, None]:
    """This plugin and napari's own, installed or not."""
    with npe2pm.tmp_plugin(manifest=NAPARIS), npe2pm.tmp_plugin(manifest=OURS):
        yield npe2pm


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``answer(path, filter)``: what the next dialogs for saving give back."""

    def give(path: Path | str, chosen: str = "") -> None:
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), chosen))

    return give


@pytest.fixture
def save(widget: DeblurWidget, qtbot: QtBot, answer: Callable[..., None]) -> Callable[..., str]:
    """``save(path, filter)``: click **Save result…**, give that answer, and wait; what the dock
    says then.
    """

    def click_and_wait(path: Path | str, chosen: str = "") -> str:
        answer(path, chosen)
        qtbot.mouseClick(widget.controls.save.native, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not widget.saver.saving)
        return widget.controls.status.value

    return click_and_wait


@pytest.fixture
def reopened(viewer: Viewer) -> Callable[[Path], list[Any]]:
    """``reopened(path)``: the layers of a file, opened by this plugin in a viewer that has no
    others any more.
    """

    def open_alone(path: Path) -> list[Any]:
        viewer.layers.clear()
        return viewer.open(path, plugin="napari-mdeblurgan")

    return open_alone


def told(layer: Layer) -> dict[str, Any]:
    """What a layer is, but for its pixels."""
    return {name: getattr(layer, name) for name in (*PLACE, *LOOK)}


def assert_same(layer: Image, again: Image) -> None:
    """Equal in pixels, type, place, unit, colours, names, in how it was made and in its verdict."""
    one = layer.data[0] if layer.multiscale else layer.data
    other = again.data[0] if again.multiscale else again.data
    np.testing.assert_array_equal(np.asarray(other), np.asarray(one))
    assert other.dtype == one.dtype
    for name, value in told(layer).items():
        assert np.all(np.asarray(getattr(again, name)) == np.asarray(value)), name
    if not layer.rgb:
        assert again.colormap == layer.colormap
    made, kept = layer.metadata["mdeblurgan"], again.metadata["mdeblurgan"]
    assert set(made) - set(kept) <= {"preview", "file"}
    for name in (
        "model",
        "sha256",
        "version",
        "source",
        "scale",
        "softness",
        "orientations",
        "trust",
    ):
        assert kept.get(name) == made.get(name), name
    assert [tuple(window) for window in kept["window"]] == made["window"]
