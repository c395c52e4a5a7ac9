"""A picture as wide as its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent, QPixmap
from qtpy.QtWidgets import QSizePolicy, QWidget

SMALLEST_WIDTH, SMALLEST_HEIGHT, LARGEST_HEIGHT = 220, 140, 420


class Picture(QWidget):
    """Shows a file or an array, as wide as there is room."""

    def __init__(self, tip: str) -> None:
        super().__init__()
        self.setToolTip(tip)
        self._pixmap = QPixmap()
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
            self._show(pixmap)

    def show_array(self, image: np.ndarray) -> None:
        """Show (y, x, 3) uint8."""
        pixels = np.ascontiguousarray(image)
        height, width = pixels.shape[:2]
        picture = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        self._show(QPixmap.fromImage(picture.copy()))

    def clear(self) -> None:
        """Show nothing."""
        self._pixmap = QPixmap()
        self.setVisible(False)

    def _show(self, pixmap: QPixmap) -> None:
        self._pixmap = pixmap
        self.setVisible(True)
        self.updateGeometry()
        self.update()

    def heightForWidth(self, width: int) -> int:
        """See Qt."""
        if self.empty:
            return 0
        return min(
            LARGEST_HEIGHT, round(min(width, self._pixmap.width()) * self._pixmap.height() / self._pixmap.width())
        )

    def hasHeightForWidth(self) -> bool:
        """See Qt."""
        return True

    def sizeHint(self) -> QSize:
        """See Qt."""
        width = max(self.width(), SMALLEST_WIDTH)
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        """See Qt."""
        return QSize(SMALLEST_WIDTH, 0 if self.empty else min(SMALLEST_HEIGHT, self.heightForWidth(SMALLEST_WIDTH)))

    def paintEvent(self, _: QPaintEvent | None) -> None:
        """See Qt."""
        if self.empty:
            return
        fitted = self._pixmap.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        left, top = (self.width() - fitted.width()) // 2, (self.height() - fitted.height()) // 2
        painter.drawPixmap(left, top, fitted.width(), fitted.height(), self._pixmap)
        painter.end()
