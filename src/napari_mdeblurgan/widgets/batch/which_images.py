"""Which images of files that hold several are to be restored: looked for in the background, chosen
in a window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.storage import FileImage, separate_images

_WORDS = "These files hold several images. Tick those that are to be restored."
CHECKED, UNCHECKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked


def several_in(paths: Iterable[str]) -> dict[str, tuple[FileImage, ...]]:
    """The images of those files that hold several; what cannot be read is left to the batch, which
    says why.
    """
    found: dict[str, tuple[FileImage, ...]] = {}
    for path in paths:
        try:
            images = separate_images(path)
        except MdeblurganError:
            continue
        if len(images) > 1:
            found[path] = images
    return found


class ImageChooser(QDialog):
    """Lists the images of files, all ticked. It is accepted for those that are ticked, and rejected
    for all.

    Parameters
    ----------
    parent : QWidget
        The widget that asks.
    files : mapping of str to tuple of FileImage
        The images of each file.
    """

    def __init__(self, parent: QWidget, files: Mapping[str, tuple[FileImage, ...]]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Images to restore")
        self._files = files
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Show only names with…")
        self.filter.setToolTip(
            "Show only images whose names hold these letters, such as A/1 for the fields of the "
            "well A1."
        )
        self.all, self.none = QPushButton("All"), QPushButton("None")
        self.all.setToolTip("Tick all images that are shown.")
        self.none.setToolTip("Untick all images that are shown.")
        self.tree = QTreeWidget()
        self.tree.setHeaderHidden(True)
        self.tree.setMinimumSize(360, 240)
        self.count = QLabel()
        buttons = QDialogButtonBox()
        self.ticked = QPushButton("Add ticked")
        self.ticked.setToolTip("Put only the ticked images on the list.")
        self.every = QPushButton("Add all")
        self.every.setToolTip("Put all images of these files on the list, whatever is ticked.")
        buttons.addButton(self.ticked, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(self.every, QDialogButtonBox.ButtonRole.RejectRole)
        for button in (self.all, self.none, self.every):
            button.setAutoDefault(False)
        self.ticked.setDefault(True)
        self._rows = [self._listed(path, images) for path, images in files.items()]
        row = QHBoxLayout()
        for widget in (self.filter, self.all, self.none):
            row.addWidget(widget)
        words = QLabel(_WORDS)
        words.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addWidget(words)
        layout.addLayout(row)
        for part in (self.tree, self.count, buttons):
            layout.addWidget(part)
        self.filter.textChanged.connect(self._show_matching)
        self.all.clicked.connect(lambda: self._tick(CHECKED))
        self.none.clicked.connect(lambda: self._tick(UNCHECKED))
        self.tree.itemChanged.connect(lambda *_: self._tell())
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self._tell()

    def _listed(self, path: str, images: tuple[FileImage, ...]) -> list[QTreeWidgetItem]:
        """Rows for a file and its images; those of the images."""
        file = QTreeWidgetItem([PurePath(path).name])
        file.setToolTip(0, path)
        file.setFlags(
            file.flags() | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsAutoTristate
        )
        rows = [QTreeWidgetItem([each.name]) for each in images]
        for row in rows:
            row.setFlags(row.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            row.setCheckState(0, CHECKED)
        file.addChildren(rows)
        self.tree.addTopLevelItem(file)
        file.setExpanded(True)
        return rows

    def chosen(self) -> dict[str, list[FileImage]]:
        """The ticked images of each file."""
        return {
            path: [
                image
                for image, row in zip(images, rows, strict=True)
                if row.checkState(0) == CHECKED
            ]
            for (path, images), rows in zip(self._files.items(), self._rows, strict=True)
        }

    def _show_matching(self, text: str) -> None:
        for rows in self._rows:
            for row in rows:
                row.setHidden(text.strip().lower() not in row.text(0).lower())

    def _tick(self, state: Qt.CheckState) -> None:
        for rows in self._rows:
            for row in rows:
                if not row.isHidden():
                    row.setCheckState(0, state)

    def _tell(self) -> None:
        ticked = sum(map(len, self.chosen().values()))
        self.count.setText(f"{ticked:,} of {sum(map(len, self._rows)):,} images ticked")
        self.ticked.setEnabled(ticked > 0)
