"""Long work without steps of its own: it can be asked to stop, and tells how far it is, by looking
up again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar, copy_context
from threading import Event
from typing import Any, TypeVar

from napari_mdeblurgan.steps import Returning, numpy_defaults

_Made = TypeVar("_Made")

HEARTBEAT_S = 0.5  # from one sign of life to the next
# of what is left of a portion, by which every look up goes on: how many will come is not known
STRIDE = 0.15

_asked: ContextVar[Callable[[], bool] | None] = ContextVar("asked to stop", default=None)
_meter: ContextVar[Meter | None] = ContextVar("how far the work is", default=None)


class Stopped(Exception):
    """The work was asked to stop; no error, and never shown."""


class Meter:
    """How far work without steps is; written by the thread that works, read by any.

    Attributes
    ----------
    share : float
        From 0 to 1; never falls.
    """

    def __init__(self) -> None:
        self.share, self._begin, self._end = 0.0, 0.0, 1.0

    def go_on(self) -> None:
        """Come a little closer to the end of the portion, which is never reached by this."""
        self.share += STRIDE * max(self._end - self.share, 0.0)

    @contextmanager
    def portion(self, start: float, stop: float) -> Iterator[None]:
        """See `portion`."""
        begin, end = self._begin, self._end
        self._begin, self._end = (begin + at * (end - begin) for at in (start, stop))
        self.share = max(self.share, self._begin)
        try:
            yield
            self.share = max(self.share, self._end)
        finally:
            self._begin, self._end = begin, end


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


@contextmanager
def metered(meter: Meter) -> Iterator[None]:
    """Have the work within, on this thread only, tell how far it is."""
    token = _meter.set(meter)
    try:
        yield
    finally:
        _meter.reset(token)


def portion(start: float, stop: float) -> AbstractContextManager[None]:
    """Take the work within for a part of the work around it.

    Parameters
    ----------
    start, stop : float
        Where the part begins and ends, from 0 to 1 of the portion around.
    """
    meter = _meter.get()
    return nullcontext() if meter is None else meter.portion(start, stop)


def look_up() -> None:
    """End the work if it was asked to stop; else it has come a little further.

    Raises
    ------
    Stopped
        If it was.
    """
    asked = _asked.get()
    if asked is not None and asked():
        raise Stopped
    meter = _meter.get()
    if meter is not None:
        meter.go_on()


def can_be_stopped() -> bool:
    """Whether somebody may ask the work to stop."""
    return _asked.get() is not None


def looking_up() -> Callable[[], None]:
    """What ends work with `Stopped` in any thread once this one is asked to stop: for pieces that
    others carry out.
    """
    asked = _asked.get()

    def heed() -> None:
        if asked is not None and asked():
            raise Stopped

    return heed


def heeding(steps: Generator[Any, None, _Made]) -> Generator[Any, None, _Made]:
    """The same steps, which end with `Stopped` between two of them if they are asked to."""
    returning = Returning(steps)
    look_up()
    for step in returning:
        yield step
        look_up()
    return returning.result


class Attended:
    """Work in other threads that whoever waits for it can stop, and see how far it is."""

    def __init__(self) -> None:
        self._stop = Event()

    def stop(self) -> None:
        """Have all of it end with `Stopped` when it looks up next."""
        self._stop.set()

    def begin(
        self, thread: Executor, work: Callable[..., _Made], *given: Any, meter: Meter | None = None
    ) -> Future[_Made]:
        """Begin a piece of work in a thread; it can be stopped by whoever could stop it here as
        well.
        """
        around = _asked.get()

        def asked() -> bool:
            return self._stop.is_set() or (around is not None and around())

        def watched() -> _Made:
            with numpy_defaults(), stoppable(asked), metered(meter or Meter()):
                return work(*given)

        return thread.submit(copy_context().run, watched)


def waiting(future: Future[Any]) -> Iterator[None]:
    """Yields every now and then until something is done."""
    while not wait([future], HEARTBEAT_S).done:
        yield


def attending(work: Callable[[], _Made]) -> Generator[float, None, _Made]:
    """Do work without steps in a thread of its own, and see to it from here.

    Yields
    ------
    float
        How far it is, from 0 to 1, every half second. Closing the generator asks the work to stop,
        and waits until it has.
    """
    attended, meter = Attended(), Meter()
    with ThreadPoolExecutor(1, "attended") as thread:
        future = attended.begin(thread, work, meter=meter)
        try:
            for _ in waiting(future):
                yield meter.share
        finally:
            attended.stop()
        return future.result()
