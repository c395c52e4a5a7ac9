"""Names with tags, slashes and the like are shown letter by letter, and make
clean names of files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QMessageBox

from napari_mdeblurgan.pairs import Outcome
from napari_mdeblurgan.widgets.batch.file_list import FAILED, FileList
from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.fine_tune import FineTuneWidget
from napari_mdeblurgan.widgets.fine_tune.pairs_page import wrapped
from napari_mdeblurgan.widgets.focus_stack import FocusStackWidget
from napari_mdeblurgan.widgets.runs.results import LONGEST_NAME, Result, clean_name
from napari_mdeblurgan.widgets.shared.plain import literal, unbroken

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]

TAG = '<img src="/etc/x.png"><b>nuclei</b>'


def is_page(text: str) -> bool:
    """Whether a tooltip shows something else than the letters of `TAG`."""
    return "<img" in text or "<b>" in text


def test_labels_that_show_names_take_no_tags(
    viewer: Viewer, widget: DeblurWidget, noise: Noise
) -> None:
    viewer.add_image(noise(), name=TAG)
    batch, tuner, focus = BatchWidget(viewer), FineTuneWidget(viewer), FocusStackWidget(viewer)
    for dock in (batch, tuner, focus):
        viewer.window.add_dock_widget(dock)
    assert TAG in focus.status.text()
    viewer.layers.clear()
    viewer.add_labels(np.zeros((8, 8), int), name=TAG)
    assert TAG in widget.controls.status.value
    labels = [
        widget.controls.status.native,
        widget.controls.about.native,
        widget.results.place.native,
    ]
    labels += [
        batch.controls.status.native,
        tuner.status,
        tuner.pairs.remarks,
        tuner.result.verdict,
    ]
    labels += [tuner.result.details, focus.status]
    assert all(isinstance(label, QLabel) for label in labels)
    assert {label.textFormat() for label in labels} == {Qt.TextFormat.PlainText}


def test_tooltips_show_tags_as_letters(viewer: Viewer, widget: DeblurWidget, noise: Noise) -> None:
    viewer.add_image(noise(), name=TAG)
    tuner = FineTuneWidget(viewer)
    viewer.window.add_dock_widget(tuner)
    tuner.pairs.table.add(Outcome(TAG, None, f"{TAG} cannot be read."))
    low = tuner.pairs.sources.low
    viewer.add_image(np.zeros((2, 8, 8)), name=TAG)
    focus = FocusStackWidget(viewer)
    viewer.window.add_dock_widget(focus)
    tips = [
        widget.controls.image.native.toolTip(),
        low.itemData(0, Qt.ItemDataRole.ToolTipRole),
        tuner.pairs.table.item(0, 1).toolTip(),
        focus.stack.toolTip(),
    ]
    assert all("&lt;img" in tip for tip in tips)
    assert not any(is_page(tip) for tip in tips)


def test_the_list_of_a_batch_shows_tags_as_letters_and_says_reasons_unchanged(qtbot: QtBot) -> None:
    files = FileList()
    qtbot.addWidget(files)
    files.offer([TAG])
    files.tell(TAG, FAILED, f"Is damaged — {TAG}")
    row = files.topLevelItem(0)
    assert not is_page(row.toolTip(0))
    assert not is_page(row.toolTip(1))
    files.setCurrentItem(row)
    assert files.selected() == f"Is damaged — {TAG}"
    files.offer([TAG, "other.tif"])
    files.setCurrentItem(files.topLevelItem(0))
    assert files.selected() == f"Is damaged — {TAG}"


def test_the_question_before_results_are_removed_takes_no_tags(
    widget: DeblurWidget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(QMessageBox, "question", lambda _parent, _title, words: asked.append(words))
    folder = tmp_path / "<b>results"
    results = SimpleNamespace(results=[Result(folder / "x.ome.zarr", 10)])
    widget.results.results = results.results
    monkeypatch.setattr(type(widget.results), "folder", folder)
    widget.results.ask_to_empty()
    assert "&lt;b&gt;results" in asked[0]


def test_what_has_no_tag_is_left_as_it_is() -> None:
    assert literal("5 > 3 & more\nlines") == "5 > 3 & more\nlines"


@pytest.mark.parametrize(
    "name", ["a/b\\c", "a:b", "a\nb\tc", "🔬 cells", "x" * 300, "<b>", "", " . ", "..", "CON\0"]
)
def test_any_name_of_a_layer_makes_a_name_of_a_file(name: str, tmp_path: Path) -> None:
    clean = clean_name(name)
    assert 0 < len(clean) <= LONGEST_NAME
    assert not set(clean) & set('/\\:*?"<>|\n\t\0')
    assert clean == clean.strip(" .")
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / f"{clean} trust.html").write_text("")
    assert [each.name for each in folder.iterdir()] == [f"{clean} trust.html"]


def test_no_line_ends_between_a_number_and_its_unit() -> None:
    told = "95 % of 3 dB, 2.5 px and 40 nm in 5 nmol; 7 images"
    assert (
        unbroken(told) == "95\u00a0% of 3\u00a0dB, 2.5\u00a0px and 40\u00a0nm in 5 nmol; 7 images"
    )


def test_labels_of_fine_tuning_keep_numbers_and_units_together(qtbot: QtBot) -> None:
    label = wrapped("better by 2 dB")
    qtbot.addWidget(label)
    assert label.text() == "better by 2\u00a0dB"
    label.setText("95 % confidence")
    assert label.text() == "95\u00a0% confidence"
