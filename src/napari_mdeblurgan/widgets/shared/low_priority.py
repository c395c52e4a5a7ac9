"""Work that leaves the window room: done by a thread that yields to the one that draws."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

NICENESS = 10

_Step = TypeVar("_Step")
_Result = TypeVar("_Result")


def at_low_priority(steps: Generator[_Step, Any, _Result]) -> Generator[_Step, None, _Result]:
    """The same steps, each done in one thread of low priority, where the system knows priorities of
    threads (Linux).

    The network's own threads start there and inherit it. Without that, they and the drawing share
    the processor evenly, and the window stutters. Closing this generator closes `steps`, in the
    same thread.
    """
    with ThreadPoolExecutor(1, "mdeblurgan-work", initializer=lower_priority) as thread:
        try:
            while True:
                kind, value = thread.submit(_next, steps).result()
                if kind is StopIteration:
                    return value
                yield value
        finally:
            with contextlib.suppress(
                RuntimeError
            ):  # the interpreter is about to end, and starts nothing any more
                thread.submit(steps.close).result()


def lower_priority() -> None:
    """Let this thread, and those that it starts, yield to others; it cannot be taken back."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _next(steps: Generator[Any, Any, Any]) -> tuple[type | None, Any]:
    """The next step; a `StopIteration` may not leave a future, so its value is handed out beside
    its type.
    """
    try:
        return None, next(steps)
    except StopIteration as end:
        return StopIteration, end.value
