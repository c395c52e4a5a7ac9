"""The page **Result**: before and after, panels to look at, a plain verdict, and the way to use the
model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_mdeblurgan.widgets.fine_tune.pairs_page import wrapped
from napari_mdeblurgan.widgets.fine_tune.picture import Picture
from napari_mdeblurgan.widgets.shared.wording import duration

_COLUMNS = ("Held-out parts", "PSNR", "SSIM")
_UNKNOWN = "#8a8a8a"
_COLOURS = {
    "better": "#0072B2",
    "no better": "#E69F00",
}  # for any eyes; what cannot be told is grey
PANEL_TIP = (
    "Pieces of the held-out part: blurred, enlarged bicubically where the truth has more pixels, "
    "by the base model, by the new one, and the truth."
)


class ResultPage(QWidget):
    """What came of a fine-tuning; empty until there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.verdict = wrapped("There is no result yet.")
        self.table = QTableWidget(0, len(_COLUMNS))
        self.table.setAccessibleName("Scores")
        self.table.setHorizontalHeaderLabels(_COLUMNS)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.table.setTabKeyNavigation(False)
        self.table.setToolTip("Means over the held-out squares; higher is better in both columns.")
        self.table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header, vertical = self.table.horizontalHeader(), self.table.verticalHeader()
        assert header is not None
        assert vertical is not None
        vertical.setVisible(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.sectionResized.connect(self._fit_table)
        self.panels = Picture(PANEL_TIP)
        self.details = wrapped("")
        self.use = QPushButton("Use in Deblur + SR")
        self.use.setToolTip("Open Deblur + SR with the model that is recommended.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        for widget in (self.verdict, self.table, self.use, self.panels, self.details):
            layout.addWidget(widget)
        layout.addStretch(1)
        self.recommended = ""
        self.clear()

    def _fit_table(self, *_: int) -> None:
        """Make the rows as high as long names need, and the table as high as its rows."""
        header = self.table.horizontalHeader()
        assert header is not None
        self.table.resizeRowsToContents()
        rows = sum(self.table.rowHeight(row) for row in range(self.table.rowCount()))
        self.table.setFixedHeight(rows + header.sizeHint().height() + 2 * self.table.frameWidth())

    def clear(self) -> None:
        """Nothing to show."""
        self.verdict.setText("There is no result yet.")
        self.verdict.setStyleSheet("")
        for widget in (self.table, self.details, self.use):
            widget.setVisible(False)
        self.panels.clear()
        self.recommended = ""

    def show_outcome(self, outcome: dict[str, Any], comparison: Path) -> None:
        """Show an `Outcome`, as plain values, and the picture beside it."""
        from napari_mdeblurgan.fine_tuning.better import GainVerdict

        verdict = GainVerdict(**outcome["verdict"])
        self.verdict.setText(verdict.sentence)
        self.verdict.setStyleSheet(
            f"border-left: 4px solid {_COLOURS.get(verdict.answer, _UNKNOWN)}; padding: 4px; "
            "font-weight: bold;"
        )
        self.table.setRowCount(0)
        plain = outcome["methods"][0]["name"]
        first = "Bicubic enlargement" if plain == "bicubic" else plain.capitalize()
        names = (first, f"Base model: {outcome['base']}", f"Fine-tuned: {outcome['model']}")
        for name, method in zip(names, outcome["methods"], strict=True):
            row = self.table.rowCount()
            self.table.insertRow(row)
            for column, text in enumerate(
                (name, f"{method['psnr_db']:.2f} dB", f"{method['ssim']:.4f}")
            ):
                cell = QTableWidgetItem(text)
                if column:
                    cell.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.table.setItem(row, column, cell)
        self._fit_table()
        self.panels.show_file(comparison)
        worse = [part["name"] for part in outcome["parts"] if part["tuned_db"] < part["base_db"]]
        passed = duration(60 * outcome["minutes"])
        said = [
            f"{outcome['steps']:,} steps in {passed}; the best was reached after "
            f"{outcome['best_step']:,}.",
            f"Worse than the base model on {', '.join(worse)}."
            if worse
            else "No held-out part is worse than by the base model.",
            f"Saved as {outcome['path']}.",
            *(f"{note[:1].upper()}{note[1:]}." for note in outcome["notes"]),
        ]
        self.details.setText(" ".join(said))
        self.recommended = (
            outcome["base"]
            if verdict.answer in ("no better", "trained too little")
            else outcome["model"]
        )
        self.use.setText(f"Use {self.recommended} in Deblur + SR")
        for widget in (self.table, self.details, self.use):
            widget.setVisible(True)
