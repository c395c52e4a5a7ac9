"""The parts of the dock widget **Focus stack**: what they are called, what their tooltips say, how
they lie. No behaviour.
"""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_mdeblurgan.widgets.shared.plain import plain
from napari_mdeblurgan.widgets.shared.rows import (
    PROGRESS_STEPS,
    SMALLEST_WIDTH,
    let_shrink,
    pass_focus,
    read_aloud,
)
from napari_mdeblurgan.widgets.shared.sizes import AsWide
from napari_mdeblurgan.widgets.shared.wording import on_bar

UNKNOWN_STEP = "unknown"
LARGEST_STEP_UM = 10_000.0
STACK_TIP = (
    "The image layer whose planes are a focus stack. Where several single planes are selected in "
    "the layer list, they are offered as a stack too, from the lowest to the topmost."
)


class FocusStackPanel(QWidget):
    """What the user sees, from top to bottom."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = _drop_down(STACK_TIP)
        self.axis = _drop_down(
            "Along which axis the focus changes. The one called z is chosen by itself."
        )
        self.step = QDoubleSpinBox()
        self.step.setDecimals(3)
        self.step.setRange(0, LARGEST_STEP_UM)
        self.step.setSingleStep(0.1)
        self.step.setSuffix(" µm")
        self.step.setSpecialValueText(UNKNOWN_STEP)
        self.step.setToolTip(
            "How far the planes are apart, as the layer tells. With it heights are in µm. At 0 it "
            "is unknown, and heights are in planes."
        )
        self.channel = _drop_down(
            "The channel that decides which plane is sharp; the others follow it. By itself the "
            "one with most detail does."
        )
        self.register = QCheckBox("Register planes")
        self.register.setToolTip(
            "Lay the planes on each other first: moved, turned and evenly enlarged, for drift and "
            "for a magnification that changes with focus. Untick it where they lie on each other "
            "already; it saves time."
        )
        self.ordered = QCheckBox("In order of depth")
        self.ordered.setToolTip(
            "The planes come from top to bottom, or the other way. Unticked, their order is found "
            "by how alike they are."
        )
        self.onward = QCheckBox("Then Deblur + SR")
        self.onward.setToolTip(
            "Go straight on with the sharp image in Deblur + SR, with the model and all else that "
            "is chosen there, Trust included."
        )
        self.preview = QPushButton("Preview")
        self.preview.setToolTip(
            "Put together only what the canvas shows, to see in seconds what comes of it."
        )
        self.run = QPushButton("Focus stack")
        self.run.setToolTip(
            "Make one image that is sharp wherever a plane is, as a new layer on the stack. The "
            "height of every place, and how sure it is, come as hidden layers."
        )
        self.time = plain(QLabel())
        self.time.setWordWrap(True)
        self.time.setToolTip("How long it will take, by what earlier stacks took on this computer.")
        self.bar = QProgressBar()
        self.bar.setRange(0, PROGRESS_STEPS)
        self.bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.bar.setToolTip("How far the work is, and how long it will last.")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop at once; nothing is added.")
        self.heights = _drop_down("The height map of the stack whose choice is followed.")
        self.follower = _drop_down(
            "Stacks with as many planes of the same size, such as the other channels."
        )
        self.follow = QPushButton("Apply")
        self.follow.setToolTip(
            "Make an image of the other stack by the same choice: each place from the same plane."
        )
        self.status = plain(QLabel())
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.status.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self._lay_out()

    def _lay_out(self) -> None:
        """Let all of it be scrolled where the screen is too low, as at 200 % on many."""
        inside = QWidget()
        rows = QVBoxLayout(inside)
        form = QFormLayout()
        self.named: dict[QWidget, QLabel] = {}  # the words before a control
        for words, control in (
            ("Stack", self.stack),
            ("Axis", self.axis),
            ("z step", self.step),
            ("Channel", self.channel),
        ):
            label = QLabel(words)
            label.setToolTip(control.toolTip())
            form.addRow(label, control)
            self.named[control] = label
            read_aloud(words, control)
        rows.addLayout(form)
        rows.addLayout(_row(self.register, self.ordered))
        rows.addWidget(self.onward)
        rows.addLayout(_row(self.preview, self.run))
        rows.addWidget(self.time)
        self.working = QWidget()
        working = _row(self.bar, self.cancel)
        working.setContentsMargins(0, 0, 0, 0)
        self.working.setLayout(working)
        kept = self.working.sizePolicy()
        kept.setRetainSizeWhenHidden(
            True
        )  # or what lies below would move to where Cancel was, under a late click
        self.working.setSizePolicy(kept)
        rows.addWidget(self.working)
        self.following = QGroupBox("The same choice for other layers")
        others = QFormLayout(self.following)
        others.addRow("Choice", self.heights)
        others.addRow("For", self.follower)
        others.addRow(self.follow)
        rows.addWidget(self.following)
        rows.addWidget(self.status)
        rows.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setVerticalScrollBarPolicy(
            Qt.ScrollBarPolicy.ScrollBarAlwaysOn
        )  # or all would become narrower as it comes
        area.setWidget(inside)
        AsWide(area, SMALLEST_WIDTH)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)

    def show_progress(self, fraction: float, time_left: str) -> None:
        """Let the bar say how far the work is, from 0 to 1, and how long it will last."""
        self.bar.setRange(0, PROGRESS_STEPS)
        self.bar.setValue(round(fraction * PROGRESS_STEPS))
        self.bar.setFormat(on_bar(fraction, time_left))

    def show_life(self) -> None:
        """Let the bar move without saying how far."""
        self.bar.setRange(0, 0)
        self.bar.setFormat("")

    def show_working(self, *, running: bool, ready: bool) -> None:
        """Enable what starts the work, and show the bar and **Cancel** while there is some; the
        keyboard goes with them.
        """
        if running:
            self.working.show()
            pass_focus(self.cancel, self.run, self.preview, self.follow)
        self.preview.setEnabled(ready)
        self.run.setEnabled(ready)
        self.follow.setEnabled(not running)
        if not running:
            pass_focus(self.run, self.cancel)
            self.working.hide()

    def show_row(self, control: QWidget, *, shown: bool) -> None:
        """Show or hide a control and its name."""
        control.setVisible(shown)
        self.named[control].setVisible(shown)


def _drop_down(tip: str) -> QComboBox:
    box = QComboBox()
    let_shrink(box)
    box.setToolTip(tip)
    return box


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row


def offer_names(box: QComboBox, names: list[str], chosen: int) -> None:
    """Offer names and choose one, without a word to those who listen."""
    box.blockSignals(True)
    box.clear()
    box.addItems(names)
    box.setCurrentIndex(chosen)
    box.blockSignals(False)
