"""The table of a batch's images: what has become of each, and why it failed."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem

from napari_mdeblurgan.batch.inputs import short_name
from napari_mdeblurgan.widgets.cells import EndLeftOut
from napari_mdeblurgan.widgets.plain import literal

WAITING, WORKING, DONE, FAILED = "waiting", "working…", "done", "failed"
IN_FULL = Qt.ItemDataRole.UserRole  # what a cell says, which may be too narrow for it
SIGNS = {WAITING: "·", WORKING: "▶", DONE: "✓", FAILED: "✗"}


class FileList(QTreeWidget):
    """One row for each image: its name and its state, or the reason for its failure."""

    def __init__(self) -> None:
        super().__init__()
        self.setHeaderLabels(["Image", "State"])
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._end_left_out = EndLeftOut(self)
        self.setItemDelegateForColumn(1, self._end_left_out)
        self.setMinimumHeight(80)
        self.setToolTip("The images of the batch and what has become of them; select one to read its reason.")
        header = self.header()
        if header is not None:
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
            header.setStretchLastSection(True)
            header.resizeSection(0, 140)
        self._rows: dict[str, QTreeWidgetItem] = {}
        self._working: set[str] = set()
        self._reasons: dict[str, str] = {}  # why images failed, until they are done

    def offer(self, names: Iterable[str]) -> None:
        """List these images and no others; what was said of one of them stays, and nothing has been done about the rest."""
        listed = list(names)
        kept = {name: (row.text(1), row.data(1, IN_FULL)) for name, row in self._rows.items() if name in listed}
        self._reasons = {name: why for name, why in self._reasons.items() if name in kept}
        self.clear()
        self._rows, self._working = {}, set()
        for name in listed:
            self._add(name)
            if name in kept:
                _write(self._rows[name], *kept[name])

    def offer_also(self, names: Iterable[str]) -> None:
        """List these images beside those that are listed."""
        for name in names:
            if name not in self._rows:
                self._add(name)

    def _add(self, name: str) -> None:
        row = QTreeWidgetItem([short_name(name), ""])
        row.setToolTip(0, literal(name))
        self.addTopLevelItem(row)
        self._rows[name] = row
        self.tell(name, WAITING)

    def tell(self, name: str, state: str, why: str = "") -> None:
        """Say what has become of an image. One that failed and waits for another try goes on saying why it failed."""
        row = self._rows.get(name)
        if row is None:
            return
        if state == FAILED:
            self._reasons[name] = why
        elif state == DONE:
            self._reasons.pop(name, None)
        elif state == WAITING and name in self._reasons:
            state, why = FAILED, self._reasons[name]
        _write(row, f"{SIGNS[state]} {why or state}", why or state)
        self._working.discard(name)
        if state in (FAILED, WORKING):
            self.scrollToItem(row)

    def work_on(self, names: Iterable[str]) -> None:
        """Say which images are being restored now."""
        names = set(names)
        for name in self._working - names:
            self.tell(name, WAITING)
        for name in names - self._working:
            self.tell(name, WORKING)
        self._working = names

    def reasons(self) -> list[str]:
        """Why images failed that have not been done since."""
        return [self._reasons[name] for name in self._rows if name in self._reasons]

    def selected(self) -> str:
        """What the selected row says, in full."""
        rows = self.selectedItems()
        return str(rows[0].data(1, IN_FULL)) if rows else ""

    def states(self) -> dict[str, str]:
        """What the rows say, by the names of the images."""
        return {name: row.text(1) for name, row in self._rows.items()}


def _write(row: QTreeWidgetItem, words: str, in_full: str) -> None:
    row.setText(1, words)
    row.setData(1, IN_FULL, in_full)
    row.setToolTip(1, literal(in_full))
