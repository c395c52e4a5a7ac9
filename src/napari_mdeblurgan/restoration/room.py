"""Whether disk and memory have room for a result."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.outputs import nearest
from napari_mdeblurgan.restoration.tiling import Region

if TYPE_CHECKING:
    from napari_mdeblurgan.storage import Micrograph

BEST_COMPRESSION = 0.25  # what is left of a micrograph's bytes on disk, if all goes well
PYRAMID = 4 / 3
LEAST_GB = 0.1  # that is told in GB
SHARE_OF_FREE = 0.9  # of the memory that is free
ASSESSED_BYTES = 44  # of memory that an assessment takes for each pixel of the image


def size_in_words(size: float) -> str:
    """A number of bytes in words: "1.5 GB", "0.4 MB"."""
    return f"{size / 1e9:,.1f} GB" if size >= LEAST_GB * 1e9 else f"{size / 1e6:,.1f} MB"


def check_room(path: Path, shape: tuple[int, ...], dtype: np.dtype, missing: float = 1.0) -> None:
    """Make sure that what is missing of a result has a chance to fit on the disk.

    Parameters
    ----------
    path : Path
        Of the result.
    shape, dtype
        The result's.
    missing : float
        Share of it that is not there yet.

    Raises
    ------
    FileError
        If the disk is far too small.
    """
    needed = math.prod(shape) * dtype.itemsize * PYRAMID * missing
    free = shutil.disk_usage(nearest(path.parent)).free
    if needed * BEST_COMPRESSION > free:
        raise FileError(
            f"{path} would take up to {size_in_words(needed)} and {size_in_words(free)} are free "
            "there; make room, choose another folder or restore a part of the image."
        )


def check_memory(
    path: Path, image: Micrograph, factor: int, region: Region | None, *, assessed: bool
) -> None:
    """Make sure that an image, its result and its maps fit into memory together.

    Parameters
    ----------
    path : Path
        Of the result.
    image : Micrograph
        That is to be restored, mostly not read yet.
    factor : int
        Pixels of the result for one of the image, along y and x.
    region : ((int, int), (int, int)) or None
        The part that is restored.
    assessed : bool
        Whether the result is assessed.

    Raises
    ------
    FileError
        If they do not.
    """
    values, kind = math.prod(image.data.shape), np.dtype(image.data.dtype)
    rows, columns = (image.data.shape[image.axes.index(axis)] for axis in "YX")
    part = math.prod(stop - start for start, stop in region) / (rows * columns) if region else 1.0
    pixels = values // image.data.shape[-1] if image.rgb else values
    made = values * kind.itemsize * factor**2 + (pixels * ASSESSED_BYTES if assessed else 0)
    needed = values * kind.itemsize + part * made
    free = psutil.virtual_memory().available
    if needed > SHARE_OF_FREE * free:
        raise FileError(
            f"{path} would take {size_in_words(needed)} of memory to make, and "
            f"{size_in_words(free)} are free; let it end in .ome.zarr, which is made "
            "block by block."
        )
