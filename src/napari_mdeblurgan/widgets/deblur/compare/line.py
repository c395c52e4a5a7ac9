"""What lies over the canvas while before and after are compared: the line of the curtain, and what
is on which side.
"""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QPointF, QRectF, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QLabel, QWidget

_REACH = 15  # pixels that can be taken hold of
GRIP = 13, 34
_MARGIN = 8
_TIP = "Drag: before on the left, after on the right."
CAPTION = (
    "background-color: rgba(20, 20, 20, 190); color: white; padding: 2px 6px; border-radius: 3px;"
)
_BEFORE, _AFTER = "Before", "After"


class Captions(QObject):
    """**Before** and **After** at the bottom of a canvas, where no names of layers are, to the left
    and right of a place.

    Parameters
    ----------
    canvas : QWidget
        On which they lie.
    beside : bool
        Whether they lie close to the place, on both sides of it; else at the left of what is before
        and after it.
    """

    def __init__(self, canvas: QWidget, *, beside: bool) -> None:
        super().__init__(canvas)
        self._canvas, self._beside, self._at = canvas, beside, 0.5
        self.labels = [QLabel(words, canvas) for words in (_BEFORE, _AFTER)]
        for label in self.labels:
            label.setStyleSheet(CAPTION)
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            label.adjustSize()
            label.show()
        canvas.installEventFilter(self)
        self.lie(0.5)

    def lie(self, at: float) -> None:
        """Lie at a place, in shares of the width."""
        self._at = at
        before, after = self.labels
        middle = round(at * self._canvas.width())
        away = _REACH // 2 + 2 if self._beside else _MARGIN
        left = middle - away - before.width() if self._beside else _MARGIN
        top = self._canvas.height() - before.height() - _MARGIN
        before.move(left, top)
        after.move(middle + away, top)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the canvas's size."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self.lie(self._at)
        return super().eventFilter(watched, event)

    def close(self) -> None:
        """Go, for good."""
        self._canvas.removeEventFilter(self)
        for each in (*self.labels, self):
            if isinstance(each, QWidget):
                each.hide()
            each.deleteLater()


class CurtainLine(QWidget):
    """An upright line over a canvas that can be dragged from side to side; everything beside it
    still goes to the canvas.

    Parameters
    ----------
    canvas : QWidget
        On which it lies.

    Attributes
    ----------
    moved : Signal
        Has its new place.
    place : float
        Where it is, in shares of the canvas's width.
    """

    moved = Signal(float)

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._canvas, self.place = canvas, 0.5
        self._held = 0.0
        self.setCursor(Qt.CursorShape.SplitHCursor)
        self.setToolTip(_TIP)
        canvas.installEventFilter(self)
        self._lie()
        self.show()

    def _lie(self) -> None:
        middle = round(self.place * self._canvas.width())
        self.setGeometry(middle - _REACH // 2, 0, _REACH, self._canvas.height())

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the canvas's size."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._lie()
            self.moved.emit(self.place)
        return super().eventFilter(watched, event)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Take hold of it."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._held = event.pos().x() - _REACH // 2

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Drag it, within the canvas."""
        if (
            event is not None
            and event.buttons() & Qt.MouseButton.LeftButton
            and self._canvas.width()
        ):
            x = self.mapToParent(event.pos()).x() - self._held
            self.place = min(max(x / self._canvas.width(), 0.0), 1.0)
            self._lie()
            self.moved.emit(self.place)

    def paintEvent(self, _: QPaintEvent | None) -> None:
        """Draw a bright line with a dark rim, to be seen over anything, and a grip."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = _REACH // 2 + 0.5
        dark, bright = QColor(20, 20, 20, 200), QColor("white")
        for colour, width in ((dark, 4), (bright, 2)):
            painter.setPen(QPen(colour, width))
            painter.drawLine(QPointF(middle, 0), QPointF(middle, self.height()))
        width, height = GRIP
        grip = QRectF(middle - width / 2, (self.height() - height) / 2, width, height)
        painter.setPen(QPen(dark, 1))
        painter.setBrush(bright)
        painter.drawRoundedRect(grip, 5, 5)
        painter.setPen(QPen(dark, 1.5))
        for x in (middle - 2, middle + 2):
            painter.drawLine(QPointF(x, grip.top() + 9), QPointF(x, grip.bottom() - 9))
        painter.end()

    def close_line(self) -> None:
        """Go, for good."""
        self._canvas.removeEventFilter(self)
        self.hide()
        self.deleteLater()
