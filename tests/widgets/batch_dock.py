"""The dock Batch with files of which one is bad, and the clicks on it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_mdeblurgan.storage import Micrograph, write_image
from napari_mdeblurgan.widgets.batch.widget import BatchWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]


@pytest.fixture
def batch(viewer: Viewer) -> Generator[BatchWidget, None, None]:
    widget = BatchWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Batch")
    widget.controls.grey_model.value, widget.controls.rgb_model.value = "tiny-grey", "tiny-colour"
    yield widget
    widget.cancel()


@pytest.fixture
def press(batch: BatchWidget, qtbot: QtBot) -> Callable[[str], None]:
    """Press the button of that name, and wait until the work has ended."""

    def act(button: str = "run") -> None:
        getattr(batch.controls, button).native.click()
        assert batch.running
        qtbot.waitUntil(lambda: not batch.running, timeout=60_000)

    return act


@pytest.fixture
def inputs(tmp_path: Path, noise: Noise) -> Path:
    """Three images, one of them damaged."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    write_image(folder / "a.tif", Micrograph(noise(), "YX"))
    write_image(folder / "c.tif", Micrograph(noise(24, 24, 3), "YXS"))
    (folder / "b.tif").write_bytes(b"this is no image")
    return folder


def states(batch: BatchWidget) -> dict[str, str]:
    return {Path(name).name: state for name, state in batch.files.states().items()}


def click(qtbot: QtBot, control: Any) -> None:
    """Press a button with the mouse, where it is on the screen."""
    control.native.window().show()
    assert control.native.isVisible()
    assert control.native.isEnabled()
    qtbot.mouseClick(control.native, Qt.MouseButton.LeftButton)
