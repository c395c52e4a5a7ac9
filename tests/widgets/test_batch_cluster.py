"""The Batch widget with worker processes of this machine and with a scheduler that somebody else
has started.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
from distributed import Client

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from napari_mdeblurgan.widgets.batch.batch_controls import HERE, SCHEDULER, WORKERS
from napari_mdeblurgan.widgets.batch.widget import BatchWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

IMAGES = 6


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(IMAGES):
        pixels = np.random.default_rng(number).integers(0, 255, (90, 80)).astype(np.uint8)
        write_image(folder / f"{number}.tif", Micrograph(pixels, "YX"))
    return folder


@pytest.fixture
def batch(viewer: Viewer, inputs: Path, tmp_path: Path) -> Generator[BatchWidget, None, None]:
    widget = BatchWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Batch")
    widget.controls.grey_model.value = "tiny-grey"
    widget.add(str(inputs))
    widget.controls.output.value = str(tmp_path / "out")
    yield widget
    widget.cancel()


def check_results(inputs: Path, folder: Path) -> None:
    assert sorted(path.name for path in folder.glob("*.tif")) == [
        f"{number}.ome.tif" for number in range(IMAGES)
    ]
    for number in range(IMAGES):
        expected = restore(read_image(inputs / f"{number}.tif").data, load_model("tiny-grey"))
        np.testing.assert_allclose(read_image(folder / f"{number}.ome.tif").data, expected, atol=1)


def done(batch: BatchWidget) -> int:
    return sum(state == "✓ done" for state in batch.files.states().values())


def test_worker_processes_are_started_and_end_when_cancelled_and_what_they_made_is_gone_on_with(
    batch: BatchWidget, inputs: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    batch.controls.place.value, batch.controls.workers.value = WORKERS, 2
    assert not batch.controls.workers.native.isHidden()
    assert batch.controls.scheduler.native.isHidden()
    batch.controls.run.native.click()
    qtbot.waitUntil(lambda: "Waiting for workers" in batch.controls.status.value, timeout=60_000)
    qtbot.waitUntil(lambda: done(batch) > 0, timeout=120_000)
    batch.controls.cancel.native.click()
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    assert "press Resume" in batch.controls.status.value or done(batch) == IMAGES
    left = {child.pid for child in psutil.Process().children(recursive=True)} - before
    assert not [pid for pid in left if "spawn_main" in " ".join(psutil.Process(pid).cmdline())]
    batch.controls.place.value = HERE
    batch.controls.run.native.click()
    qtbot.waitUntil(lambda: not batch.running, timeout=120_000)
    assert batch.controls.status.value.startswith(f"{IMAGES} results in ")
    assert done(batch) == IMAGES
    check_results(inputs, tmp_path / "out")


def test_a_killed_worker_of_a_scheduler_costs_nothing_but_time(
    batch: BatchWidget,
    inputs: Path,
    tmp_path: Path,
    qtbot: QtBot,
    cluster_address: str,
) -> None:
    batch.controls.place.value, batch.controls.scheduler.value = SCHEDULER, f" {cluster_address} "
    batch.controls.run.native.click()
    qtbot.waitUntil(lambda: done(batch) > 0, timeout=120_000)
    assert done(batch) < IMAGES
    with Client(cluster_address, set_as_default=False) as client:
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
    qtbot.waitUntil(lambda: not batch.running, timeout=120_000)
    assert batch.controls.status.value.startswith(
        f"{IMAGES} results in {(tmp_path / 'out').resolve()}, after "
    )
    check_results(inputs, tmp_path / "out")


def test_a_scheduler_that_does_not_answer_is_said(
    batch: BatchWidget, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_mdeblurgan.batch.cluster.CONNECT_S", 0.5)
    batch.controls.place.value, batch.controls.scheduler.value = SCHEDULER, "tcp://127.0.0.1:9"
    batch.controls.run.native.click()
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    assert batch.controls.status.value.startswith("No scheduler answers at tcp://127.0.0.1:9")


def test_nothing_starts_without_the_address_of_the_scheduler(batch: BatchWidget) -> None:
    batch.controls.place.value, batch.controls.scheduler.value = SCHEDULER, " "
    assert not batch.controls.run.enabled
    batch.controls.scheduler.value = "tcp://127.0.0.1:9"
    assert batch.controls.run.enabled
