"""Whether a disk has room for a result."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.outputs import nearest

BEST_COMPRESSION = 0.25  # what is left of a micrograph's bytes on disk, if all goes well
PYRAMID = 4 / 3


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
            f"{path} would take up to {needed / 1e9:,.1f} GB and {free / 1e9:,.1f} GB are free there; make room, "
            "choose another folder or restore a part of the image."
        )
