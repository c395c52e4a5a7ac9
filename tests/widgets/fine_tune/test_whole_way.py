"""The whole way of a user with one objective, by clicks and keys: a stack → all in focus → a model
learned from it → used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QCheckBox, QComboBox

from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.fine_tune.widget import RESULT_PAGE, TRAINING_PAGE, FineTuneWidget
from napari_mdeblurgan.widgets.focus_stack import FocusStackWidget
from tests.focus.test_stack import texture, two_halves

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

PATIENCE_MS = 240_000
IN_FOCUS = "pollen [all in focus]"


def press(qtbot: QtBot, button: QAbstractButton) -> None:
    """Click on a button that can be clicked on, of a box on its mark."""
    assert button.isEnabled()
    middle = button.rect().center()
    at = QPoint(8, middle.y()) if isinstance(button, QCheckBox) else middle
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton, pos=at)


def type_into(qtbot: QtBot, box: QAbstractSpinBox, text: str) -> None:
    """A number as a user types it."""
    box.selectAll()
    qtbot.keyClicks(box, text)
    qtbot.keyClick(box, Qt.Key.Key_Return)


def choose(qtbot: QtBot, box: QComboBox, words: str) -> None:
    """An entry of a drop-down, with the arrow keys."""
    names = [box.itemText(number) for number in range(box.count())]
    way = names.index(words) - box.currentIndex()
    for _ in range(abs(way)):
        qtbot.keyClick(box, Qt.Key.Key_Down if way > 0 else Qt.Key.Key_Up)
    assert box.currentText() == words


def test_from_a_stack_to_a_model_learned_from_it_and_its_result(
    viewer: Viewer, qtbot: QtBot
) -> None:
    planes = (two_halves(texture(160)).clip(0, 1) * 250).astype(np.uint8)
    viewer.add_image(
        planes, name="pollen", axis_labels=("z", "y", "x"), scale=(2, 0.5, 0.5), units="µm"
    )

    focus = FocusStackWidget(viewer)
    viewer.window.add_dock_widget(focus, name="Focus stack")
    press(qtbot, focus.register)
    assert not focus.register.isChecked()
    press(qtbot, focus.run)
    qtbot.waitUntil(lambda: not focus.running, timeout=PATIENCE_MS)
    assert viewer.layers[IN_FOCUS].data.shape == planes.shape[1:]

    tuner = FineTuneWidget(viewer)
    viewer.window.add_dock_widget(tuner, name="Fine-tune")
    sources = tuner.pairs.sources
    choose(qtbot, sources.kind, "Focus stacks")
    names = [
        sources.stacks.stack.itemText(number) for number in range(sources.stacks.stack.count())
    ]
    assert names == ["pollen", "Files or a folder"]
    press(qtbot, sources.stacks.registered)
    press(qtbot, sources.register)
    qtbot.waitUntil(lambda: tuner._registering is None, timeout=PATIENCE_MS)
    assert len(tuner.pairs.table.used) == len(planes)
    choose(qtbot, tuner.base, "tiny-grey")
    tuner.tabs.setCurrentIndex(TRAINING_PAGE)
    press(qtbot, tuner.training.advanced)
    for box, text in (("steps", "40"), ("batch", "2"), ("patch", "24"), ("learning_rate", "0.05")):
        type_into(qtbot, getattr(tuner.training, box), text)
    press(qtbot, tuner.start_button)
    qtbot.waitUntil(
        lambda: tuner.tabs.currentIndex() == RESULT_PAGE and not tuner.running, timeout=PATIENCE_MS
    )
    assert tuner.result.verdict.text().startswith(
        "Better than the base model"
    )  # whose weights are random
    press(qtbot, tuner.result.use)

    deblur = next(
        each for each in viewer.window.dock_widgets.values() if isinstance(each, DeblurWidget)
    )
    assert deblur.controls.model.value == "tiny-grey-tuned"
    choose(qtbot, deblur.controls.image.native, IN_FOCUS)
    press(qtbot, deblur.controls.trust.native)
    assert deblur.controls.model.value == "tiny-grey-tuned"
    press(qtbot, deblur.controls.run.native)
    qtbot.waitUntil(lambda: not deblur.running, timeout=PATIENCE_MS)
    result = viewer.layers[f"{IN_FOCUS} [sharp ×2]"]
    assert result.data.shape == (320, 320)
    assert result.metadata["mdeblurgan"]["model"] == "tiny-grey-tuned"
    np.testing.assert_allclose(result.scale, 0.25)
