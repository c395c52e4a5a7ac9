"""Work that napari wants to have done when a function returns: on a thread of its own, with a
dialog to watch and cancel it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.block_by_block import untold

_Made = TypeVar("_Made")
_Work = Callable[[Callable[[float], None]], _Made]

_STEPS = 1000
SHOWN_AFTER_MS = 500


class Cancelled(Exception):
    """The user did not want it any more."""


def saved_while_waiting(work: _Work[_Made], place: Path) -> _Made:
    """Do work that writes a file; where there is a window, its event loop goes on, and a dialog
    tells how far the work is.

    Parameters
    ----------
    work : callable
        Is given a function to tell the share that is done, and returns what was made.
    place : Path
        What it writes.

    Raises
    ------
    FileError
        If the user has cancelled it.
    Exception
        What `work` has raised.
    """
    dialog = _dialog(place)
    if dialog is None:
        return work(untold)
    from qtpy.QtCore import QEventLoop, QTimer

    stop, share = threading.Event(), [0.0]
    outcome: list[_Made | BaseException] = []

    def tell(done: float) -> None:
        share[0] = done
        if stop.is_set():
            raise Cancelled

    def run() -> None:
        try:
            outcome.append(work(tell))
        except BaseException as error:  # it is raised again where it was waited for
            outcome.append(error)

    loop, timer = QEventLoop(), QTimer()

    def look() -> None:
        dialog.setValue(min(round(_STEPS * share[0]), _STEPS - 1))
        if not thread.is_alive():
            loop.quit()

    dialog.canceled.connect(stop.set)
    thread = threading.Thread(target=run, name="saving a result", daemon=True)
    thread.start()
    timer.timeout.connect(look)
    timer.start(20)
    if thread.is_alive():
        loop.exec_() if hasattr(loop, "exec_") else loop.exec()
    timer.stop()
    thread.join()
    dialog.close()
    dialog.deleteLater()
    (made,) = outcome
    if isinstance(made, Cancelled):
        raise FileError(f"Cancelled; {place.name} was not saved.")
    if isinstance(made, BaseException):
        raise made
    return made


def _dialog(place: Path):  # type: ignore[no-untyped-def]
    """A dialog over the window that the user is in; None where there is none, or this is not its
    thread.
    """
    try:
        from qtpy.QtCore import Qt, QThread
        from qtpy.QtWidgets import QApplication, QProgressDialog
    except ImportError:  # there is no Qt
        return None
    application = QApplication.instance()
    if (
        not isinstance(application, QApplication)
        or QThread.currentThread() is not application.thread()
    ):
        return None
    dialog = QProgressDialog(
        f"Saving {place.name}…", "Cancel", 0, _STEPS, QApplication.activeWindow()
    )
    dialog.setWindowTitle("Saving the result")
    dialog.setWindowModality(Qt.WindowModality.ApplicationModal)
    dialog.setMinimumDuration(SHOWN_AFTER_MS)
    dialog.setAutoClose(False)
    dialog.setAutoReset(False)
    return dialog
