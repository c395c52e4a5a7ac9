"""What is clicked in a dock is chosen again in the next session; what is only for the image at hand
is not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]


def click(qtbot: QtBot, box: Any) -> None:
    """On the square of a check box."""
    qtbot.mouseClick(box.native, Qt.MouseButton.LeftButton, pos=QPoint(8, box.native.height() // 2))


@pytest.mark.parametrize("name", ["trust", "ensemble", "halve", "to_disk"])
def test_a_box_that_was_clicked_in_deblur_is_so_the_next_time(
    viewer: Viewer, widget: DeblurWidget, qtbot: QtBot, noise: Noise, name: str
) -> None:
    def box(dock: DeblurWidget) -> Any:
        return dock.results.to_disk if name == "to_disk" else getattr(dock.controls, name)

    viewer.add_image(noise())
    viewer.window.show()
    for _ in range(2):
        before = box(widget).value
        click(qtbot, box(widget))
        assert box(widget).value is not before
        assert box(DeblurWidget(viewer)).value is not before


def test_results_go_to_disk_again_after_an_image_that_had_to(
    viewer: Viewer,
    widget: DeblurWidget,
    qtbot: QtBot,
    noise: Noise,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What must be made on disk is no choice, and does not become one."""
    viewer.add_image(noise())
    with monkeypatch.context() as patch:
        patch.setattr("napari_mdeblurgan.widgets.runs.to_disk.DISK_SHARE", 0)
        patch.setattr("napari_mdeblurgan.widgets.deblur.orders.is_large", lambda *_: True)
        viewer.add_image(noise())
        assert widget.results.to_disk.value
        assert not widget.results.to_disk.enabled
    viewer.add_image(noise())
    assert not widget.results.to_disk.value
    assert not DeblurWidget(viewer).results.to_disk.value


def test_a_remembered_folder_is_looked_into_when_the_dock_is_opened(
    viewer: Viewer,
    qtbot: QtBot,
    noise: Noise,
    run: Callable[[], None],
    widget: DeblurWidget,
    cache_folder: Path,
) -> None:
    viewer.add_image(noise())
    widget.results.to_disk.value = True
    run()
    assert list(cache_folder.glob("*.ome.zarr"))
    again = DeblurWidget(viewer)
    viewer.window.add_dock_widget(again)
    viewer.window.show()
    qtbot.waitUntil(lambda: "1 result" in again.results.place.value)


def test_this_slice_only_is_for_the_stack_at_hand(
    viewer: Viewer, widget: DeblurWidget, qtbot: QtBot, noise: Noise
) -> None:
    viewer.add_image(noise(3, 16, 16), axis_labels=("z", "y", "x"))
    viewer.window.show()
    click(qtbot, widget.controls.this_slice)
    assert widget.controls.this_slice.value
    assert not DeblurWidget(viewer).controls.this_slice.value


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("same_pixels", True),
        ("trust", True),
        ("overwrite", False),
        ("watch", False),
    ],
)
def test_a_box_that_was_clicked_in_batch_is_so_the_next_time_unless_it_is_for_one_batch(
    viewer: Viewer, qtbot: QtBot, name: str, kept: bool
) -> None:
    batch = BatchWidget(viewer)
    viewer.window.add_dock_widget(batch)
    viewer.window.show()
    click(qtbot, getattr(batch.controls, name))
    assert getattr(batch.controls, name).value
    assert getattr(BatchWidget(viewer).controls, name).value is kept


def test_how_a_batch_averages_first_is_remembered(viewer: Viewer, qtbot: QtBot) -> None:
    batch = BatchWidget(viewer)
    viewer.window.add_dock_widget(batch)
    viewer.window.show()
    assert batch.controls.average.value == 1
    for _ in range(3):
        qtbot.keyClick(batch.controls.average.native, Qt.Key.Key_Down)
    assert batch.controls.average.value == 4
    assert BatchWidget(viewer).controls.average.value == 4
    qtbot.keyClick(batch.controls.average.native, Qt.Key.Key_Down)
    assert batch.controls.average.value == "auto"
    assert BatchWidget(viewer).controls.average.value == "auto"


def test_an_output_folder_that_nobody_can_look_into_does_not_keep_batch_from_opening(
    viewer: Viewer, tmp_path: Path
) -> None:
    nowhere = str(tmp_path / ("long " * 60))
    BatchWidget(viewer).controls.output.value = nowhere
    again = BatchWidget(viewer)
    assert again.controls.output.value == nowhere
    assert again.controls.run.text == "Start"
    assert not again.controls.open.enabled
