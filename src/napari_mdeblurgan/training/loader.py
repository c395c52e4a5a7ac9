"""Batches drawn in the background while the network is busy with the ones before."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.training.dataset import Patches

DEPTH = 4
RECEIVED = 2  # batches of processes that a thread has fetched

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

    One worker is a thread, which starts at once and shares what is held in memory. That is enough for a network on the processor.
    Several workers are processes, for a device that is faster than one thread: drawing is many short operations, between which
    threads would wait for each other, and would hold up the one that feeds the device. A process takes some seconds to
    start and holds images in memory for itself. Nothing is begun before the first batch is asked for.

    Parameters
    ----------
    batches : iterable
        From `PatchSampler.batches`; with one worker any other, too.
    depth : int
        Batches that are ready or being made, at least 1, and at least one for each process; each takes memory.
    workers : int
        At least 1.

    Yields
    ------
    T
        What `batches` gives. What it raises is raised here, in its place. When this iterator is closed or dropped, what is being
        made is finished or given up, and threads and processes end.

    Raises
    ------
    ValueError
        If there are no workers, or several for an iterable whose items have no numbers.
    """
    if depth < 1 or workers < 1 or (workers > 1 and not isinstance(batches, Numbered)):
        raise ValueError(f"{workers} workers cannot make batches {depth} ahead from a {type(batches).__name__}")
    if workers > 1 and isinstance(batches, Numbered):
        drawn: Iterator[Any] = _by_processes(batches, depth, workers)
        return _by_a_thread(drawn, RECEIVED)
    return _by_a_thread(iter(batches), depth)


class _End:
    """Stands for the end of an iterator that was reached in another thread."""


_END = _End()


def _by_a_thread(items: Iterator[T], depth: int) -> Iterator[T]:
    pool = ThreadPoolExecutor(1, "batches")
    waiting: deque[Future[T | _End]] = deque()
    try:
        while True:
            while len(waiting) < depth:
                waiting.append(pool.submit(next, items, _END))
            item = waiting.popleft().result()
            if isinstance(item, _End):
                return
            yield item
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        if isinstance(items, Generator):
            items.close()


Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class _Drawn(Dataset):
    """Batches by their numbers, as arrays: tensors on their way to another process can break it when it ends.

    An error for the user is handed over as it is: torch would make a page of its sentence.
    """

    batches: Numbered

    def __getitem__(self, number: int) -> Arrays | MdeblurganError:
        try:
            return tuple(images.numpy() for images in self.batches.draw(number))
        except MdeblurganError as error:
            return error


def _unchanged(item: T) -> T:
    return item


def _by_processes(batches: Numbered, depth: int, workers: int) -> Iterator[Patches]:
    loader: DataLoader = DataLoader(
        _Drawn(batches),
        batch_size=None,
        sampler=itertools.count(batches.number),  # type: ignore[arg-type]  # any iterable will do
        num_workers=workers,
        collate_fn=_unchanged,
        prefetch_factor=-(-depth // workers),
        multiprocessing_context="spawn",  # a fork would take over locks in the state that threads left them in
    )
    for item in loader:
        if isinstance(item, MdeblurganError):
            raise item
        yield Patches(*map(torch.from_numpy, item))
