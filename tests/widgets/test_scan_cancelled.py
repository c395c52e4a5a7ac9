"""A scan that is cancelled, and gone on with: in the same layer, another session, another dock."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import zarr
from napari.layers._layer_actions import _duplicate_layer

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from tests.widgets.scan_blocks import Blocks, begin, blocks, on_disk, small_tiles, stop

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

__all__ = ["blocks", "on_disk", "small_tiles"]  # fixtures


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


def test_a_copy_of_an_unfinished_layer_is_resumed_with_it_and_a_slice_of_it_is_left_alone(
    viewer: Viewer,
    on_disk: DeblurWidget,
    noise: Noise,
    blocks: Blocks,
    qtbot: QtBot,
    wait_for_end: Run,
) -> None:
    source = viewer.add_image(noise(1000, 1000), name="scan")
    layer = begin(qtbot, on_disk, blocks, done=2)
    stop(qtbot, on_disk, blocks)
    viewer.layers.selection.active = layer
    _duplicate_layer(viewer.layers)
    copy = next(each for each in viewer.layers if each not in (source, layer))
    cut = viewer.add_image(
        np.asarray(layer.data[0][:9, :9]), name="cut", metadata=dict(layer.metadata)
    )
    assert copy.name == "scan [sharp ×2] – unfinished, 50 % copy"
    viewer.layers.selection.active = source
    begin(qtbot, on_disk, blocks, done=2)
    blocks.let_on(1)
    qtbot.waitUntil(lambda: len(blocks.done) == 3)
    stop(qtbot, on_disk, blocks)
    assert copy.name == "scan [sharp ×2] copy – unfinished, 75 %"
    blocks.let_on()
    on_disk.controls.run.native.click()
    wait_for_end()
    assert [each.name for each in (layer, copy)] == ["scan [sharp ×2]", "scan [sharp ×2] copy"]
    whole = np.asarray(layer.data[0])
    assert whole[1500:, 1500:].std()
    assert np.array_equal(np.asarray(copy.data[0]), whole)
    assert (cut.name, cut.data.shape) == ("cut", (9, 9))


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
