"""Where focus stacks come from: a layer, files, or a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QWidget,
)

from napari_mdeblurgan.folders import anything_there, at_home
from napari_mdeblurgan.widgets.shared.dropping import DropTarget
from napari_mdeblurgan.widgets.shared.plain import literal
from napari_mdeblurgan.widgets.shared.rows import let_shrink, read_aloud

if TYPE_CHECKING:
    from napari.layers import Image

FILES = "Files or a folder"
_SEPARATOR = ";"
_STACK_TIP = (
    "A layer with a slider through focus; or files. Its planes are what is learned from, and what "
    "is sharp in any of them is the truth. Results of M-Deblurgan are not offered."
)
PATHS_TIP = (
    "Stacks, each in a file; or a folder of stacks, or of the planes of one. Several are "
    "separated by semicolons."
)
REGISTERED_TIP = (
    "The planes lie on each other already: do not move them. Otherwise they are registered."
)


@dataclass(frozen=True, slots=True)
class ChosenStacks:
    """What the user pointed at.

    Attributes
    ----------
    layer : Image or None
        A layer with planes.
    paths : tuple of Path
        Or files and folders.
    registered : bool
        Whether planes lie on each other.
    """

    layer: Any
    paths: tuple[Path, ...]
    registered: bool


class StackPage(QWidget):
    """A layer, or paths that can be typed, looked for or dropped here."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = QComboBox()
        self.stack.setToolTip(_STACK_TIP)
        let_shrink(self.stack)
        self.stack.addItem(FILES)
        self.paths, self.look = QLineEdit(), QPushButton("…")
        self.paths.setPlaceholderText("files or a folder")
        for widget in (self.paths, self.look):
            widget.setToolTip(PATHS_TIP)
        self.look.setFixedWidth(40)  # with the arrow of the menu
        menu = QMenu(self.look)
        menu.addAction("Files…", self._look_for_files)
        menu.addAction("A folder…", self._look_for_folder)
        self.look.setMenu(menu)
        self.registered = QCheckBox("Planes lie on each other")
        self.registered.setToolTip(REGISTERED_TIP)
        self._chosen = False
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.paths)
        row.addWidget(self.look)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Stack", self.stack)
        form.addRow("Files", row)
        read_aloud("Files", self.paths)
        form.addRow("", self.registered)
        self.stack.currentIndexChanged.connect(self._refresh)
        self.stack.activated.connect(self._on_choice)
        DropTarget(self.paths, self._take)
        self._refresh()

    def offer(self, images: list[Image]) -> None:
        """Offer the layers that have planes; the newest is chosen until the user has chosen."""
        chosen = self.stack.currentData() if self._chosen else None
        self.stack.blockSignals(True)
        self.stack.clear()
        for image in (each for each in images if each.ndim > 2):
            self.stack.addItem(image.name, image)
            self.stack.setItemData(
                self.stack.count() - 1, literal(image.name), Qt.ItemDataRole.ToolTipRole
            )
        self.stack.addItem(FILES)
        last = self.stack.count() - 1
        at = next((row for row in range(last) if self.stack.itemData(row) is chosen), None)
        default = last if self._chosen or self.paths.text() else max(0, last - 1)
        self.stack.setCurrentIndex(default if at is None else at)
        self.stack.blockSignals(False)
        self._refresh()

    @property
    def source(self) -> ChosenStacks:
        """What is pointed at now."""
        layer = self.stack.currentData()
        typed = (
            ()
            if layer is not None
            else (text.strip() for text in self.paths.text().split(_SEPARATOR))
        )
        paths = tuple(at_home(text) for text in typed if text)
        return ChosenStacks(layer, paths, self.registered.isChecked())

    @property
    def problem(self) -> str:
        """Why nothing can be learned from yet; empty if something can."""
        source = self.source
        if source.layer is not None:
            return ""
        if not source.paths:
            return "Choose a layer with planes, or files of a focus stack."
        missing = next((path for path in source.paths if not anything_there(path)), None)
        return (
            f"{missing} does not exist: choose the files of a focus stack."
            if missing is not None
            else ""
        )

    def _on_choice(self, _: int = 0) -> None:
        self._chosen = True

    def _refresh(self, _: int = 0) -> None:
        for widget in (self.paths, self.look):
            widget.setEnabled(self.stack.currentData() is None)

    def _look_for_files(self) -> None:
        found, _ = QFileDialog.getOpenFileNames(
            self, "Focus stacks", self.paths.text().partition(_SEPARATOR)[0]
        )
        self._take(found)

    def _look_for_folder(self) -> None:
        found = QFileDialog.getExistingDirectory(
            self, "A folder of focus stacks, or of planes", self.paths.text()
        )
        self._take([found] if found else [])

    def _take(self, paths: list[str]) -> None:
        if paths:
            self.paths.setText(f"{_SEPARATOR} ".join(paths))
