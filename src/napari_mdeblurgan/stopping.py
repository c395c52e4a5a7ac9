"""Long work without steps of its own that can be asked to stop: it looks up again and again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

Made = TypeVar("Made")

_asked: ContextVar[Callable[[], bool] | None] = ContextVar("asked to stop", default=None)


class Stopped(Exception):
    """The work was asked to stop; no error, and never shown."""


@contextmanager
def stoppable(asked: Callable[[], bool]) -> Iterator[None]:
    """Let the work within be stopped, on this thread only.

    Parameters
    ----------
    asked : callable
        Called without arguments many times; once it returns True, the work ends with `Stopped`.
    """
    token = _asked.set(asked)
    try:
        yield
    finally:
        _asked.reset(token)


def look_up() -> None:
    """End the work if it was asked to stop.

    Raises
    ------
    Stopped
        If it was.
    """
    asked = _asked.get()
    if asked is not None and asked():
        raise Stopped


def heeding(steps: Generator[Any, None, Made]) -> Generator[Any, None, Made]:
    """The same steps, which end with `Stopped` between two of them if they are asked to."""
    while True:
        look_up()
        try:
            step = next(steps)
        except StopIteration as ended:
            return ended.value  # type: ignore[no-any-return]
        yield step
