"""Reading, working and writing at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Given = TypeVar("Given")
Made = TypeVar("Made")

WAITING = 1  # results that may wait to be written


def overlapped(
    items: Iterable[Item],
    read: Callable[[Item], Given],
    work: Callable[[Given], Made],
    write: Callable[[Item, Made], None],
) -> Iterator[Item]:
    """Read, work and write item after item; yields each when it is written.

    While an item is worked on, in the thread that iterates, the next one is read and those before it are written, in a thread
    each. An item is only taken from `items` when it is about to be read. What goes wrong anywhere is raised here, and ends
    it all. Closing ends it, too; what is being written by then is still written.
    """
    source, writing = iter(items), deque[tuple[Item, Future[None]]]()
    with ThreadPoolExecutor(1, "reading") as reader, ThreadPoolExecutor(1, "writing") as writer:

        def begin() -> tuple[Item, Future[Given]] | None:
            return next(((item, reader.submit(read, item)) for item in islice(source, 1)), None)

        reading = begin()
        while reading is not None:
            item, given = reading[0], reading[1].result()
            reading = begin()
            writing.append((item, writer.submit(write, item, work(given))))
            del given
            while writing and (len(writing) > WAITING or writing[0][1].done()):
                yield _written(writing)
        while writing:
            yield _written(writing)


def _written(writing: deque[tuple[Item, Future[None]]]) -> Item:
    item, future = writing.popleft()
    future.result()
    return item
