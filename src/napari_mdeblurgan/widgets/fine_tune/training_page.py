"""The page **Training**: how long, the rarely needed knobs, and how it goes."""

from __future__ import annotations

import dataclasses
from typing import Any

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_mdeblurgan.fine_tuning.settings import FineTuneSettings, field_help
from napari_mdeblurgan.widgets.fine_tune.live_curves import Curves
from napari_mdeblurgan.widgets.fine_tune.picture import Picture
from napari_mdeblurgan.widgets.shared.rows import let_shrink

DEFAULTS: dict[str, Any] = {
    field.name: field.default for field in dataclasses.fields(FineTuneSettings)
}
_PARTS = {
    "all": "All",
    "super-resolution": "Super-resolution only",
    "deblurring": "Deblurring only",
}
LONGEST_MINUTES = 10_080.0
PREVIEW_TIP = (
    "Pieces of the held-out part: blurred, enlarged bicubically where the truth has more pixels, "
    "restored by the network as it is now, and the truth."
)


class TrainingPage(QWidget):
    """The time budget, **Advanced**, the curves and the preview."""

    def __init__(self, minutes: float) -> None:
        super().__init__()
        self.minutes = QDoubleSpinBox()
        self.minutes.setRange(0, LONGEST_MINUTES)
        self.minutes.setDecimals(1)
        self.minutes.setSuffix(" min")
        self.minutes.setValue(minutes)
        self.advanced = QToolButton()
        self.advanced.setText("▸ Advanced")
        self.advanced.setCheckable(True)
        self.advanced.setAutoRaise(True)
        self.advanced.setToolTip("Show what rarely needs a change.")
        self._rest = self._make_advanced()
        self.curves, self.preview = Curves(), Picture(PREVIEW_TIP)
        row = QHBoxLayout()
        budget = QFormLayout()
        _add(budget, "Time", self.minutes, "minutes")
        row.addLayout(budget, 1)
        row.addWidget(self.advanced)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self._rest)
        layout.addWidget(self.curves)
        layout.addWidget(self.preview)
        layout.addStretch(1)
        self._rest.setVisible(False)
        self.advanced.toggled.connect(self._show_advanced)

    def _make_advanced(self) -> QWidget:
        rest = QWidget()
        form = QFormLayout(rest)
        form.setContentsMargins(12, 0, 0, 0)
        self.part = QComboBox()
        for name, words in _PARTS.items():
            self.part.addItem(words, name)
        let_shrink(self.part, 7)
        self.learning_rate = QDoubleSpinBox()
        self.learning_rate.setDecimals(5)
        self.learning_rate.setRange(1e-5, 0.1)
        self.learning_rate.setSingleStep(5e-4)
        self.learning_rate.setValue(DEFAULTS["learning_rate"])
        self.steps = _count(0, 10_000_000, DEFAULTS["steps"], 100)
        self.steps.setSpecialValueText("no limit")
        self.batch = _count(1, 1024, DEFAULTS["batch"], 1)
        self.patch = _count(24, 1024, DEFAULTS["patch"], 8)
        self.turns = QCheckBox()
        self.device = QComboBox()
        let_shrink(self.device, 7)
        self.device.addItem("Automatic", "auto")
        for label, widget, field in (
            ("Part", self.part, "part"),
            ("Learning rate", self.learning_rate, "learning_rate"),
            ("Most steps", self.steps, "steps"),
            ("Batch", self.batch, "batch"),
            ("Patch", self.patch, "patch"),
            ("Turn patches", self.turns, "turns"),
            ("Device", self.device, "device"),
        ):
            _add(form, label, widget, field)
        return rest

    def _show_advanced(self, shown: bool) -> None:
        self.advanced.setText("▾ Advanced" if shown else "▸ Advanced")
        self._rest.setVisible(shown)

    def offer_devices(self, entries: tuple[tuple[str, str], ...]) -> None:
        """Offer what this machine has, as (words, name)."""
        chosen = self.device.currentData()
        self.device.clear()
        for words, name in entries:
            self.device.addItem(words, name)
        self.device.setCurrentIndex(max(0, self.device.findData(chosen)))

    @property
    def options(self) -> dict[str, Any]:
        """Fields of `FineTuneSettings` as they are set here."""
        return {
            "minutes": self.minutes.value(),
            "part": self.part.currentData(),
            "learning_rate": self.learning_rate.value(),
            "steps": self.steps.value(),
            "batch": self.batch.value(),
            "patch": self.patch.value() // 8 * 8,
            "turns": self.turns.isChecked(),
            "device": self.device.currentData() or "auto",
        }

    def set_running(self, running: bool) -> None:
        """What is being done cannot be changed."""
        self.minutes.setEnabled(not running)
        self._rest.setEnabled(not running)


def _count(least: int, most: int, value: int, step: int) -> QSpinBox:
    box = QSpinBox()
    box.setRange(least, most)
    box.setValue(value)
    box.setSingleStep(step)
    return box


def _add(form: QFormLayout, label: str, widget: QWidget, field: str) -> None:
    text = field_help(field)
    widget.setToolTip(f"{text[:1].upper()}{text[1:]}.")
    form.addRow(label, widget)
    label_widget = form.labelForField(widget)
    if label_widget is not None:
        label_widget.setToolTip(widget.toolTip())
