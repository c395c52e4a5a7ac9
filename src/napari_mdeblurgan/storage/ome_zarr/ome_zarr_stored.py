"""Which planes of an OME-Zarr are stored: that a chunk was never written is no error there."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import zarr

_MOST_FOLDERS = 1000  # that are looked into for their names; else only outer axes are looked at


def remarks_on_planes(path: Path, place: Path, array: zarr.Array, axes: str) -> tuple[str, ...]:
    """A sentence where whole planes are not stored: an acquisition that was stopped leaves them so,
    and zarr stores none whose pixels are all the fill value.

    Parameters
    ----------
    path : Path
        The image, for the sentence.
    place : Path
        The folder of the array.
    array : zarr.Array
        Its finest level.
    axes : str
        Letters of its dimensions.
    """
    outer = min(axes.index("Y"), axes.index("X"))
    edges = (array.shards or array.chunks)[:outer]
    grid = [-(-length // edge) for length, edge in zip(array.shape, edges, strict=False)]
    depth = max(
        count for count in range(outer + 1) if math.prod(grid[: max(count - 1, 0)]) <= _MOST_FOLDERS
    )
    if math.prod(grid[:depth]) < 2:
        return ()
    stored = np.zeros(grid[:depth], bool)
    for position in _stored(place, array, depth):
        if all(i < length for i, length in zip(position, stored.shape, strict=True)):
            stored[position] = True
    each = math.prod(array.shape[depth:outer])
    lacking = each * sum(
        math.prod(
            min(edge, length - i * edge)
            for i, edge, length in zip(position, edges, array.shape, strict=False)
        )
        for position in np.argwhere(~stored).tolist()
    )
    if not lacking:
        return ()
    planes, instead = math.prod(array.shape[:outer]), array.fill_value or 0
    return (
        f"{path.name} stores {planes - lacking:,} of its {planes:,} planes: each pixel of the "
        f"others is {instead}, or an acquisition was stopped early.",
    )


def _stored(place: Path, array: zarr.Array, depth: int) -> Iterator[tuple[int, ...]]:
    """Positions, along the first so many axes, of chunks that have files."""
    parts = array.metadata.encode_chunk_key((0,) * array.ndim).split("/")
    if len(parts) >= array.ndim:
        yield from _in_folders(place.joinpath(*parts[: -array.ndim]), depth)
        return
    for name in _names(place):
        numbers = name.removeprefix("c.").split(".")
        if len(numbers) == array.ndim and all(map(str.isdecimal, numbers)):
            yield tuple(map(int, numbers[:depth]))


def _in_folders(folder: Path, depth: int) -> Iterator[tuple[int, ...]]:
    for name in _names(folder):
        if name.isdecimal() and depth > 1:
            yield from ((int(name), *rest) for rest in _in_folders(folder / name, depth - 1))
        elif name.isdecimal():
            yield (int(name),)


def _names(folder: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return [each.name for each in folder.iterdir()]
    return []
