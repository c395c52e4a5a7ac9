"""What people do with the Batch dock: drop files on it, judge the results, open the table, have a
folder watched.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDesktopServices, QDragEnterEvent, QDragLeaveEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QWidget

from napari_mdeblurgan.batch import Success, extent
from napari_mdeblurgan.batch.batch_table import PAGE
from napari_mdeblurgan.storage import Micrograph, write_image
from napari_mdeblurgan.storage.provenance import entries_of, read_provenance
from napari_mdeblurgan.trust.headline import headline_in
from napari_mdeblurgan.widgets.batch import gathering
from napari_mdeblurgan.widgets.batch.batch_controls import RowLabel
from napari_mdeblurgan.widgets.batch.file_list import HINT
from napari_mdeblurgan.widgets.batch.widget import BatchWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]

LEFT = Qt.MouseButton.LeftButton
ALL = Qt.DropAction.CopyAction | Qt.DropAction.MoveAction | Qt.DropAction.LinkAction


@pytest.fixture
def batch(viewer: Viewer) -> Generator[BatchWidget, None, None]:
    widget = BatchWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Batch")
    viewer.window._qt_window.show()
    widget.controls.grey_model.value, widget.controls.rgb_model.value = "tiny-grey", "tiny-colour"
    yield widget
    widget.cancel()


@pytest.fixture
def folder(tmp_path: Path, noise: Noise) -> Path:
    """Two images, one in a folder below."""
    path = tmp_path / "in"
    for name in ("b.tif", "day2/a.tif"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(path / name, Micrograph(noise(), "YX"))
    (path / "notes.txt").write_text("no image")
    return path


def drop(target: QWidget, *urls: QUrl | Path) -> QDropEvent:
    """Drag files from the desktop onto a widget, and let them fall in its middle."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(url)) if isinstance(url, Path) else url for url in urls])
    place = target.rect().center()
    none = Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(place, ALL, data, LEFT, none)
    QApplication.sendEvent(target, enter)
    event = QDropEvent(QPointF(place), ALL, data, LEFT, none)
    event.setAccepted(enter.isAccepted())
    if enter.isAccepted():
        QApplication.sendEvent(target, event)
    else:
        QApplication.sendEvent(target, QDragLeaveEvent())
    return event


def states(batch: BatchWidget) -> dict[str, str]:
    return {Path(name).name: state for name, state in batch.files.states().items()}


def listed(batch: BatchWidget, qtbot: QtBot) -> list[str]:
    """The names on the list once nothing is looked into any more."""
    qtbot.waitUntil(lambda: not batch.gathering.looking)
    return list(states(batch))


def click(qtbot: QtBot, control: Any) -> None:
    assert control.native.isVisible()
    assert control.native.isEnabled()
    box = control.native
    qtbot.mouseClick(box, LEFT, pos=QPoint(8, box.height() // 2))


def run(batch: BatchWidget, qtbot: QtBot) -> None:
    click(qtbot, batch.controls.run)
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)


@pytest.mark.parametrize("onto", ["list", "dock"])
def test_files_and_folders_are_dropped_and_a_folder_lists_its_files_at_once(
    batch: BatchWidget, folder: Path, tmp_path: Path, qtbot: QtBot, noise: Noise, onto: str
) -> None:
    write_image(tmp_path / "one.png", Micrograph(noise(24, 24, 3).astype(np.uint8), "YXS"))
    target = batch.files.viewport() if onto == "list" else batch
    event = drop(target, folder, tmp_path / "one.png")
    assert event.isAccepted()
    assert event.dropAction() == Qt.DropAction.CopyAction  # who moves would remove the images
    assert listed(batch, qtbot) == ["b.tif", "a.tif", "one.png"]
    assert batch.inputs == [str(folder), str(tmp_path / "one.png")]
    assert batch.controls.status.value == f"2 files in {folder}."


def test_results_in_the_output_folder_are_not_listed(
    batch: BatchWidget, folder: Path, qtbot: QtBot, noise: Noise
) -> None:
    batch.controls.output.value = str(folder / "sharp")
    drop(batch.files.viewport(), folder)
    assert listed(batch, qtbot) == ["b.tif", "a.tif"]
    run(batch, qtbot)
    assert len(list((folder / "sharp").rglob("*.ome.tif"))) == 2
    click(qtbot, batch.controls.clear)
    drop(batch.files.viewport(), folder)
    assert listed(batch, qtbot) == ["b.tif", "a.tif"]


def test_a_large_folder_is_listed_in_the_background_piece_by_piece(
    batch: BatchWidget, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "AT_ONCE", 40)
    large = tmp_path / "large"
    large.mkdir()
    for number in range(100):
        (large / f"{number:03}.tif").touch()
    sizes: list[int] = []
    insert = batch.files.insert_before
    monkeypatch.setattr(
        batch.files,
        "insert_before",
        lambda name, names: (sizes.append(len(names)), insert(name, names)),
    )
    drop(batch.files.viewport(), large)
    assert sizes == []  # nothing was waited for
    assert listed(batch, qtbot) == [f"{number:03}.tif" for number in range(100)]
    assert sizes == [40, 40, 20]


def test_a_folder_without_images_says_so(batch: BatchWidget, tmp_path: Path, qtbot: QtBot) -> None:
    (tmp_path / "empty").mkdir()
    drop(batch.files.viewport(), tmp_path / "empty")
    listed(batch, qtbot)
    assert states(batch) == {"empty": "· no image in it yet"}


def test_what_is_elsewhere_cannot_be_dropped(batch: BatchWidget) -> None:
    drop(batch.files.viewport(), QUrl("https://example.org/a.tif"))
    assert batch.inputs == []
    assert (
        batch.controls.status.value
        == "Only files and folders of this computer can be dropped here."
    )


def test_a_folder_that_is_dropped_on_output_is_the_output_folder(
    batch: BatchWidget, tmp_path: Path
) -> None:
    drop(batch.controls.output.native, tmp_path)
    assert batch.controls.output.value == str(tmp_path)
    assert batch.inputs == []


def test_nothing_can_be_dropped_while_it_runs(
    batch: BatchWidget, folder: Path, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(batch.files.viewport(), folder)
    batch.controls.output.value = str(tmp_path / "out")
    listed(batch, qtbot)
    click(qtbot, batch.controls.run)
    assert batch.running
    assert not drop(batch.files.viewport(), tmp_path).isAccepted()
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    assert batch.inputs == [str(folder)]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_an_empty_list_says_what_to_do_and_a_full_one_does_not(
    viewer: Viewer, batch: BatchWidget, folder: Path, qtbot: QtBot, theme: str
) -> None:
    viewer.theme = theme
    qtbot.wait(50)
    assert HINT == "Drop files or folders here."

    def drawn() -> int:
        picture = batch.files.viewport().grab().toImage()
        back = picture.pixelColor(2, 2).lightness()
        spots = (
            (x, y) for x in range(0, picture.width(), 2) for y in range(40, picture.height(), 2)
        )
        return sum(abs(picture.pixelColor(x, y).lightness() - back) > 40 for x, y in spots)

    empty = drawn()
    assert empty > 100
    batch.add(str(folder / "b.tif"))
    qtbot.wait(20)
    assert drawn() < empty / 10


def test_why_start_is_grey_is_said_right_below_it(
    batch: BatchWidget, folder: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    reason, button = batch.controls.reason, batch.controls.run.native
    assert not button.isEnabled()
    assert reason.value == "Add images first: drop files or folders here."
    assert reason.native.isVisible()
    below = (
        reason.native.mapTo(batch, QPoint(0, 0)).y()
        - button.mapTo(batch, QPoint(0, button.height())).y()
    )
    assert 0 <= below < 20
    drop(batch.files.viewport(), folder / "b.tif")
    assert reason.value == "Choose the output folder."
    batch.controls.output.value = str(tmp_path / "out")
    click(qtbot, batch.controls.watch)
    assert reason.value == "Add the folder that is to be watched, or untick Watch."
    drop(batch.files.viewport(), folder)
    assert reason.value == ""
    assert button.isEnabled()


def test_results_are_judged_and_the_table_opens_in_the_browser(
    viewer: Viewer,
    batch: BatchWidget,
    folder: Path,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()))
    (folder / "day2" / "a.tif").unlink()
    drop(batch.files.viewport(), folder)
    batch.controls.output.value = str(tmp_path / "out")
    assert not batch.controls.table.enabled
    click(qtbot, batch.controls.trust)
    run(batch, qtbot)
    (entry,) = entries_of(read_provenance(tmp_path / "out" / "b.ome.tif"))
    line = entry["trust"]["headline"]["text"]
    assert re.fullmatch(rf"[✓!✗] {re.escape(line)}", states(batch)["b.tif"])
    click(qtbot, batch.controls.table)
    assert opened == [str((tmp_path / "out" / PAGE).resolve())]
    before = states(batch)
    click(qtbot, batch.controls.clear)
    drop(batch.files.viewport(), folder)
    run(batch, qtbot)
    assert states(batch) == before
    (layer,) = viewer.open(tmp_path / "out" / "b.ome.tif", plugin="napari-mdeblurgan")
    kept = headline_in(layer.metadata["mdeblurgan"]["trust"])
    assert kept is not None
    assert kept.text == line


def test_how_long_a_batch_will_take_is_said_before_start_and_kept_from_run_to_run(
    viewer: Viewer,
    batch: BatchWidget,
    folder: Path,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def said(words: str, dock: BatchWidget = batch) -> None:
        qtbot.waitUntil(lambda: dock.controls.reason.value == words)

    drop(batch.files.viewport(), folder)
    batch.controls.output.value = str(tmp_path / "out")
    said("Time: known after the first run.")
    assert batch.controls.reason.native.isVisible()
    monkeypatch.setattr(Success, "seconds", property(lambda _: 30.0, lambda *_: None))
    run(batch, qtbot)
    said("All results are there already.")
    click(qtbot, batch.controls.overwrite)
    said("About 60 s on the CPU.")
    batch.controls.average.value = 2
    said("About 15 s on the CPU.")
    batch.controls.average.value = 1
    monkeypatch.setattr(extent, "LOOKED_AT", 1)
    batch.controls.output.value = str(tmp_path / "elsewhere")
    said("About 60 s on the CPU. (judged by 1 of 2 files)")
    click(qtbot, batch.controls.watch)
    said("")  # nobody knows how much will come
    click(qtbot, batch.controls.watch)
    batch.controls.place.value = "Worker processes"
    said("Time: known once it runs.")
    again = BatchWidget(viewer)
    again.controls.place.value = "This computer"
    again.add(str(folder / "b.tif"))
    said("About 30 s on the CPU.", again)


def test_trust_is_remembered_and_watch_is_not(
    viewer: Viewer, batch: BatchWidget, qtbot: QtBot
) -> None:
    click(qtbot, batch.controls.trust)
    click(qtbot, batch.controls.watch)
    again = BatchWidget(viewer).controls
    assert (again.trust.value, again.watch.value) == (True, False)
    click(qtbot, batch.controls.trust)
    assert not BatchWidget(viewer).controls.trust.value


def test_a_folder_is_watched_until_cancel(
    batch: BatchWidget,
    folder: Path,
    tmp_path: Path,
    qtbot: QtBot,
    noise: Noise,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_mdeblurgan.batch.watching.STILL_S", 0.1)
    monkeypatch.setattr("napari_mdeblurgan.batch.watching.LOOK_EVERY_S", 0.1)
    monkeypatch.setattr("napari_mdeblurgan.batch.watching.WATCH_HEARTBEAT_S", 0.05)
    drop(batch.files.viewport(), folder)
    batch.controls.output.value = str(tmp_path / "out")
    click(qtbot, batch.controls.watch)
    click(qtbot, batch.controls.run)
    waits = lambda count: batch.controls.status.value == f"Watching: {count} images done."  # noqa: E731
    qtbot.waitUntil(lambda: waits(2), timeout=60_000)
    write_image(tmp_path / "c.tif", Micrograph(noise(), "YX"))
    whole = (tmp_path / "c.tif").read_bytes()
    (folder / "c.tif").write_bytes(whole[:-50])
    still = "Watching: 2 images done; 1 file is still being written."
    qtbot.waitUntil(lambda: batch.controls.status.value == still, timeout=60_000)
    with (folder / "c.tif").open("ab") as file:
        file.write(whole[-50:])
    qtbot.waitUntil(lambda: waits(3), timeout=60_000)
    assert states(batch) == dict.fromkeys(("b.tif", "a.tif", "c.tif"), "✓ done")
    click(qtbot, batch.controls.cancel)
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    assert (
        batch.controls.status.value
        == f"Stopped watching: 3 results in {(tmp_path / 'out').resolve()}."
    )
    assert (tmp_path / "out" / PAGE).is_file()


def test_names_of_layers_are_whole_and_paths_of_files_are_shortened(batch: BatchWidget) -> None:
    batch.files.offer(["/in/plate/a.tif", "plate/A1/DAPI", "plate/A2/DAPI", "<b>x</b>"])
    rows = [batch.files.topLevelItem(number) for number in range(4)]
    shown = [row.text(0) for row in rows if row is not None]
    assert shown == ["a.tif", "plate/A1/DAPI", "plate/A2/DAPI", "<b>x</b>"]


def test_ten_thousand_files_are_listed_without_a_pause(batch: BatchWidget) -> None:
    names = [f"/in/{number:05}.tif" for number in range(10_000)]
    began = time.thread_time()
    batch.files.offer(names)
    batch.files.offer(names)
    for name in names:
        batch.files.tell(name, "done")
    assert time.thread_time() - began < 5  # a list that is searched for each name takes minutes
    assert batch.files.topLevelItemCount() == 10_000


@pytest.mark.parametrize("points", [10, 24])
def test_words_before_the_controls_are_whole_and_aligned_in_every_size_of_letters(
    batch: BatchWidget, qtbot: QtBot, points: int
) -> None:
    batch.setStyleSheet(f"* {{ font-size: {points}pt }}")
    batch.setMinimumWidth(700)
    qtbot.waitUntil(lambda: batch.width() >= 700)
    qtbot.wait(50)
    labels = [each for each in batch.findChildren(RowLabel) if each.isVisible()]
    assert len(labels) >= 6
    assert len({each.width() for each in labels}) == 1
    assert all(each.width() >= each.fontMetrics().horizontalAdvance(each.text()) for each in labels)
