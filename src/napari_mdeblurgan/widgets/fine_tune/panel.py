"""The parts of the dock widget **Fine-tune** and how they lie. No behaviour."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_mdeblurgan.widgets.fine_tune.pairs_page import PairsPage, wrapped
from napari_mdeblurgan.widgets.fine_tune.remembered import RememberedTuning
from napari_mdeblurgan.widgets.fine_tune.result_page import ResultPage
from napari_mdeblurgan.widgets.fine_tune.resuming import ResumeButton
from napari_mdeblurgan.widgets.fine_tune.training_page import TrainingPage
from napari_mdeblurgan.widgets.shared.rows import SMALLEST_WIDTH, let_shrink, pass_focus
from napari_mdeblurgan.widgets.shared.sizes import AsWide

PAIRS_PAGE, TRAINING_PAGE, RESULT_PAGE = range(3)
BAR_STEPS = 1000
START_TIP = "Learn from the ticked pairs for the time that is set on the page Training."


class FineTunePanel(QWidget):
    """What the user sees, from top to bottom.

    Parameters
    ----------
    remembered : RememberedTuning
        What was chosen the last time.
    """

    def __init__(self, remembered: RememberedTuning) -> None:
        super().__init__()
        self.base = QComboBox()
        let_shrink(self.base)
        self.base.setToolTip(
            "The model to start from: for colour or for grey images, as the pairs are."
        )
        self.name = QLineEdit()
        self.name.setToolTip("What the new model is called in the drop-down of Deblur + SR.")
        self.pairs, self.training, self.result = (
            PairsPage(remembered),
            TrainingPage(remembered.minutes),
            ResultPage(),
        )
        self.tabs = QTabWidget()
        for page, words, tip in (
            (self.pairs, "Pairs", "Where the images are, and how well they fit."),
            (self.training, "Training", "How long it learns, and how it goes."),
            (self.result, "Result", "How much better the new model is."),
        ):
            area = QScrollArea()
            area.setWidgetResizable(True)
            area.setFrameShape(QScrollArea.Shape.NoFrame)
            area.setVerticalScrollBarPolicy(
                Qt.ScrollBarPolicy.ScrollBarAlwaysOn
            )  # or all would become narrower as it comes
            area.setWidget(page)
            AsWide(area)
            self.tabs.setTabToolTip(self.tabs.addTab(area, words), tip)
        self.start_button, self.stop_button = QPushButton("Fine-tune"), QPushButton("Stop")
        self.resume_button = ResumeButton()
        self.start_button.setToolTip(START_TIP)
        self.stop_button.setToolTip(
            "End after the step that is being taken. The best so far becomes the model."
        )
        self.bar = QProgressBar()
        self.bar.setRange(0, BAR_STEPS)
        kept = self.bar.sizePolicy()
        kept.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(kept)
        self.bar.setToolTip("How much of the time is over, and how much is left.")
        self.status = wrapped("")
        form = QFormLayout()
        form.addRow("Base model", self.base)
        form.addRow("New model", self.name)
        buttons = QHBoxLayout()
        for button in (self.start_button, self.stop_button, self.resume_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(
            buttons
        )  # above all that grows and shrinks, so that they never move under the mouse
        layout.addWidget(self.bar)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.status)
        AsWide(self, SMALLEST_WIDTH)

    def show_working(self, *, running: bool, ready: bool) -> None:
        """Enable what starts and what stops the work; the keyboard goes from one to the other."""
        start, stop = self.start_button, self.stop_button
        if running:
            stop.setEnabled(True)
            pass_focus(stop, start, self.resume_button)
        start.setEnabled(ready)
        if not running:
            pass_focus(start, stop, self.bar)
            stop.setEnabled(False)

    def show_stopping(self) -> None:
        """Disable what stops the work, which has been pressed."""
        pass_focus(self.bar, self.stop_button)
        self.stop_button.setEnabled(False)
