"""What tells an image from what it was before."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_mdeblurgan.batch.inputs import Source
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import check_source
from napari_mdeblurgan.storage.micrograph import Micrograph


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of an image at one time.

    Attributes
    ----------
    size : int
        Bytes; of a folder, those of all its files.
    stamp : str
        Of a file its time of change in ns; of a folder the latest of its files and their number; of
        an array in memory a digest of its pixels, of a lazy one what dask knows it by, and where it
        lies.
    """

    size: int
    stamp: str


def fingerprint(source: Source) -> Fingerprint:
    """Look at a source as it is now; the pixels of files are not read.

    Raises
    ------
    FileError
        If the file is no longer there, or may not be looked at.
    """
    if source.image is not None:
        return _of_image(source.image)
    return path_fingerprint(source.path or Path())


def path_fingerprint(path: Path) -> Fingerprint:
    """Look at a file, or at all files of a folder, as they are now.

    Raises
    ------
    FileError
        If it is no longer there, or may not be looked at.
    """
    check_source(path)
    try:
        return _of_folder(path) if path.is_dir() else _of_file(path)
    except FileNotFoundError:
        raise FileError(f"{path} is no longer there; put it back and start again.") from None
    except PermissionError:
        raise FileError(f"{path} may not be read; ask for the permission to.") from None


def _of_file(path: Path) -> Fingerprint:
    status = path.stat()
    return Fingerprint(status.st_size, str(status.st_mtime_ns))


def _of_folder(folder: Path) -> Fingerprint:
    count = size = latest = 0
    for place, _, names in os.walk(folder):
        for name in names:
            status = Path(place, name).stat()
            count, size, latest = count + 1, size + status.st_size, max(latest, status.st_mtime_ns)
    return Fingerprint(size, f"{latest}/{count}")


def _of_image(image: Micrograph) -> Fingerprint:
    """Of an image that was handed over, with its place, which its result's file tells."""
    pixels = _of_array(image.data)
    return Fingerprint(pixels.size, f"{pixels.stamp} {image.axes} {image.place}")


def _of_array(data: object) -> Fingerprint:
    size = int(getattr(data, "nbytes", 0))
    if not isinstance(data, np.ndarray):
        from napari_mdeblurgan.restoration.scan_job import source_identity

        return Fingerprint(size, source_identity(data))
    digest = hashlib.blake2b(f"{data.shape} {data.dtype.str}".encode(), digest_size=16)
    for plane in data if data.ndim > 2 else (data,):
        digest.update(np.ascontiguousarray(plane).data)
    return Fingerprint(size, digest.hexdigest())
