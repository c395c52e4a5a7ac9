"""Arrays that stay in their file: nothing is read until a part is asked for, and then that part
alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from dask.base import tokenize

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.claims import check_blocks
from napari_mdeblurgan.storage.unreadable import unreadable

if TYPE_CHECKING:
    import dask.array as da

BLOCK_EDGE = 2048
_OPEN_FILES = 16
_STORED = "stored-"
MOST_PIECES = 65_536  # in a block: pieces are asked for all at once


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, of which any part can be read.

    It holds no open file, so that it can be sent to another thread, process or machine; each
    process opens the file when it reads for the first time.

    Attributes
    ----------
    path : Path
        The file or folder, as it is named in messages.
    opener : callable
        Called with `arguments`, gives what is indexed; a function of a module.
    arguments : tuple
        Hashable and picklable; the file among them with its whole path.
    shape, dtype
        Of the array.
    stamp : tuple of int
        Of the file when it was opened, see `stamp_of`; where it has become another one, reading is
        refused.
    stamped : Path
        The file that the stamp is of, with its whole path; of a folder one that is written anew
        with it.
    """

    path: Path
    opener: Callable[..., Any]
    arguments: tuple
    shape: tuple[int, ...]
    dtype: np.dtype
    stamp: tuple[int, int]
    stamped: Path

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read a part.

        Raises
        ------
        FileError
            If the file is gone, has changed since it was opened, or is damaged there.
        """
        try:
            if stamp_of(self.stamped) != self.stamp:
                raise FileError(f"{self.path} has changed since it was opened; open it again.")
            return np.asarray(_opened(self.opener, self.arguments, self.stamp)[key], self.dtype)
        except FileError:
            raise
        except FileNotFoundError:
            raise FileError(
                f"{self.path} is no longer there; put it back and start again."
            ) from None
        except MemoryError:
            raise FileError(
                f"A part of {self.path} does not fit into memory; save it in smaller tiles."
            ) from None
        except Exception as error:  # the decoders raise whatever a damaged file leads them to
            raise unreadable(self.path, error, part=True) from error


@lru_cache(maxsize=_OPEN_FILES)
def _opened(opener: Callable[..., Any], arguments: tuple, _stamp: tuple[int, int]) -> Any:
    return opener(*arguments)


def stamp_of(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in nanoseconds."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def lazily(stored: StoredArray, piece: tuple[int, ...], planes: tuple[int, int]) -> da.Array:
    """A dask array of blocks that are whole numbers of the pieces in the file, of some 4
    megapixels.

    Parameters
    ----------
    stored : StoredArray
        What to read from.
    piece : tuple of int
        Shape of the smallest part that the file lets one read.
    planes : tuple of int
        Which two dimensions are y and x.

    Raises
    ------
    FileError
        If there is no pixel, or there would be more blocks than can be worked with.
    """
    if 0 in stored.shape:
        size = " × ".join(map(str, stored.shape))
        raise FileError(f"{stored.path} has no pixels: its size is {size}; save it again.")
    if 0 in piece:
        size = " × ".join(map(str, piece))
        raise FileError(f"{stored.path} is stored in pieces of {size} pixels; save it again.")
    import dask.array as da  # takes half a second

    chunks = [min(edge, length) for edge, length in zip(piece, stored.shape, strict=True)]
    y, x = planes
    chunks[x] = _grown(chunks[x], stored.shape[x], min(BLOCK_EDGE, chunks[x] * MOST_PIECES))
    many = MOST_PIECES // max(chunks[x] // max(piece[x], 1), 1)
    tall = max(BLOCK_EDGE**2 // math.prod(chunks[axis] for axis in planes[1:]), 1)
    chunks[y] = _grown(chunks[y], stored.shape[y], max(min(tall, chunks[y] * many), 1))
    check_blocks(stored.path, stored.shape, chunks)
    name = _STORED + tokenize(stored.arguments, stored.stamp)
    meta = np.empty((0,) * stored.ndim, stored.dtype)
    return da.from_array(stored, tuple(chunks), name=name, asarray=False, fancy=False, meta=meta)


def stored_in(data: Any) -> StoredArray | None:
    """What a dask array reads from that `lazily` has made; None of any other, or of what was made
    of it.

    dask looks through all blocks of an array to find one: to read a plane out of 20,000 takes it 10
    to 30 ms.
    """
    name = getattr(data, "name", None)
    if not (isinstance(name, str) and name.startswith(_STORED)):
        return None
    original = f"original-{name}"
    node = data.dask.layers.get(original, {}).get(original)
    stored = getattr(node, "value", node)
    return stored if isinstance(stored, StoredArray) and stored.shape == data.shape else None


def transposed(data: Any, order: Sequence[int]) -> Any:
    """A numpy or dask array with its axes in another order.

    dask is told what comes out: where it finds out by itself it sets the filters of warnings. They
    belong to the whole process, and threads that do so at the same time leave them changed.
    """
    if isinstance(data, np.ndarray):
        return data.transpose(order)
    if list(order) == list(range(data.ndim)):
        return data
    import dask.array as da

    meta = np.empty((0,) * data.ndim, data.dtype)
    axes = tuple(order)
    return da.blockwise(
        np.transpose, axes, data, tuple(range(data.ndim)), axes=axes, dtype=data.dtype, meta=meta
    )


def by_block(function: Callable[..., np.ndarray], data: Any, *arguments: Any) -> Any:
    """What `function` makes of each value of a numpy or dask array; dask is told what comes out, as
    in `transposed`.
    """
    if isinstance(data, np.ndarray):
        return function(data, *arguments)
    meta = function(np.empty((0,) * data.ndim, data.dtype), *arguments)
    return data.map_blocks(function, *arguments, dtype=meta.dtype, meta=meta)


def _grown(edge: int, length: int, wanted: int) -> int:
    """The largest multiple of `edge` up to `wanted`, or `edge` itself."""
    return min(max(wanted // edge, 1) * edge, length)
