"""Blocks of a scan, let on one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_mdeblurgan import stopping
from napari_mdeblurgan.restoration import operations, scan
from napari_mdeblurgan.stopping import look_up
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_writing import OmeZarrWriter
from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari.layers import Image
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

BLOCK = 512  # pixels of the source along a side


class Blocks:
    """Lets the network do batches of one block one by one, and notes which blocks are written."""

    def __init__(self) -> None:
        self.done: list[tuple[tuple[int, ...], int, int]] = []
        self._open = threading.Semaphore(0)
        self._write = OmeZarrWriter.write
        self.waiting = 0

    def let_on(self, count: int = 1000) -> None:
        if count:
            self._open.release(count)

    def let_through(self, network: Callable[..., Any]) -> Callable[..., Any]:
        """The same, block by block as they are let on."""

        def applied(*arguments: Any) -> Any:
            self.waiting += 1
            while not self._open.acquire(timeout=0.01):
                look_up()
            return network(*arguments)

        return applied

    def write(
        self, writer: OmeZarrWriter, index: tuple[int, ...], y: int, x: int, pixels: np.ndarray
    ) -> None:
        self._write(writer, index, y, x, pixels)
        self.done.append((index, y, x))


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_mdeblurgan.widgets.runs.to_disk.SCAN_TILE", BLOCK)


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> Generator[Blocks, None, None]:
    blocks = Blocks()
    for network in ("apply", "restored_and_explained"):  # for a result, and for its trust, too
        applied = blocks.let_through(getattr(operations, network))
        monkeypatch.setattr(operations, network, applied)
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
