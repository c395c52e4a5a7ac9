"""How cells of tables show what is too long for them."""

from __future__ import annotations

from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem


class EndLeftOut(QStyledItemDelegate):
    """What is too long for its cell ends in three dots; of names it is the
    middle that is left out.
    """

    def initStyleOption(self, option: QStyleOptionViewItem | None, index: QModelIndex) -> None:
        """See Qt."""
        super().initStyleOption(option, index)
        if option is not None:
            option.textElideMode = Qt.TextElideMode.ElideRight
