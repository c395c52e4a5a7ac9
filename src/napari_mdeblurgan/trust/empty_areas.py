"""Areas of a stitched image where no picture was taken, filled with one value: they say nothing of
its noise, its blur or its result, and their edges are no structure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.restoration.intensity import bounds
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.stopping import look_up
from napari_mdeblurgan.trust.samples import sample_grid

_SQUARE = np.ones((5, 5), bool)  # an area is made of such squares; a dead pixel is none
LEAST_SHARE = 0.005  # of the pixels looked at
APART = 0.02  # of the range of all else: hardly anything comes nearer to the value
FEW_OF_RIM = 0.05  # of what lies right next to the areas, which begin in one step
_FEW = 0.01


def empty_level(image: Any, plan: RestorationPlan, channel: int | None = None) -> float | None:
    """The value of the empty areas of an image, or of one of its channels; None if it has none.

    It is 0 or, of whole numbers, the lowest or the highest that there can be, fills areas, and lies
    apart from all else, what is right next to them above all: around what is too bright for the
    camera, or darker than a background that was taken away, there are values of all sizes.

    Parameters
    ----------
    image : array
        What the plan was made for; a lazy one is read at a few places alone.
    plan : RestorationPlan
    channel : int, optional
        Number of its window of intensity.
    """
    if plan.dtype.kind == "b":
        return None
    levels = dict.fromkeys((0, *(bounds(plan.dtype) if plan.dtype.kind in "iu" else ())))
    parts = []
    for place in sample_grid(plan, channel):
        look_up()
        parts.append(place.read(image, plan))
    return next((float(level) for level in levels if _is_empty(parts, level)), None)


def _is_empty(parts: list[np.ndarray], level: float) -> bool:
    masks = [_areas(part, level) for part in parts]
    if sum(mask.sum() for mask in masks) < max(1, LEAST_SHARE * sum(mask.size for mask in masks)):
        return False
    off = [np.abs(part - np.float64(level)).mean(axis=-1) for part in parts]
    pairs = list(zip(off, masks, strict=True))
    rest = _known([apart[~mask] for apart, mask in pairs])
    rims = _known([apart[ndimage.binary_dilation(mask) & ~mask] for apart, mask in pairs])
    if not rest.size or not rims.size:
        return False
    low, high = np.quantile(rest, (_FEW, 1 - _FEW))
    return bool(min(low, np.quantile(rims, FEW_OF_RIM)) > APART * (high - low))


def _known(values: list[np.ndarray]) -> np.ndarray:
    all_of_them = np.concatenate(values)
    return all_of_them[np.isfinite(all_of_them)]


def _areas(block: np.ndarray, level: float) -> np.ndarray:
    """(y, x) bool: where all colours of (y, x, colours) have the value, over squares."""
    alike = (block == level).all(axis=-1)
    if not alike.any():
        return alike
    core = ndimage.binary_erosion(alike, _SQUARE, border_value=1)
    found: np.ndarray = ndimage.binary_dilation(core, _SQUARE) & alike
    return found


class WithoutEmpty:
    """An image whose empty areas have no number: real numbers, read part by part.

    Parameters
    ----------
    image : array
        In memory or lazy.
    level : float
        From `empty_level`.
    rgb : bool
        Whether the last axis are its colours.
    """

    def __init__(self, image: Any, level: float, *, rgb: bool) -> None:
        self._image, self._level, self._rgb = image, level, rgb
        self.shape, self.ndim = image.shape, image.ndim
        exact = image.dtype.kind == "f" or image.dtype.itemsize <= 2
        self.dtype = np.promote_types(image.dtype, np.float32) if exact else np.dtype(np.float64)

    def __getitem__(self, index: Any) -> np.ndarray:
        block = read(self._image, index)
        empty = _areas(block[..., :3] if self._rgb else block[..., None], self._level)
        values: np.ndarray = block.astype(self.dtype)
        values[empty] = np.nan
        return values


def without_empty(image: Any, level: float | None, *, rgb: bool) -> Any:
    """The image whose empty areas have no number; itself if it has none."""
    return image if level is None else WithoutEmpty(image, level, rgb=rgb)
