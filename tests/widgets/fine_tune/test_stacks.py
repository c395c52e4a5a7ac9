"""Focus stacks as what a model is learned from, by clicks and keys: a layer, a file, a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_mdeblurgan.storage import Micrograph, write_image
from napari_mdeblurgan.widgets.fine_tune.sources import STACKS
from napari_mdeblurgan.widgets.fine_tune.widget import RESULT_PAGE, FineTuneWidget
from tests.focus.test_stack import texture, two_halves

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

PATIENCE_MS = 240_000


@pytest.fixture(scope="module")
def planes() -> np.ndarray:
    return (two_halves(texture()).clip(0, 1) * 250).astype(np.uint8)


@pytest.fixture
def tuner(viewer: Viewer, qtbot: QtBot):
    """The widget, docked, with the source that the user chose by the keyboard."""
    widget = FineTuneWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Fine-tune")
    viewer.window._qt_window.show()
    qtbot.keyClicks(widget.pairs.sources.kind, "Focus")
    assert widget.pairs.sources.kind.currentIndex() == STACKS
    widget.pairs.sources.stacks.registered.setChecked(True)
    yield widget
    if widget._process is not None:
        widget._process.abandon()


def pressed(tuner: FineTuneWidget, qtbot: QtBot) -> list[str]:
    """Names in the table after **Register** was clicked."""
    qtbot.mouseClick(tuner.pairs.sources.register, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: tuner._registering is None, timeout=PATIENCE_MS)
    return [outcome.name for outcome in tuner.pairs.table.outcomes]


def test_from_a_layer_with_planes_to_a_model(
    viewer: Viewer, tuner: FineTuneWidget, planes: np.ndarray, qtbot: QtBot
):
    viewer.add_image(planes[0], name="flat")
    viewer.add_image(planes, name="pollen")
    stack = tuner.pairs.sources.stacks.stack
    assert [stack.itemText(row) for row in range(stack.count())] == ["pollen", "Files or a folder"]
    assert not tuner.pairs.sources.low_objective.isEnabled()
    assert pressed(tuner, qtbot) == [f"pollen, plane {number}" for number in range(1, 6)]
    assert len(tuner.pairs.table.used) == 5
    assert "clearly sharper in other planes" in tuner.pairs.remarks.text()
    assert not tuner.pairs.overlay.empty
    tuner.base.setCurrentIndex(tuner.base.findData("tiny-grey"))
    tuner.training.steps.setValue(2)
    tuner.training.batch.setValue(1)
    tuner.training.patch.setValue(24)
    qtbot.mouseClick(tuner.start_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(
        lambda: tuner.tabs.currentIndex() == RESULT_PAGE and not tuner.running, timeout=PATIENCE_MS
    )
    card = next(card for card in tuner._cards if card.name == "tiny-grey-tuned")
    assert "fine-tuned on the focus stack pollen (5 planes)" in card.trained_on


def test_files_and_a_folder_of_planes_are_typed(
    tuner: FineTuneWidget, planes: np.ndarray, tmp_path: Path, qtbot: QtBot
):
    write_image(tmp_path / "stack.ome.tif", Micrograph(planes[1:4], "ZYX"))
    (tmp_path / "slide").mkdir()
    for number, plane in enumerate(planes[:2]):
        write_image(tmp_path / "slide" / f"{number}.png", Micrograph(plane, "YX"))
    page = tuner.pairs.sources.stacks
    qtbot.keyClicks(page.paths, f"{tmp_path / 'stack.ome.tif'}; {tmp_path / 'slide'}")
    assert pressed(tuner, qtbot) == [
        *(f"stack, plane {number}" for number in (1, 2, 3)),
        *(f"slide, plane {number}" for number in (1, 2)),
    ]
    tuner._keep()
    again = FineTuneWidget(tuner._viewer)
    qtbot.addWidget(again)
    assert again.pairs.sources.kind.currentIndex() == STACKS
    assert again.pairs.sources.stacks.paths.text() == page.paths.text()
    assert again.pairs.sources.stacks.registered.isChecked()


def test_a_stack_through_time_is_told_and_nothing_is_registered(
    viewer: Viewer,
    tuner: FineTuneWidget,
    planes: np.ndarray,
    qtbot: QtBot,
    capsys: pytest.CaptureFixture[str],
):
    viewer.add_image(planes, name="film", axis_labels=("t", "y", "x"))
    assert pressed(tuner, qtbot) == []
    assert "through time, not through focus" in tuner.status.text()


def test_of_a_layer_with_time_the_stack_that_is_shown_is_taken(
    viewer: Viewer, tuner: FineTuneWidget, planes: np.ndarray, qtbot: QtBot
):
    viewer.add_image(np.stack([0 * planes, planes]), name="film of stacks")
    viewer.dims.set_point(0, 1)
    assert len(pressed(tuner, qtbot)) == 5
    assert len(tuner.pairs.table.used) == 5


def test_what_is_no_stack_is_named_and_said(
    tuner: FineTuneWidget, planes: np.ndarray, tmp_path: Path, qtbot: QtBot
):
    page = tuner.pairs.sources.stacks
    pressed(tuner, qtbot)
    assert "Choose a layer with planes, or files" in tuner.status.text()
    qtbot.keyClicks(page.paths, str(tmp_path / "gone.tif"))
    pressed(tuner, qtbot)
    assert "gone.tif does not exist" in tuner.status.text()
    write_image(tmp_path / "one.tif", Micrograph(planes[0], "YX"))
    page.paths.clear()
    qtbot.keyClicks(page.paths, str(tmp_path / "one.tif"))
    assert pressed(tuner, qtbot) == []
    assert "one.tif: This is a single plane" in tuner.status.text()
