"""The table of a batch's images: what has become of each, and why it failed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from qtpy.QtCore import Qt
from qtpy.QtGui import QPainter, QPaintEvent, QPalette, QPen
from qtpy.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem

from napari_mdeblurgan.batch.inputs import short_name
from napari_mdeblurgan.widgets.shared.cells import EndLeftOut
from napari_mdeblurgan.widgets.shared.plain import literal, unbroken

WAITING, WORKING, DONE, FAILED = "waiting", "working…", "done", "failed"
IN_FULL = Qt.ItemDataRole.UserRole  # what a cell says, which may be too narrow for it
HINT = "Drop files or folders here."
_SIGNS = {WAITING: "·", WORKING: "▶", DONE: "✓", FAILED: "✗"}


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
        self.setAccessibleName("Images")
        self.setToolTip(
            "The images of the batch and what has become of them; select one to read its reason."
        )
        header = self.header()
        if header is not None:
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
            header.setStretchLastSection(True)
            header.resizeSection(0, 140)
        self._rows: dict[str, QTreeWidgetItem] = {}
        self._working: set[str] = set()
        self._reasons: dict[str, str] = {}  # why images failed, until they are done
        self._hovered = False

    def offer(self, names: Iterable[str]) -> None:
        """List these images and no others; what was said of one of them stays, and nothing has been
        done about the rest.
        """
        listed = list(dict.fromkeys(names))
        wanted = set(listed)
        kept = {
            name: (row.text(1), row.data(1, IN_FULL))
            for name, row in self._rows.items()
            if name in wanted
        }
        self._reasons = {name: why for name, why in self._reasons.items() if name in kept}
        self.clear()
        self._rows, self._working = {}, set()
        self._add(listed, self.topLevelItemCount())
        for name, said in kept.items():
            _write(self._rows[name], *said)

    def offer_also(self, names: Iterable[str]) -> None:
        """List these images beside those that are listed."""
        self._add(names, self.topLevelItemCount())

    def insert_before(self, name: str, names: Iterable[str]) -> None:
        """List these images before the row `name`; at the end, where there is none."""
        at = (
            self.indexOfTopLevelItem(self._rows[name])
            if name in self._rows
            else self.topLevelItemCount()
        )
        self._add(names, at)

    def remove(self, name: str) -> None:
        """Take a row off the list."""
        row = self._rows.pop(name, None)
        if row is not None:
            self.takeTopLevelItem(self.indexOfTopLevelItem(row))

    def note(self, name: str, words: str) -> None:
        """Say something of a row about which nothing can be done yet."""
        if name in self._rows:
            _write(self._rows[name], f"{_SIGNS[WAITING]} {words}", words)

    def _add(self, names: Iterable[str], at: int) -> None:
        """Paths of files are shortened, names of layers are not, whatever signs are in them."""
        new = {
            name: QTreeWidgetItem([short_name(name) if PurePath(name).is_absolute() else name, ""])
            for name in names
            if name not in self._rows
        }
        for name, row in new.items():
            row.setToolTip(0, literal(name))
            _write(row, f"{_SIGNS[WAITING]} {WAITING}", WAITING)
        self._rows |= new
        self.insertTopLevelItems(at, list(new.values()))

    def hover(self, welcome: bool) -> None:
        """Show that what is dragged over the list may be dropped."""
        self._hovered = welcome
        self._redraw()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt's: the rows; where there are none, what can be done."""
        super().paintEvent(event)
        view = self.viewport()
        if view is None or (self.topLevelItemCount() and not self._hovered):
            return
        painter, room = QPainter(view), view.rect().adjusted(6, 6, -6, -6)
        colour = self.palette().color(QPalette.ColorRole.Text)
        colour.setAlpha(160)
        painter.setPen(QPen(colour, 2 if self._hovered else 1, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(room, 4, 4)
        if not self.topLevelItemCount():
            centred = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(room.adjusted(6, 0, -6, 0), int(centred), HINT)
        painter.end()

    def _redraw(self) -> None:
        view = self.viewport()
        if view is not None:
            view.update()

    def tell(self, name: str, state: str, why: str = "") -> None:
        """Say what has become of an image. One that failed and waits for another try goes on saying
        why it failed.
        """
        row = self._rows.get(name)
        if row is None:
            return
        if state == FAILED:
            self._reasons[name] = why
        elif state == DONE:
            self._reasons.pop(name, None)
        elif state == WAITING and name in self._reasons:
            state, why = FAILED, self._reasons[name]
        words = f"{_SIGNS[state]} {state}"
        if why:  # a verdict has a sign of its own
            words = why if state == DONE else f"{words}: {why}"
        _write(row, words, why or state)
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
        return unbroken(str(rows[0].data(1, IN_FULL))) if rows else ""

    def states(self) -> dict[str, str]:
        """What the rows say, by the names of the images, from top to bottom."""
        order = sorted(self._rows.items(), key=lambda each: self.indexOfTopLevelItem(each[1]))
        return {name: row.text(1) for name, row in order}


def _write(row: QTreeWidgetItem, words: str, in_full: str) -> None:
    row.setText(1, words)
    row.setData(1, IN_FULL, in_full)
    row.setToolTip(1, literal(in_full))
