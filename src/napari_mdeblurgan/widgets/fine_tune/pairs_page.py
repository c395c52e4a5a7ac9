"""The page **Pairs**: where they come from, how well they fit, and what to look at before they are learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_mdeblurgan.widgets.fine_tune.pairs_table import PairsTable
from napari_mdeblurgan.widgets.fine_tune.picture import Picture
from napari_mdeblurgan.widgets.fine_tune.sources import Sources
from napari_mdeblurgan.widgets.plain import plain

if TYPE_CHECKING:
    from napari_mdeblurgan.widgets.fine_tune.remembered import Remembered

OVERLAYS = ("Magenta and green", "Checkerboard", "Side by side")
OVERLAY_TIP = (
    "The chosen pair, laid on each other. Magenta and green: grey where they fit, coloured where they do not. Checkerboard: "
    "lines must go on across the squares."
)
SMALLEST_PICTURE = 1024


class PairsPage(QWidget):
    """Sources, the table, and the overlay of the chosen pair."""

    def __init__(self, remembered: Remembered) -> None:
        super().__init__()
        self.sources, self.table = Sources(remembered), PairsTable()
        self.overlay_kind = QComboBox()
        self.overlay_kind.addItems(OVERLAYS)
        self.overlay_kind.setToolTip(OVERLAY_TIP)
        self.remove = QPushButton("Remove")
        self.remove.setToolTip("Take the chosen pairs out of the table.")
        self.overlay = Picture(OVERLAY_TIP)
        self.remarks = wrapped("")
        row = QHBoxLayout()
        row.addWidget(self.overlay_kind, 1)
        row.addWidget(self.remove)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(self.sources)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.remarks)
        layout.addLayout(row)
        layout.addWidget(self.overlay, 2)
        self.remove.clicked.connect(self.table.remove_chosen)
        self.overlay_kind.currentIndexChanged.connect(self._show)
        self.table.chosen.connect(self._show)
        self.table.changed.connect(self._show)

    def _show(self, *_: object) -> None:
        """The chosen pair's overlay and all that there is to say about it."""
        rows = sorted({index.row() for index in self.table.selectedIndexes()})
        self.remove.setEnabled(bool(rows))
        pair = self.table.shown
        if not rows:
            self.remarks.setText("")
        else:
            outcome = self.table.outcomes[rows[0]]
            self.remarks.setText(" ".join(outcome.problems))
        self.remarks.setVisible(bool(self.remarks.text()))
        if pair is None:
            self.overlay.clear()
            return
        from napari_mdeblurgan.pairs import checkerboard, magenta_green, side_by_side

        drawn = (magenta_green, checkerboard, side_by_side)[self.overlay_kind.currentIndex()](pair)
        step = max(1, drawn.shape[1] // SMALLEST_PICTURE)
        self.overlay.show_array(drawn[::step, ::step])


def wrapped(text: str) -> QLabel:
    """A text that breaks into lines and can be copied."""
    from qtpy.QtCore import Qt

    label = plain(QLabel(text))
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
