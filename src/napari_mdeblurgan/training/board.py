"""Metrics for TensorBoard, where its writer is installed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_mdeblurgan.atomic import writing_errors
from napari_mdeblurgan.training.metrics_table import SHARE_PREFIX, Row

MISSING = (
    "no TensorBoard files are written: tensorboardX is not installed (pip install "
    "'napari-mdeblurgan[training]')"
)
_FLUSH_S = 30.0


class Board:
    """A file of events that is written here and now: the writer that tensorboardX offers has a
    thread, which a full disk ends, after which the training waits for ever.

    Where it cannot be written that is raised once, as a `FileError`; then it is closed.

    Parameters
    ----------
    folder : Path
        Made where it is not there.
    step : int
        After which it goes on; what an earlier file has of later ones is not shown.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        self._folder, self._events = folder, None
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            self._events = EventsWriter(str(folder / "events"))
            self._write(step=step + 1, file_version="brain.Event:2")
            self._write(step=step + 1, session_log=SessionLog(status=SessionLog.START))
        self._flushed = time.monotonic()

    def show(self, row: Row) -> None:
        """One row of the table, under names that TensorBoard groups."""
        from tensorboardX.summary import scalar

        if self._events is None:
            return
        with self._writing():
            for name, value in row.items():
                if name not in ("step", "epoch"):
                    summary = scalar(_grouped(name), value)
                    self._write(step=int(row["step"]), summary=summary)
        if time.monotonic() - self._flushed > _FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Let others see all that was shown."""
        if self._events is not None:
            with self._writing():
                self._events.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        """Let go of the file."""
        if self._events is not None:
            with self._writing():
                self._events.close()
            self._events = None

    def _write(self, **fields: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        assert self._events is not None
        self._events.write_event(Event(wall_time=time.time(), **fields))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with writing_errors(self._folder):
                yield
        except BaseException:
            self._events = None
            raise


def open_board(folder: Path, step: int) -> Board | None:
    """A board that goes on after `step`, or None where tensorboardX is not installed."""
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        return None
    return Board(folder, step)


def _grouped(name: str) -> str:
    if name.startswith(SHARE_PREFIX):
        return f"shares/{name.removeprefix(SHARE_PREFIX)}"
    group = "validation" if name.startswith(("validation_", "bicubic_")) else "training"
    return f"{group}/{name}"
