"""Only here: what is done with the parts that were restored, on disk, and when one is cancelled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt

from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.deblur.map_layers import add_map
from napari_mdeblurgan.widgets.runs.trust import KNOWN_TRUST
from tests.widgets.deblur.only_here.dock import box, choose, names, press, whole_result

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

__all__ = ["choose", "press"]  # fixtures


def test_every_part_has_a_verdict_and_maps_that_lie_on_it(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    choose: Callable[[str], None],
    press: Run,
    tmp_path: Path,
) -> None:
    from napari_mdeblurgan.widgets.runs import trust

    viewer.add_image(noise(90, 100), name="scan")
    viewer.add_shapes(
        [box(10, 50, 10, 60), np.array([[10.0, 20], [60, 30], [30, 80]])],
        shape_type=["rectangle", "polygon"],
    )
    widget.controls.trust.native.click()
    choose("Shapes")
    press()
    viewer.layers.selection.active = viewer.layers["scan"]
    assert widget.controls.headline.value.startswith("region 2: <span")
    for number in (1, 2):
        part = viewer.layers[f"scan [sharp ×2, region {number}]"]
        trusted = KNOWN_TRUST[part]
        viewer.layers.selection.active = part
        assert widget.controls.headline.value.startswith("<span")
        found = trusted.assessment.map("consistency")
        assert found is not None
        assert found.data.shape == tuple(length // 2 for length in part.data.shape)
        error = trusted.assessment.map("error")
        if error is not None:
            assert error.data.shape == part.data.shape
            np.testing.assert_array_equal(np.isnan(part.data), np.isnan(error.data))
        for arguments in trusted.layers:
            shown = add_map(viewer, arguments, [part])
            corner = shown.data_to_world((-0.5, -0.5))
            np.testing.assert_allclose(corner, part.data_to_world((-0.5, -0.5)), atol=1e-9)
        trust.save_report(tmp_path / f"{number}.html", trusted, part.data)
        assert (tmp_path / f"{number}.html").stat().st_size > 1000


def test_compare_blinks_all_parts_of_a_run_and_the_curtain_shows_them_together(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    choose: Callable[[str], None],
    press: Run,
    qtbot: QtBot,
) -> None:
    source = viewer.add_image(noise(), name="scan", blending="additive")
    viewer.add_shapes([box(2, 9, 2, 9), box(12, 19, 12, 19)])
    choose("Shapes")
    press()
    parts = [viewer.layers[f"scan [sharp ×2, region {n}]"] for n in (1, 2)]
    assert [each.visible for each in parts] == [True, True]
    for seen in (False, True):
        qtbot.mouseClick(widget.controls.compare.native, Qt.MouseButton.LeftButton)
        assert [each.visible for each in parts] == [seen, seen]
    assert not source.visible
    qtbot.keyClick(widget.controls.compare_by.native, Qt.Key.Key_Down)
    shown = widget.comparison.shown
    assert shown is not None
    assert sorted(shown.pairs, key=lambda pair: pair[1].name) == [(source, each) for each in parts]
    assert all(each.visible for each in (source, *parts))
    qtbot.mouseClick(widget.controls.compare.native, Qt.MouseButton.LeftButton)
    assert [source.visible, *(each.visible for each in parts)] == [False, True, True]


def test_channels_of_a_run_go_with_the_same_part_of_each_other(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None], press: Run
) -> None:
    channels = [viewer.add_image(noise(), name=name) for name in ("dapi", "gfp")]
    viewer.add_shapes([box(2, 9, 2, 9), box(12, 19, 12, 19)])
    viewer.layers.selection = set(channels)
    choose("Shapes")
    press()
    viewer.layers.selection.active = viewer.layers["dapi [sharp ×2, region 1]"]
    assert [each.name for each in widget._chosen.kept] == [
        "dapi [sharp ×2, region 1]",
        "gfp [sharp ×2, region 1]",
    ]


def test_cancel_keeps_the_parts_that_are_done(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    choose: Callable[[str], None],
    qtbot: QtBot,
    gate: Any,
) -> None:
    viewer.add_image(noise(), name="scan")
    viewer.add_shapes([box(2, 9, 2, 9), box(12, 19, 12, 19), box(22, 29, 2, 9)])
    choose("Shapes")
    qtbot.mouseClick(widget.controls.run.native, Qt.MouseButton.LeftButton)
    gate.let_on(gate.TILES)
    qtbot.waitUntil(lambda: widget.controls.status.value.startswith("Restoring region 2 of 3"))
    qtbot.mouseClick(widget.controls.cancel.native, Qt.MouseButton.LeftButton)
    gate.let_on()
    qtbot.waitUntil(lambda: not widget.running)
    assert names(viewer) == ["scan", "scan [sharp ×2, region 1]", "Shapes"]
    assert "Cancelled" in widget.controls.status.value


def test_on_disk_every_part_is_a_result_of_its_own_and_none_is_taken_for_the_whole(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    choose: Callable[[str], None],
    press: Run,
    cache_folder: Path,
) -> None:
    viewer.add_image(noise(90, 100), name="scan")
    viewer.add_shapes(
        [box(5, 20, 10, 35), np.array([[10.0, 20], [60, 30], [30, 80]])],
        shape_type=["rectangle", "polygon"],
    )
    choose("Shapes")
    widget.controls.trust.native.click()
    widget.results.to_disk.native.click()
    sentence = "Each shape is saved to disk as a result of its own"
    assert sentence in widget.controls.status.value
    press()
    assert widget.controls.status.value.count(sentence) == 1
    assert widget.controls.status.value.count(str(cache_folder)) == 1
    assert widget.controls.status.value.count(" and saved in the same folder.") == 1
    widget._say("Something else.")  # before which it is to be known all the same
    assert sentence in widget.controls.status.value
    names_on_disk = sorted(path.name for path in cache_folder.iterdir())
    assert [name.rsplit(" ", 1)[0] for name in names_on_disk] == [
        f"scan sharp ×2, region {n}" for n in (1, 2)
    ]
    first, second = (viewer.layers[f"scan [sharp ×2, region {n}]"] for n in (1, 2))
    for part in (first, second):
        viewer.layers.selection.active = part
        assert widget.controls.headline.value
    assert first.data[0].shape == (32, 52)
    assert second.data[0].shape == (102, 122)
    whole = whole_result(viewer, choose, press, "scan [sharp ×2]")
    assert whole.data[0].shape == (180, 200)
    assert len(list(cache_folder.iterdir())) == 3
    np.testing.assert_allclose(
        np.asarray(first.data[0]).astype(int), np.asarray(whole.data[0])[10:42, 20:72], atol=1
    )


def test_an_interrupted_part_is_resumed_only_as_long_as_its_shape_is_chosen(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None], qtbot: QtBot
) -> None:
    from napari_mdeblurgan.widgets.runs.to_disk import Opened

    viewer.add_image(noise(600, 600), name="scan")
    shapes = viewer.add_shapes([box(5, 580, 10, 590)])
    choose("Shapes")
    widget.results.to_disk.native.click()
    step = widget._runner._on_step

    def cancel_when_open(made: Any) -> None:
        step(made)
        if isinstance(made, Opened):
            widget.cancel()

    widget._runner._on_step = cancel_when_open
    qtbot.mouseClick(widget.controls.run.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)
    widget.results.to_disk.native.click()
    assert widget.controls.run.text == "Resume (1 shape)"
    choose("Whole image")
    assert widget.controls.run.text == "Deblur + SR"
    choose("Shapes")
    assert widget.controls.run.text == "Resume (1 shape)"
    shapes.data = [box(5, 480, 10, 590)]
    qtbot.waitUntil(lambda: widget.controls.run.text == "Deblur + SR (1 shape)")
