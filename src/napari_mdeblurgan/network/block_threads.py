"""Blocks of a network's maps in threads of their own, each with processors of its own.

Where torch shares out every operation among all processors, they wait for the slowest of them
several hundred times a tile; once another program keeps one of them busy, that is most of the time.
Blocks know nothing of each other, so their threads wait but once for all of a stage.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import copy_context
from typing import Protocol

import torch
from threadpoolctl import ThreadpoolController

from napari_mdeblurgan.stopping import Meter, metered

MOST = 4  # of threads: each takes memory for the maps of a block
# an operation on so many values takes some 0.02 ms; 6 to 12 ms once another program wants one of
# two processors, and a network has several hundred of them
_PROBE, _PROBES, _TOO_LONG_S = 2**17, 3, 1e-3


class Blocks(Protocol):
    """How blocks are carried out.

    Attributes
    ----------
    count : int
        How many at a time.
    """

    count: int

    def done(self, pieces: Sequence[Callable[[], None]]) -> Iterator[None]:
        """Carry out all pieces; yields whenever one of them is done."""


class OneByOne:
    """Blocks one after the other on this thread.

    Parameters
    ----------
    count : int
        Into a multiple of how many a map is cut, as if so many were carried out at a time.
    """

    def __init__(self, count: int = 1) -> None:
        self.count = count

    def done(self, pieces: Sequence[Callable[[], None]]) -> Iterator[None]:
        """Carry out all pieces; yields whenever one of them is done."""
        for piece in pieces:
            piece()
            yield


class InThreads:
    """Blocks in several threads, in the modes of torch in which this one is.

    Parameters
    ----------
    count : int
        Threads.
    threads : ThreadPoolExecutor
        So many.
    """

    def __init__(self, count: int, threads: ThreadPoolExecutor) -> None:
        self.count, self._threads = count, threads

    @functools.cached_property
    def _are_kept_busy(self) -> bool:
        return processors_are_kept_busy()

    def done(self, pieces: Sequence[Callable[[], None]]) -> Iterator[None]:
        """Carry out all pieces; yields whenever one of them is done. A single one has all
        processors on this thread, or one where others are kept busy by another program. What goes
        wrong is raised here when no piece is at work any more.
        """
        if len(pieces) == 1:
            with on_one_processor() if self._are_kept_busy else nullcontext():
                yield from OneByOne().done(pieces)
            return
        inference = torch.is_inference_mode_enabled()
        reduced, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

        def carry_out(piece: Callable[[], None]) -> None:
            with (
                metered(Meter()),  # of its own: how far the stage is, is told by whoever waits
                torch.inference_mode(inference),
                torch.autocast("cpu", dtype=dtype, enabled=reduced),
            ):
                piece()

        futures = [self._threads.submit(copy_context().run, carry_out, each) for each in pieces]
        try:
            for future in as_completed(futures):
                future.result()
                yield
        finally:
            for future in futures:
                future.cancel()
            wait(futures)


def blocks_at_a_time() -> int:
    """In how many threads a network's blocks are carried out, by the processors that torch uses on
    this one.
    """
    return min(MOST, torch.get_num_threads())


@contextmanager
def block_threads() -> Iterator[Blocks]:
    """Threads for blocks; together they use as many processors as this thread does by itself."""
    count = blocks_at_a_time()
    if count == 1:
        yield OneByOne()
        return

    shares = shares_of_processors()
    with ThreadPoolExecutor(count, "blocks", initializer=lambda: keep_to(shares.pop())) as threads:
        yield InThreads(count, threads)


def shares_of_processors() -> list[int]:
    """How many processors each of `blocks_at_a_time` threads has, of those that torch uses on this
    one.
    """
    count, processors = blocks_at_a_time(), torch.get_num_threads()
    return [(processors + number) // count for number in range(count)]


def keep_to(processors: int) -> None:
    """Have this thread use no more processors from now on."""
    _limited(processors)


def _limited(processors: int) -> AbstractContextManager[object]:
    torch.get_num_threads()  # when first asked for, it is made that of the process
    return _openmp().limit(limits=processors)


def processors_are_kept_busy() -> bool:
    """Whether operations that this thread shares out among the processors take far longer than they
    should: another program has one of them.
    """
    values = torch.zeros(_PROBE)
    values.add_(1)  # wakes the threads up
    for _ in range(_PROBES):
        start = time.perf_counter()
        values.add_(1)
        if time.perf_counter() - start > _TOO_LONG_S:
            return True
    return False


@contextmanager
def on_one_processor() -> Iterator[None]:
    """Have this thread share out nothing: for what little is done between work in `block_threads`,
    where waiting for the other processors takes longest.
    """
    with _limited(1):
        yield


@functools.cache
def _openmp() -> ThreadpoolController:
    """The libraries by which torch shares out its work; each thread has a number of its own."""
    return ThreadpoolController().select(user_api="openmp")
