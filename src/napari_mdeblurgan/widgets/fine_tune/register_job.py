"""Pairs being registered on a thread: what was accepted and refused so far, and how to stop it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_mdeblurgan.widgets.shared.closing import InWords, unheard, worker_of

if TYPE_CHECKING:
    from napari import Viewer

    from napari_mdeblurgan.widgets.fine_tune.given import PairStep

_NAMED = 3  # of those that were left out


class RegisterJob(QObject):
    """One registration at a time, for a dock of `viewer`.

    `told` is emitted with a sentence of what was left out or went wrong, `found` with a `PairStep`,
    and `ended` with the sentence that sums it up, which is empty where no pair was looked at.
    """

    told = Signal(str)
    found = Signal(object)
    ended = Signal(str)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.worker: Any = None
        self._clear()

    def _clear(self) -> None:
        self._accepted, self._count = 0, 0
        self._refused: list[str] = []
        self._sentences: list[str] = []
        self._stop = threading.Event()

    def begin(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Begin; `work` is a generator function that takes, last, a callable that says whether to
        stop.
        """
        self._clear()
        words = InWords(work, "the registration of pairs")
        self.worker = worker_of(self._viewer, words, *arguments, self._stop.is_set)
        self.worker.yielded.connect(self._on_step)
        self.worker.finished.connect(self._on_end)
        self.worker.start()

    def cancel(self) -> None:
        """End at once for the user; the thread ends when it looks up next, and what it still finds
        is not heard.
        """
        if self.worker is not None:
            self.abandon()
            words = (
                f"{self.summary} What was registered is kept."
                if self._count
                else "Nothing was registered."
            )
            self.ended.emit(f"Cancelled. {words}")

    def abandon(self) -> None:
        """The same without a word."""
        worker, self.worker = self.worker, None
        self._stop.set()
        unheard(worker, yielded=self._on_step, finished=self._on_end)
        if worker is not None:
            worker.quit()

    @property
    def summary(self) -> str:
        """How many were accepted, of how many, and how many were refused."""
        refused, rest = len(self._refused), self._count - self._accepted - len(self._refused)
        parts = [f"Registered {self._accepted} of {self._count}"]
        parts += [f"{refused} refused"] * bool(refused) + [f"{rest} not looked at"] * bool(rest)
        return "; ".join(parts) + "."

    def _on_step(self, step: PairStep | str) -> None:
        if isinstance(step, str):
            self._sentences.append(step)
            self.told.emit(step)
            return
        self._count = step.count
        if step.outcome.accepted:
            self._accepted += 1
        else:
            self._refused.append(step.outcome.name)
        self.found.emit(step)

    def _on_end(self) -> None:
        self.worker = None
        if not self._count:
            self.ended.emit("")
            return
        said = []
        if self._refused:
            some = ", ".join(self._refused[:_NAMED]) + (" …" if len(self._refused) > _NAMED else "")
            said.append(f"Not registered and left out: {some}. The remarks say why.")
        self.ended.emit(" ".join([*said, self.summary, *self._sentences[:_NAMED]]))
