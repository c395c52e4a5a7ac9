"""Planes of image files: small ones are kept in memory, large ones stay in their files."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from dask.local import get_sync

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.storage import FileImage, Micrograph, open_image
from napari_mdeblurgan.storage.unreadable import unreadable

MEMORY_BYTES = 2 * 2**30
SMALL_BYTES = 32 * 2**20
RECENT_BYTES = 128 * 2**20
_OPEN_FILES = 32

Plane = tuple[FileImage, tuple[int, ...]]


class ImageStore:
    """Planes of image files, shared by all images of a folder; several threads may use it at once.

    Small planes (up to 32 MiB), and those of files that can only be read whole, are held in memory
    until the budget is spent, in the dtype of the file. Further ones are read anew when they are
    asked for; of these, the last few are at hand. Large planes are never held.

    A copy in another process begins empty, with a budget of its own.

    Parameters
    ----------
    memory_bytes : int
        The budget. 128 MiB more may be taken by the last few planes beyond it.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._budget = self._left = memory_bytes
        self._kept: dict[Plane, np.ndarray] = {}
        self._recent: OrderedDict[Plane, np.ndarray] = OrderedDict()
        self._files: OrderedDict[FileImage, Micrograph] = OrderedDict()
        self._maps: dict[object, np.ndarray] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[ImageStore], tuple[int]]:
        return ImageStore, (self._budget,)

    def opened(self, one: FileImage) -> Micrograph:
        """An image of a file, opened but not read, except for those that can only be read whole."""
        with self._lock:
            if one in self._files:
                self._files.move_to_end(one)
                return self._files[one]
        image = open_image(one.path, one.image)
        if not isinstance(image.data, np.ndarray):
            with self._lock:
                self._files[one] = image
                while len(self._files) > _OPEN_FILES:
                    self._files.popitem(last=False)
        return image

    def plane(
        self, one: FileImage, index: tuple[int, ...], opened: Micrograph | None = None
    ) -> Any:
        """(y, x) or (y, x, colours) in the file's dtype: an ndarray where the plane is small, else
        a dask array.

        Parameters
        ----------
        one : FileImage
            The image in its file.
        index : tuple of int
            One number for every axis before y.
        opened : Micrograph, optional
            The file, where it is open already.
        """
        key = (one, index)
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                found = self._recent.get(key)
        if found is not None:
            return found
        plane = (opened or self.opened(one)).data[index]
        if not read_whole(plane):
            return plane
        return self._remembered(key, computed(one.path, plane))

    def _remembered(self, key: Plane, plane: np.ndarray) -> np.ndarray:
        if plane.base is not None:
            plane = plane.copy()  # else the whole file would stay in memory
        with self._lock:
            if key not in self._kept:
                if plane.nbytes <= self._left:
                    self._kept[key] = plane
                    self._left -= plane.nbytes
                else:
                    self._recent[key] = plane
                    while (
                        len(self._recent) > 1
                        and sum(one.nbytes for one in self._recent.values()) > RECENT_BYTES
                    ):
                        self._recent.popitem(last=False)
        return plane

    def map(self, key: object, make: Callable[[], np.ndarray]) -> np.ndarray:
        """What `make` gave for this key the first time."""
        if key not in self._maps:
            self._maps[key] = make()
        return self._maps[key]


def read_whole(plane: Any) -> bool:
    """Whether a plane is read in one go rather than in pieces."""
    return isinstance(plane, np.ndarray) or plane.nbytes <= SMALL_BYTES


def computed(path: Path, piece: Any) -> np.ndarray:
    """The pixels of a lazy piece of a file.

    Raises
    ------
    FileError
        If they cannot be read.
    """
    if isinstance(piece, np.ndarray):
        return piece
    try:
        return np.asarray(piece.compute(scheduler=get_sync))
    except MdeblurganError:
        raise
    except Exception as error:  # the decoders raise whatever a damaged file leads them to
        raise unreadable(path, error) from error
