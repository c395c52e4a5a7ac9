"""Memory of their own for maps that outlive many others.

A network makes and frees a hundred maps for every tile. Where a few stay in between them, the C
library finds the gaps too small for maps of the next size and takes more and more from the system:
half as much again, and how much depends on the sizes of the tiles. So what stays gets pages of its
own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from napari_mdeblurgan.lent_pages import lent_pages

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
        Channels last, with any values.

    Raises
    ------
    MemoryError
        If there is not so much memory.
    """
    batch, features, height, width = shape
    count = math.prod(shape)
    if like.device.type != "cpu" or count * like.dtype.itemsize < WORTHWHILE_BYTES:
        return torch.empty(
            *shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
        )
    return (
        torch.frombuffer(lent_pages(count * like.dtype.itemsize), dtype=like.dtype, count=count)
        .view(batch, height, width, features)
        .permute(0, 3, 1, 2)
    )
