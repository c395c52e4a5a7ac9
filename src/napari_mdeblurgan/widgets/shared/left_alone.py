"""What the controls of a dock leave to others: the wheel, which scrolls the dock, and the keys of
napari.
"""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QSlider, QTabBar, QWidget

_TURNED = QComboBox, QSlider, QAbstractSpinBox, QTabBar  # by the wheel, as Qt has them
_SHORTCUT = (
    Qt.KeyboardModifier.ControlModifier
    | Qt.KeyboardModifier.AltModifier
    | Qt.KeyboardModifier.MetaModifier
)
_OPENS = Qt.Key.Key_Up, Qt.Key.Key_Down  # the list, together with Alt


class LeftAlone(QObject):
    """Keeps a dock's controls from being changed by a wheel that is to scroll the dock, and its
    drop-downs from keeping keys such as Ctrl+G to themselves, in which they look for an entry.

    Parameters
    ----------
    dock : QWidget
        It owns this object.
    """

    def __init__(self, dock: QWidget) -> None:
        super().__init__(dock)
        self._dock = dock

    def look(self) -> None:
        """Take all controls that the dock has now."""
        for each in self._dock.findChildren(QWidget):
            if isinstance(each, _TURNED):
                each.installEventFilter(self)  # moved, where it is there already
                if each.focusPolicy() == Qt.FocusPolicy.WheelFocus:
                    each.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """See Qt; what is left alone goes on to what the control lies in."""
        if event is None or not (event.type() == QEvent.Type.Wheel or _is_shortcut(watched, event)):
            return False
        event.ignore()
        return True


def _is_shortcut(watched: QObject | None, event: QEvent) -> bool:
    return (
        isinstance(watched, QComboBox)
        and isinstance(event, QKeyEvent)
        and event.type() == QEvent.Type.KeyPress
        and bool(event.modifiers() & _SHORTCUT)
        and event.key() not in _OPENS
    )
