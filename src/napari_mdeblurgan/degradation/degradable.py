"""What cannot be degraded, or not so, is refused in words."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_mdeblurgan.errors import ImageError, MdeblurganError

_FARTHEST = 1.0  # beyond [0, 1]: interpolation overshoots by less, and grey levels reach farther


class OpticsError(MdeblurganError):
    """An objective or a camera that cannot be."""


def take_numbers(settings: Any, **said: str) -> None:
    """Make sure that fields of frozen settings are numbers; those of numpy become plain ones, which
    look alike in every version.

    Parameters
    ----------
    settings : dataclass
        Whose fields.
    **said : str
        What each field is called.

    Raises
    ------
    OpticsError
        If one is no number.
    """
    for field, name in said.items():
        value = getattr(settings, field)
        check_number(value, name)
        if isinstance(value, np.generic):
            object.__setattr__(settings, field, value.item())


def check_number(value: Any, name: str) -> None:
    """Make sure that this is a number.

    Raises
    ------
    OpticsError
        If it is none.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise OpticsError(f"{name} is {value!r}; give a number.")


def check_whole(value: Any, name: str, least: int) -> None:
    """Make sure that this is a whole number from `least` on.

    Raises
    ------
    OpticsError
        If it is none, or less.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise OpticsError(f"{name} is {value!r}; give a whole number, {least} or more.")


def check_sharp(sharp: Any, seed: Any, scale: Any) -> None:
    """Make sure that images can be degraded.

    Raises
    ------
    ImageError
        If they are no images, or have no whole larger pixels.
    OpticsError
        If the seed or the scale is no such number.
    """
    check_whole(seed, "the seed", 0)
    check_whole(scale, "the scale", 1)
    if not (isinstance(sharp, Tensor) and sharp.ndim == 4 and sharp.numel()):
        shape = f" of the shape {tuple(sharp.shape)}" if hasattr(sharp, "shape") else ""
        raise ImageError(
            f"This {type(sharp).__name__}{shape} cannot be degraded; give a tensor (batch, "
            "channels, y, x), as `torch.from_numpy(plane)[None, None]` makes it."
        )
    if sharp.dtype not in (torch.float32, torch.float64):
        raise ImageError(
            f"Images of type {sharp.dtype} cannot be degraded; convert them to float32 in [0, 1]."
        )
    low, high = sharp.detach().aminmax()
    if not -_FARTHEST <= low <= high <= 1 + _FARTHEST:
        raise ImageError(
            f"Images to degrade lie in [0, 1], but these reach from {low:g} to {high:g}; scale "
            "them, and replace NaN."
        )
    height, width = sharp.shape[-2:]
    if height % scale or width % scale:
        raise ImageError(
            f"An image of {height} × {width} pixels has no whole pixels of {scale} × {scale}; "
            "crop it."
        )
