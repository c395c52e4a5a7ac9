"""A few squares of an image, rich in detail and spread over all of it, from which what holds for
the whole is estimated once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.restoration.intensity import Window, hot_as_gaps
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.stopping import look_up

_EDGE = 128
PER_AXIS, PLANES = 5, 4
_KEPT = 9


@dataclass(frozen=True, slots=True)
class SamplePlace:
    """A rectangle of one image of a stack, in pixels of the image."""

    index: tuple[int, ...]
    y: slice
    x: slice

    def read(self, image: Any, plan: RestorationPlan) -> np.ndarray:
        """The pixels there, without alpha: (y, x, channels), the image's type."""
        return plan.seen(read(image, (*self.index, self.y, self.x)))


def rich_places(
    image: Any, plan: RestorationPlan, window: Window, channel: int | None = None
) -> list[SamplePlace]:
    """Places of the plan's region, those with most contrast of a regular grid of them; always the
    same for one image.

    Parameters
    ----------
    image : array
        What the plan was made for.
    plan : RestorationPlan
        From `make_plan`.
    window : Window
        Of the image, or of the channel.
    channel : int, optional
        Only planes of this channel, an index along the plan's channel axis.
    """
    found = []
    for place in sample_grid(plan, channel):
        look_up()
        values = normalised(place, image, plan, window).astype(np.float64)
        finite = np.isfinite(values)
        if finite.mean() > 0.5:
            found.append((float(np.std(values[finite])), place))
    found.sort(key=lambda entry: -entry[0])
    return [place for _, place in found[:_KEPT]]


def normalised(place: SamplePlace, image: Any, plan: RestorationPlan, window: Window) -> np.ndarray:
    """The pixels of a place in windows: (y, x, colours) float32, NaN where they are not finite, or
    hot.
    """
    return hot_as_gaps(window.normalise_finite(place.read(image, plan)))


def grey(image: np.ndarray) -> np.ndarray:
    """(y, x, colours) → (y, x): the mean, plane by plane, which is several times as fast as numpy's
    along a short axis.
    """
    colours = image.shape[-1]
    if colours == 1:
        return image[..., 0]
    total: np.ndarray = image[..., 0] + image[..., 1]
    for colour in range(2, colours):
        total += image[..., colour]
    total /= np.float32(colours)
    return total


def sampled_planes(plan: RestorationPlan, channel: int | None) -> Iterator[tuple[int, ...]]:
    """Indices of at most four planes, evenly spread; of one channel if that is given."""
    fixed: dict[int, int] = {}
    if channel is not None and plan.window_axes:
        numbers = np.unravel_index(channel, [plan.shape[axis] for axis in plan.window_axes])
        fixed = {axis: int(number) for axis, number in zip(plan.window_axes, numbers, strict=True)}
    shape = tuple(1 if axis in fixed else length for axis, length in enumerate(plan.leading))
    planes = int(np.prod(shape, dtype=np.int64))
    for plane in np.unique(
        np.linspace(0, planes - 1, min(planes, PLANES)).round().astype(np.int64)
    ):
        index = tuple(int(i) for i in np.unravel_index(int(plane), shape)) if shape else ()
        yield tuple(fixed.get(axis, number) for axis, number in enumerate(index))


def sample_grid(plan: RestorationPlan, channel: int | None) -> Iterator[SamplePlace]:
    """Places spread evenly over the plan's region, of a few planes."""
    rows, columns = (list(spread_over(start, stop)) for start, stop in plan.region)
    for index in sampled_planes(plan, channel):
        yield from (SamplePlace(index, y, x) for y in rows for x in columns)


def spread_over(start: int, stop: int) -> Iterator[slice]:
    """At most five pieces of up to 128 pixels, evenly spread, none overlapping."""
    edge = min(_EDGE, stop - start)
    count = min(PER_AXIS, (stop - start) // edge)
    for at in np.linspace(start, stop - edge, count) if count > 1 else [(start + stop - edge) // 2]:
        yield slice(round(at), round(at) + edge)
