"""The C library's memory, and that of GPUs: what a restoration leaves free is given back to the
system.

How the library deals with its memory is settled for the whole process, some of it for good, and the
process belongs to others too: so nothing of it is set. By itself glibc keeps some of what the maps
of a network leave for those that come next, and `release` gives that back in the end. Other C
libraries are left as they are.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable

_OTHERS: list[Callable[[], None]] = []


def when_released(give_back: Callable[[], None]) -> Callable[[], None]:
    """Have `release` call this as well."""
    _OTHERS.append(give_back)
    return give_back


def release() -> None:
    """Give the system back what is free."""
    for give_back in _OTHERS:
        give_back()
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
