"""Notices when a docked widget is shown, and when it is closed for good; tells who closes the
window what is running; ends all of it with the process.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from napari.utils.notifications import show_warning
from napari.utils.task_status import Status
from qtpy.QtCore import QCoreApplication, QEvent, QObject, QThreadPool, QTimer
from qtpy.QtWidgets import QWidget
from superqt.utils import WorkerBase, create_worker

from napari_mdeblurgan.widgets.shared.docking import dock_of, shorten_title, tabify
from napari_mdeblurgan.widgets.shared.left_alone import LeftAlone

if TYPE_CHECKING:
    from napari import Viewer

PROVIDER = "M-Deblurgan"
_PLACE = QEvent.Type(QEvent.registerEventType())
_FIRST = 1  # Qt's HighEventPriority, as a number, which every binding takes
_LOOK_MS = 100  # between two looks at whether a wait was interrupted


class InWords(partial):
    """A function for `create_worker` that is called by its words where napari lists what is
    running.

    napari's dialog at closing prints the function itself, which by default is its address in
    memory.

    Parameters
    ----------
    function : callable
        A function or a generator function.
    words : str
        What it does, to stand after "Executing".
    """

    words: str

    def __new__(cls, function: Callable[..., Any], words: str) -> InWords:
        made = super().__new__(cls, function)
        made.words = words
        return made

    def __str__(self) -> str:
        return self.words


def announced(viewer: Viewer, words: str, stop: Callable[[], object]) -> Callable[[], None]:
    """Have napari tell who closes the window of work that no worker of napari's does.

    napari keeps what it was told for as long as the window, so that of work that has ended only the
    words are left to it: neither the worker nor the image that it was given.

    Parameters
    ----------
    viewer : Viewer
        Whose window it is.
    words : str
        What is running, as a sentence.
    stop : callable
        Called when the window is closed all the same.

    Returns
    -------
    callable
        To be called when the work has ended.
    """
    window = viewer.window
    window = getattr(window, "__wrapped__", window)  # a plugin gets a proxy, which would warn
    running = [stop]
    task = window._register_task_status(
        PROVIDER, Status.BUSY, words, lambda: [each() for each in running]
    )

    def ended() -> None:
        running.clear()
        window._update_task_status(task, Status.COMPLETED, words)

    return ended


def worker_of(viewer: Viewer | None, work: InWords, *arguments: Any, **options: Any) -> Any:
    """A worker of superqt's, not started yet, that the window of its own viewer tells of and ends
    when it is closed.

    napari's own `create_worker` takes the window that is used last, so that closing another viewer
    would end the work.

    Parameters
    ----------
    viewer : Viewer or None
        Whose work it is; without one, no window knows of it.
    work : InWords
        What is done, with its words.
    *arguments, **options
        Of the work, and of `superqt.utils.create_worker`.
    """
    worker: Any = create_worker(work, *arguments, _start_thread=False, **options)
    if viewer is not None:
        worker.finished.connect(announced(viewer, f"Executing {work}", worker.quit))
    return worker


def unheard(worker: Any, **slots: Callable[..., Any]) -> None:
    """Hear nothing more of a worker, if there is one.

    Parameters
    ----------
    worker : WorkerBase or None
        From `worker_of`.
    **slots : callable
        What its signals were connected to, by their names.
    """
    for signal, slot in slots.items() if worker is not None else ():
        with suppress(TypeError, RuntimeError):  # it has returned already
            getattr(worker, signal).disconnect(slot)


class LifeWatch(QObject):
    """Calls back when `widget` appears on the screen, also as the tab that comes to the front, and
    when it is taken out of its window; its controls leave the wheel and napari's keys alone.

    napari takes a closed dock widget out of its window without closing or deleting what was inside.

    Parameters
    ----------
    widget : QWidget
        The widget to watch; it owns the watch.
    on_show, on_close : callable
        Called without arguments; `on_close` at most once.
    at_work : callable, optional
        Called before `on_close` where the dock alone is closed: gives what the user is told then of
        work that this stops, see `wording.closed_at_work`, or nothing. Of a window that is closed,
        napari asks.
    """

    _widget: QWidget | None = (
        None  # what is left when Python has cleared this object and Qt has not yet
    )

    def __init__(
        self,
        widget: QWidget,
        on_show: Callable[[], None],
        on_close: Callable[[], None],
        at_work: Callable[[], str] = str,
    ) -> None:
        super().__init__(widget)
        self._widget, self._on_show, self._on_close = widget, on_show, on_close
        self._at_work = at_work
        self._docked = self._closed = self._placed = False
        self._just_shown = True
        self._left_alone = LeftAlone(widget)
        _watches.add(self)
        widget.installEventFilter(self)
        widget.destroyed.connect(self._close)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """See Qt; nothing is held back."""
        if self._widget is not None and watched is self._widget and event is not None:
            if event.type() == QEvent.Type.Show:
                self._left_alone.look()
                self._just_shown = True
                QTimer.singleShot(0, self._settle)
                self._on_show()
            elif event.type() == QEvent.Type.ShowToParent:  # napari is at work at the new dock
                # when that is done, and before the window is laid out, which would grow to hold
                # one dock below the other, also beyond the screen, and stay so
                QCoreApplication.postEvent(self, QEvent(_PLACE), _FIRST)
            elif event.type() == QEvent.Type.ParentChange:
                self._reparented(self._widget.parent() is not None)
            elif event.type() == QEvent.Type.Close:
                self._close()
        return False

    def customEvent(self, _: QEvent | None) -> None:
        """See Qt."""
        self._place()

    def _settle(self) -> None:
        self._just_shown = False
        self._place()

    def _place(self) -> None:
        """Make a new dock a tab of an own dock that is there already, by a title that fits a tab,
        and notice from then on when it comes to the front, of which Qt tells a dock alone.
        """
        if self._widget is None or self._closed or self._placed:
            return
        self._placed = True
        shorten_title(self._widget)
        tabify(self._widget, LifeWatch)
        dock = dock_of(self._widget)
        if dock is not None:
            dock.visibilityChanged.connect(self._on_visible)

    def _on_visible(self, visible: bool) -> None:
        if visible and not self._just_shown and not self._closed:
            self._on_show()

    def _reparented(self, has_parent: bool) -> None:
        if self._docked and not has_parent and not self._closed:
            words = self._at_work()
            self._close()
            if words:
                show_warning(words)
        self._docked = has_parent

    def _close(self, _: object = None) -> None:
        if not self._closed:
            self._closed = True
            self._on_close()


_watches: WeakSet[LifeWatch] = WeakSet()


def end_with_the_process() -> None:
    """Close what is open, and wait until no worker runs any more, as napari does when its event
    loop ends.

    A script may end without that loop. Qt's objects go next, and a worker that would then tell what
    it has found, or a widget that would stop a timer, brings the process down.
    """
    if QCoreApplication.instance() is None:
        return
    for watch in tuple(_watches):
        watch._close()
    with suppress(RuntimeError):  # they are not through yet
        WorkerBase.await_workers(0)
    pool = QThreadPool.globalInstance()
    while pool is not None and not pool.waitForDone(_LOOK_MS):
        pass  # Python looks for Ctrl+C in between


atexit.register(end_with_the_process)  # after Qt's own, which was imported before: runs first
