"""The Batch widget as a user meets it, in a real viewer on a virtual screen."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from napari_mdeblurgan.widgets.batch.gathering import ONLY_OURS
from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from tests.widgets.batch_dock import batch, inputs, press, states

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]

__all__ = ["batch", "inputs", "press"]  # fixtures


def test_nothing_can_be_started_without_images_and_an_output_folder(
    batch: BatchWidget, inputs: Path, tmp_path: Path
) -> None:
    assert not batch.controls.run.enabled
    batch.add(str(inputs / "a.tif"))
    assert not batch.controls.run.enabled
    batch.controls.output.value = str(tmp_path / "out")
    assert batch.controls.run.enabled
    batch.controls.clear.native.click()
    assert not batch.controls.run.enabled


def test_files_and_folders_are_picked_in_the_systems_dialogs(
    batch: BatchWidget, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(inputs / "a.tif")], ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(inputs))
    batch.controls.add_files.native.click()
    batch.controls.add_folder.native.click()
    batch.controls.choose.native.click()
    assert batch.inputs == [str(inputs / "a.tif"), str(inputs)]
    assert batch.controls.output.value == str(inputs)


def test_good_images_are_restored_and_the_bad_one_is_named_with_its_reason(
    batch: BatchWidget, inputs: Path, tmp_path: Path, noise: Noise, press: Callable[..., None]
) -> None:
    batch.add(str(inputs))
    batch.controls.output.value = str(tmp_path / "out")
    press()
    assert states(batch).keys() == {"a.tif", "b.tif", "c.tif"}
    assert states(batch)["a.tif"] == states(batch)["c.tif"] == "✓ done"
    assert states(batch)["b.tif"].startswith("✗ failed: ")
    assert "b.tif" in states(batch)["b.tif"]
    summary, reason = batch.controls.status.value.split("\n")
    told = re.fullmatch(
        rf"2 results in {re.escape(str((tmp_path / 'out').resolve()))}, 1 failed, after (.+)\.",
        summary,
    )
    assert told, summary
    assert states(batch)["b.tif"] == f"✗ failed: {reason}"
    result = read_image(tmp_path / "out" / "a.ome.tif").data
    np.testing.assert_array_equal(result, restore(noise(), load_model("tiny-grey")))
    assert batch.controls.retry.enabled
    assert batch.controls.open.enabled


def test_retry_does_only_what_failed(
    batch: BatchWidget, inputs: Path, tmp_path: Path, noise: Noise, press: Callable[..., None]
) -> None:
    batch.add(str(inputs))
    batch.controls.output.value = str(tmp_path / "out")
    press()
    write_image(inputs / "b.tif", Micrograph(noise(), "YX"))
    press("retry")
    assert states(batch) == dict.fromkeys(("a.tif", "b.tif", "c.tif"), "✓ done")
    assert not batch.controls.retry.enabled
    assert batch.controls.status.value.startswith(f"1 more result in {tmp_path / 'out'}, after ")


def test_selected_layers_are_restored_with_their_pixel_sizes(
    viewer: Viewer, batch: BatchWidget, tmp_path: Path, noise: Noise, press: Callable[..., None]
) -> None:
    viewer.add_image(
        noise(2, 24, 24),
        name="stack",
        scale=(1, 0.5, 0.5),
        units="µm",
        axis_labels=("z", "y", "x"),
        colormap="blue",
        contrast_limits=(10, 200),
    )
    viewer.add_image(noise(24, 24), name="other")
    viewer.layers.selection = {viewer.layers["stack"]}
    batch.controls.add_layers.native.click()
    batch.controls.output.value = str(tmp_path / "out")
    batch.controls.format.value = "ome-zarr"
    press()
    saved = read_image(tmp_path / "out" / "stack.ome.zarr")
    assert (saved.axes, saved.data.shape) == ("ZYX", (2, 48, 48))
    assert saved.pixel_size == {"Z": 1.0, "Y": 0.25, "X": 0.25}
    (shown,) = saved.display
    assert (shown.color, shown.limits) == ((0, 0, 255), (10, 200))
    assert states(batch) == {"stack": "✓ done"}


def test_cancel_keeps_what_is_done_and_resume_does_the_rest(
    batch: BatchWidget,
    inputs: Path,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    noise: Noise,
) -> None:
    from napari_mdeblurgan.batch import here, run

    (inputs / "b.tif").unlink()
    make, keep, ended = run.make_here, here.keeping, threading.Event()

    def making(*given: Any) -> Any:
        with closing(make(*given)) as steps:
            try:
                for step in steps:  # noqa: UP028 - `ended` is set before the stages are closed
                    yield step
            finally:
                ended.set()

    def keeping(ready: Any, restored: Any, model: Any, request: Any) -> Any:
        """The result of c.tif is not written before the work was cancelled."""
        assert request.output.name != "c.ome.tif" or ended.wait(60)
        return keep(ready, restored, model, request)

    monkeypatch.setattr(run, "make_here", making)
    monkeypatch.setattr(here, "keeping", keeping)
    batch.add(str(inputs))
    batch.controls.output.value = str(tmp_path / "out")
    batch.controls.run.native.click()
    qtbot.waitUntil(lambda: states(batch).get("a.tif") == "✓ done", timeout=60_000)
    assert batch.controls.status.value == "1 of 2 images done."
    batch.controls.cancel.native.click()
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    assert "kept" in batch.controls.status.value
    assert (tmp_path / "out" / "a.ome.tif").exists()
    assert not (tmp_path / "out" / "c.ome.tif").exists()
    assert batch.controls.run.text == "Resume"
    before = (tmp_path / "out" / "a.ome.tif").stat().st_mtime_ns
    batch.controls.run.native.click()
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    assert states(batch) == {"a.tif": "✓ done", "c.tif": "✓ done"}
    assert (tmp_path / "out" / "a.ome.tif").stat().st_mtime_ns == before


def test_what_cannot_begin_is_told_in_one_sentence(
    batch: BatchWidget, tmp_path: Path, press: Callable[..., None]
) -> None:
    batch.add(str(tmp_path / "missing.tif"))
    batch.controls.output.value = str(tmp_path / "out")
    press()
    assert batch.controls.status.value.endswith("missing.tif does not exist; check its name.")


def test_last_choices_come_back_the_next_time(
    viewer: Viewer, batch: BatchWidget, tmp_path: Path
) -> None:
    batch.controls.output.value = str(tmp_path)
    batch.controls.format.value = "ome-zarr"
    batch.controls.place.value = "Worker processes"
    batch.controls.workers.value = 1
    again = BatchWidget(viewer).controls
    assert (again.output.value, again.format.value, again.place.value) == (
        str(tmp_path),
        "ome-zarr",
        "Worker processes",
    )
    assert (again.workers.value, again.grey_model.value) == (1, "tiny-grey")


def test_every_control_has_a_tooltip(batch: BatchWidget) -> None:
    controls = batch.controls
    named = [getattr(controls, name) for name in type(controls).__slots__ if name != "status"]
    assert all(control.tooltip for control in named)


def test_opening_the_widget_does_not_import_torch() -> None:
    code = (
        "import sys, napari_mdeblurgan.widgets.batch.widget as w; w.list_models(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


def test_layers_are_added_one_after_another(
    viewer: Viewer, batch: BatchWidget, noise: Noise
) -> None:
    for name, shape in (("a", (24, 24)), ("b", (24, 24)), ("c", (30, 20))):
        viewer.add_image(noise(*shape), name=name)
        viewer.layers.selection = {viewer.layers[name]}
        batch.controls.add_layers.native.click()
    assert [each.name for each in batch.inputs] == ["a", "b", "c"]


def test_a_layer_that_is_added_again_is_restored_once_as_it_is_now(
    viewer: Viewer, batch: BatchWidget, noise: Noise
) -> None:
    for name in ("a", "b"):
        viewer.add_image(noise(24, 24), name=name)
    viewer.layers.selection = {viewer.layers["a"], viewer.layers["b"]}
    batch.controls.add_layers.native.click()
    viewer.layers["a"].data = np.zeros((24, 24), np.uint8)
    viewer.layers["b"].name = "c"
    batch.controls.add_layers.native.click()
    assert [each.name for each in batch.inputs] == ["a", "c"]
    assert not batch.inputs[0].data.any()
    assert list(batch.files.states()) == ["a", "c"]


def test_results_and_maps_among_the_selected_layers_are_left_out(
    viewer: Viewer, batch: BatchWidget, noise: Noise, capsys: pytest.CaptureFixture[str]
) -> None:
    viewer.add_image(noise(24, 24), name="a")
    told: tuple[dict[str, object], ...] = ({"source": "a", "preview": False}, {"map": "error"})
    ours = {viewer.add_image(noise(48, 48), metadata={"mdeblurgan": each}) for each in told}
    viewer.layers.selection = {*ours, viewer.layers["a"]}
    batch.controls.add_layers.native.click()
    assert list(batch.files.states()) == ["a"]
    batch.controls.clear.native.click()
    viewer.layers.selection = ours
    batch.controls.add_layers.native.click()
    assert not batch.inputs
    assert batch.controls.status.value == ONLY_OURS
    assert ONLY_OURS in capsys.readouterr().out


def test_an_output_that_is_a_file_is_said(
    batch: BatchWidget, inputs: Path, tmp_path: Path, press: Callable[..., None]
) -> None:
    (tmp_path / "file").write_text("mine")
    batch.add(str(inputs))
    batch.controls.output.value = str(tmp_path / "file")
    press()
    assert batch.controls.status.value.endswith("file is a file; choose a folder for the results.")
