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

_MOST_CHUNKS = 2**20  # along the outer axes
_NOWHERE = 255  # each byte of what the index of a shard tells of a chunk that is not stored
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
    edges = array.chunks
    stored = _stored_within_shards(place, array, outer)
    if stored is None:
        edges = array.shards or array.chunks
        stored = _stored_by_file(place, array, _grid(array.shape, edges)[:outer])
    depth = stored.ndim
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


def _grid(shape: tuple[int, ...], edges: tuple[int, ...]) -> list[int]:
    return [-(-length // edge) for length, edge in zip(shape, edges, strict=True)]


def _stored_by_file(place: Path, array: zarr.Array, grid: list[int]) -> np.ndarray:
    """Which positions in a grid of chunks, or of shards, have files; of as many of its axes as can
    be looked at soon.
    """
    depth = max(
        count
        for count in range(len(grid) + 1)
        if math.prod(grid[: max(count - 1, 0)]) <= _MOST_FOLDERS
    )
    stored = np.zeros(grid[:depth], bool)
    if stored.size < 2:
        return np.ones_like(stored)
    for position in _stored(place, array, depth):
        if all(i < length for i, length in zip(position, stored.shape, strict=True)):
            stored[position] = True
    return stored


def _stored_within_shards(place: Path, array: zarr.Array, outer: int) -> np.ndarray | None:
    """Which positions of chunks, along the outer axes, are stored, by the index that each shard
    has; None where no shard holds several of them, or they are too many to be looked at.
    """
    from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec

    shards, chunks = array.shards, array.chunks
    if shards is None or shards[:outer] == chunks[:outer]:
        return None
    grid, codec = _grid(array.shape, chunks)[:outer], getattr(array.metadata, "codecs", (None,))[0]
    shard_grid, within = _grid(array.shape, shards), _grid(shards, chunks)
    if math.prod(shard_grid) > _MOST_FOLDERS or math.prod(grid) > _MOST_CHUNKS:
        return None
    if not isinstance(codec, ShardingCodec) or not all(
        isinstance(each, BytesCodec | Crc32cCodec) for each in codec.index_codecs
    ):
        return None
    entries = 16 * math.prod(within)
    checksums = 4 * sum(isinstance(each, Crc32cCodec) for each in codec.index_codecs)
    begin = 0 if codec.index_location.value == "start" else -entries - checksums
    stored = np.zeros(grid, bool)
    for position in np.ndindex(*shard_grid):
        spans = zip(position[:outer], within, strict=False)
        part = stored[tuple(slice(i * count, (i + 1) * count) for i, count in spans)]
        file = place / array.metadata.encode_chunk_key(position)
        if part.all() or not file.is_file():
            continue
        index = _bytes_of(file, begin, entries)
        if index is None:  # damaged, as is said when it is read
            part[...] = True
            continue
        has_place = (index.reshape(*within, 16) != _NOWHERE).any(
            axis=(*range(outer, array.ndim), -1)
        )
        part |= has_place[tuple(map(slice, part.shape))]
    return stored


def _bytes_of(file: Path, begin: int, count: int) -> np.ndarray | None:
    """Bytes of a file from a place, counted from its end if negative; None where it ends before."""
    with contextlib.suppress(OSError), file.open("rb") as opened:
        size = opened.seek(0, 2)
        if count <= size and -begin <= size:
            opened.seek(begin % size if begin else 0)
            return np.frombuffer(opened.read(count), np.uint8)
    return None


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
