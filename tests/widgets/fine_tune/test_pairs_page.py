"""Pairs by clicks in a window: which image is which, swapped, cancelled, enlarged, counted; and
Resume.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QLabel, QLineEdit

from napari_mdeblurgan.fine_tuning.folder import begin
from napari_mdeblurgan.fine_tuning.pairs import tuning_pairs
from napari_mdeblurgan.fine_tuning.settings import FineTuneSettings
from napari_mdeblurgan.pairs import Outcome
from napari_mdeblurgan.storage import Micrograph, write_image
from napari_mdeblurgan.widgets.fine_tune import FineTuneWidget
from napari_mdeblurgan.widgets.fine_tune.registering import micrograph_of
from tests.fine_tuning.conftest import make_pair
from tests.widgets.fine_tune.test_flow import PATIENCE_MS, scene
from tests.widgets.test_batch_dock import drop

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    from napari_mdeblurgan.widgets.fine_tune.picture import Picture


@pytest.fixture
def tuner(viewer: Viewer) -> FineTuneWidget:
    widget = FineTuneWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Fine-tune")
    widget.base.setCurrentIndex(widget.base.findData("tiny-grey"))
    viewer.window._qt_window.show()
    return widget


def click(qtbot: QtBot, button: QAbstractButton) -> None:
    """Click on a button that is there and can be clicked on."""
    assert button.isVisible()
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def wait(qtbot: QtBot, tuner: FineTuneWidget) -> None:
    qtbot.waitUntil(lambda: tuner._registering is None, timeout=PATIENCE_MS)


def write_folders(folder: Path, *pairs: tuple[np.ndarray, np.ndarray]) -> None:
    """Two folders, x5 and x10, with a file of each pair."""
    for side, name in enumerate(("x5", "x10")):
        (folder / name).mkdir()
        for number, pair in enumerate(pairs, 1):
            write_image(folder / name / f"field {number} {name}.tif", Micrograph(pair[side], "YX"))


def choose_folders(tuner: FineTuneWidget, low: Path, high: Path) -> None:
    sources = tuner.pairs.sources
    sources.kind.setCurrentIndex(1)
    sources.low_folder.setText(str(low))
    sources.high_folder.setText(str(high))


def test_what_is_dropped_on_a_path_stands_there_as_a_path(
    tuner: FineTuneWidget, tmp_path: Path
) -> None:
    sources = tuner.pairs.sources
    folder = tmp_path / "50 % #1 é"
    folder.mkdir()
    for edit in (sources.low_folder, sources.high_folder, sources.table):
        edit.setText("what stood there")
        assert drop(edit.findChild(QLineEdit), folder).isAccepted()
        assert edit.path == folder
    drop(sources.stacks.paths, folder, tmp_path / "b.tif")
    sources.kind.setCurrentIndex(3)
    assert sources.source.stack.paths == (folder, tmp_path / "b.tif")


def test_it_is_said_which_image_is_which_at_the_choosers_in_the_table_and_at_the_pictures(
    viewer: Viewer, tuner: FineTuneWidget, qtbot: QtBot
) -> None:
    sources = tuner.pairs.sources
    for box in (sources.low, sources.low_folder, sources.high, sources.high_folder):
        label = box.parentWidget().layout().labelForField(box)
        assert label.text() == (
            "Low: blurred" if box in (sources.low, sources.low_folder) else "High: sharp"
        )
    assert (sources.low_objective.text(), sources.high_objective.text()) == (
        "low ×5.0",
        "high ×10.0",
    )
    low, high = scene()
    viewer.add_image(low, name="leaf x5")
    viewer.add_image(high, name="leaf x10")
    click(qtbot, sources.register)
    wait(qtbot, tuner)
    assert tuner.pairs.table.item(0, 1).text() == "blurred: leaf x5\nsharp: leaf x10"
    captions = []
    for kind in range(tuner.pairs.overlay_kind.count()):
        tuner.pairs.overlay_kind.setCurrentIndex(kind)
        assert tuner.pairs.caption.isVisible()
        captions.append(tuner.pairs.caption.text())
    assert captions == [
        "Magenta: low (blurred) leaf x5. Green: high (sharp) leaf x10. Grey: they fit.",
        "Squares in turn. The first, top left: low (blurred) leaf x5. Then: high (sharp) leaf x10.",
        "Left: low (blurred) leaf x5. Right: high (sharp) leaf x10.",
    ]


def test_swap_exchanges_two_layers_and_registers_them_anew(
    viewer: Viewer, tuner: FineTuneWidget, qtbot: QtBot
) -> None:
    low, high = scene()
    viewer.add_image(high, name="x10")
    viewer.add_image(low, name="x5")
    click(qtbot, tuner.pairs.sources.register)
    wait(qtbot, tuner)
    assert "swapped" in tuner.pairs.remarks.text()
    assert tuner.pairs.remarks.isVisible()
    assert not tuner.pairs.swap_all_button.isVisible()
    click(qtbot, tuner.pairs.swap_button)
    wait(qtbot, tuner)
    (outcome,) = tuner.pairs.table.outcomes
    assert outcome.name == "x5 + x10"
    assert outcome.accepted, outcome.problems
    assert (tuner.pairs.sources.low.currentText(), tuner.pairs.sources.high.currentText()) == (
        "x5",
        "x10",
    )
    assert not tuner.pairs.swap_button.isVisible()
    assert tuner.status.text() == "Registered 1 of 1."
    assert tuner.start_button.isEnabled()


def test_planes_of_the_same_layers_are_pairs_of_their_own(
    viewer: Viewer, tuner: FineTuneWidget, qtbot: QtBot
) -> None:
    low, high = (np.stack(planes) for planes in zip(scene(0), scene(1), strict=True))
    viewer.add_image(high, name="x10")
    viewer.add_image(low, name="x5")
    viewer.dims.set_current_step(0, 0)
    click(qtbot, tuner.pairs.sources.register)
    wait(qtbot, tuner)
    click(qtbot, tuner.pairs.swap_button)
    wait(qtbot, tuner)
    viewer.dims.set_current_step(0, 1)
    click(qtbot, tuner.pairs.sources.register)  # the two layers are the other way round by now
    wait(qtbot, tuner)
    table = tuner.pairs.table
    assert [each.name for each in table.outcomes] == ["x5 [0] + x10 [0]", "x5 [1] + x10 [1]"]
    assert [each.accepted for each in table.outcomes] == [True, True]
    assert table.item(1, 1).text() == "blurred: x5 [1]\nsharp: x10 [1]"


def test_a_long_name_does_not_widen_the_dock(tuner: FineTuneWidget) -> None:
    width = tuner.minimumSizeHint().width()
    for label in (tuner.status, tuner.pairs.remarks, tuner.pairs.caption, tuner.result.details):
        label.setText(f"/home/ada/{'20240301_HeLa_mCherry' * 12}.tif is no image; save it again.")
        label.setVisible(True)
    assert tuner.minimumSizeHint().width() == width


def test_a_name_that_is_taken_is_refused_with_one_that_is_free(
    tuner: FineTuneWidget, qtbot: QtBot
) -> None:
    tuner.pairs.table.add(Outcome("a", make_pair()))
    begin(
        FineTuneSettings(base="tiny-grey", name="leaves"), tuning_pairs([make_pair()], tuner.card)
    )
    for name, said in (
        ("tiny-grey", "The name tiny-grey is taken: call the new model tiny-grey-3."),
        (
            "leaves",
            "leaves was begun before: press Resume to go on with it, or call the new model "
            "leaves-2.",
        ),
    ):
        tuner.name.clear()
        qtbot.keyClicks(tuner.name, name)
        click(qtbot, tuner.start_button)
        assert tuner.status.text() == said
        assert not tuner.running


def test_what_nobody_expected_when_it_starts_is_said_and_no_more(
    tuner: FineTuneWidget, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr("napari_mdeblurgan.fine_tuning.pairs.tuning_pairs", broken)
    tuner.pairs.table.add(Outcome("a", make_pair()))
    with qtbot.captureExceptions() as raised:
        click(qtbot, tuner.start_button)
        qtbot.waitUntil(lambda: not tuner.running)
        qtbot.wait(50)
    assert tuner.status.text().startswith(
        "The start of the fine-tuning failed unexpectedly (ValueError: a fault)"
    )
    assert raised == []
    assert tuner.start_button.isEnabled()


def test_files_of_the_same_names_in_other_folders_are_pairs_of_their_own(
    tuner: FineTuneWidget, tmp_path: Path, qtbot: QtBot
) -> None:
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        write_folders(tmp_path / day, scene())
    for day in ("monday", "tuesday", "monday"):
        choose_folders(tuner, tmp_path / day / "x5", tmp_path / day / "x10")
        click(qtbot, tuner.pairs.sources.register)
        wait(qtbot, tuner)
    names = {pair.name: pair for pair in tuner.pairs.table.used}
    assert sorted(names) == ["field 1", "field 1 (2)"]
    folders = [given.pair.low.parent.parent.name for given in tuner.pairs.table.given]
    assert folders == ["tuesday", "monday"]


def test_a_folder_or_table_that_is_none_is_named(tuner: FineTuneWidget, tmp_path: Path) -> None:
    choose_folders(tuner, tmp_path, tmp_path / "gone")
    assert tuner.pairs.sources.problem == (
        f"{tmp_path / 'gone'} does not exist: choose the folder of the high-magnification images."
    )
    file = tmp_path / "field.tif"
    file.write_bytes(b"")
    choose_folders(tuner, file, tmp_path)
    assert tuner.pairs.sources.problem == (
        f"{file} is a file: choose the folder of the low-magnification images."
    )
    tuner.pairs.sources.kind.setCurrentIndex(2)
    assert tuner.pairs.sources.problem == "Choose a table of pairs."
    tuner.pairs.sources.table.setText(str(tmp_path))
    assert tuner.pairs.sources.problem == (f"{tmp_path} is a folder: choose a table of pairs.")


def test_swap_all_exchanges_the_pairs_of_two_folders_in_their_rows(
    tuner: FineTuneWidget, tmp_path: Path, qtbot: QtBot
) -> None:
    sized = [
        Micrograph(image, "YX", {"Y": size, "X": size}, "µm")
        for image, size in zip(scene(), (1, 0.5), strict=True)
    ]
    for side, image in zip(("x5", "x10"), sized, strict=True):
        (tmp_path / side).mkdir()
        for number in (1, 2):
            write_image(tmp_path / side / f"field {number} {side}.tif", image)
    choose_folders(tuner, tmp_path / "x10", tmp_path / "x5")
    click(qtbot, tuner.pairs.sources.register)
    wait(qtbot, tuner)
    names = [outcome.name for outcome in tuner.pairs.table.outcomes]
    assert "the low one has the finer pixels" in tuner.pairs.remarks.text()
    assert tuner.pairs.swap_all_button.text() == "Swap all 2"
    click(qtbot, tuner.pairs.swap_all_button)
    wait(qtbot, tuner)
    assert [outcome.name for outcome in tuner.pairs.table.outcomes] == names
    assert [outcome.accepted for outcome in tuner.pairs.table.outcomes] == [True, True]
    assert tuner.pairs.table.item(0, 1).text() == "blurred: field 1 x5.tif\nsharp: field 1 x10.tif"
    assert tuner.pairs.sources.low_folder.text() == str(tmp_path / "x5")
    assert tuner.pairs.sources.high_folder.text() == str(tmp_path / "x10")


def test_what_was_accepted_is_counted_and_what_was_refused_is_said(
    tuner: FineTuneWidget, tmp_path: Path, qtbot: QtBot
) -> None:
    low, high = scene()
    flat = np.zeros_like(high)
    write_folders(tmp_path, (low, high), (low, flat), (low, flat))
    choose_folders(tuner, tmp_path / "x5", tmp_path / "x10")
    click(qtbot, tuner.pairs.sources.register)
    wait(qtbot, tuner)
    assert "Registered 1 of 3; 2 refused." in tuner.status.text()
    assert tuner.status.text().startswith("Not registered and left out: field 2, field 3.")


def test_registering_is_cancelled_within_two_seconds_and_what_was_registered_stays(
    tuner: FineTuneWidget, tmp_path: Path, qtbot: QtBot
) -> None:
    large = np.random.default_rng(0).integers(0, 255, (1024, 1024)).astype(np.uint8)
    write_folders(tmp_path, scene(), (large, large[::-1]), (large, large))
    choose_folders(tuner, tmp_path / "x5", tmp_path / "x10")
    sources = tuner.pairs.sources
    assert not sources.cancel.isEnabled()
    click(qtbot, sources.register)
    qtbot.waitUntil(lambda: len(tuner.pairs.table.outcomes) == 1, timeout=PATIENCE_MS)
    qtbot.wait(100)  # the second one is being looked at
    worker, begun = tuner._registering, time.perf_counter()
    click(qtbot, sources.cancel)
    assert time.perf_counter() - begun < 2
    assert tuner._registering is None
    qtbot.waitUntil(lambda: not worker.is_running)  # nor does the thread go on to the third
    assert tuner.status.text().startswith(
        "Cancelled. Registered 1 of 3; 2 not looked at. What was registered is kept."
    )
    assert [outcome.accepted for outcome in tuner.pairs.table.outcomes] == [True]
    assert len(tuner.pairs.table.used) == 1
    assert not sources.cancel.isEnabled()
    assert sources.register.isEnabled()
    assert tuner.start_button.isEnabled()


def shown_large(picture: Picture, qtbot: QtBot) -> QLabel:
    """The picture in its window, after a click on the small one."""
    assert picture.enlarged is None
    qtbot.mouseClick(picture, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: picture.enlarged is not None and picture.enlarged.isVisible())
    return picture.enlarged.picture


def test_a_click_on_a_picture_enlarges_it_until_esc_or_another_click(
    viewer: Viewer, tuner: FineTuneWidget, tmp_path: Path, qtbot: QtBot
) -> None:
    path = tmp_path / "panels.png"
    write_image(path, Micrograph(np.full((30, 60, 3), 200, np.uint8), "YXS"))
    for page, picture in ((1, tuner.training.preview), (2, tuner.result.panels)):
        tuner.tabs.setCurrentIndex(page)
        picture.show_file(path)
        large = shown_large(picture, qtbot)
        assert large.pixmap().width() % 60 == 0
        assert large.width() > picture.width()
        window = picture.enlarged
        with qtbot.waitSignal(window.destroyed):
            qtbot.keyClick(window, Qt.Key.Key_Escape)
        large = shown_large(picture, qtbot)
        with qtbot.waitSignal(picture.enlarged.destroyed):
            qtbot.mouseClick(large, Qt.MouseButton.LeftButton)


def test_an_enlarged_overlay_has_all_pixels_though_the_small_one_has_fewer(
    tuner: FineTuneWidget, qtbot: QtBot
) -> None:
    tuner.pairs.overlay.show_array(np.zeros((40, 3000, 3), np.uint8))
    assert tuner.pairs.overlay._pixmap.width() < 3000
    assert shown_large(tuner.pairs.overlay, qtbot).pixmap().width() == 3000
    tuner.pairs.overlay.close_enlarged()
    tuner.pairs.overlay.setFocus()
    qtbot.keyClick(tuner.pairs.overlay, Qt.Key.Key_Return)
    assert tuner.pairs.overlay.enlarged.isVisible()


def test_resume_is_there_only_where_there_is_something_to_resume(
    viewer: Viewer, tuner: FineTuneWidget, qtbot: QtBot
) -> None:
    assert not tuner.resume_button.isVisible()
    assert not tuner.resume_button.isEnabled()
    places = [each.geometry() for each in (tuner.start_button, tuner.stop_button)]
    pair = tuning_pairs(
        [make_pair()], next(card for card in tuner._cards if card.name == "tiny-grey")
    )
    folder = begin(FineTuneSettings(base="tiny-grey", name="leaves", minutes=3.02), pair)
    tuner.tabs.setCurrentIndex(1)
    assert tuner.resume_button.isVisible()
    assert tuner.resume_button.isEnabled()
    assert "leaves (0.0 of 3 min)" in tuner.resume_button.toolTip()
    assert [each.geometry() for each in (tuner.start_button, tuner.stop_button)] == places
    folder.pairs.unlink()  # nothing can go on without them
    qtbot.mouseClick(tuner.resume_button, Qt.MouseButton.LeftButton)
    assert not tuner.resume_button.isVisible()
    assert not tuner.running


def test_masked_pixels_of_a_layer_are_no_pixels_of_a_pair() -> None:
    from napari.layers import Image

    pixels = np.arange(4.0, dtype=np.float32).reshape(2, 2)
    masked = np.ma.masked_array(np.where(pixels == 2, -9999, pixels), pixels == 2)
    found = micrograph_of(Image(masked), ()).data
    np.testing.assert_array_equal(found, [[0, 1], [np.nan, 3]])
    assert type(found) is np.ndarray
