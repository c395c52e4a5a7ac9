"""An image block by block, for files that are written in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.reading import read_parts

_AT_ONCE = 8
USUAL_EDGE = 1024
_EDGES = range(128, 4097, 16)


@dataclass(frozen=True, slots=True)
class PlaneBlock:
    """A part of a plane: the position of the plane, the first row and column, and the pixels, (y,
    x) or (y, x, colours).
    """

    index: tuple[int, ...]
    y: int
    x: int
    pixels: np.ndarray


def natural_edges(image: Micrograph) -> tuple[int, int]:
    """Height and width of the blocks that a lazy image has itself, where they are regular; else
    1024 × 1024.
    """
    chunks = getattr(image.data, "chunks", None)
    if chunks is None:
        return USUAL_EDGE, USUAL_EDGE
    along_yx = (chunks[image.axes.index(axis)] for axis in "YX")
    edges = [(each,) if isinstance(each, int) else each for each in along_yx]  # of zarr one number
    regular = all(
        len(set(along[:-1])) <= 1 and along[-1] <= along[0] and along[0] in _EDGES
        for along in edges
    )
    return (edges[0][0], edges[1][0]) if regular else (USUAL_EDGE, USUAL_EDGE)


def untold(share: float) -> None:
    """Tell nobody how much is done."""


def plane_blocks(
    image: Micrograph, edges: Sequence[int], tell: Callable[[float], None] = untold
) -> Iterator[PlaneBlock]:
    """All blocks, plane by plane and row by row; of a lazy image eight are computed at a time.

    Parameters
    ----------
    image : Micrograph
        In memory or lazy.
    edges : sequence of int
        Height and width of a block; smaller at the end of the image.
    tell : callable
        Called before each of them with the share of the blocks that come before it.
    """
    data, leading = image.data, image.axes.index("Y")
    height, width = data.shape[leading : leading + 2]
    waiting: list[tuple[tuple[int, ...], int, int, Any]] = []
    total = math.prod(data.shape[:leading]) * -(-height // edges[0]) * -(-width // edges[1])
    done = 0
    for index in np.ndindex(data.shape[:leading]):
        for y in range(0, height, edges[0]):
            for x in range(0, width, edges[1]):
                waiting.append(
                    (index, y, x, data[(*index, slice(y, y + edges[0]), slice(x, x + edges[1]))])
                )
                if len(waiting) == _AT_ONCE:
                    for block in _computed(waiting):
                        tell(done / total)
                        yield block
                        done += 1
                    waiting = []
    for block in _computed(waiting):
        tell(done / total)
        yield block
        done += 1


def _computed(waiting: list[tuple[tuple[int, ...], int, int, Any]]) -> Iterator[PlaneBlock]:
    parts = read_parts(tuple(part for *_, part in waiting))
    for (index, y, x, _), pixels in zip(waiting, parts, strict=True):
        yield PlaneBlock(index, y, x, np.asarray(pixels))
