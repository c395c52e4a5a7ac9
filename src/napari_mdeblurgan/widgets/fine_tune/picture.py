"""A picture as wide as its place, and a window that shows it large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from qtpy.QtCore import QPoint, QSize, Qt
from qtpy.QtGui import QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPixmap
from qtpy.QtWidgets import QDialog, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

_SMALLEST_WIDTH, SMALLEST_HEIGHT, LARGEST_HEIGHT = 220, 140, 420
_MOST_PIXELS = 1024  # along x, that are held for the dock; the window shows all
OF_THE_SCREEN = 0.9  # that an enlarged picture takes at most
_FRAME = QSize(4, 4)  # about an enlarged picture, for the borders of a theme
CLICK_TIP = "Click to enlarge."
KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)


class Picture(QWidget):
    """Shows a file or an array, as wide as there is room; a click shows it in a
    window of its own.
    """

    def __init__(self, tip: str) -> None:
        super().__init__()
        self.setToolTip(f"{tip} {CLICK_TIP}")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.title = "A closer look"  # of the window
        self._pixmap, self._whole = QPixmap(), QPixmap()
        self.enlarged: Enlarged | None = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setVisible(False)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return self._pixmap.isNull()

    def show_file(self, path: Path) -> None:
        """Show a PNG; one that cannot be read changes nothing."""
        pixmap = QPixmap(str(path))
        if not pixmap.isNull():
            self._show(pixmap, pixmap)

    def show_array(self, image: np.ndarray) -> None:
        """Show (y, x, 3) uint8."""
        step = max(1, image.shape[1] // _MOST_PIXELS)
        whole = _pixmap(image)
        self._show(_pixmap(image[::step, ::step]) if step > 1 else whole, whole)

    def clear(self) -> None:
        """Show nothing."""
        self._pixmap, self._whole = QPixmap(), QPixmap()
        self.setVisible(False)

    def _show(self, pixmap: QPixmap, whole: QPixmap) -> None:
        self._pixmap, self._whole = pixmap, whole
        self.setVisible(True)
        self.updateGeometry()
        self.update()

    def enlarge(self) -> None:
        """Show it at full size in a window."""
        self.close_enlarged()
        if not self.empty:
            window = self.enlarged = Enlarged(self._whole, self.title, self)
            window.finished.connect(lambda _: self._forget(window))
            window.show()

    def close_enlarged(self) -> None:
        """Close that window."""
        if self.enlarged is not None:
            self.enlarged.close()

    def _forget(self, window: Enlarged) -> None:
        """Qt deletes a window that was closed."""
        if self.enlarged is window:
            self.enlarged = None

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """See Qt."""
        if (
            event is not None
            and event.button() == Qt.MouseButton.LeftButton
            and self.rect().contains(event.pos())
        ):
            self.enlarge()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """See Qt; taken, so that the release comes here as well."""
        if event is not None:
            event.accept()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """See Qt."""
        if event is not None and event.key() in KEYS:
            self.enlarge()
        else:
            super().keyPressEvent(event)

    def heightForWidth(self, width: int) -> int:
        """See Qt."""
        if self.empty:
            return 0
        return min(
            LARGEST_HEIGHT,
            round(min(width, self._pixmap.width()) * self._pixmap.height() / self._pixmap.width()),
        )

    def hasHeightForWidth(self) -> bool:
        """See Qt."""
        return True

    def sizeHint(self) -> QSize:
        """See Qt."""
        width = max(self.width(), _SMALLEST_WIDTH)
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        """See Qt."""
        return QSize(
            _SMALLEST_WIDTH,
            0 if self.empty else min(SMALLEST_HEIGHT, self.heightForWidth(_SMALLEST_WIDTH)),
        )

    def paintEvent(self, _: QPaintEvent | None) -> None:
        """See Qt."""
        if self.empty:
            return
        fitted = self._pixmap.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        left, top = (self.width() - fitted.width()) // 2, (self.height() - fitted.height()) // 2
        painter.drawPixmap(left, top, fitted.width(), fitted.height(), self._pixmap)
        if self.hasFocus():
            painter.setPen(self.palette().color(self.palette().ColorRole.Highlight))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()


class Enlarged(QDialog):
    """A picture at full size: each of its pixels is one of the screen, or a square of as many as
    fit.

    Esc or a click closes it; one that is larger than the screen can be scrolled.

    Parameters
    ----------
    pixmap : QPixmap
        The picture.
    title : str
        Of the window.
    parent : QWidget
        What it belongs to.
    """

    def __init__(self, pixmap: QPixmap, title: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setToolTip("Esc or a click closes this window.")
        ratio = self.devicePixelRatioF()
        screen = parent.screen()
        room = screen.availableSize() * OF_THE_SCREEN if screen is not None else QSize(1024, 768)
        times = max(
            1,
            min(
                int(room.width() * ratio) // pixmap.width(),
                int(room.height() * ratio) // pixmap.height(),
            ),
        )
        if times > 1:
            pixmap = pixmap.scaled(pixmap.size() * times)
        pixmap = QPixmap(pixmap)
        pixmap.setDevicePixelRatio(ratio)
        self.picture = QLabel()
        self.picture.setPixmap(pixmap)
        area = QScrollArea()
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setAlignment(Qt.AlignmentFlag.AlignCenter)
        area.setWidget(self.picture)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)
        self.picture.adjustSize()
        if self.picture.size().boundedTo(room) == self.picture.size():
            area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.resize((self.picture.size() + 2 * _FRAME).boundedTo(room))
        if screen is not None:
            middle = screen.availableGeometry().center()
            self.move(middle - QPoint(self.width() // 2, self.height() // 2))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """See Qt; what lies within hands its clicks on to here."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self.close()


def _pixmap(image: np.ndarray) -> QPixmap:
    """Of (y, x, 3) uint8."""
    pixels = np.ascontiguousarray(image)
    height, width = pixels.shape[:2]
    picture = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(picture.copy())
