"""Batches drawn in the background while the network is busy with the ones before."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch

from napari_mdeblurgan.training.data.dataset import Patches

DEPTH = 4

T = TypeVar("T")


@runtime_checkable
class Numbered(Protocol):
    """Batches that several processes can draw, such as `Batches`: they can be pickled."""

    number: int
    """Of the next one."""

    def draw(self, number: int, /) -> Patches:
        """Any one of them."""


def prefetched(batches: Iterable[T], depth: int = DEPTH, workers: int = 1) -> Iterator[T]:
    """The same batches in the same order, some of them made ahead in the background.

    One worker is a thread, which starts at once and shares what is held in memory. That is enough
    for a network on the processor. Several workers are processes, for a device that is faster than
    one thread: drawing is many short operations, between which threads would wait for each other,
    and would hold up the one that feeds the device. A process takes some seconds to start and holds
    images in memory for itself. Nothing is begun before the first batch is asked for.

    Parameters
    ----------
    batches : iterable
        From `PatchSampler.batches`; with one worker any other, too.
    depth : int
        Batches that are ready or being made, at least 1, and at least one for each process; each
        takes memory.
    workers : int
        At least 1.

    Yields
    ------
    T
        What `batches` gives. What it raises is raised here, in its place. When this iterator is
        closed or dropped, what is being made is finished or given up, and threads and processes
        end.

    Raises
    ------
    ValueError
        If there are no workers, or several for an iterable whose items have no numbers.
    """
    if depth < 1 or workers < 1 or (workers > 1 and not isinstance(batches, Numbered)):
        raise ValueError(
            f"{workers} workers cannot make batches {depth} ahead from a {type(batches).__name__}"
        )
    if workers > 1 and isinstance(batches, Numbered):
        drawn: Iterator[Any] = _by_processes(batches, depth, workers)
        return drawn
    return _by_a_thread(iter(batches), depth)


class _End:
    """Stands for the end of an iterator that was reached in another thread."""


_END = _End()


def _ahead(pool: Executor, tasks: Iterator[Callable[[], Any]], depth: int) -> Iterator[Any]:
    waiting: deque[Future[Any]] = deque()
    try:
        while True:
            while len(waiting) < depth:
                with _uninterrupted():  # what is started here takes over that signals wait
                    waiting.append(pool.submit(next(tasks)))
            item = waiting.popleft().result()
            if isinstance(item, _End):
                return
            yield item
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait, where the system can do that."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _by_a_thread(items: Iterator[T], depth: int) -> Iterator[T]:
    yield from _ahead(
        ThreadPoolExecutor(1, "batches"), itertools.repeat(partial(next, items, _END)), depth
    )


def _by_processes(batches: Numbered, depth: int, workers: int) -> Iterator[Patches]:
    fresh = multiprocessing.get_context(
        "spawn"
    )  # a fork would take over locks in the state that threads left them in
    pool = ProcessPoolExecutor(workers, fresh, _begin, (batches,))
    tasks = (partial(_drawn, number) for number in itertools.count(batches.number))
    for images in _ahead(pool, tasks, max(depth, workers)):
        blurred, sharp_low, sharp = map(torch.from_numpy, images[:3])
        softness, known = (None if each is None else torch.from_numpy(each) for each in images[3:])
        yield Patches(blurred, sharp_low, sharp, softness, known)


_batches: list[Numbered] = []  # of a process that draws


def _begin(batches: Numbered) -> None:
    """Make this process ready to draw, and see to it that it ends with its parent, even where that
    is killed.
    """
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the parent, which ends this process
    torch.set_num_threads(1)
    _batches[:] = [batches]
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _drawn(number: int) -> tuple[np.ndarray | None, ...]:
    """What is there, as arrays, which are copied to the other process; tensors would have to be
    kept for it.
    """
    return tuple(None if each is None else each.numpy() for each in _batches[0].draw(number))
