"""What is passed as an image, as the array that it holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from dask.local import get_sync

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.storage.lazy_arrays import by_block, stored_in
from napari_mdeblurgan.storage.lost_arrays import check_not_lost
from napari_mdeblurgan.storage.micrograph import check_size_known

_MADE_DENSE = ("toarray", "todense")  # what sparse arrays have, of scipy and of pydata

_PICTURES = re.compile(r"1|L|I|F|I;16\w*|RGB|RGBA")  # modes of Pillow that are read as they are


def is_lazy(image: Any) -> bool:
    """Whether `image` is an array whose pixels are only read on demand (dask, zarr and the like).

    It has a shape and gives its parts; what can only be asked for the whole, as a sparse array, is
    none, nor are several arrays, as the levels of a pyramid.
    """
    if isinstance(image, np.ndarray | np.generic | Sequence) or not isinstance(
        getattr(image, "dtype", None), np.dtype
    ):
        return False
    return all(hasattr(image, name) for name in ("__getitem__", "shape", "ndim")) and not any(
        hasattr(image, name) for name in _MADE_DENSE
    )


def as_array(image: Any) -> Any:
    """The numpy array or the lazy one that `image` is or holds, as xarray's and pint's do, else
    what numpy makes of it.

    Masked pixels of real numbers become NaN, sparse arrays dense; of a lazy array when they are
    read.

    Raises
    ------
    ImageError
        If that is no array, its size is not known, or it has masked pixels and a type without NaN;
        the latter of a lazy array when they are read.
    """
    if hasattr(image, "dims") and hasattr(
        image, "data"
    ):  # labelled arrays are not indexed as others are
        image = image.data
    if hasattr(image, "magnitude") and hasattr(image, "units"):
        image = image.magnitude
    if isinstance(image, np.ma.MaskedArray):
        return _without_mask(image)
    if isinstance(image, Sequence) and not isinstance(image, str | bytes | memoryview):
        _check_one_size(image)
    if isinstance(image, list | tuple):
        image = [as_array(each) if hasattr(each, "shape") else each for each in image]
    if hasattr(image, "getbands") and not _PICTURES.fullmatch(image.mode):
        raise ImageError(
            f"This {type(image).__name__} is of the mode {image.mode}, whose numbers are no greys "
            'and no RGB; call its `convert("RGB")` or `convert("L")` first.'
        )
    dense = next((name for name in _MADE_DENSE if hasattr(image, name)), None)
    if dense is not None:
        image = getattr(image, dense)()
    if is_lazy(image):
        check_size_known(image)
        plain = type(getattr(image, "_meta", None)) in (np.ndarray, type(None))
        return image if plain else by_block(as_array, image)
    try:
        array = np.asarray(image)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = str(error).rstrip(".")
        raise ImageError(
            f"This {type(image).__name__} is no image: {reason}; pass an array of numbers."
        ) from error
    if array.ndim < 2 and array.dtype.kind in "OSU":
        raise ImageError(
            f"This {type(image).__name__} is no image; pass an array of numbers, such as "
            "`read_image(path).data`."
        )
    return array


def _check_one_size(arrays: Sequence[Any]) -> None:
    """Make sure that several arrays, as the levels of a pyramid, can be one stack."""
    shapes = {tuple(each.shape): None for each in arrays if hasattr(each, "shape")}
    if len(shapes) > 1:
        sizes = ", ".join(" × ".join(map(str, shape)) for shape in shapes)
        raise ImageError(
            f"This {type(arrays).__name__} holds arrays of several sizes ({sizes}); pass one of "
            "them, such as the first, which is the largest of a pyramid."
        )


def check_order(image: Any) -> None:
    """Make sure that an array that names its axes, as xarray's do, has y and x last, but for
    colours.

    Raises
    ------
    ImageError
        If it has others there.
    """
    dims = getattr(image, "dims", ())
    names = [str(name).lower() for name in dims] if isinstance(dims, tuple) else []
    colours = len(names) > 2 and image.shape[-1] in (3, 4)
    places = [names[-2:], names[-3:-1]] if colours else [names[-2:]]
    if {"x", "y"} <= set(names) and not any(set(place) == {"x", "y"} for place in places):
        raise ImageError(
            f"This {type(image).__name__} has its axes in the order {', '.join(map(str, dims))}; "
            'call its `transpose(..., "y", "x")` first, so that y and x come last.'
        )


def is_masked(image: Any) -> bool:
    """Whether an array, in memory or of dask, is of the kind whose pixels may be masked."""
    return isinstance(getattr(image, "_meta", image), np.ma.MaskedArray)


def _without_mask(image: np.ma.MaskedArray) -> np.ndarray:
    if not np.ma.is_masked(image):
        return np.asarray(image.data)
    if image.dtype.kind != "f":
        count = np.ma.count_masked(image)
        raise ImageError(
            f"{count} {'pixel of the image is' if count == 1 else 'pixels of the image are'} "
            f"masked, and its type {image.dtype} cannot say that a pixel is missing; convert it to "
            "float32 first."
        )
    return image.filled(np.nan)


def read(image: Any, index: tuple[Any, ...]) -> np.ndarray:
    """A part of an array in memory or of a lazy one; in this thread alone, as this may run within
    one of dask's tasks.

    Raises
    ------
    ImageError
        If numpy cannot take it, as what lies in the memory of a GPU, or it is not what the lazy
        array has announced.
    FileError
        If the file, or the zarr array that it is read from, is gone.
    """
    stored = stored_in(image)
    part = image[index] if stored is None else stored[index]
    if hasattr(part, "compute"):
        pixels = as_announced(part.compute(scheduler=get_sync), part.shape, part.dtype)
        check_not_lost(pixels, part)
        return pixels
    try:
        pixels = np.asarray(part)
        check_not_lost(pixels, image)
        return pixels
    except TypeError as error:
        raise ImageError(
            f"This {type(image).__name__} cannot be read: {error}; pass an array of numbers in "
            "memory that numpy can take."
        ) from error


def as_announced(part: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A part of a lazy array as it was made. dask believes what it is told of shapes and types.

    Raises
    ------
    ImageError
        If it has another shape, or real numbers where the array has announced whole ones.
    """
    if part.shape != tuple(shape):
        raise ImageError(
            f"A part of the lazy image has the shape {part.shape} where it announced "
            f"{tuple(shape)}; put together what is of one size, and restore others by themselves."
        )
    if part.dtype.kind == "f" and np.dtype(dtype).kind in "biu":
        raise ImageError(
            f"A part of the lazy image is of the type {part.dtype} where it announced {dtype}; "
            "tell dask the right `dtype`."
        )
    return part


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
