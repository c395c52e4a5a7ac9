"""Memory of their own for maps that outlive many others.

A network makes and frees a hundred maps for every tile. Where a few stay in between them, the C
library finds the gaps too small for maps of the next size and takes more and more from the system:
half as much again, and how much depends on the sizes of the tiles. So what stays gets pages of its
own, which go back to the system once nobody needs them.
"""

from __future__ import annotations

import math
import mmap
import sys
from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import Tensor

WORTHWHILE_BYTES = 2**20


def empty_map(shape: Sequence[int], like: Tensor) -> Tensor:
    """Room for a map.

    Parameters
    ----------
    shape : sequence of int
        (batch, features, y, x).
    like : Tensor
        Its type and device are taken.

    Returns
    -------
    Tensor
        Channels last; on the processor and from 1 MiB on, zeros.

    Raises
    ------
    MemoryError
        If there is not so much memory.
    """
    batch, features, height, width = shape
    size = math.prod(shape) * like.dtype.itemsize
    if like.device.type != "cpu" or size < WORTHWHILE_BYTES:
        return torch.empty(
            *shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
        )
    try:
        pages = (
            mmap.mmap(-1, size)
            if sys.platform == "win32"
            else mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        )
    except (OSError, OverflowError) as error:
        raise MemoryError(f"There is no memory for a map of {size:,} bytes.") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # of a kernel that has none
            pages.madvise(mmap.MADV_HUGEPAGE)
    return (
        torch.frombuffer(pages, dtype=like.dtype)
        .view(batch, height, width, features)
        .permute(0, 3, 1, 2)
    )
