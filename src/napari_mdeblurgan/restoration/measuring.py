"""The windows of an image measured, a lazy one of any size too; step by step, as that may take
long.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

import numpy as np

from napari_mdeblurgan.restoration.arrays import is_lazy, read
from napari_mdeblurgan.restoration.intensity import (
    SPOT_EDGE,
    SPOTS,
    Window,
    gist,
    measure_window,
    sample,
    spots,
    square_blocks,
    unswayed,
)
from napari_mdeblurgan.restoration.label_maps import refuse_label_map
from napari_mdeblurgan.restoration.read_in_turn import read_in_turn
from napari_mdeblurgan.steps import finished, map_steps
from napari_mdeblurgan.storage.array_part import ArrayPart, Spans


def measured_windows(image: Any, rgb: bool, window_axes: Sequence[int] = ()) -> tuple[Window, ...]:
    """All of `measuring` in one go."""
    return finished(measuring(image, rgb, window_axes))


def measuring(
    image: Any, rgb: bool, window_axes: Sequence[int] = ()
) -> Generator[float, None, tuple[Window, ...]]:
    """The window of an image, or one for each entry of some leading axes.

    A lazy image that is larger than a few spots is read at these, and only where they are all of
    one value as a whole.

    Parameters
    ----------
    image : array
        (..., y, x) or, if `rgb`, (..., y, x, colours).
    rgb : bool
        Whether the last axis holds colours.
    window_axes : sequence of int
        Leading axes each combination of whose entries has a window, the last varying fastest.

    Yields
    ------
    float
        How much of the work is done, from 0 to 1, whenever a part of a lazy image was read. Closing
        the generator ends it.

    Raises
    ------
    ImageError
        If no value is finite, or the image is a label map.
    """
    if not window_axes:
        return ((yield from _one(image, rgb)),)
    first, *others = window_axes
    image = _sliced_unread(image)
    windows: list[Window] = []
    for entry in range(image.shape[first]):
        part = measuring(
            image[(*(slice(None),) * first, entry)], rgb, [axis - 1 for axis in others]
        )
        windows += yield from map_steps(part, partial(_so_far, entry, image.shape[first]))
    return tuple(windows)


def _sliced_unread(image: Any) -> Any:
    """The same array, but if it is one that is read where it is sliced, as those of zarr and HDF5,
    not before numpy asks for a part of that.
    """
    if not is_lazy(image) or hasattr(image, "dask") or isinstance(image, ArrayPart):
        return image
    source = read_in_turn(image)

    def pixels(spans: Spans) -> np.ndarray:
        parts = (each if isinstance(each, int) else slice(each.start, each.stop) for each in spans)
        return np.asarray(source[tuple(parts)])

    return ArrayPart(pixels, image.shape, image.dtype)


def _so_far(entry: int, entries: int, fraction: float) -> float:
    """How much is done of all entries, where so much is of one."""
    return (entry + fraction) / entries


def _one(image: Any, rgb: bool) -> Generator[float, None, Window]:
    image = read_in_turn(image)
    if not rgb:
        refuse_label_map(image)
    axes = 3 if rgb else 2
    colours = (..., slice(0, 3)) if rgb else (...,)
    if is_lazy(image) and math.prod(image.shape[: image.ndim - axes + 2]) <= SPOTS * SPOT_EDGE**2:
        image = read(image, (slice(None),) * image.ndim)
        yield 0.0
    if not is_lazy(image):
        parts = [part[colours] for part in sample(image, axes)]
        return unswayed(
            parts if any(np.isfinite(part).any() for part in parts) else [image[colours]],
            (image[spot][colours] for spot in spots(image.shape, axes)),
        )
    squares: list[np.ndarray] = []
    for spot in spots(image.shape, axes):
        squares.append(read(image, spot)[colours])
        yield 0.0
    seen = np.concatenate([square[np.isfinite(square)] for square in squares])
    if seen.size and seen.min() != seen.max():
        return unswayed([seen], squares)
    values, everywhere = [], list(square_blocks(image.shape, axes))
    for number, block in enumerate(everywhere, 1):
        values.append(gist(read(image, block)[colours]))
        yield number / len(everywhere)
    return measure_window(values)
