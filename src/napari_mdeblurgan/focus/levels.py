"""The grey values of a stack, without hot pixels, as float32 holds them and their squares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.focus.plane_parts import middle
from napari_mdeblurgan.restoration.arrays import as_array, is_lazy, read
from napari_mdeblurgan.restoration.intensity import Window, hot_pixels, unswayed
from napari_mdeblurgan.restoration.read_in_turn import each_in_turn

_PART_EDGE = 512  # pixels of an edge of the parts in which values are looked at
_FLAT = 256.0  # times the differences: with larger values float32 begins to lose these
_LEFT = 64.0  # times the differences: what such values are brought down to
_SMALL, _LARGE = 2.0**-10, 2.0**40  # between them are all values that need no other unit


@dataclass(frozen=True, slots=True)
class Levels:
    """What a grey value is taken for: so many units above an offset; mostly for itself.

    Attributes
    ----------
    offset : float
        In the stack's own grey values.
    unit : float
        A power of two, so that nothing is rounded.
    """

    offset: float = 0.0
    unit: float = 1.0

    @classmethod
    def of(cls, stack: Sequence[Any]) -> Levels:
        """Found in the middle of the first plane."""
        first = stack[0]
        if first.dtype.kind != "f" and first.dtype.itemsize <= 2:
            return cls()
        part: np.ndarray = np.asarray(first[middle(first.shape, _PART_EDGE)]).astype(np.float64)
        part = part[np.isfinite(part)]
        if not part.size:
            return cls()
        low, high = float(part.min()), float(part.max())
        differences, farthest = high / 2 - low / 2, max(abs(low), abs(high)) / 2
        offset = 0.0
        if 0 < differences * _FLAT < farthest:
            offset = low - _LEFT * 2 * differences
            farthest = (_LEFT + 1) * differences
        if farthest == 0 or _SMALL <= farthest <= _LARGE:
            return cls(offset)
        return cls(offset, 2.0 ** min(max(math.frexp(farthest)[1], -1000), 1000))

    def taken(self, values: np.ndarray) -> np.ndarray:
        """Values of the stack, as they are worked with."""
        if self == Levels():
            return values
        return ((values.astype(np.float64) - self.offset) / self.unit).astype(np.float32)

    def back(self, image: np.ndarray) -> np.ndarray:
        """Values that were worked with, as those of the stack."""
        return image if self == Levels() else image.astype(np.float64) * self.unit + self.offset


@dataclass(frozen=True)
class StackPlane:
    """A plane of a stack, of which every part is real numbers of a fit size; hot pixels have the
    median of their neighbours, for they are sharp in all planes, or in one that shows nothing.

    Attributes
    ----------
    plane : array
        (y, x) or (y, x, colours), numpy or lazy.
    levels : Levels
        Of the stack.
    """

    plane: Any
    levels: Levels

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the plane."""
        return tuple(self.plane.shape)

    @property
    def ndim(self) -> int:
        """Of the plane."""
        return int(self.plane.ndim)

    @property
    def dtype(self) -> np.dtype:
        """Of the plane in its stack."""
        return self.plane.dtype  # type: ignore[no-any-return]

    @property
    def chunks(self) -> Any:
        """Of a lazy plane; None where it has none."""
        return getattr(self.plane, "chunks", None)

    def __getitem__(self, key: Any) -> np.ndarray:
        """A part, read.

        Raises
        ------
        ImageError
            If a pixel has no value.
        """
        part = self._read(key)
        return self.levels.taken(self._calm(part))

    def _read(self, key: Any) -> np.ndarray:
        lazy = is_lazy(self.plane)
        part = read(self.plane, key) if lazy else np.asarray(as_array(self.plane[key]))
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            raise ImageError(
                "Some pixels of this stack are NaN, infinite or masked; give them a value, or cut "
                "them off, before its planes are put together."
            )
        return part

    def _calm(self, part: np.ndarray) -> np.ndarray:
        shape = (*part.shape[:2], -1)
        hot = hot_pixels(self._window.normalise(part).reshape(shape))
        if hot is None:
            return part
        part = part.copy()
        part.reshape(shape)[hot.places] = self._window.invert(hot.values, part.dtype)
        return part

    @cached_property
    def _window(self) -> Window:
        """Of intensity, found in the middle."""
        part = self._read(middle(self.shape, _PART_EDGE))
        return unswayed([part], [part])


def as_planes(stack: Sequence[Any]) -> list[StackPlane]:
    """The planes of a stack, to be worked with."""
    held = [as_array(plane) if is_lazy(plane) else plane for plane in stack]
    planes = each_in_turn(held)  # which all stages read
    levels = Levels.of(planes)
    return [StackPlane(plane, levels) for plane in planes]
