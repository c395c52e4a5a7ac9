"""Clicks on Save."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    Save = Callable[..., str]
    Reopened = Callable[[Path], list[Any]]

FORMATS = pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr"])

RESULT = "nuclei [sharp ×2]"


def click(qtbot: QtBot, widget: DeblurWidget) -> None:
    qtbot.mouseClick(widget.controls.save.native, Qt.MouseButton.LeftButton)


@pytest.fixture
def result(viewer: Viewer, noise: Noise, run: Run) -> Image:
    viewer.add_image(noise(24, 32), name="nuclei")
    run()
    return viewer.layers[RESULT]
