"""The threads of a walk: its own, or the same ones for walk after walk, as starting threads and
getting memory from the system anew costs small images dear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from napari_mdeblurgan.lent_pages import reused_pages
from napari_mdeblurgan.restoration import memory

_standing: ContextVar[Crew | None] = ContextVar("the threads of all walks", default=None)


MOST_READERS = 2  # at a time, where a walk wants more than one


class Crew:
    """Threads that read, one that works and one that writes; used in a ``with`` block, within
    which pages of maps that are gone are lent again, and at whose end the threads are gone and what
    memory they leave free is the system's again.

    Parameters
    ----------
    settle : callable, optional
        Called by each of the threads when it starts.
    """

    def __init__(self, settle: Callable[[], None] | None = None) -> None:
        def thread(name: str) -> ThreadPoolExecutor:
            return ThreadPoolExecutor(1, name, initializer=settle)

        self.readers = [thread("reading") for _ in range(MOST_READERS)]
        self.worker, self.writer = thread("working"), thread("writing")
        self._pages = reused_pages()

    def __enter__(self) -> Crew:
        self._pages.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            for thread in (self.writer, self.worker, *self.readers):
                thread.shutdown()
        finally:
            self._pages.__exit__(*error)
            memory.release()

    def settle(self) -> None:
        """Wait until all that was begun is done."""
        wait([thread.submit(int) for thread in (*self.readers, self.worker, self.writer)])

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Have all walks within, on this thread only, come through this crew, one at a time."""
        token = _standing.set(self)
        try:
            yield
        finally:
            _standing.reset(token)


@contextmanager
def crew() -> Iterator[Crew]:
    """The crew for one walk: that which is at work on this thread, or one of its own."""
    standing = _standing.get()
    if standing is not None:
        try:
            yield standing
        finally:
            standing.settle()
        return
    with Crew() as own:
        yield own
