"""How labels, drop-downs and buttons lie in the rows of a dock."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from magicgui.widgets import ComboBox, Container, Label, Widget
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QSizePolicy,
    QWidget,
)

from napari_mdeblurgan.widgets.shared.plain import literal
from napari_mdeblurgan.widgets.shared.sizes import Uncut

PROGRESS_STEPS = 1000
SMALLEST_WIDTH = 300  # with a scroll bar beside the widest row
LABEL_WIDTH = 58
WIDER = 10  # pixels that longer labels need more


def in_a_row(*widgets: Widget, shares: tuple[int, ...] = ()) -> Container:
    """Controls beside each other, which take these shares of what room there is; one that follows
    a label has its words for a name.
    """
    for label, control in pairwise(widgets):
        if isinstance(label, Label):
            read_aloud(label.value, control.native)
    row = Container(widgets=widgets, layout="horizontal", labels=False)
    row.margins = (0, 0, 0, 0)
    for place, share in enumerate(shares):
        row.native.layout().setStretch(place, share)
    return row


def pass_focus(to: QWidget, *others: QWidget) -> None:
    """Give a control the keyboard, if one of others has it that is disabled or hidden next: Qt
    would give it to whatever follows.
    """
    if any(each.hasFocus() for each in others):
        to.setFocus()


def read_aloud(words: str, control: QWidget) -> None:
    """Give a control, and the parts that take its keys, the name that screen readers tell."""
    control.setAccessibleName(words)
    for kind in (QAbstractSlider, QAbstractSpinBox, QLineEdit):
        for part in control.findChildren(kind):
            part.setAccessibleName(words)


def named(box: ComboBox, width: int = LABEL_WIDTH) -> Container:
    """A row of a drop-down with its label before it."""
    return in_a_row(name_of(box.label, box.tooltip or "", width), box)


def name_of(words: str, tooltip: str, width: int = LABEL_WIDTH) -> Label:
    """A label before something, as wide as the others; wider only where its
    words would be cut off.
    """
    label = Label(value=words, tooltip=tooltip)
    label.min_width = width
    label.native.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
    label.native.installEventFilter(Uncut(label.native, width))
    return label


def show_line(label: Label, text: str) -> None:
    """Let a label show a line, and no label where there is none."""
    label.value = text
    label.visible = bool(text)


def wrap(label: Label) -> None:
    """Break the text into lines, and let it be copied."""
    label.native.setWordWrap(True)
    label.native.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)


def describe_entries(box: QComboBox, descriptions: Sequence[str]) -> None:
    """Give each entry of a drop-down a tooltip, and its list, however narrow the dock, the width of
    the longest one.
    """
    role = Qt.ItemDataRole.ToolTipRole
    for number, words in enumerate(descriptions):
        if box.itemData(number, role) != literal(words):
            box.setItemData(number, literal(words), role)
    view = box.view()
    if view is not None:
        view.setMinimumWidth(view.sizeHintForColumn(0) + 2 * view.frameWidth() + WIDER)


def let_shrink(box: QComboBox, letters: int = 12) -> None:
    """Let a drop-down be narrower than its entries: a long name must not make the dock as wide as
    itself.
    """
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(letters)
