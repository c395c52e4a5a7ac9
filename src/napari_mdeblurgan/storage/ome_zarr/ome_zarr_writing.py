"""OME-Zarr 0.5 that is written block by block in any order, is resumed after an interruption, and
has a pyramid.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from napari_mdeblurgan.atomic import writing_errors
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import at_home
from napari_mdeblurgan.plain_text import for_metadata
from napari_mdeblurgan.storage.block_by_block import natural_edges, plane_blocks, untold
from napari_mdeblurgan.storage.display import ChannelDisplay, GreyCalibration
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.ome_zarr.live_pyramid import LivePyramid, known_level, live_level
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_begun import begun_for, is_unfinished
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_chunks import ChunkStore, create_arrays
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_layout import (
    CHUNK_EDGE,
    Layout,
    attributes,
    check_axes,
)
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import OWN_KEY, PARTIAL, PROVENANCE_KEY
from napari_mdeblurgan.storage.provenance import RESTORED_JOB


class OmeZarrWriter:
    """An OME-Zarr that is being written; made by `create_ome_zarr`.

    Attributes
    ----------
    path : Path
        Where it will be when it is finished.
    store : ChunkStore
        Writes blocks from other processes too, without the pyramid: `writer.store.write_block(...)`
        there, then `writer.arrived(...)` here.
    levels : list of ArrayPart
        The image at every level as far as it is there, for a viewer.
    known : list of callable
        For every level, reads some spans of it and tells which of their pixels are there, see
        `known_level`.
    """

    def __init__(self, path: Path, store: ChunkStore, job: str) -> None:
        self.path, self.store = path, store
        self._job = job
        self._pyramid = LivePyramid(store)
        self._pyramid.revive()
        numbers = range(len(store.layout.levels))
        self.levels = [live_level(self._pyramid, level) for level in numbers]
        self.known = [known_level(self._pyramid, level) for level in numbers]

    def write(self, index: Sequence[int], y: int, x: int, pixels: np.ndarray) -> None:
        """Write a block of the image, and what follows of it in the pyramid; safe to use in several
        threads.

        Parameters
        ----------
        index : sequence of int
            Position along the axes before Y.
        y, x : int
            The block's first row and column: whole numbers of chunks.
        pixels : ndarray, shape (y, x) or (y, x, colours)
            Whole chunks, but for the last row and column of the image.

        Raises
        ------
        FileError
            If the disk is full or may not be written to.
        ValueError
            If the block does not start and end with chunks.
        """
        for chunk, part in self.store.parts(tuple(index), y, x, pixels):
            self.store.write(0, chunk, part)
            self._pyramid.add(0, chunk, part)

    def arrived(self, index: Sequence[int], y: int, x: int, height: int, width: int) -> None:
        """Take note of a block that another process has written.

        Raises
        ------
        FileError
            If the disk is full or may not be written to.
        ValueError
            If the block does not start and end with chunks.
        """
        for chunk in self.store.chunks_in(tuple(index), y, x, height, width):
            self._pyramid.add(0, chunk, self.store.read(0, chunk))

    def is_done(self, index: Sequence[int], y: int, x: int, height: int, width: int) -> bool:
        """Whether a block is on disk, from this process or an earlier one."""
        chunks = self.store.chunks_in(tuple(index), y, x, height, width)
        return all(self._pyramid.is_done(0, chunk) for chunk in chunks)

    def count(self) -> tuple[int, int]:
        """How many chunks are on disk at full resolution, and how many there will be."""
        return self._pyramid.count()

    def finish(self) -> Path:
        """Complete the pyramid, see to it that all is safe on disk, and give the OME-Zarr its name.

        Raises
        ------
        FileError
            If there are blocks missing, the disk is full, or the name has been taken in the
            meantime.
        """
        done, of = self.count()
        if done < of:
            raise FileError(
                f"{self.path} is not complete: {of - done} of its {of} chunks are missing; resume "
                "it."
            )
        self._pyramid.finish()
        with writing_errors(self.path):
            _set_attributes(self.store, self._job, finished=True, windows=self._windows())
            _flush(self.store.path)
            if self.store.path != self.path:
                if self.path.exists():
                    raise FileError(
                        f"{self.path} is there already; remove it, or choose another name."
                    )
                self.store.path.rename(self.path)
        return self.path

    def abandon(self) -> None:
        """Remove all that was written."""
        with writing_errors(self.path):
            shutil.rmtree(self.store.path)

    def abandon_empty(self) -> None:
        """Remove what was begun under another name than its own if there is no pixel in it to go on
        with.
        """
        if self.store.path != self.path and not self.count()[0]:
            shutil.rmtree(self.store.path, ignore_errors=True)

    def _windows(self) -> list[tuple[float, float]] | None:
        """Least and largest value of each channel in the coarsest level."""
        layout = self.store.layout
        if layout.rgb or not (layout.channel_names or layout.display):
            return None
        coarsest, axis = self.levels[-1], layout.axes.find("C")
        windows = []
        for channel in range(coarsest.shape[axis] if axis >= 0 else 1):
            low, high = np.inf, -np.inf
            for index in np.ndindex(
                *(1 if i == axis else n for i, n in enumerate(coarsest.shape[:-2]))
            ):
                plane = np.asarray(
                    coarsest[tuple(channel if i == axis else k for i, k in enumerate(index))]
                )
                finite = plane[np.isfinite(plane)]
                if finite.size:
                    low, high = min(low, float(finite.min())), max(high, float(finite.max()))
            windows.append((low, high) if low <= high else (0.0, 1.0))
        return windows


def create_ome_zarr(
    path: str | Path,
    shape: Sequence[int],
    axes: str,
    dtype: np.dtype | type | str,
    pixel_size: dict[str, float] | None = None,
    unit: str | None = None,
    channel_names: Sequence[str] = (),
    chunk: int | tuple[int, int] = CHUNK_EDGE,
    *,
    position: dict[str, float] | None = None,
    unitless: Iterable[str] = (),
    display: Sequence[ChannelDisplay] = (),
    grey_calibration: GreyCalibration | None = None,
    time_step_s: float | None = None,
    time_step: float | None = None,
    time_origin: float = 0.0,
    name: str = "",
    job: str = "",
    in_place: bool = False,
    reduction: str = "mean",
    provenance: Mapping[str, Any] | None = None,
) -> OmeZarrWriter:
    """Begin an OME-Zarr, or go on with one that was begun with the same arguments and never
    finished.

    It grows under the name with ".partial" added, until `OmeZarrWriter.finish` gives it its own.
    What was begun with other arguments under that name is removed.

    Parameters
    ----------
    path : str or Path
        Ends in ".zarr".
    shape, axes, pixel_size, unit, channel_names, position, unitless, name, display,
    grey_calibration time_step_s, time_step, time_origin, provenance
        As in `Micrograph`.
    dtype : dtype
        bool, an integer or a real number.
    chunk : int or tuple of int
        Height and width of a chunk; even numbers. Whoever writes must write whole chunks.
    job : str
        What makes the image (for example a digest of input, model and settings), so that it is only
        gone on with if that is the same.
    in_place : bool
        Have its own name from the beginning, as an image that is shown while it is made;
        `open_image` refuses it until it is finished.
    reduction : str
        How coarser levels are made of finer ones: "mean", "largest" or "first" of 2 × 2 pixels.

    Raises
    ------
    FileError
        If there is something of that name already, OME-Zarr cannot hold the image, or it cannot be
        written there.
    """
    path = at_home(path)
    check_axes(axes)
    edges = (chunk, chunk) if isinstance(chunk, int) else chunk
    if any(edge < 2 or edge % 2 for edge in edges):
        raise ValueError(
            f"Chunks of {edges[0]} × {edges[1]} pixels cannot be halved; take even numbers."
        )
    name, channel_names = for_metadata(name), tuple(map(for_metadata, channel_names))
    layout = Layout(
        tuple(map(int, shape)),
        axes,
        np.dtype(dtype).name,
        dict(pixel_size or {}),
        unit,
        tuple(channel_names),
        time_step_s,
        name,
        edges,
        reduction,
        dict(position or {}),
        frozenset(unitless),
        tuple(display),
        grey_calibration,
        time_step,
        time_origin,
        dict(provenance or {}),
    )
    store = ChunkStore(path if in_place else path.with_name(path.name + PARTIAL), layout)
    with writing_errors(path):
        if path.exists() and not (in_place and is_unfinished(path)):
            raise FileError(f"{path} is there already; remove it, or choose another name.")
        if not begun_for(store, job):
            if store.path.exists():
                if not is_unfinished(store.path):
                    raise FileError(
                        f"{store.path} is in the way; remove it, or choose another name."
                    )
                shutil.rmtree(store.path)
            create_arrays(store.path, layout, attributes(layout, job, finished=False, windows=None))
        return OmeZarrWriter(path, store, job)


def write_zarr_image(
    path: Path,
    image: Micrograph,
    *,
    reduction: str = "mean",
    tell: Callable[[float], None] = untold,
) -> None:
    """Write an image, in memory or lazy, in bounded memory; whole or not at all.

    Parameters
    ----------
    path : Path
        Ends in ".zarr".
    image : Micrograph
        What to write.
    reduction : str
        As for `create_ome_zarr`.
    tell : callable
        As for `write_image`.

    Raises
    ------
    FileError
        If there is something of that name already, OME-Zarr cannot hold the image, or it cannot be
        written there.
    """
    chunk = natural_edges(image)
    writer = create_ome_zarr(
        path,
        image.data.shape,
        image.axes,
        image.data.dtype,
        chunk=chunk,
        **image.frame(),
        display=image.display,
        grey_calibration=image.grey_calibration,
        name=image.name,
        job=RESTORED_JOB if image.restored else "",
        reduction=reduction,
        provenance=image.provenance,
    )
    try:
        for block in plane_blocks(image, chunk, tell):
            writer.write(block.index, block.y, block.x, block.pixels)
        writer.finish()
    except BaseException:
        with contextlib.suppress(FileError):
            writer.abandon()
        raise


def keep_provenance(path: Path, provenance: Mapping[str, Any]) -> None:
    """Keep a record in a finished OME-Zarr, in place of the one that it has.

    Raises
    ------
    FileError
        If it may not be written to.
    """
    import zarr

    with writing_errors(path):
        group = zarr.open_group(str(path), mode="r+")
        own: Any = group.attrs[OWN_KEY]
        group.attrs[OWN_KEY] = {**own, PROVENANCE_KEY: dict(provenance)}


def _set_attributes(
    store: ChunkStore, job: str, *, finished: bool, windows: list[tuple[float, float]] | None
) -> None:
    import zarr

    group = zarr.open_group(str(store.path), mode="r+")
    group.attrs.put(attributes(store.layout, job, finished=finished, windows=windows))


def _flush(folder: Path) -> None:
    """Wait until all files of a folder are on the disk itself."""

    def flush(path: Path) -> None:
        handle = os.open(path, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    with ThreadPoolExecutor(4) as pool:
        for root, _, names in os.walk(folder):
            for _ in pool.map(flush, [Path(root, name) for name in names]):
                pass
