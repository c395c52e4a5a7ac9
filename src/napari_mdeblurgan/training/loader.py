"""Batches drawn in the background while the network is busy with the ones before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar, runtime_checkable

DEPTH = 4

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@runtime_checkable
class Divisible(Protocol[T_co]):
    """What can be made by several threads at once, such as `Batches`."""

    def tasks(self) -> Iterator[Callable[[], T_co]]:
        """Calls that each make one item, in the order of the items; they may be made at once and in any order."""


def prefetched(batches: Iterable[T], depth: int = DEPTH, workers: int = 1) -> Iterator[T]:
    """The same batches in the same order, up to `depth` of them made ahead by background threads.

    Threads, not processes: torch, NumPy and the decoders of image files let others run while they work, and nothing has to be
    copied or pickled. The first batches are begun when the first is asked for.

    Parameters
    ----------
    batches : iterable
        From `PatchSampler.batches`, or any other. An iterable that has no `tasks` is walked by a single thread.
    depth : int
        Batches that are ready or being made, at least 1; each takes memory.
    workers : int
        Threads, at least 1. More than one needs an iterable that has `tasks`.

    Yields
    ------
    T
        What `batches` gives. What it raises is raised here, in its place. When this iterator is closed or dropped,
        what is being made is finished and the threads end.

    Raises
    ------
    ValueError
        If there are no threads, or too many for the iterable.
    """
    tasks = batches.tasks() if isinstance(batches, Divisible) else None
    if depth < 1 or workers < 1 or (workers > 1 and tasks is None):
        raise ValueError(f"{workers} threads cannot make batches {depth} ahead from a {type(batches).__name__}")
    return _ahead(_calls(iter(batches)) if tasks is None else tasks, depth, workers)


class _End:
    """Stands for the end of an iterator that was reached in another thread."""


def _calls(items: Iterator[T]) -> Iterator[Callable[[], T | _End]]:
    while True:
        yield lambda: next(items, _END)


_END = _End()


def _ahead(tasks: Iterator[Callable[[], T | _End]], depth: int, workers: int) -> Iterator[T]:
    pool = ThreadPoolExecutor(workers, "batches")
    waiting: deque[Future[T | _End]] = deque()
    try:
        while True:
            while len(waiting) < depth and (task := next(tasks, None)) is not None:
                waiting.append(pool.submit(task))
            if not waiting:
                return
            item = waiting.popleft().result()
            if isinstance(item, _End):
                return
            yield item
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
