"""A focus stack of any size put together on disk: tile by tile into OME-Zarr, from which other
files are written.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.focus.focus_progress import FocusProgress
from napari_mdeblurgan.focus.further_axes import ManyInFocus, many_in_focus_steps
from napari_mdeblurgan.storage import open_image, write_image
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_writing import OmeZarrWriter, create_ome_zarr
from napari_mdeblurgan.storage.provenance import RESTORED_JOB
from napari_mdeblurgan.storage.writing import STREAMED_BYTES

if TYPE_CHECKING:
    from napari_mdeblurgan.storage import Micrograph

_ZARR = ".zarr"
# the folder of what is not wished for itself but has to be kept while the work goes on
PASSING = ".mdeblurgan-focus-"


@dataclass(frozen=True, slots=True)
class Growing:
    """An array on disk that is filled tile by tile.

    Attributes
    ----------
    writer : OmeZarrWriter
        Where it grows.
    times : float
        What is written is multiplied with it, and what is read is divided by it, as heights are in
        planes here and perhaps in µm there.
    """

    writer: OmeZarrWriter
    times: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole."""
        return self.writer.levels[0].shape

    def __setitem__(self, key: tuple[Any, ...], pixels: np.ndarray) -> None:
        """Fill a tile: whole numbers, then the rows and columns."""
        *index, rows, columns = key
        scaled = pixels if self.times == 1 else pixels * pixels.dtype.type(self.times)
        self.writer.write(index, rows.start, columns.start, scaled)

    def __getitem__(self, key: Any) -> Stored:
        """A part, which is read when numpy asks for it."""
        return Stored(self.writer.levels[0][key], self.times)


@dataclass(frozen=True, slots=True)
class Stored:
    """A part of an array on disk, in the units of the work."""

    data: Any
    times: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the part."""
        return tuple(self.data.shape)

    def __getitem__(self, key: Any) -> Stored:
        """A part of it."""
        return Stored(self.data[key], self.times)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The pixels that there are by now."""
        return (np.asarray(self.data) / np.float32(self.times)).astype(dtype or np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A file to be made.

    Attributes
    ----------
    path : Path or None
        Of any kind that is written; None if it is not wished for.
    like : Micrograph
        Axes, pixel sizes and all else that is said of it; its pixels do not count.
    times : float
        As in `Growing`.
    """

    path: Path | None
    like: Micrograph
    times: float = 1.0


def is_made_on_disk(path: Path, values: int, dtype: np.dtype) -> bool:
    """Whether a result is made tile by tile on disk: OME-Zarr, and what is large."""
    return path.suffix.lower() == _ZARR or values * dtype.itemsize > STREAMED_BYTES


def in_focus_on_disk_steps(
    planes: Any, further: tuple[int, ...], targets: dict[str, Target], **options: Any
) -> Generator[FocusProgress, None, ManyInFocus]:
    """Put a stack together into files, in bounded memory; closing it cancels it and leaves nothing.

    Parameters
    ----------
    planes, further
        As in `many_in_focus_steps`.
    targets : dict of str to Target
        For "image", "height" and "confidence".
    **options
        As in `many_in_focus_steps`.

    Returns
    -------
    ManyInFocus
        Its arrays are gone; what was chosen and what is to be known of it is told.

    Raises
    ------
    ImageError
        In one sentence, if this is no focus stack that can be used.
    FileError
        If a file cannot be written.
    """
    writers: dict[str, OmeZarrWriter] = {}
    first = next(target.path for target in targets.values() if target.path is not None)
    with _passing(first.absolute().parent) as folder:

        def make(name: str, shape: tuple[int, ...], dtype: np.dtype, edge: int) -> Growing:
            target = targets[name]
            writers[name] = _begun(target, folder() / f"{name}.ome.zarr", shape, dtype, edge)
            return Growing(writers[name], target.times)

        try:
            found = yield from many_in_focus_steps(planes, further, make=make, **options)
            for name, writer in writers.items():
                _ended(targets[name], writer)
        except BaseException:
            for writer in writers.values():
                with contextlib.suppress(FileError):
                    writer.abandon()
            raise
    return found


def _begun(
    target: Target, passing: Path, shape: tuple[int, ...], dtype: np.dtype, edge: int
) -> OmeZarrWriter:
    like, path = target.like, target.path
    return create_ome_zarr(
        path if path is not None and path.suffix.lower() == _ZARR else passing,
        shape,
        like.axes,
        dtype,
        chunk=edge,
        **like.frame(),
        display=like.display,
        grey_calibration=like.grey_calibration,
        name=like.name,
        job=RESTORED_JOB if like.restored else "",
    )


def _ended(target: Target, writer: OmeZarrWriter) -> None:
    """Give what was made its name, or write it into the file that is wished for."""
    if target.path is None:
        return
    whole = writer.finish()
    if target.path != whole:
        grown, like = open_image(whole), target.like  # the axes of which may be in another order
        write_image(target.path, replace(grown, name=like.name, restored=like.restored))


@contextlib.contextmanager
def _passing(beside: Path) -> Generator[Callable[[], Path], None, None]:
    """Gives a folder that is gone afterwards; it is made when it is asked for."""
    made: list[Path] = []

    def folder() -> Path:
        if not made:
            made.append(Path(tempfile.mkdtemp(prefix=PASSING, dir=beside)))
        return made[0]

    try:
        yield folder
    finally:
        for each in made:
            shutil.rmtree(each, ignore_errors=True)
