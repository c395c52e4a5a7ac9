"""Ctrl-C that counts also where a library swallows it, as some do while they are loaded."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

_Step = TypeVar("_Step")

# signals by which a user, a system, a terminal that closes, or CTRL_BREAK of Windows asks a process
# to end
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
ENDING = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
INTERRUPTED = "interrupted; nothing was left half-written."

_asked = False  # to end, and nobody has said yet that the command does; a lock could lock up here


@contextmanager
def heard(*numbers: int) -> Iterator[None]:
    """Signals interrupt what is done within, and are remembered for `heed`; those that were
    ignored, as by nohup, stay so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _hear)
    try:
        yield
    finally:
        _restore(before)


@contextmanager
def stopped_by_signals(stop: Callable[[], object]) -> Iterator[list[int]]:
    """The first Ctrl-C, or other wish to end, calls `stop`; a second one ends the work at once.
    Gives those that came.
    """
    heed()
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in ENDING}

    def on_signal(number: int, _: object) -> None:
        came.append(number)
        stop()
        _restore(before)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, on_signal)
    try:
        yield came
    finally:
        _restore(before)


def heed() -> None:
    """End what was interrupted and went on all the same.

    Raises
    ------
    KeyboardInterrupt
        If it was.
    """
    if _asked:
        raise KeyboardInterrupt


def heeded(steps: Iterable[_Step]) -> Iterator[_Step]:
    """The same steps, after each of which it is heeded."""
    for step in steps:
        heed()
        yield step


def is_asked() -> bool:
    """Whether it was interrupted, and nobody was told yet that it ends."""
    return _asked


def told() -> None:
    """Take note that the user knows."""
    global _asked
    _asked = False


def _hear(*_: object) -> NoReturn:
    global _asked
    _asked = True
    raise KeyboardInterrupt


def _restore(handlers: Mapping[int, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None:  # which was not set by Python, and cannot be
            signal.signal(number, handler)
