"""The table of pairs: which there are, how well they fit, and which are learned from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_mdeblurgan.widgets.shared.cells import EndLeftOut
from napari_mdeblurgan.widgets.shared.plain import literal

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

    from napari_mdeblurgan.pairs import Outcome, RegisteredPair
    from napari_mdeblurgan.widgets.fine_tune.given import GivenPair

_COLUMNS = ("", "Pair", "Score", "Remarks")
USED_TIP = (
    "Learn from this pair. One that was not registered is only learned from if you tick it "
    "yourself."
)
TABLE_TIP = (
    "The pairs, how well they fit, and which are learned from. Arrow keys choose one; the "
    "space key ticks it."
)
_HEIGHT = 130
NAME_WIDTH = 110  # at least, so that a long name leaves room for the score and the remarks
NAME_SHARE = 0.4  # of a wider table


class PairsTable(QTableWidget):
    """One row for each pair; a tick says that it is learned from."""

    changed = Signal()
    chosen = Signal()

    def __init__(self) -> None:
        super().__init__(0, len(_COLUMNS))
        self.setHorizontalHeaderLabels(_COLUMNS)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)  # the key leads on to the next control
        self.setToolTip(TABLE_TIP)
        self.setAccessibleName("Pairs")
        self.setWordWrap(False)
        self.setMinimumHeight(_HEIGHT)
        vertical, header = self.verticalHeader(), self.horizontalHeader()
        assert vertical is not None
        assert header is not None
        vertical.setVisible(False)
        for column in (0, 2):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.resizeSection(1, NAME_WIDTH)
        header.setStretchLastSection(True)
        self._own_width = NAME_WIDTH  # of the names, as long as the user gives them no other
        header.sectionResized.connect(self._on_resized)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._end_left_out = EndLeftOut(self)
        self.setItemDelegateForColumn(3, self._end_left_out)
        self.outcomes: list[Outcome] = []
        self.given: list[GivenPair | None] = []  # what each was made of
        self.itemChanged.connect(lambda _: self.changed.emit())
        self.itemSelectionChanged.connect(self.chosen.emit)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """See Qt; in a wide table names have more room, and in a low one the pair that is selected
        stays in view, of which the remarks below tell.
        """
        super().resizeEvent(event)
        if chosen := self.selectedIndexes():
            self.scrollTo(chosen[0])
        header, view = self.horizontalHeader(), self.viewport()
        if header is not None and view is not None and self._own_width:
            self._own_width = max(NAME_WIDTH, round(NAME_SHARE * view.width()))
            header.resizeSection(1, self._own_width)

    def _on_resized(self, column: int, _: int, width: int) -> None:
        if column == 1 and width != self._own_width:
            self._own_width = 0

    def add(self, outcome: Outcome, given: GivenPair | None = None, instead_of: str = "") -> None:
        """Add what became of one pair; it replaces one of the same images, or of a name where it
        was swapped, and has a name of its own.
        """
        from napari_mdeblurgan.pairs.matching import unique

        def is_same(row: int) -> bool:
            name, other = self.outcomes[row].name, self.given[row]
            if given is None or other is None:
                return name == outcome.name
            return name == instead_of or given.images == other.images

        taken = [row for row in range(len(self.outcomes)) if is_same(row)]
        others = [each.name for row, each in enumerate(self.outcomes) if row not in taken]
        *_, name = unique([*others, outcome.name])
        pair = outcome.pair and replace(outcome.pair, name=name)
        outcome = replace(outcome, name=name, pair=pair)
        self.blockSignals(True)
        for row in reversed(taken):
            self._drop(row)
        row = taken[0] if instead_of and taken else self.rowCount()
        self.insertRow(row)
        self.outcomes.insert(row, outcome)
        self.given.insert(row, given)
        for column, cell in enumerate(_cells(outcome, given)):
            self.setItem(row, column, cell)
        self.resizeRowToContents(row)
        self.blockSignals(False)
        self.selectRow(row)
        self.changed.emit()

    def remove_chosen(self) -> None:
        """Take the selected rows out."""
        for row in sorted({index.row() for index in self.selectedIndexes()}, reverse=True):
            self._drop(row)
        self.changed.emit()

    def _drop(self, row: int) -> None:
        self.removeRow(row)
        del self.outcomes[row], self.given[row]

    def ticked(self, row: int) -> bool:
        """Whether the pair in a row is learned from."""
        item = self.item(row, 0)
        return item is not None and item.checkState() == Qt.CheckState.Checked

    def tick(self, row: int, value: bool) -> None:
        """As the user would."""
        item = self.item(row, 0)
        if item is not None:
            item.setCheckState(Qt.CheckState.Checked if value else Qt.CheckState.Unchecked)

    def swappable(self, chosen_only: bool = False) -> list[int]:
        """Rows whose two images only need to be exchanged; of those that are
        selected, or of all.
        """
        rows = (
            sorted({index.row() for index in self.selectedIndexes()})
            if chosen_only
            else range(len(self.outcomes))
        )
        return [row for row in rows if self.outcomes[row].swapped and self.given[row] is not None]

    @property
    def used(self) -> list[RegisteredPair]:
        """The pairs that are ticked."""
        return [
            outcome.pair
            for row, outcome in enumerate(self.outcomes)
            if outcome.pair is not None and self.ticked(row)
        ]

    @property
    def shown(self) -> RegisteredPair | None:
        """The pair of the first selected row."""
        rows = sorted({index.row() for index in self.selectedIndexes()})
        return self.outcomes[rows[0]].pair if rows else None


def _cells(outcome: Outcome, given: GivenPair | None) -> list[QTableWidgetItem]:
    """The cells of a row, the tick first."""
    used = QTableWidgetItem()
    used.setToolTip(USED_TIP)
    flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
    used.setFlags(flags if outcome.pair is None else flags | Qt.ItemFlag.ItemIsUserCheckable)
    if outcome.pair is not None:
        used.setCheckState(Qt.CheckState.Checked if outcome.accepted else Qt.CheckState.Unchecked)
    score = f"{outcome.pair.registration.score:.2f}" if outcome.pair is not None else "–"
    remarks = " ".join(outcome.problems) or "fits"
    if outcome.pair is not None and not outcome.accepted:
        remarks = f"Not registered. {remarks}"
    low, high = given.names if given is not None else ("", "")
    name = f"blurred: {low}\nsharp: {high}" if given is not None else outcome.name
    tip = f"{outcome.name}: {remarks}"
    if given is not None:
        tip = f"{outcome.name}. Low (blurred): {low}. High (sharp): {high}. {remarks}"
    cells = [QTableWidgetItem(text) for text in (name, score, remarks)]
    for cell in cells:
        cell.setToolTip(literal(tip))
    return [used, *cells]
