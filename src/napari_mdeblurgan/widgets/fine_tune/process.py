"""The process that trains, as Qt sees it: its events as a signal on the main thread."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from napari_mdeblurgan.fine_tuning.folder import FineTuneFolder

WORKER = "napari_mdeblurgan.fine_tuning.worker"
LOG = "worker.log"


class TuningProcess(QObject):
    """Starts the process, passes on what it says, and asks it to stop.

    The process outlives neither the viewer nor the widget for long: when its standard input ends,
    it writes a checkpoint and the best model so far and is gone. It is no child of Qt's, which
    would kill it.

    Parameters
    ----------
    folder : FineTuneFolder
        Made by `begin`.
    """

    told = Signal(dict)
    ended = Signal()

    def __init__(self, folder: FineTuneFolder) -> None:
        super().__init__()
        self._folder = folder
        with (folder.path / LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", WORKER, str(folder.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        self._begun = False  # whether it has said anything; until then it loads torch
        self._ended_early = False
        threading.Thread(target=self._listen, daemon=True, name="fine-tuning").start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def stop(self) -> None:
        """Ask it to end after its step, with a checkpoint and the best so far; before it has done
        anything, end it at once.
        """
        if not self._begun:
            self._ended_early = True
            self._process.terminate()
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def abandon(self) -> None:
        """Ask it to stop, and hear nothing more of it."""
        self.blockSignals(True)
        self.stop()

    def _listen(self) -> None:
        """On a thread of its own; Qt brings the signals to the thread that the object lives in."""
        last = ""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                event: dict[str, Any] = json.loads(line)
                last = event.get("kind", "")
                self._begun = True
                self._emit(self.told, event)
        code = self._process.wait()
        if code and last != "failed" and not self._ended_early:
            self._emit(self.told, {"kind": "failed", "sentence": self._obituary(code)})
        self._emit(self.ended)

    def _emit(self, signal: Any, *values: Any) -> None:
        with contextlib.suppress(
            RuntimeError
        ):  # Qt has deleted the object already: the application ends
            signal.emit(*values)

    def _obituary(self, code: int) -> str:
        why = f"signal {-code}" if code < 0 else f"code {code}"
        return (
            f"The training process ended ({why}), perhaps for want of memory; what it had reached "
            f"is kept: press Resume. Its messages are in {self._folder.path / LOG}."
        )
