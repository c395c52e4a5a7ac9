"""Images binned before they are restored: means over blocks of pixels, as a camera has them, and
where those lie.

An image whose pixels are much smaller than its blur holds nothing in the finer half of what its
pixels can hold. Binned 2 × 2 it loses nothing, and a ×2 model gives back the pixels that it had.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.errors import ImageError, in_code
from napari_mdeblurgan.restoration.arrays import is_lazy, read
from napari_mdeblurgan.storage.array_part import ArrayPart

if TYPE_CHECKING:
    from napari_mdeblurgan.storage.array_part import Spans
    from napari_mdeblurgan.storage.micrograph import Micrograph

_LARGEST = 16
AUTO_BINNING = "auto"


def checked_binning(binning: object) -> int:
    """The number of pixels along y and x that become one.

    Raises
    ------
    ImageError
        If that is no whole number from 1 to 16.
    """
    if (
        isinstance(binning, bool)
        or not isinstance(binning, Integral)
        or not 1 <= int(binning) <= _LARGEST
    ):
        raise ImageError(
            f"A binning of {in_code(binning)} is none; give a whole number from 1 (none) to "
            f"{_LARGEST}."
        )
    return int(binning)


def chosen_binning(wish: object) -> int | str:
    """A number of pixels, or "auto" for as many as each image needs.

    Raises
    ------
    ImageError
        If it is neither.
    """
    return AUTO_BINNING if wish == AUTO_BINNING else checked_binning(wish)


def binned(image: Any, binning: int, *, rgb: bool = False) -> Any:
    """Means over blocks of binning × binning pixels, in the image's own type.

    Parameters
    ----------
    image : array
        (..., y, x) or, if `rgb`, (..., y, x, colours): numpy or lazy.
    binning : int
        From 1 to 16; 1 leaves the image as it is.
    rgb : bool
        Whether the last axis holds colours.

    Returns
    -------
    array
        (..., ⌊y / binning⌋, ⌊x / binning⌋) of the same kind (numpy, dask, or read when asked for).
        Means of whole numbers are rounded; where one of the pixels of a block is NaN its mean is.
        Lines that do not fill a block at the end are left out.

    Raises
    ------
    ImageError
        If the binning is none, or the image has too few pixels for it.
    """
    binning = checked_binning(binning)
    if binning == 1:
        return image
    y = image.ndim - (3 if rgb else 2)
    if y < 0:
        raise ImageError(f"An image needs the axes y and x, but the shape is {tuple(image.shape)}.")
    if not can_be_binned(image.shape[y : y + 2], binning):
        edges = " × ".join(str(length) for length in image.shape[y : y + 2])
        raise ImageError(
            f"The image is {edges} pixels, too few to be binned {binning} × {binning}; choose a "
            "smaller binning."
        )
    if hasattr(image, "dask"):
        return _binned_lazily(image, binning, y)
    if is_lazy(image):
        return _binned_when_read(image, binning, y)
    result = np.empty(_shape(image.shape, binning, y), image.dtype)
    for index in np.ndindex(*image.shape[:y]):
        result[index] = block_means(image[index], binning=binning, y=0)
    return result


def binning_in_words(binning: int) -> str:
    """How an image was binned, for reports and metadata, such as "averaged 2 × 2 first"; empty if
    it was not.
    """
    return f"averaged {binning} × {binning} first" if binning > 1 else ""


def can_be_binned(plane: Sequence[int], binning: int) -> bool:
    """Whether a plane of so many pixels along y and x has enough of them."""
    return min(plane) >= 2 * binning


def binned_micrograph(image: Micrograph, binning: int) -> Micrograph:
    """The same of an image with its description: its pixels are larger, and the first one's centre
    lies further inside.

    Parameters
    ----------
    image : Micrograph
        In memory or lazy.
    binning : int
        As in `binned`.

    Raises
    ------
    ImageError
        As in `binned`.
    """
    if checked_binning(binning) == 1:
        return image
    data = binned(image.data, binning, rgb=image.rgb)
    return dataclasses.replace(
        image, data=data, binning=image.binning * binning, **image.frame(1 / binning)
    )


def _shape(shape: tuple[int, ...], binning: int, y: int) -> tuple[int, ...]:
    return (*shape[:y], shape[y] // binning, shape[y + 1] // binning, *shape[y + 2 :])


def block_means(pixels: np.ndarray, *, binning: int, y: int) -> np.ndarray:
    """Means over blocks of pixels of an array in memory, whose axes y and y + 1 they are; see
    `binned`.
    """
    shape = _shape(pixels.shape, binning, y)
    height, width = shape[y], shape[y + 1]
    whole = pixels[(slice(None),) * y + (slice(height * binning), slice(width * binning))]
    blocks = whole.reshape(*shape[:y], height, binning, width, binning, *shape[y + 2 :])
    exact = np.float64 if pixels.dtype.itemsize > 2 else np.float32
    means = blocks.mean(axis=(y + 1, y + 3), dtype=exact)
    if pixels.dtype.kind == "b":
        return means >= 0.5
    return (np.rint(means) if pixels.dtype.kind in "iu" else means).astype(pixels.dtype)


def _binned_lazily(image: Any, binning: int, y: int) -> Any:
    """Of a dask array, whose chunks become whole numbers of blocks."""
    shape = _shape(image.shape, binning, y)
    image = image[(slice(None),) * y + (slice(shape[y] * binning), slice(shape[y + 1] * binning))]
    image = image.rechunk({axis: _whole_blocks(image.chunks[axis], binning) for axis in (y, y + 1)})
    chunks = list(image.chunks)
    for axis in (y, y + 1):
        chunks[axis] = tuple(length // binning for length in chunks[axis])
    meta = np.empty((0,) * image.ndim, image.dtype)
    return image.map_blocks(
        block_means, binning=binning, y=y, dtype=image.dtype, chunks=tuple(chunks), meta=meta
    )


def _whole_blocks(chunks: tuple[int, ...], binning: int) -> tuple[int, ...]:
    """Sizes of chunks that end at whole blocks, as near as can be to where they ended."""
    ends = sorted({end // binning * binning for end in np.cumsum(chunks).tolist()} - {0})
    return tuple(int(end - start) for start, end in zip([0, *ends], ends, strict=False))


def _binned_when_read(image: Any, binning: int, y: int) -> ArrayPart:
    """Of another lazy array, such as zarr's."""

    def part(spans: Spans) -> np.ndarray:
        whole: list[Any] = []
        for axis, span in enumerate(spans):
            edge = binning if axis in (y, y + 1) else 1
            first, last = (
                (span, span)
                if isinstance(span, int)
                else (min(span, default=0), max(span, default=-1))
            )
            whole.append(slice(first * edge, (last + 1) * edge))
        means = block_means(read(image, tuple(whole)), binning=binning, y=y)
        return means[
            tuple(0 if isinstance(span, int) else slice(None, None, span.step) for span in spans)
        ]

    return ArrayPart(part, _shape(image.shape, binning, y), image.dtype)
