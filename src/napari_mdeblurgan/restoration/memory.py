"""The C library's memory: kept while a network works, given back afterwards.

The maps of a network are tens of megabytes, and they come and go a hundred times for every tile. glibc by default asks the
system anew for each of them and gives it back, and the system clears every page of it first, which takes long. So it is told
to keep what is up to 32 MB, and `release` gives it back in the end; more would only fragment the memory. Other C libraries
are left as they are.

For every convolution of every size oneDNN, by which torch computes on processors, makes machine code, a megabyte for three to
five, and by default keeps it for the last 1024. A tile needs some 100 of them.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys

KEPT_BYTES, HEAP_BYTES = 32 * 2**20, 64 * 2**20
KERNELS, KERNELS_VARIABLE = 256, "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
ARENAS = 2  # parts of its memory that threads do not share; each keeps what is freed in it
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8


@functools.cache
def keep() -> None:
    """From now on memory that is freed is kept for what comes next.

    How many kernels are kept is settled when the first is made, and left as it is where the user has settled it.
    """
    os.environ.setdefault(KERNELS_VARIABLE, str(KERNELS))
    libc = _glibc()
    if libc is not None:
        libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, 2**30)
        libc.mallopt(M_ARENA_MAX, ARENAS)
        libc.mallopt(M_TOP_PAD, HEAP_BYTES)  # nor are the heaps given up that threads have


def release() -> None:
    """Give the system back what is free."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
