"""A scan in the viewer: it fills in on disk, follows the view, is cancelled and gone on with."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_mdeblurgan import load_model, restore, stopping
from napari_mdeblurgan.restoration import operations, scan
from napari_mdeblurgan.stopping import look_up
from napari_mdeblurgan.storage import read_image
from napari_mdeblurgan.storage.ome_zarr_writing import OmeZarrWriter
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from tests.widgets.event_loop import watched

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

BLOCK = 512  # pixels of the source along a side
READ_AHEAD = 4


class Blocks:
    """Lets the network do batches of one block one by one, and notes which blocks are written."""

    def __init__(self) -> None:
        self.done: list[tuple[tuple[int, ...], int, int]] = []
        self._open = threading.Semaphore(0)
        self._apply, self._write = operations.apply, OmeZarrWriter.write
        self.waiting = 0

    def let_on(self, count: int = 1000) -> None:
        if count:
            self._open.release(count)

    def apply(self, *arguments: Any) -> Any:
        self.waiting += 1
        while not self._open.acquire(timeout=0.01):
            look_up()
        return self._apply(*arguments)

    def write(
        self, writer: OmeZarrWriter, index: tuple[int, ...], y: int, x: int, pixels: np.ndarray
    ) -> None:
        self._write(writer, index, y, x, pixels)
        self.done.append((index, y, x))


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_mdeblurgan.widgets.scan.TILE", BLOCK)


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> Generator[Blocks, None, None]:
    blocks = Blocks()
    monkeypatch.setattr(operations, "apply", blocks.apply)
    monkeypatch.setattr(OmeZarrWriter, "write", lambda writer, *block: blocks.write(writer, *block))
    monkeypatch.setattr(scan, "fitting_batch", lambda *_: 1)
    monkeypatch.setattr(stopping, "HEARTBEAT_S", 0.02)
    yield blocks
    blocks.let_on()


@pytest.fixture
def on_disk(widget: DeblurWidget) -> DeblurWidget:
    widget.results.to_disk.value = True
    return widget


def begin(qtbot: QtBot, widget: DeblurWidget, blocks: Blocks, done: int = 0) -> Image:
    """Press the button, and let so many blocks be done; returns the layer that fills in."""
    layers = list(widget._viewer.layers)
    blocks.let_on(done)
    widget.controls.run.native.click()
    qtbot.waitUntil(lambda: len(blocks.done) == done and blocks.waiting > done, timeout=60_000)
    qtbot.waitUntil(lambda: widget.scans.open_path is not None, timeout=60_000)
    return next((layer for layer in widget._viewer.layers if layer not in layers), layers[-1])


def stop(qtbot: QtBot, widget: DeblurWidget, blocks: Blocks) -> None:
    """Press Cancel while a block is being done, which is left."""
    done = len(blocks.done)
    widget.controls.cancel.native.click()
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)
    assert len(blocks.done) == done


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
    monkeypatch.setattr("napari_mdeblurgan.widgets.scan.DISK_SHARE", 0)
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
    image, largest = noise(2, 800, 800), []
    stored = zarr.create_array({}, data=image, chunks=(1, 100, 100))
    read = zarr.Array.__getitem__

    def noted(array: zarr.Array, index: Any) -> Any:
        part = read(array, index)
        if array.chunks[-1] == 100:
            largest.append(part.size)
        return part

    monkeypatch.setattr(zarr.Array, "__getitem__", noted)
    data = {
        "dask": da.from_array(stored),
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
    qtbot.waitUntil(lambda: bool((layer._slice.image.raw != image).any()), timeout=30_000)
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
    limits = None if kind == "colour" else (0, 300)
    viewer.add_image(
        data, name="scan", rgb=kind == "colour", contrast_limits=limits, axis_labels=labels
    )
    if kind == "channels":
        viewer.dims.set_current_step(0, 1)
    layer = begin(qtbot, on_disk, blocks)
    plane = image[1] if kind == "channels" else image
    qtbot.waitUntil(lambda: np.array_equal(layer._slice.image.raw, plane), timeout=30_000)
    assert layer.dtype == image.dtype
    assert tuple(layer.contrast_limits) == (limits or (0, 255))
    part = (
        (1, slice(700, 1100), slice(600, 1500))
        if kind == "channels"
        else (slice(700, 1100), slice(600, 1500))
    )
    expected = plane[350:550, 300:750].repeat(2, 0).repeat(2, 1)
    qtbot.waitUntil(
        lambda: np.array_equal(np.asarray(layer.data[0][part]), expected), timeout=30_000
    )
    blocks.let_on(1)
    qtbot.waitUntil(lambda: len(blocks.done) == 1, timeout=30_000)
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
            qtbot.waitUntil(lambda before=before: len(blocks.done) > before, timeout=30_000)
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


# ---- cancelled, and gone on with


def test_cancel_keeps_what_is_done_and_resume_goes_on_in_the_same_layer(
    viewer: Viewer,
    on_disk: DeblurWidget,
    noise: Noise,
    blocks: Blocks,
    qtbot: QtBot,
    wait_for_end: Run,
) -> None:
    image = noise(1000, 1000)
    viewer.add_image(image, name="scan")
    layer = begin(qtbot, on_disk, blocks, done=2)
    stop(qtbot, on_disk, blocks)
    assert "kept" in on_disk.controls.status.value
    assert layer.name == "scan [sharp ×2] – unfinished, 50 %"
    assert on_disk.controls.run.text == "Resume"
    assert np.asarray(layer.data[0]).any()
    kept = set(blocks.done)
    blocks.done.clear()
    blocks.let_on()
    on_disk.controls.run.native.click()
    wait_for_end()
    assert kept.isdisjoint(blocks.done)
    assert len(kept) + len(blocks.done) == 4
    assert viewer.layers[1:] == [layer]
    assert layer.name == "scan [sharp ×2]"
    assert on_disk.controls.run.text == "Deblur + SR"
    np.testing.assert_allclose(
        np.asarray(layer.data[0]), restore(image, load_model("tiny-grey")), atol=1
    )


def test_scan_is_gone_on_with_after_napari_was_closed(
    make_napari_viewer: Callable[..., Viewer],
    noise: Noise,
    blocks: Blocks,
    qtbot: QtBot,
    tmp_path: Path,
) -> None:
    stored = str(tmp_path / "source.zarr")
    zarr.create_array(stored, data=noise(1000, 1000), chunks=(256, 256))

    def opened() -> DeblurWidget:
        viewer = make_napari_viewer()
        widget = DeblurWidget(viewer)
        viewer.window.add_dock_widget(widget)
        widget.results.to_disk.value = True
        widget.controls.trust.value = False
        viewer.add_image(da.from_zarr(stored), name="scan", contrast_limits=(0, 255))
        return widget

    first = opened()
    begin(qtbot, first, blocks, done=2)
    first._viewer.close()
    qtbot.wait(500)
    assert len(blocks.done) == 2  # what was in the network is left
    kept = set(blocks.done)
    blocks.done.clear()
    blocks.let_on()
    second = opened()
    second.controls.run.native.click()
    qtbot.waitUntil(lambda: not second.running, timeout=60_000)
    assert kept.isdisjoint(blocks.done)
    assert len(kept) + len(blocks.done) == 4
    assert np.asarray(second._viewer.layers[1].data[0]).all(axis=0).any()


def test_finished_scan_is_shown_again_without_work(
    viewer: Viewer, on_disk: DeblurWidget, noise: Noise, run: Run, blocks: Blocks
) -> None:
    viewer.add_image(noise(), name="scan")
    blocks.let_on()
    run()
    del viewer.layers[1]
    blocks.done.clear()
    run()
    assert not blocks.done
    assert "had been made before" in on_disk.controls.status.value
    assert viewer.layers[1].data.shape == (80, 96)


def test_scan_is_gone_on_with_after_its_source_was_renamed(
    viewer: Viewer,
    on_disk: DeblurWidget,
    noise: Noise,
    blocks: Blocks,
    qtbot: QtBot,
    wait_for_end: Run,
    cache_folder: Path,
) -> None:
    source = viewer.add_image(noise(1000, 1000), name="scan")
    layer = begin(qtbot, on_disk, blocks, done=1)
    stop(qtbot, on_disk, blocks)
    kept = len(blocks.done)
    source.name = "leaf"
    blocks.let_on()
    on_disk.controls.run.native.click()
    wait_for_end()
    assert (kept > 0, len(blocks.done)) == (True, 4)
    assert viewer.layers[1:] == [layer]
    assert len(list(cache_folder.iterdir())) == 1


def test_reopened_widget_goes_on_in_the_layer_that_is_there(
    viewer: Viewer, on_disk: DeblurWidget, noise: Noise, blocks: Blocks, qtbot: QtBot
) -> None:
    image = noise(1000, 1000)
    viewer.add_image(image, name="scan")
    layer = begin(qtbot, on_disk, blocks, done=1)
    viewer.window.remove_dock_widget(on_disk.native)
    qtbot.wait(500)
    assert len(blocks.done) == 1
    again = DeblurWidget(viewer)
    again.controls.trust.value = False
    again.results.to_disk.value = True
    viewer.window.add_dock_widget(again)
    blocks.let_on()
    again.controls.run.native.click()
    qtbot.waitUntil(lambda: not again.running, timeout=60_000)
    assert viewer.layers[1:] == [layer]
    np.testing.assert_allclose(
        np.asarray(layer.data[0]), restore(image, load_model("tiny-grey")), atol=1
    )


def test_failure_of_which_nothing_is_left_offers_no_resuming(
    viewer: Viewer,
    on_disk: DeblurWidget,
    noise: Noise,
    blocks: Blocks,
    qtbot: QtBot,
    cache_folder: Path,
) -> None:
    viewer.add_image(noise(1000, 1000), name="scan")
    begin(qtbot, on_disk, blocks, done=1)
    shutil.rmtree(cache_folder)
    blocks.let_on()
    qtbot.waitUntil(lambda: not on_disk.running, timeout=60_000)
    assert "Cancelled" not in on_disk.controls.status.value
    assert "Resume" not in on_disk.controls.status.value
    assert on_disk.controls.run.text == "Deblur + SR"
