"""A scan that an earlier session has left unfinished is offered for resuming when its image is
opened again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import zarr
from qtpy.QtCore import Qt

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.exclusive import claimed
from napari_mdeblurgan.model import save_model
from napari_mdeblurgan.restoration import scan_job
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import PARTIAL
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from tests.widgets.scan_blocks import Blocks, begin, blocks, small_tiles

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Open = Callable[..., DeblurWidget]

__all__ = ["blocks", "small_tiles"]  # fixtures

HALF = "An interrupted result of this image is 50 % done: press Resume to go on."


@pytest.fixture
def session(make_napari_viewer: Callable[..., Viewer], qtbot: QtBot) -> Generator[Open, None, None]:
    """``session(data, **layer)``: a new viewer with the docked widget, to which
    an image is added.
    """
    opened = []

    def make(data: Any, **layer: Any) -> DeblurWidget:
        viewer = make_napari_viewer(show=True)
        widget = DeblurWidget(viewer)
        viewer.window.add_dock_widget(widget)
        widget.controls.trust.value = False
        viewer.add_image(data, name="scan", contrast_limits=(0, 255), **layer)
        opened.append(widget)
        return widget

    yield make
    for widget in opened:
        widget.cancel()


def click(qtbot: QtBot, widget: DeblurWidget) -> None:
    qtbot.mouseClick(widget.controls.run.native, Qt.MouseButton.LeftButton)


def leave_half(qtbot: QtBot, widget: DeblurWidget, blocks: Blocks) -> set[Any]:
    """Restore on disk until two blocks are done, close the widget in the third, which is left;
    returns the two.
    """
    widget.results.to_disk.value = True
    begin(qtbot, widget, blocks, done=2)
    qtbot.waitUntil(lambda: blocks.waiting == 3, timeout=60_000)
    widget._viewer.window.remove_dock_widget(widget.native)
    qtbot.wait(500)
    assert len(blocks.done) == 2
    done = set(blocks.done)
    blocks.done.clear()
    return done


def offered(qtbot: QtBot, widget: DeblurWidget) -> None:
    qtbot.waitUntil(lambda: widget.controls.run.text == "Resume")


def not_offered(qtbot: QtBot, widget: DeblurWidget) -> None:
    qtbot.wait(1500)
    assert widget.controls.run.text == "Deblur + SR"
    assert "interrupted" not in widget.controls.status.value


def test_a_new_session_offers_to_resume_and_goes_on_where_the_last_one_stopped(
    session: Open, noise: Noise, blocks: Blocks, qtbot: QtBot, cache_folder: Path
) -> None:
    image = noise(1000, 1000)
    done = leave_half(qtbot, session(image), blocks)
    again = session(image.copy())
    offered(qtbot, again)
    assert again.controls.status.value == HALF
    assert again.results.to_disk.value
    blocks.let_on()
    click(qtbot, again)
    qtbot.waitUntil(lambda: len(again._viewer.layers) == 2 and not again.running, timeout=60_000)
    assert len(done) == len(blocks.done) == 2
    assert done.isdisjoint(blocks.done)
    assert again.controls.run.text == "Deblur + SR"
    assert len(list(cache_folder.iterdir())) == 1
    result = np.asarray(again._viewer.layers[1].data[0])
    assert np.abs(result.astype(int) - restore(image, load_model("tiny-grey"))).mean() < 10


def test_another_image_or_another_place_is_not_offered(
    session: Open, noise: Noise, blocks: Blocks, qtbot: QtBot
) -> None:
    image = noise(1000, 1000)
    leave_half(qtbot, session(image), blocks)
    not_offered(qtbot, session(255 - image))
    not_offered(qtbot, session(image, translate=(5, 0)))


def test_an_image_on_disk_is_known_again(
    session: Open, noise: Noise, blocks: Blocks, qtbot: QtBot, tmp_path: Path
) -> None:
    zarr.create_array(str(tmp_path / "source.zarr"), data=noise(1000, 1000), chunks=(256, 256))
    leave_half(qtbot, session(da.from_zarr(str(tmp_path / "source.zarr"))), blocks)
    again = session(da.from_zarr(str(tmp_path / "source.zarr")))
    offered(qtbot, again)
    assert again.controls.status.value == HALF


def test_a_result_by_another_model_is_told_and_resumed_once_that_is_chosen(
    session: Open, noise: Noise, blocks: Blocks, qtbot: QtBot, models_folder: Path
) -> None:
    other = load_model("tiny-grey-2")
    weights = {name: 0.9 * value for name, value in other.network.state_dict().items()}
    other.network.load_state_dict(weights)
    (models_folder / "tiny-grey-2.safetensors").unlink()
    save_model(other.network, other.card, models_folder / "tiny-grey-2.safetensors")
    image = noise(1000, 1000)
    first = session(image)
    first.controls.model.value = "tiny-grey-2"
    leave_half(qtbot, first, blocks)
    again = session(image)
    again.controls.model.value = "tiny-grey"
    words = (
        "An interrupted result with the model 'tiny-grey-2' is 50 % done: choose that model "
        "to resume it."
    )
    qtbot.waitUntil(lambda: again.controls.status.value == words)
    assert again.controls.run.text == "Deblur + SR"
    again.controls.model.value = "tiny-grey-2"
    offered(qtbot, again)
    assert again.controls.status.value == HALF
    again.controls.model.value = "tiny-grey"
    assert again.controls.run.text == "Deblur + SR"


def test_pixels_are_looked_at_off_the_main_thread_and_only_if_something_was_interrupted(
    session: Open, noise: Noise, blocks: Blocks, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, identity = [], scan_job.source_identity

    def noted(image: Any) -> str:
        threads.append(threading.current_thread())
        return identity(image)

    monkeypatch.setattr(scan_job, "source_identity", noted)
    image = noise(1000, 1000)
    first = session(image)
    qtbot.wait(1000)
    assert not threads
    leave_half(qtbot, first, blocks)
    threads.clear()
    offered(qtbot, session(image))
    assert threads
    assert threading.main_thread() not in threads


def test_a_result_that_another_process_is_making_is_left_to_it(
    session: Open, noise: Noise, blocks: Blocks, qtbot: QtBot, cache_folder: Path
) -> None:
    image = noise(1000, 1000)
    leave_half(qtbot, session(image), blocks)
    (begun,) = cache_folder.iterdir()
    again = session(image.copy())
    offered(qtbot, again)
    blocks.let_on()
    with claimed(begun.with_name(begun.name.removesuffix(PARTIAL))):
        click(qtbot, again)
        qtbot.waitUntil(lambda: "is being made elsewhere" in again.controls.status.value)
        qtbot.waitUntil(lambda: not again.running)
        assert not blocks.done
    assert list(cache_folder.iterdir()) == [begun]
