"""The chooser of the Batch widget for files of several images, by real clicks and keys."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtWidgets import QFileDialog, QStyle, QStyleOptionViewItem

from napari_mdeblurgan.widgets.batch import which_images as several
from napari_mdeblurgan.widgets.batch.which_images import ImageChooser
from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from tests.several_images import plane, write_plate, write_series

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot
    from qtpy.QtWidgets import QTreeWidgetItem

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def batch(viewer: Viewer, tmp_path: Path) -> Generator[BatchWidget, None, None]:
    widget = BatchWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Batch")
    widget.controls.grey_model.value, widget.controls.rgb_model.value = "tiny-grey", "tiny-colour"
    widget.controls.output.value = str(tmp_path / "out")
    yield widget
    widget.cancel()


@pytest.fixture
def pick(
    batch: BatchWidget, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ImageChooser | None]:
    """Pick files, or one folder, and wait until it was looked into them; the window that opens, if
    one does.
    """

    def act(*paths: Path) -> ImageChooser | None:
        monkeypatch.setattr(
            QFileDialog, "getOpenFileNames", lambda *_: ([str(path) for path in paths], "")
        )
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(paths[0]))
        button = batch.controls.add_folder if paths[0].is_dir() else batch.controls.add_files
        qtbot.mouseClick(button.native, LEFT)
        qtbot.waitUntil(lambda: not batch.gathering.looking)
        qtbot.wait(50)
        return batch.gathering.chooser

    return act


def click_box(chooser: ImageChooser, row: QTreeWidgetItem, qtbot: QtBot) -> None:
    """Click on the box of a row."""
    tree, option = chooser.tree, QStyleOptionViewItem()
    tree.scrollToItem(row)
    option.rect = QRect(tree.visualItemRect(row))
    option.features |= QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator
    place: QPoint = (
        tree.style()
        .subElementRect(QStyle.SubElement.SE_ItemViewItemCheckIndicator, option, tree)
        .center()
    )
    qtbot.mouseClick(tree.viewport(), LEFT, pos=place)


def rows(chooser: ImageChooser) -> list[str]:
    return [row.text(0) for file in chooser._rows for row in file]


def test_files_of_one_image_ask_nothing(batch: BatchWidget, pick, tmp_path: Path) -> None:
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", plane(1))
    (tmp_path / "bad.tif").write_bytes(b"no image")
    assert pick(tmp_path / "a.tif", tmp_path / "bad.tif") is None
    assert len(batch.inputs) == 2


def test_only_the_ticked_images_of_a_file_are_restored(
    batch: BatchWidget, pick, tmp_path: Path, qtbot: QtBot
) -> None:
    chooser = pick(write_series(tmp_path / "a.ome.tif"))
    assert rows(chooser) == ["left", "middle", "right"]
    click_box(chooser, chooser._rows[0][1], qtbot)
    assert chooser.count.text() == "2 of 3 images ticked"
    qtbot.mouseClick(chooser.ticked, LEFT)
    assert not chooser.isVisible()
    assert [Path(name).name for name in batch.files.states()] == [
        "a.ome.tif [left]",
        "a.ome.tif [right]",
    ]
    qtbot.mouseClick(batch.controls.run.native, LEFT)
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.tif")) == [
        "a-left.ome.tif",
        "a-right.ome.tif",
    ]
    assert set(batch.files.states().values()) == {"✓ done"}


@pytest.mark.parametrize("way", ["button", "escape"])
def test_all_images_stay_on_the_list_where_none_are_chosen(
    batch: BatchWidget, pick, tmp_path: Path, qtbot: QtBot, way: str
) -> None:
    path = write_series(tmp_path / "a.ome.tif")
    chooser = pick(path)
    qtbot.mouseClick(chooser.none, LEFT)
    assert not chooser.ticked.isEnabled()
    if way == "button":
        qtbot.mouseClick(chooser.every, LEFT)
    else:
        qtbot.keyClick(chooser, Qt.Key.Key_Escape)
    assert not chooser.isVisible()
    assert batch.inputs == [str(path)]


def test_the_fields_of_one_well_are_ticked_by_a_part_of_their_names(
    batch: BatchWidget, pick, tmp_path: Path, qtbot: QtBot
) -> None:
    chooser = pick(write_plate(tmp_path / "plate.zarr"))
    assert rows(chooser) == ["A/1/0", "A/1/1", "B/2/0", "B/2/1"]
    qtbot.mouseClick(chooser.none, LEFT)
    qtbot.keyClicks(chooser.filter, "b/2")
    qtbot.mouseClick(chooser.all, LEFT)
    qtbot.mouseClick(chooser.ticked, LEFT)
    assert list(batch.files.states()) == [
        str(tmp_path / "plate.zarr" / name) for name in ("B/2/0", "B/2/1")
    ]
    assert batch.files.topLevelItem(0).text(0) == "plate.zarr/B/2/0"


def test_who_starts_before_the_files_were_looked_into_gets_all_images(
    batch: BatchWidget, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, look = threading.Event(), several.several_in

    def slowly(paths: tuple[str, ...]) -> object:
        looked.wait(20)
        return look(paths)

    monkeypatch.setattr("napari_mdeblurgan.widgets.batch.gathering.several_in", slowly)
    path = write_series(tmp_path / "a.ome.tif")
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(path)], ""))
    qtbot.mouseClick(batch.controls.add_files.native, LEFT)
    [worker] = batch.gathering.looking
    qtbot.mouseClick(batch.controls.run.native, LEFT)
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    looked.set()
    qtbot.waitUntil(lambda: not worker.is_running)
    qtbot.wait(50)
    assert batch.gathering.chooser is None
    assert len(list((tmp_path / "out").glob("*.tif"))) == 3
