"""What is passed as an image, as the array that it holds."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from dask.local import get_sync

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.storage.lazy import by_block


def is_lazy(image: Any) -> bool:
    """Whether `image` is an array whose pixels are only read on demand (dask, zarr and the like).

    It has a shape and gives its parts; what can only be asked for the whole, as a sparse matrix of
    scipy, is none.
    """
    if isinstance(image, np.ndarray | np.generic) or not isinstance(
        getattr(image, "dtype", None), np.dtype
    ):
        return False
    return all(hasattr(image, name) for name in ("__getitem__", "shape", "ndim")) and not hasattr(
        image, "toarray"
    )


def as_array(image: Any) -> Any:
    """The numpy array or the lazy one that `image` is or holds, as xarray's do, else what numpy
    makes of it.

    Masked pixels of real numbers become NaN; of a lazy array when they are read.

    Raises
    ------
    ImageError
        If that is no array, or has masked pixels and a type without NaN; the latter of a lazy array
        when they are read.
    """
    if hasattr(image, "dims") and hasattr(
        image, "data"
    ):  # labelled arrays are not indexed as others are
        image = image.data
    if isinstance(image, np.ma.MaskedArray):
        return _without_mask(image)
    if not hasattr(image, "__array__") and hasattr(image, "toarray"):  # sparse matrices of scipy
        image = image.toarray()
    if is_lazy(image):
        return by_block(_without_mask, image) if is_masked(image) else image
    try:
        return np.asarray(image)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ImageError(
            f"This {type(image).__name__} is no image: {error}; pass an array of numbers."
        ) from error


def is_masked(image: Any) -> bool:
    """Whether an array, in memory or of dask, is of the kind whose pixels may be masked."""
    return isinstance(getattr(image, "_meta", image), np.ma.MaskedArray)


def _without_mask(image: np.ndarray) -> np.ndarray:
    if not isinstance(image, np.ma.MaskedArray):  # a block of an array of which others are masked
        return np.asarray(image)
    if not np.ma.is_masked(image):
        return np.asarray(image.data)
    if image.dtype.kind != "f":
        raise ImageError(
            f"{np.ma.count_masked(image)} pixels of the image are masked, and its type "
            f"{image.dtype} cannot say that a pixel is missing; convert it to float32 first."
        )
    return image.filled(np.nan)


def read(image: Any, index: tuple[Any, ...]) -> np.ndarray:
    """A part of an array in memory or of a lazy one; in this thread alone, as this may run within
    one of dask's tasks.

    Raises
    ------
    ImageError
        If numpy cannot take it, as what lies in the memory of a GPU.
    """
    part = image[index]
    if hasattr(part, "compute"):
        return part.compute(scheduler=get_sync)  # type: ignore[no-any-return]
    try:
        return np.asarray(part)
    except TypeError as error:
        raise ImageError(
            f"This {type(image).__name__} cannot be read: {error}; pass an array of numbers in "
            "memory that numpy can take."
        ) from error


class ReadInTurn:
    """A lazy array for several threads, which read it one at a time: nobody knows whether its
    source bears more.

    Parameters
    ----------
    image : array
        See `is_lazy`.
    lock : Lock
        Held while a part is read; it may be that of other arrays as well.
    """

    def __init__(self, image: Any, lock: Lock) -> None:
        self.shape, self.dtype, self.ndim = image.shape, image.dtype, image.ndim
        self._image, self._lock = image, lock

    def __getitem__(self, index: tuple[Any, ...]) -> np.ndarray:
        with self._lock:
            return read(self._image, index)


@dataclass(frozen=True, slots=True)
class Cutout:
    """A part of an array that stands for the whole, for a tile that reads nothing else.

    Attributes
    ----------
    pixels : ndarray, shape (y, x) or (y, x, colours)
        Of one image of the stack.
    y, x : int
        Where it begins in that.
    """

    pixels: np.ndarray
    y: int
    x: int

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        """A part of it, by the index that it has in the whole array."""
        rows, columns = (part for part in key if isinstance(part, slice))
        return self.pixels[
            rows.start - self.y : rows.stop - self.y, columns.start - self.x : columns.stop - self.x
        ]
