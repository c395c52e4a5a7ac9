"""What the widget Fine-tune offers and how it looks, without any training."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor

from napari_mdeblurgan.fine_tuning.better import judge_gain
from napari_mdeblurgan.pairs import Outcome
from napari_mdeblurgan.storage import Micrograph, write_image
from napari_mdeblurgan.widgets.fine_tune import FineTuneWidget
from napari_mdeblurgan.widgets.fine_tune.pairs_table import NAME_WIDTH, PairsTable

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot


pytestmark = pytest.mark.usefixtures("styled")


@pytest.fixture
def tuner(viewer: Viewer) -> FineTuneWidget:
    widget = FineTuneWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Fine-tune")
    return widget


def test_maps_of_trust_are_not_offered_as_images_of_a_pair(
    viewer: Viewer, tuner: FineTuneWidget
) -> None:
    image = np.zeros((8, 8), np.uint8)
    viewer.add_image(image, name="x5")
    viewer.add_image(image, name="x10")
    viewer.add_image(image, name="x5 [error bar]", metadata={"mdeblurgan": {"map": "error"}})
    for box in (tuner.pairs.sources.low, tuner.pairs.sources.high):
        assert [box.itemText(row) for row in range(box.count())] == ["x5", "x10"]


def test_what_is_written_beside_the_curves_can_be_read_in_either_theme(
    viewer: Viewer, tuner: FineTuneWidget
) -> None:
    lightness = {}
    for theme in ("light", "dark", "light"):
        viewer.theme = theme
        curves = tuner.training.curves
        colours = [plot.getAxis("left").textPen().color() for plot in (curves._loss, curves._psnr)]
        for legend in (curves._loss_legend, curves._psnr_legend):
            colours += [
                QColor(re.search(r"color: ?(#\w+)", label.item.toHtml())[1])
                for _, label in legend.items
            ]
        assert len(colours) == 7
        lightness[theme] = [colour.lightness() for colour in colours]
    assert max(lightness["light"]) < 90
    assert min(lightness["dark"]) > 165


def chosen(tuner: FineTuneWidget) -> tuple[str, str]:
    return tuner.pairs.sources.low.currentText(), tuner.pairs.sources.high.currentText()


def test_the_two_newest_layers_are_the_pair_until_the_user_chooses(
    viewer: Viewer, tuner: FineTuneWidget, qtbot: QtBot
) -> None:
    image = np.zeros((8, 8), np.uint8)
    for name in ("overview", "x5", "x10"):
        viewer.add_image(image, name=name)
    assert chosen(tuner) == ("x5", "x10")
    tuner.window().show()
    qtbot.keyClick(tuner.pairs.sources.low, Qt.Key.Key_Up)
    assert chosen(tuner) == ("overview", "x10")
    viewer.add_image(image, name="other")
    assert chosen(tuner) == ("overview", "x10")


def offered(tuner: FineTuneWidget) -> list[str]:
    box = tuner.pairs.sources.high
    return [box.itemText(row) for row in range(box.count())]


def test_results_are_not_offered_as_truth_whether_made_now_or_opened_from_a_file(
    viewer: Viewer, tuner: FineTuneWidget, tmp_path: Path
) -> None:
    image = np.zeros((16, 16), np.uint8)
    write_image(tmp_path / "opened.tif", Micrograph(image, "YX", restored=True))
    write_image(tmp_path / "other.tif", Micrograph(image, "YX"))
    viewer.add_image(image, name="x5")
    viewer.add_image(
        image, name="x5 [sharp ×2]", metadata={"mdeblurgan": {"model": "tiny-grey", "source": "x5"}}
    )
    viewer.open(tmp_path / "opened.tif")
    viewer.open(tmp_path / "other.tif")
    assert [layer.name for layer in viewer.layers] == ["x5", "x5 [sharp ×2]", "opened", "other"]
    assert offered(tuner) == ["x5", "other"]


def test_the_menu_entry_refuses_a_result_by_its_name(
    viewer: Viewer, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_mdeblurgan.widgets.fine_tune.menu import register_pair

    image = np.zeros((16, 16), np.uint8)
    result = viewer.add_image(
        image, name="x5 [sharp ×2]", metadata={"mdeblurgan": {"model": "tiny-grey"}}
    )
    viewer.layers.selection = {viewer.add_image(image, name="x5"), result}
    register_pair(viewer)
    assert "'x5 [sharp ×2]' is a result of M-Deblurgan and no truth" in capsys.readouterr().out
    assert not viewer.window.dock_widgets


def test_a_folder_of_results_is_refused_when_it_is_named(
    tuner: FineTuneWidget, tmp_path: Path, qtbot: QtBot
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    for folder, restored in (("low", False), ("high", True)):
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / "field.tif", Micrograph(image, "YX", restored=restored))
    sources = tuner.pairs.sources
    sources.kind.setCurrentIndex(1)
    sources.low_folder.setText(str(tmp_path / "low"))
    sources.high_folder.setText(str(tmp_path / "high"))
    tuner.window().show()
    qtbot.mouseClick(sources.register, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: tuner._registering is None, timeout=60_000)
    (outcome,) = tuner.pairs.table.outcomes
    assert "is a result of this program and no truth" in outcome.error
    assert not tuner.start_button.isEnabled()


def test_curves_are_in_percent_decibels_and_a_time_that_suits(tuner: FineTuneWidget) -> None:
    curves = tuner.training.curves
    bottom, left = (curves._loss.getAxis(name) for name in ("bottom", "left"))
    curves.begin(20.0, 18.0)
    for step in range(1, 5):
        curves.add(step / 600, -4.605170186, 20.0)  # the logarithm of 0.01
    assert bottom.labelText == "working time, s"
    np.testing.assert_allclose(curves._training.getData()[0], [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(curves._training.getData()[1], 10.0)
    np.testing.assert_allclose(curves._held_out.getData()[1], 10.0)
    assert not bottom.autoSIPrefix
    assert not left.autoSIPrefix
    curves.add(30.0, -4.6, None)
    assert bottom.labelText == "working time, min"
    curves.add(300.0, -4.6, None)
    assert bottom.labelText == "working time, h"
    assert curves._training.getData()[0][-1] == pytest.approx(5.0)


def test_curves_without_data_have_no_numbers_at_their_axes(tuner: FineTuneWidget) -> None:
    axes = [
        plot.getAxis(name)
        for plot in (tuner.training.curves._loss, tuner.training.curves._psnr)
        for name in ("left", "bottom")
    ]
    assert not any(axis.style["showValues"] for axis in axes)
    tuner.training.curves.begin(20.0, 18.0)
    assert all(axis.style["showValues"] for axis in axes)


def test_the_label_of_the_time_is_not_cut_off(
    viewer: Viewer, tuner: FineTuneWidget, qtbot: QtBot
) -> None:
    viewer.window._qt_window.show()
    tuner.tabs.setCurrentIndex(1)
    qtbot.wait(100)
    for plot in (tuner.training.curves._loss, tuner.training.curves._psnr):
        label = plot.getAxis("bottom").label
        lowest = plot.mapFromScene(label.mapToScene(label.boundingRect().bottomLeft())).y()
        assert lowest <= plot.height() + label.document().documentMargin()


def test_a_long_name_of_a_pair_leaves_room_for_its_score_and_remarks(
    viewer: Viewer, tuner: FineTuneWidget, qtbot: QtBot
) -> None:
    viewer.window._qt_window.show()
    table = tuner.pairs.table
    table.add(
        Outcome(
            "a name of a pair that is longer than the table is wide " * 3,
            None,
            "The file cannot be read.",
        )
    )
    qtbot.wait(100)
    assert table.horizontalScrollBar().maximum() == 0
    assert table.columnViewportPosition(3) + 60 < table.viewport().width()


def outcome_of(steps: int) -> dict[str, Any]:
    methods = [{"name": name, "psnr_db": 25.0, "ssim": 0.7} for name in ("bicubic", "a", "b")]
    verdict = judge_gain([25.0] * 8, [25.001] * 8, steps=steps)
    name = "a-model-with-quite-a-long-name-of-its-own-tuned-2"
    return {
        "model": name,
        "base": "gray-x2",
        "path": f"/models/{name}.safetensors",
        "methods": methods,
        "parts": [{"name": "x5 + x10", "base_db": 25.0, "tuned_db": 25.001}],
        "verdict": dataclasses.asdict(verdict),
        "steps": steps,
        "best_step": steps,
        "minutes": 0.05,
        "notes": [],
    }


def test_a_handful_of_steps_shows_that_it_is_too_little_and_recommends_the_base_model(
    tuner: FineTuneWidget,
) -> None:
    tuner.result.show_outcome(outcome_of(4), Path("none.png"))
    assert "Trained too little to judge" in tuner.result.verdict.text()
    assert tuner.result.recommended == "gray-x2"
    assert tuner.result.details.text().startswith("4 steps in 3.0\N{NO-BREAK SPACE}s;")


def test_no_button_moves_whatever_is_said(
    viewer: Viewer, tuner: FineTuneWidget, qtbot: QtBot
) -> None:
    viewer.window._qt_window.show()
    buttons = (tuner.start_button, tuner.stop_button, tuner.resume_button)
    places = []
    for words, progress in (
        ("", 0),
        ("A long sentence that takes its room. " * 8, 500),
        ("Done.", 0),
    ):
        tuner._say(words)
        tuner.bar.setValue(progress)
        tuner._refresh()
        qtbot.wait(50)
        places.append([each.mapTo(tuner, each.rect().topLeft()) for each in buttons])
    assert places[0] == places[1] == places[2]


def test_what_came_of_it_stays_beside_why_nothing_can_begin(tuner: FineTuneWidget) -> None:
    tuner._say("'x' is ready in Deblur + SR.")
    tuner._refresh()
    assert tuner.status.text().startswith("'x' is ready in Deblur + SR. Add pairs first")


def test_names_of_pairs_have_more_room_in_a_wide_table_until_the_user_gives_them_theirs(
    qtbot: QtBot,
) -> None:
    table = PairsTable()
    qtbot.addWidget(table)
    table.show()
    header = table.horizontalHeader()
    assert header is not None
    for width, expected in ((250, NAME_WIDTH), (700, 0.4 * 700)):
        table.resize(width, 150)
        qtbot.waitUntil(lambda e=expected: abs(header.sectionSize(1) - e) < 20)
    header.resizeSection(1, 200)
    table.resize(900, 150)
    qtbot.wait(50)
    assert header.sectionSize(1) == 200


def test_the_selected_pair_stays_in_view_where_remarks_make_the_table_lower(
    qtbot: QtBot,
) -> None:
    table = PairsTable()
    qtbot.addWidget(table)
    table.resize(400, 400)
    table.show()
    for number in range(9):
        table.add(Outcome(f"blurred: {number}\nsharp: {number}", None, "It cannot be read."))
    table.resize(400, 130)
    view, last = table.viewport(), table.item(8, 1)
    assert view is not None
    qtbot.waitUntil(lambda: table.visualItemRect(last).bottom() <= view.rect().bottom() + 1)
