"""Arrays whose planes, or parts of them, are read one by one: what a format brings to be read
lazily.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import dask.array as da
import numpy as np
import psutil

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.lazy_arrays import StoredArray, lazily, stamp_of

_STACKS = "QIABEFG"  # letters for axes of which nothing more is known


class ReadRegion(Protocol):
    """Reads a part of a plane.

    It is given the place of the plane along the leading axes, and rows and columns as slices with a
    step of 1 within the plane, and gives pixels (rows, columns) or (rows, columns, colours).
    """

    def __call__(self, index: tuple[int, ...], rows: slice, columns: slice) -> np.ndarray: ...


class Planes:
    """What is indexed by integers and slices as an array is, and reads what lies in there. One part
    is read at a time.

    Parameters
    ----------
    shape : tuple of int
        Of the whole array: leading axes, y, x and, where there are colours, these.
    dtype : dtype
        Of the pixels.
    colours : bool
        Whether the last axis is that of colours.
    read : ReadRegion
        Reads a part of a plane; need not be safe in threads.
    close : callable, optional
        Called once the array is no longer needed.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype,
        colours: bool,
        read: ReadRegion,
        close: Callable[[], object] | None = None,
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.leading = len(shape) - (3 if colours else 2)
        self._read = read
        self._lock = threading.Lock()
        if close is not None:
            weakref.finalize(self, close)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read a part.

        Parameters
        ----------
        key : int, slice or tuple of these
            As for numpy; steps are positive.
        """
        keys = key if isinstance(key, tuple) else (key,)
        keys += (slice(None),) * (len(self.shape) - len(keys))
        wanted = [
            range(length)[each]
            if isinstance(each, slice)
            else range(length)[each : each + 1 or None]
            for each, length in zip(keys, self.shape, strict=True)
        ]
        outer, (rows, columns), rest = (
            wanted[: self.leading],
            wanted[self.leading : self.leading + 2],
            keys[self.leading + 2 :],
        )
        found = np.empty([len(each) for each in wanted], self.dtype)
        if found.size:
            spans = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
            for place in product(*(range(len(each)) for each in outer)):
                index = tuple(each[at] for each, at in zip(outer, place, strict=True))
                with self._lock:
                    pixels = self._read(index, *spans)
                found[place] = pixels[
                    (slice(None, None, rows.step), slice(None, None, columns.step), *rest)
                ]
        return found[tuple(slice(None) if isinstance(each, slice) else 0 for each in keys)]


def lazy_planes(
    path: Path,
    opener: Callable[..., Any],
    arguments: tuple,
    axes: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    piece: tuple[int, int] | None = None,
) -> da.Array:
    """An image that is read part by part by what `opener` gives.

    Parameters
    ----------
    path : Path
        The file.
    opener : callable
        A function of a module, called with the whole path and `arguments`, in whatever process
        reads; gives what is indexed.
    arguments : tuple
        Hashable and picklable.
    axes : str
        Letters, ending in "YX" or "YXS".
    shape, dtype
        Of the image.
    piece : (int, int), optional
        Height and width of what is best read at once; by default a whole plane.

    Raises
    ------
    FileError
        If a piece does not fit into memory, or there are too many.
    """
    y = axes.index("Y")
    height, width = piece or shape[y : y + 2]
    edges = tuple(
        {"Y": height, "X": width, "S": size}.get(axis, 1)
        for axis, size in zip(axes, shape, strict=True)
    )
    size = (
        min(height, shape[y])
        * min(width, shape[y + 1])
        * (shape[-1] if axes.endswith("S") else 1)
        * dtype.itemsize
    )
    if size > psutil.virtual_memory().available:
        raise FileError(
            f"{path} is stored in pieces of {size / 2**30:,.1f} GiB, each of which does not fit "
            "into memory; save it in tiles."
        )
    place = path.absolute()
    stored = StoredArray(
        path, opener, (str(place), *arguments), shape, dtype, stamp_of(path), place
    )
    return lazily(stored, edges, (y, y + 1))


def plain_letters(dimensions: Sequence[str]) -> str:
    """Axes of an image whose dimensions a library calls otherwise: what is no capital letter, or
    has that of another, is a stack, Q or I.

    Where there are more stacks than letters, names are left as they are.
    """
    free = (letter for letter in _STACKS if letter not in dimensions)
    letters: list[str] = []
    for name in dimensions:
        plain = len(name) == 1 and "A" <= name <= "Z" and name not in letters
        letters.append(name if plain else next(free, name))
    return "".join(letters)
