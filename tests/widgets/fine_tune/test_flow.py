"""The whole way on a (virtual) screen: two layers → registered → a few steps → the model is used in
Deblur + SR.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from qtpy.QtCore import Qt, QTimer
from scipy.ndimage import gaussian_filter

from napari_mdeblurgan.model import list_models, load_model
from napari_mdeblurgan.training.checkpoint import load_checkpoint
from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.fine_tune.starting import NOT_BEGUN
from napari_mdeblurgan.widgets.fine_tune.widget import RESULT_PAGE, TRAINING_PAGE, FineTuneWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot


PATIENCE_MS = 240_000


@pytest.fixture
def tuner(viewer: Viewer):
    widget = FineTuneWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Fine-tune")
    widget.base.setCurrentIndex(widget.base.findData("tiny-grey"))
    yield widget
    if widget._process is not None:
        widget._process.abandon()


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A field by a ×5 objective, out of focus, and the middle of it by a ×10 one: uint8."""
    low, high = drawn(seed)
    return low.copy(), high.copy()


@functools.cache
def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    sharp = np.zeros((384, 384))
    for y, x, radius in zip(
        *random.integers(0, 384, (2, 160)), random.uniform(2, 9, 160), strict=True
    ):
        rows, columns = np.ogrid[:384, :384]
        sharp += np.hypot(rows - y, columns - x) < radius
    sharp = gaussian_filter(sharp, 0.7)
    sharp = 20 + 200 * sharp / sharp.max()
    low = gaussian_filter(sharp, 2.5).reshape(192, 2, 192, 2).mean(axis=(1, 3))
    return low.astype(np.uint8), sharp[80:304, 90:314].astype(np.uint8)


@pytest.fixture
def registered_pair(viewer: Viewer, tuner: FineTuneWidget, qtbot: QtBot) -> Callable[[], None]:
    """Open two layers, and register them."""

    def do() -> None:
        low, high = scene()
        viewer.add_image(low, name="x5")
        viewer.add_image(high, name="x10")
        tuner.pairs.sources.register.click()
        qtbot.waitUntil(lambda: tuner._registering is None, timeout=PATIENCE_MS)

    return do


def test_from_two_layers_to_a_model_in_the_drop_down(viewer, tuner, registered_pair, qtbot):
    assert not tuner.start_button.isEnabled()
    assert "Add pairs" in tuner.status.text()
    registered_pair()
    (outcome,) = tuner.pairs.table.outcomes
    assert outcome.accepted, outcome.problems
    assert tuner.pairs.table.ticked(0)
    assert not tuner.pairs.overlay.empty
    assert tuner.base.currentData() == "tiny-grey"
    tuner.training.steps.setValue(4)
    tuner.training.batch.setValue(2)
    tuner.training.patch.setValue(24)
    qtbot.mouseClick(tuner.start_button, Qt.MouseButton.LeftButton)
    assert tuner.running
    assert not tuner.start_button.isEnabled()
    qtbot.waitUntil(
        lambda: tuner.tabs.currentIndex() == RESULT_PAGE and not tuner.running, timeout=PATIENCE_MS
    )
    assert tuner.training.curves.losses
    assert not tuner.training.preview.empty
    assert tuner.result.table.rowCount() == 3
    assert "Trained too little to judge: 4 steps" in tuner.result.verdict.text()
    assert tuner.result.recommended == "tiny-grey"
    assert not viewer.window._task_status_manager.is_busy()

    tuner.result.recommended = "tiny-grey-tuned"  # as if it had been better
    qtbot.mouseClick(tuner.result.use, Qt.MouseButton.LeftButton)
    deblur = next(w for w in viewer.window.dock_widgets.values() if isinstance(w, DeblurWidget))
    assert deblur.controls.model.value == "tiny-grey-tuned"
    deblur.controls.image.value = viewer.layers["x5"]
    deblur.controls.model.value = "tiny-grey-tuned"
    deblur.controls.run.native.click()
    qtbot.waitUntil(lambda: not deblur.running, timeout=PATIENCE_MS)
    result = next(layer for layer in viewer.layers if "sharp" in layer.name)
    assert result.data.shape == (384, 384)
    assert result.metadata["mdeblurgan"]["model"] == "tiny-grey-tuned"
    deblur.cancel()


def test_stop_ends_what_has_learned_nothing_yet_at_once(tuner, registered_pair, qtbot):
    registered_pair()
    for started in (lambda: tuner._preparing.running, lambda: tuner._process is not None):
        assert tuner.start_button.isEnabled(), tuner.status.text()
        qtbot.mouseClick(tuner.start_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(started)
        assert tuner.stop_button.isEnabled()
        qtbot.mouseClick(tuner.stop_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not tuner.running and not tuner._preparing.leaving)
        assert tuner.status.text() == NOT_BEGUN
        assert not tuner.result.recommended
    tuner.resume_button.look()
    assert len(tuner.resume_button.begun) == 1  # the second; nothing is left of the first


def start_with_long_steps(tuner: FineTuneWidget, qtbot: QtBot) -> None:
    """A model as it is shipped, and patches of which a step takes seconds."""
    tuner.base.setCurrentIndex(tuner.base.findData("gray-x2"))
    tuner.name.setText("stopped")
    tuner.training.batch.setValue(32)
    tuner.training.patch.setValue(96)
    qtbot.mouseClick(tuner.start_button, Qt.MouseButton.LeftButton)


def test_stop_is_heeded_in_the_middle_of_a_long_step_and_what_was_learned_is_whole(
    tuner, registered_pair, qtbot
):
    registered_pair()
    start_with_long_steps(tuner, qtbot)
    qtbot.waitUntil(lambda: bool(tuner.training.curves.losses), timeout=PATIENCE_MS)
    qtbot.mouseClick(tuner.stop_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not tuner.running)
    assert tuner.status.text() == "'stopped' is ready in Deblur + SR."
    assert tuner.start_button.isEnabled()
    (begun,) = tuner.resume_button.begun
    tensors, values = load_checkpoint(begun.folder.checkpoint)
    assert values["training"]["step"] == begun.step >= 1
    assert all(torch.isfinite(value).all() for value in tensors.values())
    assert load_model("stopped").card.scores["fine_tuned_from"] == "gray-x2"


def test_stop_while_the_time_is_estimated_or_the_base_model_is_judged_leaves_at_once(
    tuner, registered_pair, qtbot
):
    registered_pair()
    start_with_long_steps(tuner, qtbot)
    qtbot.waitUntil(
        lambda: tuner._process is not None and tuner._process._begun, timeout=PATIENCE_MS
    )
    qtbot.mouseClick(tuner.stop_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not tuner.running)
    assert tuner.status.text() == NOT_BEGUN
    assert tuner.start_button.isEnabled()
    assert "stopped" not in [card.name for card in list_models()]


def test_stopped_keeps_the_best_and_goes_on_in_another_widget(
    viewer, tuner, registered_pair, qtbot
):
    registered_pair()
    batch = BatchWidget(viewer)
    viewer.window.add_dock_widget(batch, name="Batch")
    tuner.training.batch.setValue(1)
    tuner.training.patch.setValue(24)
    tuner.start()
    qtbot.waitUntil(lambda: bool(tuner.training.curves.losses), timeout=PATIENCE_MS)
    assert tuner.tabs.currentIndex() == TRAINING_PAGE
    running = "\n".join(viewer.window._task_status_manager.get_status())
    assert (
        "Fine-tuning 'tiny-grey-tuned'; it saves what it has reached and can be resumed" in running
    )
    assert " at 0x" not in running
    tuner.stop()
    qtbot.waitUntil(lambda: not tuner.running, timeout=PATIENCE_MS)
    assert tuner.bar.format() == "stopped"
    assert "tiny-grey-tuned" in [card.name for card in tuner._cards]
    assert "tiny-grey-tuned" in batch.controls.grey_model.choices

    before = tuner.training.curves
    other = FineTuneWidget(viewer)  # as after napari was closed and opened again
    qtbot.addWidget(other)
    other.bar.setFormat("stopped")
    other.resume_button.click()
    assert other.bar.format() == ""
    qtbot.waitUntil(lambda: bool(other.training.curves.validations), timeout=PATIENCE_MS)
    assert other.training.curves.validations[0] == before.validations[0]
    assert other.training.curves.validations[-1][0] == pytest.approx(before.losses[-1][0], abs=0.05)
    qtbot.waitUntil(lambda: len(other.training.curves.losses) > 2, timeout=PATIENCE_MS)
    times = [minutes for minutes, _ in other.training.curves.losses]
    assert times == sorted(times)
    other.stop()
    qtbot.waitUntil(lambda: not other.running, timeout=PATIENCE_MS)


def late_ms(qtbot: QtBot, seconds: float) -> float:
    """95th percentile of how much later than asked for a timer of the event loop comes."""
    late, last = [], [time.perf_counter()]

    def note() -> None:
        now = time.perf_counter()
        late.append(1000 * (now - last[0]) - 10)
        last[0] = now

    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(note)
    timer.start(10)
    qtbot.wait(int(1000 * seconds))
    timer.stop()
    return float(np.percentile(late, 95))


@pytest.mark.usefixtures("styled")
def test_the_viewer_stays_responsive_while_it_trains(tuner, registered_pair, qtbot):
    registered_pair()
    idle = late_ms(qtbot, 2)
    tuner.start()
    qtbot.waitUntil(lambda: bool(tuner.training.curves.losses), timeout=PATIENCE_MS)
    busy = late_ms(qtbot, 4)
    assert tuner.running
    tuner.stop()
    qtbot.waitUntil(lambda: not tuner.running, timeout=PATIENCE_MS)
    assert busy <= max(50, 3 * idle)  # the second where others keep the machine busy already


def test_a_pair_of_two_places_is_left_out_until_it_is_ticked(viewer, tuner, qtbot):
    viewer.add_image(scene(1)[0], name="x5")
    viewer.add_image(scene(2)[1], name="x10")
    tuner.register()
    qtbot.waitUntil(lambda: tuner._registering is None, timeout=PATIENCE_MS)
    (outcome,) = tuner.pairs.table.outcomes
    assert not outcome.accepted
    assert not tuner.pairs.table.used
    assert not tuner.start_button.isEnabled()
    assert tuner.status.text().startswith("Not registered and left out: x5 + x10.")
    assert tuner.pairs.remarks.text() or outcome.pair is None
    if outcome.pair is not None:
        tuner.pairs.table.tick(0, True)
        assert tuner.start_button.isEnabled()


def test_what_was_chosen_last_is_there_again(viewer, tuner, tmp_path, qtbot):
    tuner.pairs.sources.kind.setCurrentIndex(1)
    tuner.pairs.sources.low_folder.setText(str(tmp_path))
    tuner.training.minutes.setValue(3)
    tuner._keep()
    again = FineTuneWidget(viewer)
    qtbot.addWidget(again)
    assert again.pairs.sources.kind.currentIndex() == 1
    assert again.pairs.sources.low_folder.text() == str(tmp_path)
    assert again.training.minutes.value() == 3


def test_a_folder_that_is_not_there_is_said_and_nothing_is_registered(tuner, tmp_path):
    tuner.pairs.sources.kind.setCurrentIndex(1)
    tuner.pairs.sources.low_folder.setText(str(tmp_path / "gone"))
    tuner.register()
    assert "folder" in tuner.status.text()
    assert tuner._registering is None


def test_the_menu_entry_registers_the_two_selected_layers(viewer, qtbot):
    from napari_mdeblurgan.widgets.fine_tune.menu import register_pair

    low, high = scene()
    layers = {viewer.add_image(high, name="x10"), viewer.add_image(low, name="x5", scale=(2, 2))}
    viewer.layers.selection = layers
    register_pair(viewer)
    widget = next(w for w in viewer.window.dock_widgets.values() if isinstance(w, FineTuneWidget))
    qtbot.waitUntil(lambda: widget._registering is None, timeout=PATIENCE_MS)
    (outcome,) = widget.pairs.table.outcomes
    assert outcome.name == "x5 + x10"
    assert outcome.accepted, outcome.problems


def test_the_menu_entry_takes_no_map_for_an_image(viewer, capsys):
    from napari_mdeblurgan.widgets.fine_tune.menu import register_pair

    low, high = scene()
    layers = {
        viewer.add_image(high),
        viewer.add_image(low, metadata={"mdeblurgan": {"map": "error"}}),
    }
    viewer.layers.selection = layers
    register_pair(viewer)
    assert "Select two image layers" in capsys.readouterr().out
    assert not viewer.window.dock_widgets


def test_a_renamed_layer_is_offered_by_its_new_name(viewer, tuner):
    layer = viewer.add_image(scene()[0], name="x5")
    layer.name = "field"
    assert "field" in [
        tuner.pairs.sources.low.itemText(n) for n in range(tuner.pairs.sources.low.count())
    ]


def test_nothing_is_trained_after_the_widget_was_closed(viewer, tuner, registered_pair, qtbot):
    registered_pair()
    tuner.start()
    assert tuner._working
    viewer.window.remove_dock_widget(tuner)
    qtbot.wait(2000)
    assert tuner._process is None


def test_every_control_has_a_tooltip(tuner):
    from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QPushButton

    controls = [
        w for kind in (QComboBox, QPushButton, QAbstractSpinBox) for w in tuner.findChildren(kind)
    ]
    assert len(controls) > 15
    assert [type(w).__name__ for w in controls if not w.toolTip()] == []
