"""Images that go through the network at the same time, each in a lane of its own.

A network works on one batch of tiles at a time, as its maps fill the memory, and for that has all
processors. Small images leave processors waiting that way: for each other at every operation, and
while the rest is done that has one thread each. So several of them go side by side, and every lane
has its share of the processors.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from napari_mdeblurgan.restoration.crew import Crew

_ONE_AT_A_TIME: dict[
    int, threading.Lock
] = {}  # by process: in the child of a fork nobody lets go of the parent's
_of_the_lane: ContextVar[threading.Lock | None] = ContextVar("the turn of a lane", default=None)


def turn() -> threading.Lock:
    """What a batch of tiles holds while it is in the network: one for the process, or one for the
    lane in which this thread works.
    """
    own = _of_the_lane.get()
    return _ONE_AT_A_TIME.setdefault(os.getpid(), threading.Lock()) if own is None else own


class Lane:
    """A thread with a crew, used in a ``with`` block.

    Parameters
    ----------
    processors : int, optional
        So many has each of its threads; by default it is the only lane, and has all.

    Attributes
    ----------
    thread : ThreadPoolExecutor
        What is begun in it comes one by one.
    """

    def __init__(self, processors: int | None = None) -> None:
        settle: Callable[[], None] | None = None
        self._turn: threading.Lock | None = None
        if processors is not None:
            from napari_mdeblurgan.network.block_threads import keep_to

            settle, self._turn = partial(keep_to, processors), threading.Lock()
        self.thread = ThreadPoolExecutor(1, "lane", initializer=settle)
        self._crew = Crew(settle)

    def __enter__(self) -> Lane:
        self._crew.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            self.thread.shutdown()
        finally:
            self._crew.__exit__(*error)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Have all walks within, on this thread only, come through this lane."""
        token = _of_the_lane.set(self._turn)
        try:
            with self._crew.at_work():
                yield
        finally:
            _of_the_lane.reset(token)


def small_lanes() -> list[Lane]:
    """Lanes that share the processors among them."""
    from napari_mdeblurgan.network.block_threads import shares_of_processors

    return [Lane(processors) for processors in shares_of_processors()]
