"""A scan in the viewer: it fills in on disk, follows the view, is cancelled and gone on with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers._layer_actions import _duplicate_layer

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.storage import read_image
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from tests.widgets.event_loop import watched
from tests.widgets.scan_blocks import BLOCK, Blocks, begin, blocks, on_disk, small_tiles, stop

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

__all__ = ["blocks", "on_disk", "small_tiles"]  # fixtures

READ_AHEAD = 4


# ---- where it is made


def test_result_on_disk_is_what_the_engine_makes_and_the_status_says_where_it_is(
    viewer: Viewer, on_disk: DeblurWidget, noise: Noise, run: Run, cache_folder: Path
) -> None:
    image = noise(600, 700)
    viewer.add_image(image, name="scan: no. 1/2", scale=(0.5, 0.5), units="µm")
    run()
    (path,) = cache_folder.glob("*.ome.zarr")
    layer = viewer.layers[1]
    expected = restore(image, load_model("tiny-grey"))
    assert layer.multiscale
    assert [level.shape for level in layer.data] == [(1200, 1400), (600, 700)]
    np.testing.assert_allclose(np.asarray(layer.data[0]), expected, atol=1)
    assert layer.metadata["mdeblurgan"]["file"] == str(path)
    assert str(path) in on_disk.controls.status.value
    saved = read_image(path)
    assert (saved.axes, saved.pixel_size, saved.unit) == ("YX", {"Y": 0.25, "X": 0.25}, "µm")
    np.testing.assert_array_equal(saved.data, np.asarray(layer.data[0]))


def test_result_on_disk_looks_as_its_source_does_when_it_comes(
    viewer: Viewer, on_disk: DeblurWidget, noise: Noise, wait_for_end: Run
) -> None:
    source = viewer.add_image(noise(), name="leaf")
    on_disk.controls.run.native.click()
    source.contrast_limits, source.colormap = (20, 90), "magma"
    wait_for_end()
    result = viewer.layers[1]
    assert (tuple(result.contrast_limits), result.colormap.name) == ((20, 90), "magma")


def test_result_that_would_crowd_the_memory_is_made_on_disk_by_itself(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Run,
    cache_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer.add_image(noise(), name="small")
    widget.results.to_disk.native.click()
    assert widget.results.to_disk.enabled
    widget.results.to_disk.native.click()
    assert not widget.results.to_disk.value
    monkeypatch.setattr("napari_mdeblurgan.widgets.runs.to_disk.DISK_SHARE", 0)
    viewer.add_image(noise(), name="large")
    assert widget.results.to_disk.value
    assert not widget.results.to_disk.enabled
    run()
    assert len(list(cache_folder.glob("large*.ome.zarr"))) == 1


def test_folder_that_the_user_picked_is_used_and_remembered(
    viewer: Viewer, on_disk: DeblurWidget, noise: Noise, run: Run, tmp_path: Path
) -> None:
    on_disk.results.use(str(tmp_path / "mine"))
    viewer.add_image(noise(), name="leaf")
    run()
    assert [path.name.split(" sharp")[0] for path in (tmp_path / "mine").iterdir()] == ["leaf"]
    assert DeblurWidget(viewer).results.folder == tmp_path / "mine"


@pytest.mark.parametrize("kind", ["dask", "zarr", "multiscale"])
def test_lazy_image_is_never_pulled_into_memory_whole(
    viewer: Viewer,
    on_disk: DeblurWidget,
    noise: Noise,
    run: Run,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image, largest = noise(2, 1100, 1100), []
    stored = zarr.create_array({}, data=image, chunks=(1, 100, 100))
    read = zarr.Array.__getitem__

    def noted(array: zarr.Array, index: Any) -> Any:
        part = read(array, index)
        if array.chunks[-1] == 100:
            largest.append(part.size)
        return part

    monkeypatch.setattr(zarr.Array, "__getitem__", noted)
    data = {
        "dask": da.from_array(stored, chunks=stored.chunks),
        "zarr": stored,
        "multiscale": [stored, image[:, ::2, ::2]],
    }[kind]
    viewer.add_image(
        data, name="scan", contrast_limits=(0, 255), visible=False, multiscale=kind == "multiscale"
    )
    run()
    assert max(largest) <= (BLOCK + 200) ** 2
    np.testing.assert_allclose(
        np.asarray(viewer.layers[1].data[0]), restore(image, load_model("tiny-grey")), atol=1
    )


def test_colour_scan_looks_like_its_source_and_lies_on_it(
    viewer: Viewer, on_disk: DeblurWidget, noise: Noise, run: Run
) -> None:
    image = noise(300, 400, 3)
    source = viewer.add_image(image, rgb=True, scale=(2, 2), translate=(5, 6), opacity=0.7)
    run()
    result = viewer.layers[1]
    assert result.rgb
    assert result.opacity == 0.7
    assert result.data.shape == (600, 800, 3)
    np.testing.assert_allclose(
        result.data_to_world((-0.5, -0.5)), source.data_to_world((-0.5, -0.5))
    )
    np.testing.assert_allclose(
        result.data_to_world((599.5, 799.5)), source.data_to_world((299.5, 399.5))
    )
    np.testing.assert_allclose(
        np.asarray(result.data[0]), restore(image, load_model("tiny-colour")), atol=1
    )


@pytest.mark.parametrize("rotate", [0, 30])
def test_file_says_where_an_upright_scan_lies(
    viewer: Viewer, on_disk: DeblurWidget, noise: Noise, run: Run, rotate: float
) -> None:
    scale, units = (3, 0.5, 0.5), ("µm", "µm", "µm")
    labels = ("z", "y", "x")
    viewer.add_image(
        noise(5, 40, 50),
        scale=scale,
        translate=(2, 100, -7),
        rotate=rotate,
        units=units,
        axis_labels=labels,
    )
    on_disk.slices.ranges[0].value = (2, 3)
    run()
    saved = read_image(viewer.layers[1].metadata["mdeblurgan"]["file"])
    begin = {"Z": 8.0, "Y": 100 - 0.125, "X": -7 - 0.125}
    assert saved.position == (begin if rotate == 0 else {"Z": 0.0, "Y": -0.125, "X": -0.125})


# ---- while it is made


def test_layer_appears_at_once_and_fills_in(
    viewer: Viewer,
    on_disk: DeblurWidget,
    noise: Noise,
    blocks: Blocks,
    qtbot: QtBot,
    wait_for_end: Run,
) -> None:
    image = noise(1000, 1000)
    source = viewer.add_image(image, name="scan", colormap="green", contrast_limits=(3, 200))
    layer = begin(qtbot, on_disk, blocks)
    assert layer.name == "scan [sharp ×2]"
    assert (layer.colormap.name, layer.contrast_limits, layer.data.shape) == (
        "green",
        [3, 200],
        (2000, 2000),
    )
    assert viewer.layers.selection.active is source
    np.testing.assert_array_equal(
        layer._slice.image.raw, image
    )  # the source, of half as many pixels along an edge
    blocks.let_on(3)
    qtbot.waitUntil(lambda: bool((layer._slice.image.raw != image).any()))
    coarse = layer._slice.image.raw
    assert (coarse[:500, :500] != image[:500, :500]).mean() > 0.5
    np.testing.assert_array_equal(coarse[512:, 512:], image[512:, 512:])
    assert not on_disk.controls.run.enabled
    blocks.let_on()
    wait_for_end()
    assert coarse.shape == (1000, 1000)
    np.testing.assert_allclose(
        np.asarray(layer.data[0]), restore(image, load_model("tiny-grey")), atol=1
    )
    assert viewer.layers[:] == [source, layer]


@pytest.mark.parametrize("kind", ["colour", "float", "channels", "dask", "pyramid"])
def test_source_is_shown_enlarged_where_nothing_is_done_at_every_level(
    viewer: Viewer, on_disk: DeblurWidget, noise: Noise, blocks: Blocks, qtbot: QtBot, kind: str
) -> None:
    shape = {"colour": (1000, 1000, 3), "channels": (2, 1000, 1000)}.get(kind, (1000, 1000))
    image = noise(*shape, dtype=np.float32 if kind == "float" else np.uint8) + 1
    pyramid = [image, image[::2, ::2]]
    data = {"dask": da.from_array(image, chunks=300), "pyramid": pyramid}.get(kind, image)
    labels = ("c", "y", "x") if kind == "channels" else None
    limits = (0, 300)
    viewer.add_image(
        data, name="scan", rgb=kind == "colour", contrast_limits=limits, axis_labels=labels
    )
    if kind == "channels":
        viewer.dims.set_current_step(0, 1)
    layer = begin(qtbot, on_disk, blocks)
    plane = image[1] if kind == "channels" else image
    qtbot.waitUntil(lambda: np.array_equal(layer._slice.image.raw, plane))
    assert layer.dtype == image.dtype
    assert tuple(layer.contrast_limits) == limits
    part = (
        (1, slice(700, 1100), slice(600, 1500))
        if kind == "channels"
        else (slice(700, 1100), slice(600, 1500))
    )
    expected = plane[350:550, 300:750].repeat(2, 0).repeat(2, 1)
    qtbot.waitUntil(lambda: np.array_equal(np.asarray(layer.data[0][part]), expected))
    blocks.let_on(1)
    qtbot.waitUntil(lambda: len(blocks.done) == 1)
    stop(qtbot, on_disk, blocks)
    there = {(index, y // 2, x // 2) for index, y, x in blocks.done}
    for y, x in ((0, 0), (0, BLOCK), (BLOCK, 0), (BLOCK, BLOCK)):
        place = (slice(y, y + BLOCK), slice(x, x + BLOCK))
        index = (1,) if kind == "channels" else ()
        same = np.array_equal(np.asarray(layer.data[1][(*index, *place)]), plane[place])
        assert same == ((index, y, x) not in there)
    assert "unfinished" in layer.name


def test_blocks_in_view_are_done_next_and_a_new_view_is_followed(
    make_napari_viewer: Callable[..., Viewer], noise: Noise, blocks: Blocks, qtbot: QtBot
) -> None:
    viewer = make_napari_viewer(show=True)
    widget = DeblurWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.results.to_disk.value = True
    viewer.add_image(noise(2, 2048, 2048), name="scan")
    viewer.dims.set_current_step(0, 1)

    def look_at(y: int, x: int) -> None:
        viewer.scene.camera.center, viewer.scene.camera.zoom = (1, y, x), 20

    def comes_soon(*block: Any) -> bool:
        """Whether a block is done, once those are that were begun before the view moved."""
        for _ in range(READ_AHEAD):
            blocks.let_on(1)
            before = len(blocks.done)
            qtbot.waitUntil(lambda before=before: len(blocks.done) > before)
        return block in blocks.done

    look_at(1300, 1800)
    begin(qtbot, widget, blocks)
    qtbot.wait(500)
    assert comes_soon((1,), 2048, 3072)
    look_at(1800, 200)
    qtbot.wait(500)
    assert comes_soon((1,), 3072, 0)
    viewer.dims.set_current_step(0, 0)
    qtbot.wait(500)
    assert comes_soon((0,), 3072, 0)
    stop(qtbot, widget, blocks)


def test_a_scan_begins_with_the_block_in_view(
    make_napari_viewer: Callable[..., Viewer], noise: Noise, blocks: Blocks, qtbot: QtBot
) -> None:
    viewer = make_napari_viewer(show=True)
    widget = DeblurWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.results.to_disk.value = True
    widget.controls.trust.value = False
    viewer.add_image(noise(2, 1536, 1536), name="scan")
    viewer.dims.set_current_step(0, 1)
    viewer.scene.camera.center, viewer.scene.camera.zoom = (1, 1300, 1300), 20
    qtbot.wait(300)
    begin(qtbot, widget, blocks, done=1)
    assert blocks.done == [((1,), 2048, 2048)]
    stop(qtbot, widget, blocks)


def test_event_loop_is_never_late_for_long_while_a_scan_is_restored(
    make_napari_viewer: Callable[..., Viewer], noise: Noise, qtbot: QtBot
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(700, 500)
    widget = DeblurWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.results.to_disk.value = True
    viewer.add_image(noise(6000, 6000), name="scan", visible=False)
    widget.controls.run.native.click()
    qtbot.waitUntil(lambda: widget.scans.open_path is not None, timeout=60_000)
    qtbot.wait(500)
    viewer.scene.camera.zoom *= 4
    with watched() as late:
        qtbot.wait(4000)
        viewer.scene.camera.center = (2000, 2000)
        qtbot.wait(2000)
    assert widget.running
    assert len(viewer.layers) == 2
    assert np.percentile(late, 95) <= 0.05
    widget.controls.cancel.native.click()
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)


@pytest.mark.parametrize("end", ["whole", "cancelled"])
def test_a_layer_that_was_duplicated_while_it_filled_in_shows_what_there_is_in_the_end(
    viewer: Viewer,
    on_disk: DeblurWidget,
    blocks: Blocks,
    noise: Noise,
    qtbot: QtBot,
    wait_for_end: Run,
    end: str,
) -> None:
    viewer.add_image(noise(600, 600))
    layer = begin(qtbot, on_disk, blocks, done=1)
    viewer.layers.selection = {layer}
    _duplicate_layer(viewer.layers)
    copy = viewer.layers[f"{layer.name} copy"]
    if end == "whole":
        blocks.let_on()
        wait_for_end()
    else:
        stop(qtbot, on_disk, blocks)
    assert copy in viewer.layers
    for level, same in zip(layer.data, copy.data, strict=True):
        np.testing.assert_array_equal(np.asarray(same), np.asarray(level))
