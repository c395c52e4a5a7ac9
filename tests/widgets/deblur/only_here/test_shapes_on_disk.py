"""Only here with Save to disk: of a polygon or an ellipse the layer shows what it does in memory,
while it fills in, when it is whole, and opened again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_mdeblurgan.storage import open_image
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.runs.trust import KNOWN_TRUST
from tests.widgets.deblur.only_here.dock import box, choose, press
from tests.widgets.keep.conftest import answer, plugins, reopened, save

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

__all__ = ["answer", "choose", "plugins", "press", "reopened", "save"]  # fixtures

PART = "scan [sharp ×2, region 1]"
TRIANGLE = np.array([[10.2, 20.3], [590.4, 90.1], [230.7, 610.9]])


def both(viewer: Viewer, widget: DeblurWidget, press: Run) -> tuple[Any, Any]:
    """The layers of one shape restored in memory and on disk."""
    press()
    in_memory = viewer.layers[PART]
    in_memory.name = "in memory"
    widget.results.to_disk.native.click()
    press()
    return in_memory, viewer.layers[PART]


@pytest.mark.parametrize("colours", [(), (3,)])
def test_a_shape_on_disk_shows_what_it_shows_in_memory_and_so_does_its_file(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    choose: Callable[[str], None],
    press: Run,
    reopened: Callable[[Path], list[Any]],
    cache_folder: Path,
    colours: tuple[int, ...],
) -> None:
    viewer.add_image(noise(600, 640, *colours), name="scan", rgb=bool(colours))
    viewer.add_shapes([TRIANGLE], shape_type="polygon")
    choose("Shapes")
    in_memory, on_disk = both(viewer, widget, press)
    finest, coarser = (np.asarray(each) for each in on_disk.data)
    assert finest.dtype == in_memory.data.dtype == (np.uint8 if colours else np.float32)
    assert finest.shape == in_memory.data.shape
    np.testing.assert_allclose(finest, in_memory.data, atol=1)
    assert on_disk.rgb == bool(colours)
    assert on_disk.blending == in_memory.blending == "translucent_no_depth"
    there = coarser[..., 3] > 0 if colours else np.isfinite(coarser)
    expected = finest[::2, ::2, 3] > 0 if colours else np.isfinite(finest[::2, ::2])
    assert there.mean() == pytest.approx(expected.mean(), abs=0.002)
    (path,) = cache_folder.iterdir()
    assert open_image(path).data.dtype == np.uint8  # the box, in the type of the image
    assert open_image(path).data.shape == (1162, 1184, *colours)
    (again,) = reopened(path)
    np.testing.assert_array_equal(np.asarray(again.data[0]), finest)
    np.testing.assert_array_equal(np.asarray(again.data[1]), coarser)
    np.testing.assert_allclose(again.data_to_world((0, 0)), on_disk.data_to_world((0, 0)))
    assert again.metadata["mdeblurgan"]["part"] == "region 1"
    assert "shown_within" not in again.metadata["mdeblurgan"]


def test_what_is_saved_of_a_shape_on_disk_is_empty_around_it(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    choose: Callable[[str], None],
    press: Run,
    save: Callable[..., str],
    reopened: Callable[[Path], list[Any]],
    tmp_path: Path,
) -> None:
    viewer.add_image(noise(90, 100), name="scan")
    viewer.add_shapes([TRIANGLE / 8], shape_type="polygon")
    choose("Shapes")
    widget.results.to_disk.native.click()
    press()
    viewer.layers.selection.active = part = viewer.layers[PART]
    shown = np.asarray(part.data[0])
    assert "saved as" in save(tmp_path / "part.ome.tif")
    stored = open_image(tmp_path / "part.ome.tif").data
    assert stored.dtype == np.float32
    assert np.isnan(np.asarray(stored)).mean() > 0.4
    (again,) = reopened(tmp_path / "part.ome.tif")
    np.testing.assert_array_equal(again.data, shown)


def test_maps_of_a_shape_on_disk_are_empty_around_it_and_the_verdict_is_that_of_the_memory(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    choose: Callable[[str], None],
    press: Run,
) -> None:
    viewer.add_image(noise(90, 100), name="scan")
    viewer.add_shapes([TRIANGLE / 8], shape_type="polygon")
    widget.controls.trust.native.click()
    choose("Shapes")
    layers = both(viewer, widget, press)
    in_memory, on_disk = (KNOWN_TRUST[each].assessment for each in layers)
    assert in_memory.sentence == on_disk.sentence
    assert {each.name for each in on_disk.maps} <= {each.name for each in in_memory.maps}
    assert on_disk.maps
    for made in on_disk.maps:
        found, expected = np.asarray(made.data), np.asarray(in_memory.map(made.name).data)
        assert found.shape == expected.shape
        if found.dtype.kind == "f":
            np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        else:
            np.testing.assert_array_equal(found == 0, expected == 0)


def test_what_fills_in_is_empty_around_the_shape_from_the_beginning(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    choose: Callable[[str], None],
    qtbot: QtBot,
) -> None:
    from napari_mdeblurgan.widgets.runs.to_disk import Opened

    viewer.add_image(noise(600, 640, 3), name="scan", rgb=True)
    viewer.add_shapes([TRIANGLE], shape_type="polygon")
    choose("Shapes")
    widget.results.to_disk.native.click()
    step, shown = widget._runner._on_step, []

    def look(made: Any) -> None:
        step(made)
        if isinstance(made, Opened):
            (layer,) = (each for each in viewer.layers if each.name.startswith(PART))
            shown.extend(np.asarray(level) for level in layer.data)
            shown.append(made.at_once(0, (5, range(3, 900), 3)))
            shown.append(np.asarray(made.shown[0][5, 3:900, 3]))
            widget.cancel()

    widget._runner._on_step = look
    qtbot.mouseClick(widget.controls.run.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)
    finest, coarsest, at_once, row = shown
    for level in (finest, coarsest):
        assert level.shape[-1] == 4
        assert (level[..., 3] > 0).mean() == pytest.approx(0.5, abs=0.1)
        assert level[..., 3].max() == 255
    np.testing.assert_array_equal(at_once, row)
    layer = next(each for each in viewer.layers if each.name.startswith(PART))
    assert layer.name.endswith(" %") or "unfinished" in layer.name
    assert np.asarray(layer.data[0])[0, -1, 3] == 0


def test_a_rectangle_and_an_ellipse_in_the_same_box_are_two_files(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    choose: Callable[[str], None],
    press: Run,
    reopened: Callable[[Path], list[Any]],
    cache_folder: Path,
) -> None:
    viewer.add_image(noise(40, 50), name="scan")
    viewer.add_shapes([box(5, 20, 10, 35)] * 2, shape_type=["rectangle", "ellipse"])
    choose("Shapes")
    widget.results.to_disk.native.click()
    press()
    rectangle, ellipse = sorted(cache_folder.iterdir())
    assert [path.name.rsplit(" ", 1)[0][-1] for path in (rectangle, ellipse)] == ["1", "2"]
    (whole,), (round_one,) = reopened(rectangle), reopened(ellipse)
    assert whole.data.dtype == np.uint8
    assert np.isnan(round_one.data).mean() == pytest.approx(
        1 - np.pi * 15 * 25 / (32 * 52), abs=0.01
    )
