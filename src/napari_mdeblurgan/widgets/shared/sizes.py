"""Smallest sizes that follow the size of letters: each keeps one as long as its widget lives."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QScrollArea, QStyle, QWidget

_CHANGES = QEvent.Type.Polish, QEvent.Type.FontChange, QEvent.Type.StyleChange, QEvent.Type.Show


class Uncut(QObject):
    """Keeps a label as wide as its words, in any size of letters, and no narrower than `least`."""

    def __init__(self, label: QWidget, least: int) -> None:
        super().__init__(label)
        self._least = least

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt's."""
        if isinstance(watched, QWidget) and event is not None and event.type() in _CHANGES:
            watched.setMinimumWidth(self._least)  # or it would ask for as much as before
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


class AsWide(QObject):
    """Keeps a place, scrolled or not, at least as wide as what lies in it: with larger letters the
    right end of it would be cut off.

    Parameters
    ----------
    place : QWidget
        With a layout, or a scroll area with a widget in it.
    least : int
        No narrower than this in any case.
    """

    def __init__(self, place: QWidget, least: int = 0) -> None:
        super().__init__(place)
        self._place, self._least = place, least
        inside = place.widget() if isinstance(place, QScrollArea) else place
        assert inside is not None
        self._inside: QWidget = inside
        inside.installEventFilter(self)
        place.setMinimumWidth(least)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt's; comes after the layout has looked at what is in it."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            width = self._inside.minimumSizeHint().width() + self._beside()
            self._place.setMinimumWidth(max(self._least, width))
        return super().eventFilter(watched, event)

    def _beside(self) -> int:
        """What lies beside the inside: the scroll bar."""
        place = self._place
        if not isinstance(place, QScrollArea):
            return 0
        bar, style = place.verticalScrollBar(), place.style()
        width = 2 * place.frameWidth() + (bar.sizeHint().width() if bar is not None else 0)
        if style is not None:
            width += style.pixelMetric(QStyle.PixelMetric.PM_ScrollView_ScrollBarSpacing)
        return width
