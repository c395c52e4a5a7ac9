"""Where pairs come from: two layers, two folders, a table, or focus stacks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_mdeblurgan.folders import at_home, file_there, folder_there, no_file
from napari_mdeblurgan.widgets.fine_tune.remembered import RememberedTuning
from napari_mdeblurgan.widgets.fine_tune.stack_page import ChosenStacks, StackPage
from napari_mdeblurgan.widgets.shared.dropping import DropTarget
from napari_mdeblurgan.widgets.shared.plain import literal
from napari_mdeblurgan.widgets.shared.rows import let_shrink, read_aloud

if TYPE_CHECKING:
    from napari.layers import Image

SOURCES = ("Two layers", "Two folders", "A table (CSV)", "Focus stacks")
_LAYERS, FOLDERS, _TABLE, STACKS = range(4)
_LETTERS = 9  # of a layer's name that there is room for in the narrowest dock
LOW, HIGH = "Low: blurred", "High: sharp"
LOW_TIP = (
    "The image of the weaker objective, such as ×5: blurred, of a larger field. Or the blurred "
    "one of two with the same pixels, such as widefield."
)
HIGH_TIP = (
    "The in-focus image of the stronger objective, such as ×10: anywhere within the field of the "
    "other. Or the sharp one of two with the same pixels, such as confocal or SIM. Results of "
    "M-Deblurgan are not offered: they are no truth."
)
OBJECTIVES_TIP = (
    "Magnifications of the two objectives; the same twice where both images have the same pixels. "
    "Where the images know their pixel sizes, those are used instead."
)
MATCH_TIP = (
    "Files belong together that are named alike but for x5 and x10, low and high …; else "
    "in their order."
)


@dataclass(frozen=True, slots=True)
class ChosenSource:
    """What the user pointed at.

    Attributes
    ----------
    low, high : Image or Path or None
        Two layers or two folders.
    table : Path or None
        Or a CSV.
    objectives : (float, float)
        Magnifications of the weaker and the stronger one.
    stack : ChosenStacks or None
        Or focus stacks.
    """

    low: Any
    high: Any
    table: Path | None
    objectives: tuple[float, float]
    stack: ChosenStacks | None = None


class Sources(QWidget):
    """Lets the user point at pairs. `asked` is emitted when they are to be registered."""

    asked = Signal()

    def __init__(self, remembered: RememberedTuning) -> None:
        super().__init__()
        self.kind = QComboBox()
        self.kind.addItems(SOURCES)
        self.kind.setToolTip("Where the pairs of images are, or the focus stacks.")
        read_aloud("Where the pairs are", self.kind)
        self.low, self.high = _layer_box(LOW_TIP), _layer_box(HIGH_TIP)
        self.low_folder, self.high_folder = (
            PathEdit("folder", f"A folder of images. {tip} {MATCH_TIP}")
            for tip in (LOW_TIP, HIGH_TIP)
        )
        self.table = PathEdit(
            "file", "A text file with a row for each pair: columns low and high, and perhaps name."
        )
        self.stacks = StackPage()
        pages = QStackedWidget()
        pages.addWidget(_form((LOW, self.low), (HIGH, self.high)))
        pages.addWidget(_form((LOW, self.low_folder), (HIGH, self.high_folder)))
        pages.addWidget(_form(("Table", self.table)))
        pages.addWidget(self.stacks)
        self.low_objective, self.high_objective = (_objective(side) for side in ("low", "high"))
        self.register, self.cancel = QPushButton("Register"), QPushButton("Cancel")
        self.cancel.setToolTip("Stop registering; what was registered so far stays in the table.")
        self.register.setToolTip(
            "Find each high-magnification image in the other, or the planes of a stack in each "
            "other, and add them to the table."
        )
        self.register.clicked.connect(self._ask)
        self._chosen = False  # whether the two layers are the user's choice
        for box in (self.low, self.high):
            box.activated.connect(self._on_choice)
        objectives, buttons = QHBoxLayout(), QHBoxLayout()
        objectives.addWidget(QLabel("Objectives"))
        for row, widgets in (
            (objectives, (self.low_objective, self.high_objective)),
            (buttons, (self.register, self.cancel)),
        ):
            row.setSpacing(4)
            for widget in widgets:
                row.addWidget(widget, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.kind)
        layout.addWidget(pages)
        layout.addLayout(objectives)
        layout.addLayout(buttons)
        self.kind.currentIndexChanged.connect(pages.setCurrentIndex)
        self.kind.currentIndexChanged.connect(self._on_kind)
        self._recall(remembered)

    def _on_kind(self, kind: int) -> None:
        for box in (self.low_objective, self.high_objective):
            box.setEnabled(kind != STACKS)  # which has one objective

    def _on_choice(self, _: int = 0) -> None:
        self._chosen = True

    def _ask(self, _: bool = False) -> None:
        self._on_choice()
        self.asked.emit()

    def choose(self, low: Image, high: Image) -> None:
        """Choose two of the layers that are offered."""
        self.kind.setCurrentIndex(_LAYERS)
        for box, layer in ((self.low, low), (self.high, high)):
            box.setCurrentIndex(next(n for n in range(box.count()) if box.itemData(n) is layer))
        self._on_choice()

    def exchange(self, names: tuple[str, str]) -> None:
        """Choose the two layers the other way round, if it is those of these names, or planes of
        them, low first, that are chosen.
        """
        chosen = self.low.currentText(), self.high.currentText()
        if all(
            name == layer or name.startswith(f"{layer} [")
            for name, layer in zip(names, chosen, strict=True)
        ):
            low, high = self.low.currentIndex(), self.high.currentIndex()
            self.low.setCurrentIndex(high)
            self.high.setCurrentIndex(low)
            self._on_choice()

    def exchange_folders(self) -> None:
        """Name the two folders the other way round."""
        low, high = self.low_folder.text(), self.high_folder.text()
        self.low_folder.setText(high)
        self.high_folder.setText(low)

    def _recall(self, remembered: RememberedTuning) -> None:
        self.kind.setCurrentIndex(
            remembered.source if remembered.source in range(len(SOURCES)) else _LAYERS
        )
        self.low_folder.setText(remembered.low_folder)
        self.high_folder.setText(remembered.high_folder)
        self.table.setText(remembered.table)
        self.stacks.paths.setText(remembered.stacks)
        self.stacks.registered.setChecked(remembered.stacks_registered)
        self.low_objective.setValue(remembered.low_objective)
        self.high_objective.setValue(remembered.high_objective)

    def remembered(self, before: RememberedTuning) -> RememberedTuning:
        """The same with what is chosen now."""
        return replace(
            before,
            source=self.kind.currentIndex(),
            low_folder=self.low_folder.text(),
            high_folder=self.high_folder.text(),
            table=self.table.text(),
            stacks=self.stacks.paths.text().strip(),
            stacks_registered=self.stacks.registered.isChecked(),
            low_objective=self.low_objective.value(),
            high_objective=self.high_objective.value(),
        )

    def offer(self, images: list[Image]) -> None:
        """Offer these layers; two different ones that the user chose stay chosen, else it is the
        two that are newest.
        """
        self.stacks.offer(images)
        undecided = not self._chosen or self.low.currentData() is self.high.currentData()
        for box, default in ((self.low, -2), (self.high, -1)):
            chosen = None if undecided else box.currentData()
            box.blockSignals(True)
            box.clear()
            for image in images:
                box.addItem(image.name, image)
                box.setItemData(box.count() - 1, literal(image.name), Qt.ItemDataRole.ToolTipRole)
            at = next((n for n, image in enumerate(images) if image is chosen), None)
            box.setCurrentIndex(
                at if at is not None else max(0, len(images) + default) if images else -1
            )
            box.blockSignals(False)

    @property
    def source(self) -> ChosenSource:
        """What is pointed at now."""
        kind = self.kind.currentIndex()
        objectives = self.low_objective.value(), self.high_objective.value()
        if kind == _LAYERS:
            return ChosenSource(self.low.currentData(), self.high.currentData(), None, objectives)
        if kind == FOLDERS:
            return ChosenSource(self.low_folder.path, self.high_folder.path, None, objectives)
        if kind == STACKS:
            return ChosenSource(None, None, None, objectives, self.stacks.source)
        return ChosenSource(None, None, self.table.path, objectives)

    @property
    def problem(self) -> str:
        """Why nothing can be registered yet; empty if something can."""
        source = self.source
        if source.stack is not None:
            return self.stacks.problem
        if source.objectives[0] > source.objectives[1]:
            return (
                "The objective of the low (blurred) images must not be the stronger one: "
                "exchange the two numbers."
            )
        match self.kind.currentIndex():
            case 0:
                if source.low is None or source.high is None or source.low is source.high:
                    return "Open the two images of a pair as layers, and choose them."
            case 1:
                for side, folder in (("low", source.low), ("high", source.high)):
                    if folder is None or not folder_there(folder):
                        return _lacking(folder, f"the folder of the {side}-magnification images")
            case _:
                if source.table is None or not file_there(source.table):
                    return _lacking(source.table, "a table of pairs")
        return ""


def _lacking(path: Path | None, what: str) -> str:
    if path is None:
        return f"Choose {what}."
    found = "a folder" if folder_there(path) else "a file" if file_there(path) else no_file(path)
    return f"{path} {f'is {found}' if found else 'does not exist'}: choose {what}."


class PathEdit(QWidget):
    """A path that can be typed, looked for or dropped here."""

    def __init__(self, what: str, tip: str) -> None:
        super().__init__()
        self._what = what
        self._line, button = QLineEdit(), QPushButton("…")
        self._line.setPlaceholderText(f"a {what}")
        for widget in (self._line, button):
            widget.setToolTip(tip)
        button.setFixedWidth(28)
        button.clicked.connect(self._look)
        DropTarget(self._line, self._take)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._line)
        layout.addWidget(button)

    def text(self) -> str:
        """As it stands there."""
        return self._line.text().strip()

    def setText(self, text: str) -> None:
        """As the user would type it."""
        self._line.setText(text)

    @property
    def path(self) -> Path | None:
        """None where nothing was typed."""
        return at_home(self.text()) if self.text() else None

    def _take(self, paths: list[str]) -> None:
        if paths:
            self.setText(paths[0])

    def _look(self) -> None:
        if self._what == "folder":
            found = QFileDialog.getExistingDirectory(self, "A folder of images", self.text())
        else:
            found, _ = QFileDialog.getOpenFileName(
                self, "A table of pairs", self.text(), "Tables (*.csv *.tsv *.txt)"
            )
        self._take([found] if found else [])


def _layer_box(tip: str) -> QComboBox:
    box = QComboBox()
    box.setToolTip(tip)
    let_shrink(box, _LETTERS)
    return box


def _objective(side: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(0.5, 200)
    box.setDecimals(1)
    box.setPrefix(f"{side} ×")
    box.setButtonSymbols(
        QDoubleSpinBox.ButtonSymbols.NoButtons
    )  # at 200 % they would cut the number off
    box.setStyleSheet("min-width: 4.6em;")  # that of napari is more than the narrowest dock has
    box.setToolTip(OBJECTIVES_TIP)
    read_aloud(f"Objective, {side}", box)
    return box


def _form(*rows: tuple[str, QWidget]) -> QWidget:
    page = QWidget()
    form = QFormLayout(page)
    form.setContentsMargins(0, 0, 0, 0)
    for label, widget in rows:
        form.addRow(label, widget)
        read_aloud(label, widget)
    return page
