"""Files and folders that are dragged from the desktop onto a part of a dock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QMimeData, QObject, Qt
from qtpy.QtWidgets import QWidget

ELSEWHERE = "Only files and folders of this computer can be dropped here."
ENTER, MOVE, LEAVE, _DROP = (
    QEvent.Type.DragEnter,
    QEvent.Type.DragMove,
    QEvent.Type.DragLeave,
    QEvent.Type.Drop,
)


class DropTarget(QObject):
    """Has a widget take files and folders, and nothing else.

    Parameters
    ----------
    widget : QWidget
        What they are dropped on; it owns this.
    take : callable
        Called with the paths that were dropped, in their order; empty where none is on this
        computer.
    is_open : callable
        Whether something may be dropped now.
    hover : callable
        Called with whether something that may be dropped is over the widget.
    """

    def __init__(
        self,
        widget: QWidget,
        take: Callable[[list[str]], None],
        is_open: Callable[[], bool] = lambda: True,
        hover: Callable[[bool], None] = lambda _: None,
    ) -> None:
        super().__init__(widget)
        self._take, self._is_open, self._hover = take, is_open, hover
        widget.setAcceptDrops(True)
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: Any) -> bool:
        """Qt's: see to what is dragged, and leave the rest."""
        kind = event.type()
        if kind in (ENTER, MOVE):
            welcome = self._is_open() and event.mimeData().hasUrls()
            self._hover(welcome)
            _answer(event, welcome)
            return True
        if kind == LEAVE:
            self._hover(False)
            return True
        if kind == _DROP:
            self._hover(False)
            welcome = self._is_open() and event.mimeData().hasUrls()
            _answer(event, welcome)
            if welcome:
                self._take(local_paths(event.mimeData()))
            return True
        return bool(super().eventFilter(watched, event))


def _answer(event: Any, welcome: bool) -> None:
    """Tell who drags whether it is taken, and never that it is moved: who moves removes what was
    dragged.
    """
    if welcome:
        event.setDropAction(Qt.DropAction.CopyAction)
    event.setAccepted(welcome)


def local_paths(dropped: QMimeData) -> list[str]:
    """The files and folders of this computer among what was dropped."""
    return [path for url in dropped.urls() if url.isLocalFile() and (path := url.toLocalFile())]
