"""The page **Pairs**: where they come from, how well they fit, and what to look at before they are
learned from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_mdeblurgan.widgets.fine_tune.given import sides
from napari_mdeblurgan.widgets.fine_tune.pairs_table import PairsTable
from napari_mdeblurgan.widgets.fine_tune.picture import Picture
from napari_mdeblurgan.widgets.fine_tune.sources import Sources
from napari_mdeblurgan.widgets.shared.plain import plain, unbroken

if TYPE_CHECKING:
    from napari_mdeblurgan.widgets.fine_tune.remembered import RememberedTuning

_OVERLAYS = ("Magenta and green", "Checkerboard", "Side by side")
OVERLAY_TIP = (
    "The chosen pair, laid on each other. Magenta and green: grey where they fit, coloured where "
    "they do not. Checkerboard: lines must go on across the squares."
)
SWAP_TIP = "Exchange the low and the high image of the chosen pairs, and register them anew."
SWAP_ALL_TIP = "Do the same for all pairs that seem to be given the wrong way round."
CAPTIONS = (
    "Magenta: {}. Green: {}. Grey: they fit.",
    "Squares in turn. The first, top left: {}. Then: {}.",
    "Left: {}. Right: {}.",
)


class PairsPage(QWidget):
    """Sources, the table, and the overlay of the chosen pair. `swap` is emitted with rows that are
    to be swapped.
    """

    swap = Signal(list)

    def __init__(self, remembered: RememberedTuning) -> None:
        super().__init__()
        self.sources, self.table = Sources(remembered), PairsTable()
        self.overlay_kind = QComboBox()
        self.overlay_kind.addItems(_OVERLAYS)
        self.overlay_kind.setToolTip(OVERLAY_TIP)
        self.overlay_kind.setAccessibleName("How a pair is shown")
        self.remove = QPushButton("Remove")
        self.remove.setToolTip("Take the chosen pairs out of the table.")
        self.overlay = Picture(OVERLAY_TIP)
        self.caption = wrapped("")
        self.remarks = wrapped("")
        self.swap_button, self.swap_all_button = QPushButton("Swap"), QPushButton("Swap all")
        self.swap_button.setToolTip(SWAP_TIP)
        self.swap_all_button.setToolTip(SWAP_ALL_TIP)
        buttons = QVBoxLayout()
        buttons.addWidget(self.swap_button)
        buttons.addWidget(self.swap_all_button)
        said = QHBoxLayout()
        said.addWidget(self.remarks, 1)
        said.addLayout(buttons)
        row = QHBoxLayout()
        row.addWidget(self.overlay_kind, 1)
        row.addWidget(self.remove)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(self.sources)
        layout.addWidget(self.table, 1)
        layout.addLayout(said)
        layout.addLayout(row)
        layout.addWidget(self.overlay, 2)
        layout.addWidget(self.caption)
        self.remove.clicked.connect(self.table.remove_chosen)
        self.overlay_kind.currentIndexChanged.connect(self._show)
        self.table.chosen.connect(self._show)
        self.table.changed.connect(self._show)
        self.swap_button.clicked.connect(
            lambda: self.swap.emit(self.table.swappable(chosen_only=True))
        )
        self.swap_all_button.clicked.connect(lambda: self.swap.emit(self.table.swappable()))
        self.busy = False
        self._show()

    def set_busy(self, busy: bool) -> None:
        """While pairs are registered or learned from, none is swapped."""
        self.busy = busy
        for button in (self.swap_button, self.swap_all_button):
            button.setEnabled(not busy)

    def show_swapped(self) -> None:
        """Choose the first pair that is swapped, if there is any, so that what mends it is in
        sight.
        """
        rows = self.table.swappable()
        if rows and not self.table.swappable(chosen_only=True):
            self.table.selectRow(rows[0])
        if rows:
            QTimer.singleShot(0, self._into_sight)  # once it has its place

    def _into_sight(self) -> None:
        """Scroll to **Swap**: on a small screen it lies below what is seen."""
        viewport = self.parentWidget()
        area = viewport.parentWidget() if viewport is not None else None
        if isinstance(area, QScrollArea) and self.swap_button.isVisible():
            area.ensureWidgetVisible(self.remarks)
            area.ensureWidgetVisible(self.swap_button)

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
        chosen, swapped = self.table.swappable(chosen_only=True), self.table.swappable()
        self.swap_button.setVisible(bool(chosen))
        self.swap_all_button.setVisible(bool(chosen) and len(swapped) > 1)
        self.swap_all_button.setText(f"Swap all {len(swapped)}")
        self.caption.setVisible(pair is not None)
        if pair is None:
            self.overlay.clear()
            return
        kind = self.overlay_kind.currentIndex()
        self.caption.setText(CAPTIONS[kind].format(*sides(self.table.given[rows[0]], pair)))
        self.overlay.title = f"{pair.name} – {self.caption.text()}"
        from napari_mdeblurgan.pairs import checkerboard, magenta_green, side_by_side

        self.overlay.show_array((magenta_green, checkerboard, side_by_side)[kind](pair))


class _Wrapped(QLabel):
    def setText(self, text: str | None) -> None:
        """See Qt; a number stays with its unit."""
        super().setText(unbroken(text or ""))


def wrapped(text: str) -> QLabel:
    """A text that breaks into lines and can be copied; a name that is longer than the dock is wide
    does not widen it.
    """
    from qtpy.QtCore import Qt

    label = plain(_Wrapped(unbroken(text)))
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label
