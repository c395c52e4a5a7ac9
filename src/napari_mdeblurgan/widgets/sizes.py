"""Smallest sizes that follow the size of letters: each keeps one as long as its widget lives."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget

_CHANGES = QEvent.Type.Polish, QEvent.Type.FontChange, QEvent.Type.StyleChange, QEvent.Type.Show


class Uncut(QObject):
    """Keeps a label as wide as its words, in any size of letters, and no narrower than `least`."""

    def __init__(self, label: QWidget, least: int) -> None:
        super().__init__(label)
        self._least = least

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt's."""
        if isinstance(watched, QWidget) and event is not None and event.type() in _CHANGES:
            watched.setMinimumWidth(max(self._least, watched.sizeHint().width()))
        return super().eventFilter(watched, event)


class Lines(QObject):
    """Keeps a label at least so many lines high, in any size of letters: what lies below would
    move with most of what it says.
    """

    def __init__(self, label: QWidget, lines: int) -> None:
        super().__init__(label)
        self._lines = lines

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt's."""
        if isinstance(watched, QWidget) and event is not None and event.type() in _CHANGES:
            watched.setMinimumHeight(self._lines * watched.fontMetrics().lineSpacing())
        return super().eventFilter(watched, event)


class AsHigh(QObject):
    """Keeps a place at least as high as what is shown in it at times."""

    def __init__(self, place: QWidget, highest: QWidget) -> None:
        super().__init__(place)
        self._highest = highest

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt's."""
        if isinstance(watched, QWidget) and event is not None and event.type() in _CHANGES:
            watched.setMinimumHeight(self._highest.sizeHint().height())
        return super().eventFilter(watched, event)
