"""The line profile, by clicks on its button and drags on the canvas of a real window."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
from napari.layers import Shapes
from napari.settings import get_settings
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.deblur.line_profile.line_profile import NO_LINE
from napari_mdeblurgan.widgets.deblur.line_profile.plot import ProfilePlot
from napari_mdeblurgan.widgets.runs import trust
from napari_mdeblurgan.widgets.shared.docking import dock_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]

LEFT = Qt.MouseButton.LeftButton
RAMP = np.tile(np.arange(60, dtype=np.uint8), (40, 1))
FINE = np.tile(np.arange(120) / 2 - 0.25, (80, 1)).astype(np.float32)
PLACE = {"scale": (0.5, 0.5), "units": "µm"}


def made(
    viewer: Viewer, before: Any, after: Any, name: str = "ramp", **place: Any
) -> tuple[Image, Image]:
    """A source, and what tells of itself to be its result of twice the pixels."""
    place = place or PLACE
    source = viewer.add_image(before, name=name, **place)
    told = {"source": name, "preview": False, "scale": 2, "model": "tiny-grey"}
    scale = np.array(source.scale)
    scale[-2:] /= 2
    shift = np.zeros(len(scale))
    shift[-2:] = -scale[-2:] / 2
    result = viewer.add_image(
        after,
        name=f"{name} [sharp ×2]",
        scale=scale,
        translate=shift,
        units=source.units,
        metadata={"mdeblurgan": told},
    )
    return source, result


@pytest.fixture
def docked(viewer: Viewer) -> Generator[Callable[[], DeblurWidget], None, None]:
    """``docked()``: show the window, with the widget in it."""

    def dock() -> DeblurWidget:
        viewer.window._qt_window.resize(1366, 728)
        viewer.window._qt_window.show()
        widget = DeblurWidget(viewer)
        viewer.window.add_dock_widget(widget, name="Deblur + SR")
        QApplication.processEvents()
        viewer.fit_to_view()
        return widget

    return dock


def press(widget: DeblurWidget, qtbot: QtBot) -> ProfilePlot:
    """Click **Line profile**, and wait for what is drawn."""
    QTest.mouseClick(widget.controls.profile.native, LEFT)
    plot = widget.comparison.profile.plot
    qtbot.waitUntil(lambda: bool(plot.profiles))
    qtbot.wait(50)  # the canvas has become lower
    return plot


def drawn_anew(plot: ProfilePlot, qtbot: QtBot, act: Callable[[], Any]) -> None:
    """Do something, and wait until it shows in the plot."""
    before = plot.profiles
    act()
    qtbot.waitUntil(lambda: plot.profiles is not before)


def on_canvas(viewer: Viewer, y: float, x: float) -> QPoint:
    """Where a place of the world is on the canvas."""
    camera, (height, width) = viewer.scene.camera, viewer.canvas.size
    return QPoint(
        round((x - camera.center[-1]) * camera.zoom + width / 2),
        round((y - camera.center[-2]) * camera.zoom + height / 2),
    )


def test_a_click_draws_a_line_and_plots_before_and_after_along_it_in_physical_units(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot
) -> None:
    made(viewer, RAMP, FINE)
    plot = press(docked(), qtbot)
    shapes = viewer.layers["Line profile"]
    assert viewer.layers.selection.active is shapes
    (_, x0), (_, x1) = np.asarray(shapes.data[0])
    (found,) = plot.profiles
    world = x0 + (x1 - x0) * found.share
    np.testing.assert_allclose(found.before, world / 0.5, atol=1e-4)
    np.testing.assert_allclose(found.after, world / 0.5, atol=1e-4)
    assert plot.labels == ("distance, µm", "grey levels")
    after = plot.plot.getPlotItem().listDataItems()[-1]
    assert after.xData[-1] == pytest.approx(x1 - x0)
    assert "before" in plot.legend.text()
    assert "error bar" not in plot.legend.text()


def test_the_plot_follows_while_an_end_of_the_line_is_dragged(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot
) -> None:
    made(viewer, RAMP, FINE)
    plot = press(docked(), qtbot)
    shapes, canvas = viewer.layers["Line profile"], viewer.window._qt_viewer.canvas.native
    y, x = np.asarray(shapes.data[0])[1]
    start = on_canvas(viewer, y, x)
    QTest.mouseMove(canvas, start)
    qtbot.wait(20)
    QTest.mousePress(canvas, LEFT, pos=start)
    qtbot.wait(20)
    ends = []
    for by in (-20, -60):
        drawn_anew(plot, qtbot, lambda by=by: QTest.mouseMove(canvas, start + QPoint(by, 0)))
        qtbot.wait(60)
        ends.append(plot.profiles[0].before[-1])
    QTest.mouseRelease(canvas, LEFT, pos=start + QPoint(-60, 0))
    zoom = viewer.scene.camera.zoom
    assert ends[1] == pytest.approx((x - 60 / zoom) / 0.5, abs=2 / zoom / 0.5)
    assert ends[1] < ends[0] < x / 0.5


def test_any_selected_line_is_taken_and_nothing_but_lines(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot
) -> None:
    made(viewer, RAMP, FINE)
    widget = docked()
    lines = [np.array([[5.0, x], [15.0, x]]) for x in (5, 20)]
    shapes = viewer.add_shapes(
        [lines[0], np.array([[1, 1], [1, 3], [3, 3], [3, 1]])], shape_type=["line", "rectangle"]
    )
    plot = press(widget, qtbot)
    assert plot.profiles[0].before == pytest.approx(10)
    shapes.add(lines[1], shape_type="line")
    drawn_anew(plot, qtbot, lambda: setattr(shapes, "selected_data", {2}))
    qtbot.waitUntil(lambda: plot.profiles[0].before == pytest.approx(40))
    shapes.selected_data = {1}
    qtbot.wait(100)
    assert plot.profiles[0].before == pytest.approx(40)
    assert [layer.name for layer in viewer.layers if isinstance(layer, Shapes)] == [shapes.name]


def test_the_error_bar_is_drawn_as_a_band_around_after(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Callable[[], None], qtbot: QtBot
) -> None:
    widget.controls.trust.value = True
    viewer.add_image(noise(24, 32), name="nuclei")
    run()
    result = viewer.layers["nuclei [sharp ×2]"]
    viewer.add_shapes([np.array([[5, 2], [5, 20]])], shape_type="line")
    viewer.layers.selection.active = viewer.layers[-1]
    plot = press(widget, qtbot)
    (found,) = plot.profiles
    error = trust.maps_of(result)["error"]
    ends = [result.world_to_data(each) for each in ((5, 2), (5, 20))]
    y, first, last = ends[0][0], ends[0][1], ends[1][1]
    between = (
        error[int(y)] + error[int(y) + 1]
    ) / 2  # the line lies between two rows of the result
    expected = np.interp(np.linspace(first, last, len(found.share)), np.arange(64), between)
    np.testing.assert_allclose(found.error, expected, rtol=1e-4)
    assert "band: error bar (relative only)" in plot.legend.text()
    low, high = next(
        each.curves for each in plot.plot.items() if type(each).__name__ == "FillBetweenItem"
    )
    np.testing.assert_allclose(high.yData - low.yData, 2 * found.error, rtol=1e-6)


def test_another_plane_of_a_stack_is_another_profile(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot
) -> None:
    made(
        viewer,
        np.stack([RAMP, RAMP + 100]),
        np.stack([FINE, FINE + 100]),
        scale=(2, 0.5, 0.5),
        units="µm",
    )
    viewer.dims.set_current_step(0, 0)
    plot = press(docked(), qtbot)
    low = plot.profiles[0].before
    drawn_anew(plot, qtbot, lambda: viewer.dims.set_current_step(0, 1))
    np.testing.assert_allclose(plot.profiles[0].before, low + 100)


def test_what_lies_in_files_is_read_and_drawn_as_well(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot
) -> None:
    made(viewer, da.from_array(RAMP, chunks=16), da.from_array(FINE, chunks=16))
    plot = press(docked(), qtbot)
    shapes = viewer.layers["Line profile"]
    drawn_anew(plot, qtbot, lambda: setattr(shapes, "data", [np.array([[4.0, 3.0], [4.0, 13.0]])]))
    qtbot.waitUntil(lambda: plot.profiles[0].after[0] == pytest.approx(6))
    assert plot.profiles[0].after[-1] == pytest.approx(26)


def test_what_cannot_be_read_is_said_and_no_more(
    viewer: Viewer,
    docked: Callable[[], DeblurWidget],
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(*_: Any) -> None:
        raise ImageError("The image is gone; open it again.")

    made(viewer, da.from_array(RAMP, chunks=16), da.from_array(FINE, chunks=16))
    plot = press(docked(), qtbot)
    monkeypatch.setattr("napari_mdeblurgan.widgets.deblur.line_profile.line_profile.measured", gone)
    with qtbot.captureExceptions() as raised:
        viewer.layers["Line profile"].data = [np.array([[4.0, 3.0], [4.0, 13.0]])]
        qtbot.waitUntil(lambda: plot.message == "The image is gone; open it again.")
        qtbot.wait(50)
    assert raised == []


def test_channels_of_a_run_are_drawn_together_and_named(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot
) -> None:
    sources = [made(viewer, RAMP * n, FINE * n, name)[0] for n, name in ((1, "dapi"), (2, "a<b>c"))]
    widget = docked()
    widget._pairs.begin_run(sources)
    plot = press(widget, qtbot)
    found = {each.name: each for each in plot.profiles}
    assert set(found) == {"dapi", "a<b>c"}
    np.testing.assert_allclose(found["a<b>c"].after, 2 * found["dapi"].after, rtol=1e-5)
    assert "a&lt;b&gt;c" in plot.legend.text()


def test_of_an_image_without_a_unit_the_distance_is_in_its_pixels(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot
) -> None:
    made(viewer, RAMP, FINE, scale=(3, 3))
    viewer.add_shapes([np.array([[30, 30], [30, 90]])], shape_type="line")
    plot = press(docked(), qtbot)
    assert plot.labels[0] == "distance, pixels"
    assert plot.plot.getPlotItem().listDataItems()[-1].xData[-1] == pytest.approx(20)


def test_a_line_in_another_unit_of_length_lies_where_it_is_seen(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot
) -> None:
    made(viewer, RAMP, FINE)
    viewer.add_shapes([np.array([[5000, 5000], [5000, 15000]])], shape_type="line", units="nm")
    widget = docked()
    plot = press(widget, qtbot)
    assert plot.labels[0] == "distance, µm"
    assert plot.plot.getPlotItem().listDataItems()[-1].xData[-1] == pytest.approx(10)
    assert plot.profiles[0].before[[0, -1]] == pytest.approx([10, 30])
    viewer.layers.selection.active = viewer.layers[0]
    viewer.layers.pop()
    viewer.fit_to_view()
    press(widget, qtbot)
    assert viewer.layers[-1].units == viewer.layers[0].units
    assert 0 < plot.profiles[0].before[0] < plot.profiles[0].before[-1] < 60


def test_colours_are_drawn_as_their_mean_and_that_is_said(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot
) -> None:
    made(viewer, np.stack([RAMP] * 3, axis=-1), np.stack([FINE.astype(np.uint8)] * 3, axis=-1))
    plot = press(docked(), qtbot)
    assert "mean of red, green and blue" in plot.legend.text()


def test_a_line_that_was_deleted_is_asked_for_and_a_press_draws_a_new_one(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot
) -> None:
    made(viewer, RAMP, FINE)
    widget = docked()
    plot = press(widget, qtbot)
    viewer.layers.remove("Line profile")
    qtbot.waitUntil(lambda: plot.message == NO_LINE)
    assert plot.profiles == []
    press(widget, qtbot)
    assert "Line profile" in viewer.layers


def test_in_3d_a_sentence_says_what_is_needed(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot
) -> None:
    made(viewer, np.stack([RAMP] * 3), np.stack([FINE] * 3), scale=(2, 0.5, 0.5), units="µm")
    plot = press(docked(), qtbot)
    viewer.dims.ndisplay = 3
    qtbot.waitUntil(lambda: plot.message.startswith("The line profile needs the 2-D view"))


@pytest.mark.parametrize("closed", ["its own", "Deblur + SR"])
def test_a_closed_dock_leaves_nothing_behind(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot, closed: str
) -> None:
    made(viewer, RAMP, FINE)
    widget = docked()
    listeners = len(viewer.layers.events.callbacks), len(viewer.dims.events.callbacks)
    plot = press(widget, qtbot)
    viewer.window.remove_dock_widget(plot if closed == "its own" else widget.native)
    qtbot.wait(50)
    assert not any(isinstance(each, ProfilePlot) for each in viewer.window.dock_widgets.values())
    assert widget.comparison.profile.plot is None
    now = len(viewer.layers.events.callbacks), len(viewer.dims.events.callbacks)
    assert now <= listeners
    if closed == "its own":
        press(widget, qtbot)


@pytest.mark.parametrize("deleted_first", ["the widget", "the plot"])
def test_the_window_can_be_closed_with_it(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot, deleted_first: str
) -> None:
    made(viewer, RAMP, FINE)
    widget = docked()
    press(widget, qtbot)
    if deleted_first == "the plot":  # Qt deletes last what was brought to the front last
        dock = dock_of(widget.native)
        assert dock is not None
        dock.raise_()
    with qtbot.captureExceptions() as exceptions:
        viewer.close()
        qtbot.wait(100)
    assert exceptions == []


def test_it_fits_a_screen_of_1366_by_768_with_the_tools_for_lines_open(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot
) -> None:
    made(viewer, RAMP, FINE)
    press(docked(), qtbot)
    qtbot.wait(100)
    window = viewer.window._qt_window
    assert window.minimumSizeHint().height() <= 728
    assert (window.width(), window.height()) == (1366, 728)


def test_on_a_screen_that_is_too_low_it_is_a_window_of_its_own(
    viewer: Viewer,
    docked: Callable[[], DeblurWidget],
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made(viewer, RAMP, FINE)
    widget = docked()
    height = viewer.window._qt_window.height()
    low = QRect(0, 0, 960, 520)  # of 1920 × 1040 at 200 %
    monkeypatch.setattr(type(viewer.window._qt_window.screen()), "availableGeometry", lambda _: low)
    plot = press(widget, qtbot)
    assert plot.window() is not viewer.window._qt_window
    assert plot.isVisible()
    assert viewer.window._qt_window.height() == height
    window, floating = viewer.window._qt_window, plot.window().geometry()
    assert floating.height() >= 200
    corner = window.mapToGlobal(window.rect().bottomLeft())
    assert abs(floating.bottom() - corner.y()) <= 2  # off the menu and the tools for lines
    assert abs(floating.left() - corner.x()) <= 2


def test_what_is_written_has_the_colour_of_the_theme(
    viewer: Viewer, docked: Callable[[], DeblurWidget], qtbot: QtBot
) -> None:
    made(viewer, RAMP, FINE)
    widget = docked()
    plot, seen = press(widget, qtbot), []
    for theme in ("dark", "light"):
        get_settings().appearance.theme = theme
        qtbot.wait(50)
        written = plot.palette().color(plot.foregroundRole())
        assert plot.plot.getAxis("left").textPen().color() == written
        seen.append(written.lightness())
    assert seen[0] > 180
    assert seen[1] < 80
