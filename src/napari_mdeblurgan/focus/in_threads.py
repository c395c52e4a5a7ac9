"""The same for several planes at a time: numpy and SciPy let other threads work meanwhile."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import psutil

_MOST = 2  # planes at a time: with more, the memory is what takes the time

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


def in_parallel(
    work: Callable[[_Item], _Made], items: Iterable[_Item]
) -> Generator[_Made, None, None]:
    """What is made of each, in their order; closing it ends the work with those that are being
    made.

    Parameters
    ----------
    work : callable
        Safe to be called in several threads.
    items : iterable
        Asked for one after the other.
    """
    workers = min(_MOST, _processors())
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[_Made]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _processors() -> int:
    """How many this process may use."""
    try:
        return len(psutil.Process().cpu_affinity())
    except AttributeError:  # which not every system tells
        return os.cpu_count() or 1
