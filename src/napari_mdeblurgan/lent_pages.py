"""Pages of memory that are lent, and lent again.

The system clears pages before it hands them out, which takes up to a fifth of a network's time. So
while a walk is at work, pages that nobody needs any more wait for the next map, and they are huge
ones where the system has such.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np


def lent_pages(size: int) -> np.ndarray:
    """At least so many bytes, with any values, for as long as somebody holds the array.

    Raises
    ------
    MemoryError
        If there are not so many.
    """
    return _pages.lent(size)


@contextmanager
def reused_pages() -> Iterator[None]:
    """Within, on any thread, pages of maps that are gone are kept for the next ones: no more than
    were in use at one time.
    """
    _pages.keep(1)
    try:
        yield
    finally:
        _pages.keep(-1)


class _Pages:
    """All pages: those that are lent, and those that wait."""

    def __init__(self) -> None:
        self.unlock()
        self._keepers = self._lent = self._most = 0
        self._free: list[mmap.mmap] = []

    def unlock(self) -> None:
        """Take a lock that nobody holds."""
        self._lock = threading.RLock()  # a map may go at any time, while this thread holds it, too

    def keep(self, change: int) -> None:
        """Have one more, or one less, to keep pages for."""
        with self._lock:
            self._keepers += change
            if not self._keepers:
                self._free, self._most = [], self._lent

    def lent(self, size: int) -> np.ndarray:
        """See `lent_pages`."""
        with self._lock:
            pages = self._taken(size) or _mapped(size)
            self._lent += len(pages)
            self._most = max(self._most, self._lent)
        lease = np.frombuffer(pages, np.uint8)
        weakref.finalize(lease, self._give_back, pages).atexit = False
        return lease

    def _taken(self, size: int) -> mmap.mmap | None:
        """Pages that wait and fit, the smallest of them; if there are none, as many go as have to
        make room.
        """
        fitting = [pages for pages in self._free if size <= len(pages)]
        if not fitting:
            self._make_room(size)
            return None
        chosen = min(fitting, key=len)
        self._free.remove(chosen)
        return chosen

    def _give_back(self, pages: mmap.mmap) -> None:
        with self._lock:
            self._lent -= len(pages)
            if self._keepers:
                self._free.append(pages)

    def _make_room(self, size: int) -> None:
        while self._free and self._lent + sum(map(len, self._free)) + size > self._most:
            del self._free[0]


def _mapped(size: int) -> mmap.mmap:
    try:
        if sys.platform == "win32":
            return mmap.mmap(-1, size)
        pages = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError) as error:
        raise MemoryError(f"There is no memory for a map of {size:,} bytes.") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # of a system that has none
            pages.madvise(mmap.MADV_HUGEPAGE)
    return pages


_pages = _Pages()
if hasattr(os, "register_at_fork"):  # in the child nobody lets go of what a thread held
    os.register_at_fork(after_in_child=_pages.unlock)
