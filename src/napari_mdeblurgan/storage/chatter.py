"""What libraries say of files beside what they read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def chatter(library: str) -> Iterator[list[str]]:
    """What a library logs of this thread's file, which is kept from the screen: tifffile goes on
    with what is left of a file that is cut short, and only says so there.

    Parameters
    ----------
    library : str
        The name of its logger.

    Yields
    ------
    list of str
        Warnings and worse, as they come.
    """
    logger, collector = logging.getLogger(library), _Collector()
    logger.addHandler(collector)
    try:
        yield collector.found
    finally:
        logger.removeHandler(collector)


class _Collector(logging.Handler):
    """Keeps what is logged in the thread that made it. What others log goes the way that it would
    go without any collector.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []
        self.of_thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        thread = threading.get_ident()
        if thread == self.of_thread:
            self.found.append(record.getMessage())
            return
        handlers = _handlers(logging.getLogger(record.name))
        collectors = [each for each in handlers if isinstance(each, _Collector)]
        told = len(handlers) > len(collectors) or any(
            each.of_thread == thread for each in collectors
        )
        if not told and collectors[:1] == [self] and logging.lastResort is not None:
            logging.lastResort.handle(record)


def _handlers(logger: logging.Logger) -> list[logging.Handler]:
    """All that get what a logger is told, its own first."""
    above = _handlers(logger.parent) if logger.propagate and logger.parent is not None else []
    return [*logger.handlers, *above]
