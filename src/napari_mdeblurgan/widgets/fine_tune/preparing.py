"""What is written before a fine-tuning starts, as Qt sees it: on a thread, and left at any time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_mdeblurgan.widgets.shared.closing import InWords, unheard, worker_of

if TYPE_CHECKING:
    from napari import Viewer


class Preparing(QObject):
    """One preparation at a time, for a dock of `viewer`.

    `made` is emitted with what the work returns, and `left` when the thread of one that was left
    has ended.
    """

    made = Signal(object)
    left = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._worker: Any = None
        self._stopped = threading.Event()
        self._leaving = False

    @property
    def running(self) -> bool:
        """Whether somebody waits for what is being prepared."""
        return self._worker is not None and not self._leaving

    @property
    def leaving(self) -> bool:
        """Whether the thread of one that was left still works."""
        return self._leaving

    def begin(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Begin; `work` takes, last, a callable that says whether it was left, and then takes away
        what it has written. It raises nothing.
        """
        self._stopped, self._leaving = threading.Event(), False
        words = InWords(work, "the start of a fine-tuning")
        self._worker = worker_of(self._viewer, words, *arguments, self._stopped.is_set)
        self._worker.returned.connect(self._on_made)
        self._worker.start()

    def leave(self) -> None:
        """Hear nothing more of what is being prepared."""
        if self.running:
            self._leaving = True
            self._stopped.set()

    def abandon(self) -> None:
        """The same, for a widget that is being closed."""
        self.leave()
        unheard(self._worker, returned=self._on_made)

    def _on_made(self, made: Any) -> None:
        was_left, self._worker, self._leaving = self._leaving, None, False
        if was_left:
            self.left.emit()
        else:
            self.made.emit(made)
