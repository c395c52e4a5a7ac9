"""Curtain and side by side, by clicks, keys and drags in a real window: what is seen, and that
nothing of it stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QOpenGLContext
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLabel, QWidget

from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.deblur.compare import comparison
from napari_mdeblurgan.widgets.deblur.compare.line import CurtainLine
from napari_mdeblurgan.widgets.deblur.compare.side_by_side import OUT_OF_ORDER
from tests.widgets.deblur.compare.conftest import AFTER, BEFORE, choose, drag, press, row

if TYPE_CHECKING:
    from napari import Viewer

WAYS = "Curtain", "Side by side"
Pair = Callable[..., tuple[Any, Any]]
Docked = Callable[[], DeblurWidget]


def state(viewer: Viewer) -> dict[str, Any]:
    """All that a comparison may touch."""
    grid, camera = viewer.canvas.grid, viewer.scene.camera
    return {
        "layers": [
            (each.name, each.visible, each.opacity, str(each.blending)) for each in viewer.layers
        ],
        "grid": (grid.enabled, grid.stride, grid.shape, grid.spacing),
        "camera": (tuple(camera.center), camera.zoom),
    }


def left_on(viewer: Viewer) -> list[QWidget]:
    """What is left of a comparison on the canvas."""
    canvas = viewer.window._qt_viewer.canvas.native
    return [
        each
        for each in canvas.findChildren(QWidget)
        if isinstance(each, CurtainLine | QLabel) and each.isVisible()
    ]


def clips(viewer: Viewer) -> int:
    """How many filters of ours are attached to nodes of napari's."""
    nodes = viewer.window._qt_viewer.canvas.layer_to_visual.values()
    return sum(
        type(each).__name__ == "ColumnClip" for node in nodes for each in node.node._vshare.filters
    )


@pytest.fixture
def curtain(viewer: Viewer, pair: Pair, docked: Docked) -> CurtainLine:
    """The line of a curtain before one pair."""
    pair("nuclei")
    widget = docked()
    choose(widget, "Curtain")
    return widget.comparison.shown.line


def test_a_curtain_has_before_on_its_left_and_after_on_its_right_wherever_it_is_dragged(
    viewer: Viewer, curtain: CurtainLine
) -> None:
    middle = len(row(viewer)) // 2
    assert row(viewer)[[middle - 40, middle + 40], 0].tolist() == [BEFORE, AFTER]
    for by in (100, -200):
        drag(curtain, QPoint(curtain.width() // 2, 20), by)
        edge = round(curtain.place * curtain.parentWidget().width())
        seen = row(viewer)[:, 0]
        assert seen[[edge - 20, edge + 20]].tolist() == [BEFORE, AFTER]
    assert abs(edge - (middle - 100)) <= 2


def test_a_curtain_cannot_be_dragged_off_the_canvas(viewer: Viewer, curtain: CurtainLine) -> None:
    drag(curtain, QPoint(curtain.width() // 2, 20), 5000)
    assert curtain.place == 1
    assert curtain.geometry().left() < curtain.parentWidget().width()
    assert row(viewer)[len(row(viewer)) // 2, 0] == BEFORE


def test_the_image_is_moved_beside_the_curtain_and_the_curtain_stays(
    viewer: Viewer, curtain: CurtainLine
) -> None:
    canvas, center = viewer.window._qt_viewer.canvas.native, viewer.scene.camera.center
    place = curtain.place
    drag(canvas, QPoint(canvas.width() // 4, canvas.height() // 2), 30)
    row(viewer)
    assert viewer.scene.camera.center[-1] < center[-1]
    assert curtain.place == place


def test_a_curtain_follows_the_size_of_the_window(viewer: Viewer, curtain: CurtainLine) -> None:
    viewer.window._qt_window.resize(1200, 640)
    QApplication.processEvents()
    canvas = curtain.parentWidget()
    assert abs(curtain.geometry().center().x() - canvas.width() / 2) <= 2
    assert curtain.height() == canvas.height()
    middle = len(row(viewer)) // 2
    assert row(viewer)[[middle - 20, middle + 20], 0].tolist() == [BEFORE, AFTER]


@pytest.mark.parametrize(
    ("theme", "blending"),
    [
        ("dark", "minimum"),
        ("dark", "additive"),
        *(("light", each) for each in ("additive", "multiplicative", "opaque")),
    ],
)
def test_all_channels_look_behind_the_curtain_as_they_do_without(
    viewer: Viewer, pair: Pair, docked: Docked, blending: str, theme: str
) -> None:
    get_settings().appearance.theme = theme
    for name, colormap in (("dapi", "cyan"), ("gfp", "magenta")):
        pair(name, blending=blending, colormap=colormap)
    widget = docked()
    widget._pairs.begin_run([viewer.layers["dapi"], viewer.layers["gfp"]])
    seen = []
    for side in (0, 1):
        for number, layer in enumerate(viewer.layers):
            layer.visible = number % 2 == side
        seen.append(row(viewer))
    choose(widget, "Curtain")
    both = row(viewer)
    middle = len(both) // 2
    for at, side in ((middle - 40, 0), (middle + 40, 1)):
        np.testing.assert_array_equal(both[at], seen[side][at])
    assert seen[0][middle].tolist() != seen[1][middle].tolist()


@pytest.mark.parametrize("channels", [1, 3])
def test_side_by_side_shows_all_before_left_and_all_after_right_at_the_same_place(
    viewer: Viewer, pair: Pair, docked: Docked, channels: int
) -> None:
    viewer.add_image(np.full((40, 60), 255, np.uint8), name="other", scale=(2, 2), visible=False)
    sources = [pair(f"channel {number}", blending="additive")[0] for number in range(channels)]
    labels = viewer.add_labels(np.ones((40, 60), int), name="cells", scale=(2, 2))
    widget = docked()
    widget._pairs.begin_run(sources)
    viewer.layers.selection.active = sources[0]
    before = state(viewer)
    choose(widget, "Side by side")
    assert state(viewer)["camera"] == before["camera"]
    assert not labels.visible
    seen = row(viewer)[:, 0]
    quarter = len(seen) // 4
    assert seen[[quarter, 3 * quarter]].tolist() == [
        min(channels * BEFORE, 255),
        min(channels * AFTER, 255),
    ]
    choose(widget, "Blink")
    assert state(viewer) == before


def test_both_views_move_together(viewer: Viewer, pair: Pair, docked: Docked) -> None:
    source, _ = pair("nuclei")
    source.data = np.tile(np.array([0, BEFORE], np.uint8).repeat(30), (40, 1))
    viewer.layers[1].data = np.tile(np.array([0, AFTER], np.uint8).repeat(60), (80, 1))
    choose(docked(), "Side by side")
    canvas = viewer.window._qt_viewer.canvas.native
    drag(canvas, QPoint(canvas.width() // 4, canvas.height() // 2), 25)
    seen = row(viewer)[:, 0]
    half = len(seen) // 2
    edges = [int(np.flatnonzero(part > 20)[0]) for part in (seen[4 : half - 4], seen[half + 4 :])]
    assert abs(edges[0] + 4 - (edges[1] + 4)) <= 4
    assert abs(edges[0] + 4 - (half // 2 + 25)) <= 6


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("end", ["button", "choice", "key", "dock"])
def test_all_is_as_it_was_when_a_comparison_ends(
    viewer: Viewer, pair: Pair, docked: Docked, way: str, end: str
) -> None:
    pair("nuclei")
    viewer.add_points([[10, 10]], name="mine", opacity=0.8)
    viewer.canvas.grid.shape, viewer.canvas.grid.spacing = (2, -1), 7
    widget = docked()
    before = state(viewer)
    choose(widget, way)
    assert widget.controls.compare.text == "End"
    assert left_on(viewer)
    row(viewer)
    assert clips(viewer) == (2 if way == "Curtain" else 0)
    if end == "button":
        press(widget.controls.compare)
    elif end == "choice":
        choose(widget, "Blink")
    elif end == "key":
        QTest.keyClick(
            viewer.window._qt_viewer.canvas.native, Qt.Key.Key_B, Qt.KeyboardModifier.AltModifier
        )
        assert not viewer.layers[1].visible
        QTest.keyClick(
            viewer.window._qt_viewer.canvas.native, Qt.Key.Key_B, Qt.KeyboardModifier.AltModifier
        )
    else:
        viewer.window.remove_dock_widget(widget.native)
    assert state(viewer) == before
    assert left_on(viewer) == []
    assert clips(viewer) == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("which", [0, 1])
def test_a_comparison_ends_where_one_of_its_layers_is_deleted(
    viewer: Viewer, pair: Pair, docked: Docked, way: str, which: int
) -> None:
    pair("nuclei")
    points = viewer.add_points([[10, 10]], name="mine")
    widget = docked()
    before = state(viewer)
    choose(widget, way)
    left = viewer.layers[1 - which]
    viewer.layers.remove(viewer.layers[which])
    row(viewer)
    assert widget.comparison.shown is None
    assert left_on(viewer) == []
    assert clips(viewer) == 0
    assert (left.visible, points.visible) == (True, True)
    assert {name: state(viewer)[name] for name in ("grid", "camera")} == {
        n: before[n] for n in ("grid", "camera")
    }


@pytest.mark.parametrize("way", WAYS)
def test_napari_draws_on_after_a_layer_was_deleted_that_is_compared(
    viewer: Viewer, pair: Pair, docked: Docked, way: str
) -> None:
    pair("nuclei")
    choose(docked(), way)
    QTest.qWait(300)  # what lies on the canvas is drawn, by another context
    canvas, current = viewer.window._qt_viewer.canvas.native, []
    viewer.layers.events.removed.connect(
        lambda: current.append(QOpenGLContext.currentContext() == canvas.context()),
        position="first",
    )
    viewer.layers.remove(viewer.layers[0])
    assert current == [True]
    QTest.qWait(300)
    assert row(viewer)[:, 0].max() == AFTER


@pytest.mark.parametrize("way", WAYS)
def test_a_window_can_be_closed_while_something_is_compared(
    viewer: Viewer, pair: Pair, docked: Docked, way: str
) -> None:
    pair("nuclei")
    choose(docked(), way)
    row(viewer)
    viewer.close()


def test_a_curtain_in_a_grid_puts_the_grid_back(viewer: Viewer, pair: Pair, docked: Docked) -> None:
    pair("nuclei")
    viewer.canvas.grid.enabled = True
    widget = docked()
    before = state(viewer)
    choose(widget, "Curtain")
    assert not viewer.canvas.grid.enabled
    press(widget.controls.compare)
    assert state(viewer) == before


@pytest.mark.parametrize("way", WAYS)
def test_who_turns_the_grid_on_or_off_ends_a_comparison(
    viewer: Viewer, pair: Pair, docked: Docked, way: str
) -> None:
    pair("nuclei")
    widget = docked()
    choose(widget, way)
    QTest.mouseClick(
        viewer.window._qt_viewer.viewerButtons.gridViewButton, Qt.MouseButton.LeftButton
    )
    assert widget.comparison.shown is None
    assert left_on(viewer) == []


def test_side_by_side_ends_when_another_layer_is_to_be_seen(
    viewer: Viewer, pair: Pair, docked: Docked
) -> None:
    pair("nuclei")
    widget = docked()
    choose(widget, "Side by side")
    viewer.add_points([[10, 10]], name="mine")
    assert widget.comparison.shown is None
    assert not viewer.canvas.grid.enabled
    assert [each.visible for each in viewer.layers] == [True, True, True]


def test_layers_in_an_order_that_cannot_be_shown_side_by_side_are_refused_in_a_sentence(
    viewer: Viewer, pair: Pair, docked: Docked
) -> None:
    pairs = [pair(name) for name in ("a", "b", "c")]
    widget = docked()
    widget._pairs.begin_run([source for source, _ in pairs])
    viewer.layers.move(viewer.layers.index(pairs[0][1]), 0)
    before = state(viewer)
    choose(widget, "Side by side")
    assert OUT_OF_ORDER in widget.controls.status.value
    assert state(viewer) == before


def test_the_result_that_is_selected_is_the_one_that_is_compared(
    viewer: Viewer, pair: Pair, docked: Docked
) -> None:
    source, older = pair("nuclei")
    metadata = older.metadata
    newer = viewer.add_image(
        np.full((80, 120), 250, np.uint8), name="newer", metadata=metadata, contrast_limits=(0, 255)
    )
    widget = docked()
    choose(widget, "Curtain")
    assert (source.visible, older.visible, newer.visible) == (True, False, True)
    viewer.layers.selection.active = older
    assert (source.visible, older.visible, newer.visible) == (True, True, False)
    assert widget.comparison.shown.pairs == [(source, older)]
    press(widget.controls.compare)
    assert (source.visible, older.visible, newer.visible) == (True, True, True)


@pytest.mark.parametrize("way", WAYS)
def test_maps_are_hidden_meanwhile(viewer: Viewer, pair: Pair, docked: Docked, way: str) -> None:
    pair("nuclei")
    made = {"map": "error", "source": "nuclei"}
    shown = viewer.add_image(
        np.full((80, 120), 255, np.uint8), name="a map", metadata={"mdeblurgan": made}
    )
    widget = docked()
    choose(widget, way)
    assert not shown.visible
    press(widget.controls.compare)
    assert shown.visible


def test_a_run_ends_a_comparison(viewer: Viewer, pair: Pair, docked: Docked, gate: Any) -> None:
    pair("nuclei")
    widget = docked()
    choose(widget, "Curtain")
    press(widget.controls.run)
    assert widget.comparison.shown is None
    gate.let_on(gate.TILES)


def test_the_way_is_remembered_and_taken_only_when_the_button_is_pressed(
    viewer: Viewer, pair: Pair, docked: Docked
) -> None:
    pair("nuclei")
    choose(docked(), "Side by side")
    viewer.window.remove_dock_widget("all")
    again = docked()
    assert again.controls.compare_by.value == "Side by side"
    assert again.comparison.shown is None
    press(again.controls.compare)
    assert viewer.canvas.grid.enabled


def test_without_a_result_nothing_is_compared(viewer: Viewer, docked: Docked) -> None:
    viewer.add_image(np.zeros((8, 8), np.uint8))
    widget = docked()
    choose(widget, "Curtain")
    assert not widget.controls.compare.enabled
    assert left_on(viewer) == []


def test_where_the_canvas_is_not_found_a_sentence_says_so(
    viewer: Viewer, pair: Pair, docked: Docked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "canvas_of", lambda _: None)
    pair("nuclei")
    widget = docked()
    before = state(viewer)
    choose(widget, "Curtain")
    assert "choose Blink" in widget.controls.status.value
    assert state(viewer) == before
    choose(widget, "Side by side")
    assert viewer.canvas.grid.enabled


def test_layers_that_are_linked_are_shown_one_without_the_other_and_stay_linked(
    viewer: Viewer, pair: Pair, docked: Docked
) -> None:
    other = viewer.add_image(np.zeros((40, 60), np.uint8), name="other")
    layers = [*pair("nuclei"), other]
    widget = docked()
    viewer.layers.link_layers(layers)
    press(widget.controls.compare)
    assert [each.visible for each in layers] == [True, False, True]
    choose(widget, "Side by side")
    assert [each.visible for each in layers] == [True, True, False]
    choose(widget, "Blink")
    assert [each.visible for each in layers] == [True, False, True]
    layers[0].visible = False
    assert [each.visible for each in layers] == [False, False, False]
