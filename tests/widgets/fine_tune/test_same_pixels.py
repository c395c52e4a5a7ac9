"""Pairs of one objective on a (virtual) screen: two layers of the same pixels → a model → **Same
pixels** in the docks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from scipy.ndimage import gaussian_filter

from napari_mdeblurgan.model import load_model, save_model
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.fine_tune.widget import RESULT_PAGE, FineTuneWidget
from tests.widgets.fine_tune.test_flow import PATIENCE_MS, scene, tuner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari import Viewer
    from pytestqt.qtbot import QtBot

__all__ = ["tuner"]  # a fixture
NOT_TRAINED = "was fine-tuned for results with the image's own pixels; at ×2 it was not trained"


def registered(tuner: FineTuneWidget, qtbot: QtBot) -> None:
    qtbot.mouseClick(tuner.pairs.sources.register, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: tuner._registering is None, timeout=PATIENCE_MS)


def open_pair(viewer: Viewer, seed: int = 0) -> None:
    """A blurred layer and a sharp one of the same pixels."""
    sharp = scene(seed)[1]
    viewer.add_image(
        gaussian_filter(sharp, 2.0), name=f"widefield {seed}", scale=(0.5, 0.5), units="µm"
    )
    viewer.add_image(sharp, name=f"confocal {seed}", scale=(0.5, 0.5), units="µm")


@pytest.fixture
def own_pixels(models_folder: Path) -> str:
    """A grey model that was fine-tuned for the image's own pixels."""
    model = load_model("tiny-grey")
    card = replace(model.card, name="tiny-own", output_scale=1)
    save_model(model.network, card, models_folder / "tiny-own.safetensors")
    return "tiny-own"


def test_from_two_layers_of_the_same_pixels_to_a_result_of_these_pixels(
    viewer: Viewer, tuner: FineTuneWidget, qtbot: QtBot
) -> None:
    open_pair(viewer)
    registered(tuner, qtbot)
    (outcome,) = tuner.pairs.table.outcomes
    assert outcome.accepted, outcome.problems
    assert not tuner.pairs.overlay.empty
    tuner.training.steps.setValue(2)
    tuner.training.batch.setValue(1)
    tuner.training.patch.setValue(24)
    qtbot.mouseClick(tuner.start_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(
        lambda: tuner.tabs.currentIndex() == RESULT_PAGE and not tuner.running, timeout=PATIENCE_MS
    )
    assert tuner.result.table.item(0, 0).text() == "Blurred image"
    assert (
        tuner.training.curves._psnr_legend.getLabel(tuner.training.curves._bicubic).text
        == "blurred image"
    )
    tuner.result.recommended = "tiny-grey-tuned"  # as if it had been better
    qtbot.mouseClick(tuner.result.use, Qt.MouseButton.LeftButton)
    deblur = next(w for w in viewer.window.dock_widgets.values() if isinstance(w, DeblurWidget))
    assert deblur.controls.model.value == "tiny-grey-tuned"
    assert deblur.controls.output.native.currentText() == "Same pixels"
    deblur.controls.trust.value = False
    deblur.controls.image.value = viewer.layers["widefield 0"]
    assert deblur.controls.output.native.currentText() == "Same pixels"
    qtbot.mouseClick(deblur.controls.run.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not deblur.running, timeout=PATIENCE_MS)
    assert (
        viewer.layers["widefield 0 [sharp ×1]"].data.shape
        == viewer.layers["widefield 0"].data.shape
    )


def test_twice_the_pixels_can_be_chosen_and_it_is_said_that_they_were_not_trained(
    viewer: Viewer,
    widget: DeblurWidget,
    own_pixels: str,
    qtbot: QtBot,
    wait_for_end: Callable[[], None],
) -> None:
    viewer.add_image(scene()[0], name="cells")
    box = widget.controls.output.native
    widget.offer_models(own_pixels)
    assert box.currentText() == "Same pixels"
    assert NOT_TRAINED not in widget.controls.status.value
    qtbot.keyClick(box, Qt.Key.Key_Up)
    assert box.currentText() == "×2"
    assert f"{own_pixels} {NOT_TRAINED}" in widget.controls.status.value
    qtbot.mouseClick(widget.controls.run.native, Qt.MouseButton.LeftButton)
    wait_for_end()
    assert viewer.layers["cells [sharp ×2]"].data.shape == (384, 384)
    widget.offer_models("tiny-grey")
    assert box.currentText() == "×2"
    assert NOT_TRAINED not in widget.controls.status.value
    widget.offer_models(own_pixels)
    assert box.currentText() == "Same pixels"


def test_another_model_has_the_pixels_that_were_chosen_before(
    viewer: Viewer, widget: DeblurWidget, own_pixels: str, qtbot: QtBot
) -> None:
    viewer.add_image(scene()[0], name="cells")
    widget.offer_models(own_pixels)
    widget.offer_models("tiny-grey-2")
    assert widget.controls.output.native.currentText() == "×2"
    assert DeblurWidget(viewer).controls.output.native.currentText() == "×2"


def test_the_batch_ticks_same_pixels_for_such_a_model_and_the_tick_can_be_taken_away(
    viewer: Viewer, own_pixels: str, tmp_path: Path, qtbot: QtBot
) -> None:
    write_image(tmp_path / "a.tif", Micrograph(scene()[0][:60, :70], "YX"))
    batch = BatchWidget(viewer)
    viewer.window.add_dock_widget(batch, name="Batch")
    controls = batch.controls
    controls.rgb_model.value = "tiny-colour"
    controls.grey_model.value = "tiny-grey"
    assert not controls.same_pixels.value
    controls.grey_model.value = own_pixels
    assert controls.same_pixels.value
    batch.add(str(tmp_path / "a.tif"))
    for folder, shape in (("same", (60, 70)), ("twice", (120, 140))):
        controls.output.value = str(tmp_path / folder)
        qtbot.mouseClick(controls.run.native, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
        assert read_image(tmp_path / folder / "a.ome.tif").data.shape == shape
        if folder == "same":
            box = controls.same_pixels.native
            qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
            assert f"{own_pixels} {NOT_TRAINED}" in controls.status.value
    controls.grey_model.value = "tiny-grey"
    assert not controls.same_pixels.value
    assert NOT_TRAINED not in controls.status.value


def test_pairs_of_one_objective_and_of_two_cannot_be_ticked_together(
    viewer: Viewer, tuner: FineTuneWidget, qtbot: QtBot
) -> None:
    low, high = scene()
    viewer.add_image(low, name="x5")
    viewer.add_image(high, name="x10")
    registered(tuner, qtbot)
    assert tuner.start_button.isEnabled()
    open_pair(viewer, 1)
    sources = tuner.pairs.sources
    sources.choose(viewer.layers["widefield 1"], viewer.layers["confocal 1"])
    registered(tuner, qtbot)
    assert [outcome.accepted for outcome in tuner.pairs.table.outcomes] == [True, True]
    assert "one model cannot learn both" in tuner.status.text()
    assert not tuner.start_button.isEnabled()
    tuner.pairs.table.tick(0, False)
    assert tuner.start_button.isEnabled()


def test_layers_of_four_times_the_magnification_are_refused_in_a_sentence(
    viewer: Viewer, tuner: FineTuneWidget, qtbot: QtBot
) -> None:
    low, high = scene()
    viewer.add_image(low, name="x5", scale=(4, 4), units="µm")
    viewer.add_image(np.asarray(high), name="x20", scale=(1, 1), units="µm")
    registered(tuner, qtbot)
    assert "start from gray-x4 or rgb-x4" in tuner.pairs.remarks.text()
    assert not tuner.start_button.isEnabled()
