"""Colour images without a colour: what a grey camera saw, stored as red, green and blue. Models for
grey images know such images better.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration.arrays import is_lazy, read
from napari_mdeblurgan.restoration.intensity import spots, square_blocks
from napari_mdeblurgan.restoration.read_in_turn import read_in_turn
from napari_mdeblurgan.stopping import look_up

if TYPE_CHECKING:
    from napari_mdeblurgan.storage import Micrograph

FOR_COLOURS, FOR_GREY = 3, 1  # channels of a model
_STRIP_VALUES = 2**20
_looked_at: WeakKeyDictionary[Micrograph, bool] = WeakKeyDictionary()


def fitting_channels(image: Micrograph) -> int:
    """Channels of the models that know an image best: 1 for grey, be it stored in colours; else 3.

    Parameters
    ----------
    image : Micrograph
        In memory or lazy; a lazy one without a colour is read as a whole, once.
    """
    if not image.rgb:
        return FOR_GREY
    if image not in _looked_at:
        _looked_at[image] = is_colourless(image.data)
    return FOR_GREY if _looked_at[image] else FOR_COLOURS


def keep_kind(image: Micrograph, other: Micrograph) -> None:
    """Take note that another image is of the same kind, as it was made of the first."""
    if image in _looked_at:
        _looked_at[other] = _looked_at[image]


def is_colourless(image: Any) -> bool:
    """Whether red, green and blue are the same in every pixel.

    Parameters
    ----------
    image : array
        (..., y, x, 3 or 4), in memory or lazy. A lazy one is looked at in a few places first, and
        read until a pixel has a colour.
    """
    if not is_lazy(image):
        strip = max(1, _STRIP_VALUES // max(1, math.prod(image.shape[-2:])))
        return all(
            without_colour(image[(*index, slice(start, start + strip))])
            for index in np.ndindex(*image.shape[:-3])
            for start in range(0, image.shape[-3], strip)
        )
    source = read_in_turn(image)
    return seems_colourless(source) and all(
        _looked(source, block) for block in square_blocks(image.shape, 3)
    )


def seems_colourless(image: Any) -> bool:
    """The same of a few places of a lazy image, and of all of one in memory."""
    if not is_lazy(image):
        return is_colourless(image)
    return all(_looked(image, spot) for spot in spots(image.shape, 3))


def without_colour(pixels: np.ndarray) -> bool:
    """Whether red, green and blue are the same, or all NaN, in all pixels, (..., 3 or 4)."""
    red, *others = (pixels[..., colour] for colour in range(3))
    if pixels.dtype.kind != "f":
        return all(bool((red == other).all()) for other in others)
    return all(np.array_equal(red, other, equal_nan=True) for other in others)


def check_colourless(is_so: bool, model: str) -> None:
    """Make sure that a model for grey images is given none with colours.

    Raises
    ------
    ImageError
        If it is.
    """
    if not is_so:
        raise ImageError(
            f"The model {model} is for grey images and this image is RGB; choose a model for RGB "
            "images, such as rgb-x2."
        )


def _looked(image: Any, part: tuple[int | slice, ...]) -> bool:
    look_up()
    return without_colour(read(image, part))
