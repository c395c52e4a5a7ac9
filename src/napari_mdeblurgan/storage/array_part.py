"""Arrays for viewers, whose pixels are read only when numpy asks for them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Spans = tuple[
    int | range, ...
]  # what of a whole array: along each of its axes one place, or several


class ArrayPart:
    """A part of an array, perhaps with its axes in another order; a part of it is of the same kind.

    Parameters
    ----------
    read : callable
        Gives the pixels of some spans of the whole, without the axes of which these name but one
        place.
    shape, dtype
        Of the whole.
    spans : tuple of int or range, optional
        What of the whole this is; all of it by default.
    axes : tuple of int, optional
        The axes of the whole which this has, in their order; by default those that are left by
        `spans`.
    """

    def __init__(
        self,
        read: Callable[[Spans], np.ndarray],
        shape: Sequence[int],
        dtype: Any,
        spans: Spans | None = None,
        axes: tuple[int, ...] | None = None,
    ) -> None:
        self._read, self._whole, self.dtype = read, tuple(shape), np.dtype(dtype)
        self._spans = tuple(range(length) for length in shape) if spans is None else spans
        ranges = {axis: span for axis, span in enumerate(self._spans) if isinstance(span, range)}
        self._axes = tuple(ranges) if axes is None else axes
        self.shape = tuple(len(ranges[axis]) for axis in self._axes)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    def arranged(self, axes: Sequence[int]) -> ArrayPart:
        """The same with its axes in another order, as numpy's `transpose` takes it."""
        return ArrayPart(
            self._read,
            self._whole,
            self.dtype,
            self._spans,
            tuple(self._axes[axis] for axis in axes),
        )

    def __getitem__(self, key: Any) -> ArrayPart:
        """A part, given by whole numbers, slices and an ellipsis."""
        given = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in given:
            gap = given.index(Ellipsis)
            given[gap : gap + 1] = [slice(None)] * (self.ndim - len(given) + 1)
        spans = list(self._spans)
        for axis, wanted in zip(self._axes, given, strict=False):
            spans[axis] = spans[axis][
                wanted if isinstance(wanted, slice) else operator.index(wanted)
            ]  # type: ignore[index]
        axes = tuple(axis for axis in self._axes if isinstance(spans[axis], range))
        return ArrayPart(self._read, self._whole, self.dtype, tuple(spans), axes)

    def __deepcopy__(self, _: Any) -> ArrayPart:
        """The same: it has no pixels of its own, and what reads them cannot be copied."""
        return self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The pixels that there are by now."""
        pixels, present = self._read(self._spans), sorted(self._axes)
        return np.asarray(pixels.transpose([present.index(axis) for axis in self._axes]), dtype)
