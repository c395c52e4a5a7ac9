"""OME-Zarr 0.5 that is written block by block in any order, is resumed after an interruption, and
has a pyramid.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import at_home
from napari_mdeblurgan.plain_text import for_metadata
from napari_mdeblurgan.storage.blocks import blocks, natural_edges, untold
from napari_mdeblurgan.storage.display import ChannelDisplay, GreyCalibration
from napari_mdeblurgan.storage.live_pyramid import LivePyramid, known_level, live_level
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.ome_zarr_chunks import ChunkStore, create_arrays, told
from napari_mdeblurgan.storage.ome_zarr_layout import CHUNK_EDGE, Layout, attributes, check_axes
from napari_mdeblurgan.storage.ome_zarr_metadata import OWN_KEY, PARTIAL, PROVENANCE_KEY, unfinished
from napari_mdeblurgan.storage.provenance import RESTORED_JOB

YOUNG = re.compile(r"zarr\.[0-9a-f]+\.partial")  # metadata that zarr was writing


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
        with told(self.path):
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
        with told(self.path):
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
    with told(path):
        if path.exists() and not (in_place and _unfinished(path)):
            raise FileError(f"{path} is there already; remove it, or choose another name.")
        if not _same(store, job):
            if store.path.exists():
                if not _unfinished(store.path):
                    raise FileError(
                        f"{store.path} is in the way; remove it, or choose another name."
                    )
                shutil.rmtree(store.path)
            create_arrays(store.path, layout, attributes(layout, job, finished=False, windows=None))
        return OmeZarrWriter(path, store, job)


def begun_job(path: str | Path, *, in_place: bool = False) -> str | None:
    """The `job` of an OME-Zarr that `create_ome_zarr` has begun there and that is not finished;
    None if there is none.
    """
    path = at_home(path)
    place = path if in_place else path.with_name(path.name + PARTIAL)
    found = _attributes(place)
    job = found[OWN_KEY].get("job") if _begun(place, found) else None
    return job if isinstance(job, str) else None


def begun_fraction(path: str | Path) -> float | None:
    """How much of an unfinished OME-Zarr is on disk at full resolution, from 0 to 1; only reads.

    Parameters
    ----------
    path : str or Path
        The folder itself, whose name ends in ".partial"; None comes back if `create_ome_zarr` has
        not begun it.
    """
    import zarr

    place = Path(path)
    if place.is_symlink() or not _begun(place, _attributes(place)):
        return None
    try:
        array = zarr.open_array(str(place / "0"), mode="r")
    except (OSError, ValueError, KeyError, RecursionError):
        return None
    return array.nchunks_initialized / array.nchunks if array.nchunks else None


def finished_job(path: str | Path) -> str | None:
    """The `job` of an OME-Zarr that `create_ome_zarr` has begun and that is finished; None if there
    is none.
    """
    found = _attributes(at_home(path)).get(OWN_KEY)
    job = found.get("job") if isinstance(found, Mapping) and found.get("finished") is True else None
    return job if isinstance(job, str) else None


def write_ome_zarr(
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
        for block in blocks(image, chunk, tell):
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

    with told(path):
        group = zarr.open_group(str(path), mode="r+")
        own: Any = group.attrs[OWN_KEY]
        group.attrs[OWN_KEY] = {**own, PROVENANCE_KEY: dict(provenance)}


def _attributes(path: Path) -> dict[str, Any]:
    import zarr

    try:
        return zarr.open_group(str(path), mode="r").attrs.asdict()
    except (OSError, ValueError, KeyError, RecursionError):
        return {}


def _unfinished(path: Path) -> bool:
    """Whether a folder was begun by this program: it has its mark, or is so young that there is
    nothing in it yet.
    """
    return _begun(path, _attributes(path)) or (
        path.is_dir() and all(YOUNG.fullmatch(file.name) for file in path.iterdir())
    )


def _begun(path: Path, attributes: Mapping[str, Any]) -> bool:
    """Whether attributes are those of an OME-Zarr on its way; it may have been killed when it
    lacked but its name.
    """
    return (
        isinstance(attributes.get(OWN_KEY), Mapping)
        if path.name.endswith(PARTIAL)
        else unfinished(attributes)
    )


def _same(store: ChunkStore, job: str) -> bool:
    """Whether what is on disk was begun for the same job, image and chunks, and
    has all its arrays.
    """
    found, expected = (
        _attributes(store.path),
        attributes(store.layout, job, finished=False, windows=None),
    )
    if not _begun(store.path, found) or _as_begun(found) != _as_begun(expected):
        return False
    levels = range(len(store.layout.levels))
    if not all((store.path / str(level) / "zarr.json").is_file() for level in levels):
        return False
    return all(store.array(level).chunks == store.layout.stored_chunk(level) for level in levels)


def _as_begun(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What of the attributes does not change when the image is finished, nor with its name, nor
    with the date in its record.
    """
    ome, own = dict(attributes.get("ome", {})), dict(attributes.get(OWN_KEY, {}))
    own.pop(PROVENANCE_KEY, None)
    multiscales = [
        {key: each[key] for key in each if key != "name"} for each in ome.pop("multiscales", [])
    ]
    channels = ome.pop("omero", {}).get("channels", [])
    named = [
        {key: value for key, value in channel.items() if key != "window"} for channel in channels
    ]
    return {
        "ome": ome,
        "multiscales": multiscales,
        "own": own | {"finished": False},
        "channels": named,
    }


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
