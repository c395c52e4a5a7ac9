"""The chunks of an OME-Zarr that is being written: each is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.atomic import writing_errors
from napari_mdeblurgan.own_folder import refuse_links
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_layout import Layout

if TYPE_CHECKING:
    import zarr

CODEC_LEVEL = 1
HALF_WRITTEN = re.compile(r"\d+\.[0-9a-f]+\.partial")  # chunks that zarr was writing


@dataclass(frozen=True, slots=True)
class Chunk:
    """Which chunk of a level: the plane that it is in, and its row and column."""

    plane: tuple[int, ...]
    row: int
    column: int


@dataclass(frozen=True)
class ChunkStore:
    """The arrays of an OME-Zarr by their chunks; it can be sent to other processes, which may write
    at the same time.

    Attributes
    ----------
    path : Path
        Where the OME-Zarr is.
    layout : Layout
        Of the image.
    """

    path: Path
    layout: Layout

    def region(self, level: int, chunk: Chunk) -> tuple[slice, ...]:
        """Where a chunk is in the array of its level."""
        leading = zip(
            chunk.plane,
            self.layout.stored_shape(level),
            self.layout.stored_chunk(level),
            strict=False,
        )
        planes = (slice(i * edge, min((i + 1) * edge, length)) for i, length, edge in leading)
        spans = zip(
            (chunk.row, chunk.column), self.layout.chunk, self.layout.levels[level], strict=True
        )
        return (
            *planes,
            *(slice(i * edge, min((i + 1) * edge, length)) for i, edge, length in spans),
        )

    def write(self, level: int, chunk: Chunk, pixels: np.ndarray) -> None:
        """Write a chunk of stored shape.

        Raises
        ------
        FileError
            If the disk is full or may not be written to.
        """
        with writing_errors(self.path):
            self.array(level)[self.region(level, chunk)] = pixels

    def read(self, level: int, chunk: Chunk) -> np.ndarray:
        """Read a chunk; zeros where it is not there yet."""
        return np.asarray(self.array(level)[self.region(level, chunk)])

    def array(self, level: int) -> zarr.Array:
        """The zarr array of a level."""
        return _array(
            str(self.path / str(level)),
            self.layout.stored_shape(level),
            self.layout.chunk,
            self.layout.dtype,
        )

    def write_block(
        self, index: tuple[int, ...], y: int, x: int, pixels: np.ndarray
    ) -> list[Chunk]:
        """Write a block of the image at full resolution that is made of whole chunks.

        Parameters
        ----------
        index : tuple of int
            Position along the axes before Y, in the order that the image has them.
        y, x : int
            The block's first row and column.
        pixels : ndarray, shape (y, x) or (y, x, colours)
            Of any type; it is converted to the image's.

        Returns
        -------
        list of Chunk
            The chunks written.

        Raises
        ------
        FileError
            If the disk is full or may not be written to.
        ValueError
            If the block does not start and end with chunks.
        """
        parts = self.parts(index, y, x, pixels)
        for chunk, part in parts:
            self.write(0, chunk, part)
        return [chunk for chunk, _ in parts]

    def parts(
        self, index: tuple[int, ...], y: int, x: int, pixels: np.ndarray
    ) -> list[tuple[Chunk, np.ndarray]]:
        """The chunks that make up a block, each with its pixels as they are stored."""
        planar = (np.moveaxis(pixels, -1, 0) if self.layout.rgb else pixels).astype(
            self.layout.dtype, copy=False
        )
        parts = []
        for chunk in self.chunks_in(index, y, x, *pixels.shape[:2]):
            region = self.region(0, chunk)
            rows, columns = region[-2:]
            part = planar[..., rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
            parts.append(
                (
                    chunk,
                    np.ascontiguousarray(part).reshape([edge.stop - edge.start for edge in region]),
                )
            )
        return parts

    def chunks_in(
        self, index: tuple[int, ...], y: int, x: int, height: int, width: int
    ) -> list[Chunk]:
        """The chunks that make up a block of the image at full resolution."""
        spans = []
        for start, length, edge, whole in zip(
            (y, x), (height, width), self.layout.chunk, self.layout.levels[0], strict=True
        ):
            stop = start + length
            if start % edge or (stop % edge and stop != whole) or not 0 <= start < stop <= whole:
                raise ValueError(
                    f"The block {start}:{stop} is not made of whole chunks of {edge} pixels in "
                    f"{whole}."
                )
            spans.append(range(start // edge, -(-stop // edge)))
        plane = self.plane(index)
        return [Chunk(plane, row, column) for row in spans[0] for column in spans[1]]

    def plane(self, index: tuple[int, ...]) -> tuple[int, ...]:
        """Position along the stored axes before y and x, of a position along the image's own."""
        leading = dict(zip(self.layout.axes, index, strict=False)) | (
            {"C": 0} if self.layout.rgb else {}
        )
        return tuple(leading[axis] for axis in self.layout.stored_axes[:-2])

    def done(self, level: int) -> np.ndarray:
        """Which chunks of a level are on disk: bool, (planes..., rows, columns). Remains of
        interrupted writing go.

        Raises
        ------
        FileError
            If there are links among them, which might lead anywhere.
        """
        found = np.zeros((*self.layout.planes, *self.layout.grid(level)), bool)
        folder = self.path / str(level) / "c"
        refuse_links([self.path, folder.parent, folder])
        for position in _files(folder, found.ndim):
            if all(i < length for i, length in zip(position, found.shape, strict=True)):
                found[position] = True
        return found


def create_arrays(path: Path, layout: Layout, attributes: dict[str, Any]) -> None:
    """Make the group and the arrays of an OME-Zarr without pixels."""
    import zarr
    from zarr.codecs import BloscCodec

    from napari_mdeblurgan.storage.ome_zarr.zarr_store import FileStore

    store = FileStore(path, read_only=False)
    codec = BloscCodec(cname="zstd", clevel=CODEC_LEVEL, shuffle="bitshuffle")
    group = zarr.create_group(store, zarr_format=3, attributes=attributes)
    for level in range(len(layout.levels)):
        group.create_array(
            str(level),
            shape=layout.stored_shape(level),
            chunks=layout.stored_chunk(level),
            dtype=layout.dtype,
            compressors=[codec],
            dimension_names=list(layout.stored_axes.lower()),
        )
    _array.cache_clear()  # there may have been others of this name


@lru_cache(maxsize=64)
def _array(path: str, *_layout: object) -> zarr.Array:
    import zarr

    from napari_mdeblurgan.storage.ome_zarr.zarr_store import prepare_blosc

    prepare_blosc()
    return zarr.open_array(path, mode="r+", config={"write_empty_chunks": True})


def _files(folder: Path, depth: int) -> Iterator[tuple[int, ...]]:
    """Positions of the chunks in a folder."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.isdecimal():
                refuse_links([Path(entry.path)])
                if depth > 1:
                    yield from (
                        (int(entry.name), *rest) for rest in _files(Path(entry.path), depth - 1)
                    )
                elif entry.is_file() and entry.stat().st_size:
                    yield (int(entry.name),)
            elif HALF_WRITTEN.fullmatch(entry.name):
                Path(entry.path).unlink()
