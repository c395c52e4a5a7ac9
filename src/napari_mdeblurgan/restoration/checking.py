"""What can be wrong with an image, a region or a wish: found while a restoration is planned."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_mdeblurgan.errors import ImageError, ModelError, in_code
from napari_mdeblurgan.restoration.arrays import is_lazy, read
from napari_mdeblurgan.restoration.intensity import SPOT_EDGE, SPOTS, Window, bounds, spots
from napari_mdeblurgan.restoration.room import SHARE_OF_FREE
from napari_mdeblurgan.restoration.tile_size import fitting_tile
from napari_mdeblurgan.restoration.tiling import SMALLEST_TILE, Region
from napari_mdeblurgan.short_numbers import short

if TYPE_CHECKING:
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.restoration.plan import RestorationPlan

MOST_CHANNELS = 16  # that a last axis so short is taken for, where the planes are much larger


def checked_card(model: Any) -> ModelCard:
    """The card of a model.

    Raises
    ------
    ModelError
        If it is no model.
    """
    if not hasattr(model, "card"):
        what = repr(model) if isinstance(model, str) else f"This {type(model).__name__}"
        raise ModelError(
            f"{what} is no model; pass what `load_model` returns, as in "
            '`restore(image, load_model("gray-x2"))`.'
        )
    card: ModelCard = model.card
    return card


def check_is_card(card: Any) -> None:
    """Make sure that this is the card of a model.

    Raises
    ------
    ModelError
        If it is not, such as the model itself.
    """
    if not hasattr(card, "channels"):
        raise ModelError(
            f"This {type(card).__name__} is no card of a model; pass `model.card` of what "
            "`load_model` returns."
        )


def check_made_for(plan: RestorationPlan, model: Any) -> None:
    """Make sure that a plan can be carried out by a model.

    Raises
    ------
    ModelError
        If it was made for one of another kind, or this is no model.
    """
    card = checked_card(model)
    if card.channels != plan.channels or card.scale % plan.factor or card.halo > plan.halo:
        raise ModelError(
            f"The plan was made for the model {plan.model}, not for one like {card.name}; make a "
            "new plan."
        )


def check_dtype(dtype: np.dtype) -> None:
    """Make sure that pixels of this type can be restored.

    Raises
    ------
    ImageError
        If they are no whole or real numbers of at most 64 bits.
    """
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise ImageError(
            f"An image of type {dtype} cannot be restored; convert it to an integer or "
            "floating-point type of at most 64 bits first."
        )


def has_colours(shape: tuple[int, ...], card: ModelCard, rgb: bool | None) -> bool:
    """Whether the last axis of an image holds colours.

    Raises
    ------
    ImageError
        If the model is for colours and there are none.
    """
    looks_rgb = len(shape) >= 3 and shape[-1] in (3, 4)
    if card.channels == 3:
        if rgb is False or not looks_rgb:
            first = rgb is not False and len(shape) >= 3 and shape[-3] in (3, 4)
            raise ImageError(
                f"The model {card.name} is for RGB images and this image is grey; choose a model "
                "for grey images, such as gray-x2"
                + (
                    ", or move its colours to the end, as `numpy.moveaxis(image, -3, -1)` does."
                    if first
                    else "."
                )
            )
        return True
    return looks_rgb if rgb is None else rgb


def check_shape(shape: tuple[int, ...], rgb: bool) -> None:
    """Make sure that an image has the axes and the pixels that it needs.

    Raises
    ------
    ImageError
        If it has not, or 3 or 4 colours are missing where it is `rgb`.
    """
    if rgb and shape[-1] not in (3, 4):
        raise ImageError(
            f"An RGB image has 3 or 4 colours along its last axis, but the shape is {shape}."
        )
    if len(shape) < (3 if rgb else 2):
        raise ImageError(f"An image needs the axes y and x, but the shape is {shape}.")
    if 0 in shape:
        raise ImageError(f"The image is empty: its shape is {shape}; choose one with pixels in it.")
    height, width = shape[-3:-1] if rgb else shape[-2:]
    if min(height, width) < 2:
        raise ImageError(
            f"The image is {height} × {width} pixels; at least 2 are needed along y and along x."
        )


def look_for_channels_last(shape: tuple[int, ...], rgb: bool) -> tuple[str, ...]:
    """A warning if the last axis, which is taken for x, is more likely one of channels."""
    if rgb or len(shape) < 3:
        return ()
    rows, height, width = shape[-3:]
    if width > MOST_CHANNELS or 4 * width > min(rows, height):
        return ()
    return (
        f"The image is taken for {math.prod(shape[:-2])} planes of {height} × {width} pixels; if "
        "its last axis holds channels, move them before y and x, as `numpy.moveaxis(image, -1, 0)` "
        "does.",
    )


def checked_channel_axes(
    axes: int | Iterable[int] | None, leading: int, ndim: int
) -> tuple[int, ...]:
    """Axes of an image of `ndim` axes, counted from the first one and in their order; -1 is the
    last.

    Raises
    ------
    ImageError
        If one is no whole number, or none of the `leading` ones.
    """
    try:
        given = () if axes is None else tuple(axes)  # type: ignore[arg-type]
    except TypeError:  # one number
        given = (axes,)  # type: ignore[assignment]
    found = set()
    for axis in given:
        position = axis + (ndim if axis < 0 else 0) if isinstance(axis, Integral) else -1
        if not 0 <= position < leading:
            raise ImageError(
                f"The channel axis {in_code(axis)} is not one of the {leading} axes before y and "
                "x; these are counted from 0."
            )
        found.add(int(position))
    return tuple(sorted(found))


def checked_region(region: Region | None, shape: tuple[int, int]) -> Region:
    """A region in whole pixels, of an image of this height and width; all of it for None.

    Raises
    ------
    ImageError
        If it is none, or does not lie within the image.
    """
    if region is None:
        return (0, shape[0]), (0, shape[1])
    try:
        (y0, y1), (x0, x1) = (tuple(_whole(edge) for edge in span) for span in region)
    except (TypeError, ValueError, OverflowError):
        raise ImageError(
            f"A region is ((y start, y stop), (x start, x stop)) in whole pixels, not "
            f"{in_code(region)}."
        ) from None
    if not (0 <= y0 < y1 <= shape[0] and 0 <= x0 < x1 <= shape[1]):
        raise ImageError(
            f"The region {region} does not lie within the image of {shape[0]} × {shape[1]} pixels."
        )
    return (y0, y1), (x0, x1)


def _whole(number: float) -> int:
    if int(number) != number:
        raise ValueError
    return int(number)


def per_axis(
    values: Sequence[float] | None, axes: int, default: float, name: str
) -> tuple[float, ...]:
    """A value for each of the axes, all of them `default` where none are given.

    Raises
    ------
    ImageError
        If there are more or fewer than axes, or they are no numbers.
    """
    if values is None:
        return (default,) * axes
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise ImageError(
            f"The {name} is one number for each axis, not {in_code(values)}."
        ) from None
    if len(numbers) != axes:
        raise ImageError(f"The {name} has {len(numbers)} values, but the image has {axes} axes.")
    return numbers


def checked_tile(
    tile: int | None,
    card: ModelCard,
    device: str,
    precision: str,
    memory_mb: int | None,
    *,
    quick: bool,
) -> int:
    """The largest edge of a tile in pixels: the one that is given, or else what fits.

    Raises
    ------
    ImageError
        If the one that is given is no whole number, or too small; or the memory is no such number.
    """
    if memory_mb is not None and not (isinstance(memory_mb, Real) and memory_mb > 0):
        raise ImageError(
            f"A tile cannot take {in_code(memory_mb)} MiB of memory; give a positive number, or "
            "None for what is at hand."
        )
    check_tile(tile)
    if tile is None:
        return fitting_tile(card, device, precision, quick=quick, memory_mb=memory_mb)
    return int(tile)


def check_tile(tile: int | None) -> None:
    """Make sure that a tile can have this edge in pixels, where one is given.

    Raises
    ------
    ImageError
        If it is no whole number, or too small.
    """
    if tile is not None and not (isinstance(tile, Integral) and tile >= SMALLEST_TILE):
        raise ImageError(
            f"A tile of {in_code(tile)} pixels is too small or no whole number; choose "
            f"{SMALLEST_TILE} or more."
        )


def given_windows(
    window: tuple[float, float] | Sequence[tuple[float, float]] | None, count: int, dtype: np.dtype
) -> tuple[Window, ...] | None:
    """`count` windows of intensity within the range of `dtype`; None where none are given.

    One pair of values stands for all.

    Raises
    ------
    ImageError
        If it is not one for each, or not a lower and a higher value of the image.
    """
    if window is None:
        return None
    pairs = np.asarray(window, dtype=object)
    pairs = np.broadcast_to(pairs, (count, 2)) if pairs.shape == (2,) else pairs
    if pairs.shape == (count, 2) and all(
        isinstance(value, Real) and value == value and abs(value) != math.inf
        for value in pairs.flat
    ):
        smallest, largest = (0.0, 1.0) if dtype.kind == "b" else bounds(dtype)
        windows = tuple(Window(max(low, smallest), min(high, largest)) for low, high in pairs)
        if all(each.low <= each.high for each in windows):
            return windows
    raise ImageError(
        f"The intensity range must be {count} pair(s) of a lower and a higher value of the image, "
        f"not {in_code(window)}."
    )


def looking_for_missing(
    image: Any, leading: int, region: Region
) -> Generator[None, None, tuple[str, ...]]:
    """A warning if some pixels of the region are NaN or infinite; a lazy image that is larger than
    a few spots is looked at there. Yields after every part; closing it ends the work.
    """
    if image.dtype.kind != "f":
        return ()
    area = tuple(slice(*each) for each in region)
    edges = tuple(stop - start for start, stop in region)
    shape = (*image.shape[:leading], *edges, *image.shape[leading + 2 :])
    few = math.prod(shape[:leading]) <= SPOTS
    whole = not is_lazy(image) or (few and math.prod(shape[: leading + 2]) <= SPOTS * SPOT_EDGE**2)
    parts: Iterable[np.ndarray]
    if whole:
        parts = (read(image, (*index, *area)) for index in np.ndindex(*shape[:leading]))
    else:
        squares = spots(shape, len(shape) - leading)
        parts = (read(image, (*spot[:-2], *_within(region, spot[-2:]))) for spot in squares)
    missing = total = 0
    for part in parts:
        missing += part.size - int(np.count_nonzero(np.isfinite(part)))
        total += part.size
        yield
    if missing == 0 or (whole and missing == total):
        return ()
    share = f"{100 if missing == total else short(min(100 * missing / total, 99))} %"
    if not whole:
        they = f"Some {share} of the values are NaN or infinite, as a few places show; they are"
    elif missing == 1:
        they = f"1 value ({share}) is NaN or infinite; it is"
    else:
        they = f"{missing} values ({share}) are NaN or infinite; they are"
    return (f"{they} NaN in the result, and the pixels beside that are guesses.",)


def _within(region: Region, square: Sequence[Any]) -> list[slice]:
    """Where a square of a region lies in the image."""
    spans = zip(region, square, strict=True)
    return [slice(start + each.start, min(start + each.stop, end)) for (start, end), each in spans]


def check_result_memory(
    shape: tuple[int, ...], leading: int, region: Region, factor: int, dtype: np.dtype
) -> None:
    """Make sure that there is memory for the result as one array.

    Raises
    ------
    ImageError
        If there is not.
    """
    area = math.prod((stop - start) * factor for start, stop in region)
    needed = math.prod(shape[:leading]) * area * math.prod(shape[leading + 2 :]) * dtype.itemsize
    free = psutil.virtual_memory().available
    if needed > SHARE_OF_FREE * free:
        raise ImageError(
            f"The result would take {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB of memory are "
            "free; restore a part of it, or pass the image as a dask array to `restore` and store "
            "the lazy result chunk by chunk."
        )
