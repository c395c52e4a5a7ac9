"""The line, the details folded below it, and the maps of the shown result, by clicks in the dock
and in the layer list.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.layers import Labels
from napari.settings import get_settings
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_mdeblurgan.storage import read_image
from napari_mdeblurgan.storage.map_places import map_path
from napari_mdeblurgan.trust.maps import MAPS
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from tests.widgets.maps_shown import show_map, tick_maps

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def result(viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run) -> Image:
    """A result that was assessed."""
    widget.controls.trust.value = True
    viewer.add_image(noise(24, 32), name="nuclei")
    run()
    return viewer.layers["nuclei [sharp ×2]"]


def visible(viewer: Viewer) -> list[str]:
    return [layer.name for layer in viewer.layers if layer.visible]


def test_details_are_folded_below_the_line_until_they_are_asked_for_and_that_is_remembered(
    viewer: Viewer, widget: DeblurWidget, result: Image
) -> None:
    controls, fold = widget.controls, widget._panel.fold
    assert "error bar relative only" in controls.headline.value
    assert not controls.headline.native.isHidden()
    assert fold.details.native.isHidden()
    assert fold.button.text == "▸ Details"
    QTest.mouseClick(fold.button.native, LEFT)
    assert not fold.details.native.isHidden()
    assert controls.details.value.startswith(f"{result.name}: ")
    assert fold.button.text == "▾ Details"
    assert DeblurWidget(viewer)._panel.fold.open
    QTest.mouseClick(fold.button.native, LEFT)
    assert fold.details.native.isHidden()
    assert not DeblurWidget(viewer)._panel.fold.open


def test_a_verdict_that_stays_while_another_image_is_chosen_names_its_result(
    viewer: Viewer, widget: DeblurWidget, result: Image, noise: Noise
) -> None:
    own = widget.controls.headline.value
    assert result.name not in own
    viewer.add_image(noise(24, 32), name="leaf")
    assert widget.image is viewer.layers["leaf"]
    assert widget.controls.headline.value == f"{result.name}: {own}"
    viewer.layers.selection.active = viewer.layers["nuclei"]
    assert widget.controls.headline.value == own


def test_without_a_verdict_there_is_no_map_and_what_was_seen_of_the_image_is_told(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run
) -> None:
    viewer.add_image(noise(24, 32), name="nuclei")
    assert widget._panel.fold.widget.native.isHidden()
    run()
    assert widget.controls.headline.native.isHidden()
    assert widget.controls.maps_row.native.isHidden()
    assert not widget._panel.fold.widget.native.isHidden()
    assert "nuclei [sharp ×2]: There is too little detail" in widget.controls.details.value


def test_what_was_seen_of_another_image_is_told_though_one_was_assessed_before(
    viewer: Viewer, widget: DeblurWidget, result: Image, noise: Noise, run: Run
) -> None:
    widget.controls.trust.value = False
    viewer.add_image(noise(24, 32), name="leaf")
    run()
    assert widget.controls.headline.value == ""
    assert widget.controls.details.value.startswith("leaf [sharp ×2]: There is too little detail")
    viewer.layers.selection.active = viewer.layers["nuclei"]
    assert widget.controls.details.value.startswith(f"{result.name}: ")
    assert widget.controls.headline.value


def test_the_verdict_on_an_older_result_gives_way_to_what_is_known_of_the_newest(
    viewer: Viewer, widget: DeblurWidget, result: Image, run: Run
) -> None:
    assessed = widget.controls.headline.value
    widget.controls.trust.value = False
    run()
    newer = viewer.layers[f"{result.name} [1]"]
    assert widget.controls.headline.value == ""
    assert widget.controls.details.value.startswith(f"{newer.name}: There is too little detail")
    assert widget.controls.report.enabled  # of the one that was assessed
    viewer.layers.remove(newer)
    assert widget.controls.headline.value == assessed


def test_what_was_seen_of_an_image_outlives_the_dock_that_was_told(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run
) -> None:
    viewer.add_image(noise(24, 32), name="nuclei")
    run()
    told = widget.controls.details.value
    viewer.window.remove_dock_widget(widget.native)
    assert DeblurWidget(viewer).controls.details.value == told


def test_no_map_is_a_layer_before_it_is_asked_for_and_one_is_shown_at_a_time(
    viewer: Viewer, widget: DeblurWidget, result: Image
) -> None:
    before = [layer.name for layer in viewer.layers]
    assert before == ["nuclei", result.name]
    assert [MAPS[name].title for name in widget.controls.which_map.choices] == [
        "Error bar",
        "Consistency",
        "Defocus",
        "Estimate used",
    ]
    tick_maps(widget)
    assert visible(viewer) == [*before, "nuclei [error bar, grey levels]"]
    show_map(widget, "consistency")
    assert visible(viewer) == [*before, "nuclei [consistency, × noise]"]
    tick_maps(widget)
    assert visible(viewer) == before
    tick_maps(widget)
    assert visible(viewer) == [*before, "nuclei [consistency, × noise]"]
    assert len(viewer.layers) == 4


def test_the_map_that_was_chosen_last_is_chosen_again(
    viewer: Viewer, widget: DeblurWidget, result: Image
) -> None:
    show_map(widget, "defocus")
    again = DeblurWidget(viewer)
    assert again.controls.which_map.value == "defocus"
    assert again.controls.maps.value


def test_the_box_follows_the_eyes_in_the_layer_list(
    viewer: Viewer, widget: DeblurWidget, result: Image
) -> None:
    show_map(widget, "error")
    show_map(widget, "defocus")
    viewer.layers["nuclei [defocus, px]"].visible = False
    assert not widget.controls.maps.value
    viewer.layers["nuclei [error bar, grey levels]"].visible = True
    assert widget.controls.maps.value
    assert widget.controls.which_map.value == "error"
    viewer.layers.remove("nuclei [error bar, grey levels]")
    assert not widget.controls.maps.value
    assert widget.controls.which_map.value == "defocus"  # which was chosen last
    tick_maps(widget)
    assert visible(viewer)[-1] == "nuclei [defocus, px]"


def test_maps_are_those_of_the_result_that_is_selected(
    viewer: Viewer, widget: DeblurWidget, result: Image, run: Run
) -> None:
    show_map(widget, "error")
    widget.controls.ensemble.value = True
    run()
    newer = viewer.layers[f"{result.name} [1]"]
    assert not widget.controls.maps.value
    show_map(widget, "error")
    first, second = (layer for layer in viewer.layers if "error bar" in layer.name)
    assert not np.array_equal(first.data, second.data)
    for shown in (newer, result):
        viewer.layers.selection.active = shown
        assert widget.controls.maps.value
        assert ("disagreement" in widget.controls.which_map.choices) == (shown is newer)
        tick_maps(widget)
    assert visible(viewer) == ["nuclei", result.name, newer.name]


def test_maps_and_report_outlive_the_dock_that_made_them(
    viewer: Viewer, widget: DeblurWidget, result: Image
) -> None:
    viewer.window.remove_dock_widget(widget.native)
    again = DeblurWidget(viewer)
    assert again.controls.report.enabled
    show_map(again, "choice")
    assert isinstance(viewer.layers["nuclei [estimate used]"], Labels)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_shown_map_has_a_colour_bar_with_its_name_and_unit(
    viewer: Viewer, widget: DeblurWidget, result: Image, theme: str, qtbot: QtBot
) -> None:
    get_settings().appearance.theme = theme
    viewer.window._qt_window.resize(1000, 700)
    viewer.window._qt_window.show()
    show_map(widget, "error")
    qtbot.wait(300)  # until the window has come to rest
    layer = viewer.layers["nuclei [error bar, grey levels]"]
    assert layer.colorbar.visible
    QTest.qWait(200)  # until the docks have their sizes
    with_words = viewer.window.screenshot(canvas_only=True, flash=False)
    layer.name_overlay.visible = False
    QApplication.processEvents()
    without = viewer.window.screenshot(canvas_only=True, flash=False)
    changed = np.flatnonzero((with_words != without).any(axis=(1, 2)))
    assert changed.size
    assert changed.max() < with_words.shape[0] / 2


def test_all_maps_are_saved_with_a_result_though_none_of_them_was_shown(
    viewer: Viewer,
    widget: DeblurWidget,
    result: Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    from qtpy.QtWidgets import QFileDialog

    path = tmp_path / "a.ome.tif"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    QTest.mouseClick(widget.controls.save.native, LEFT)
    qtbot.waitUntil(lambda: not widget.saver.saving)
    assert len(viewer.layers) == 2
    for name in ("error", "consistency", "defocus", "choice"):
        assert read_image(map_path(path, name)).data.shape in ((24, 32), (48, 64))
