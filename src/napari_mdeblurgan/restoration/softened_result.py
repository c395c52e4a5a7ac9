"""A finished result made softer: what the last stage of the network would have done, on the pixels
that there are.

The blur is the same as that of `network/softening.py`. Here it acts on what was rounded to the type
of the image, so a value can differ by half a grey level; less than four standard deviations from
the edge of the image the network knows a little more. Pixels that are missing stay missing and pass
nothing on; nor do hot ones, which the network was not shown either.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.gaussian import gaussian_radius
from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.restoration.fitting import on_result
from napari_mdeblurgan.restoration.intensity import Window, hot_pixels
from napari_mdeblurgan.storage.array_part import ArrayPart, Spans

if TYPE_CHECKING:
    import dask.array as da

    from napari_mdeblurgan.restoration.plan import RestorationPlan

_COLOURS = 3  # a fourth value is opacity, which is not blurred
_FACTORS = (2, 4)  # of a result whose hot pixels are looked for
_HOT_REACH = 16  # pixels around one by which it is told
_KEPT_BYTES = 64 * 2**20  # of what was shown last
_AT_ONCE = 2**21  # pixels that are softened in one go, so that whoever ends the work need not wait


WindowOf = Callable[[tuple[int, ...]], Window]  # of the image at an index of the leading axes


def hot_windows(plan: RestorationPlan) -> WindowOf | None:
    """By which hot pixels are told of a result that has the image's own pixels, single ones there;
    None of a result with more, of which they are blocks.
    """
    windows = plan.windows
    if plan.factor > 1 or windows is None:
        return None
    return lambda index: plan.window(index, windows)


def softened_plane(
    plane: np.ndarray, sigma: float, *, rgb: bool, window: Window | None = None
) -> np.ndarray:
    """Blur one image by a Gaussian, mirrored beyond its edges.

    Parameters
    ----------
    plane : ndarray
        (y, x), or (y, x, 3 or 4) in colour; any real type. Opacity stays as it is.
    sigma : float
        Standard deviation in pixels; 0 leaves the image as it is.
    rgb : bool
        Whether the last axis holds colours.
    window : Window, optional
        Of its image, see `hot_windows`.

    Returns
    -------
    ndarray
        A new array of the same shape and dtype. What is NaN, infinite or hot stays so, and counts
        nowhere else.
    """
    if not sigma:
        return plane.copy()
    colours = plane[..., :_COLOURS] if rgb else plane
    precise = colours.dtype.itemsize > (2 if colours.dtype.kind in "iu" else 4)
    values = colours.astype(np.float64 if precise else np.float32)
    known = np.isfinite(values) & ~(_hot(values) if window is None else _single(values, window))
    if known.all():
        blurred = _blurred(values, sigma)
    else:
        weight = _blurred(known.astype(values.dtype), sigma)
        share = _blurred(np.where(known, values, 0), sigma) / np.where(known, weight, 1)
        blurred = np.where(known, share, values)
    result = plane.copy()
    into = result[..., :_COLOURS] if rgb else result
    into[...] = (np.rint(blurred) if plane.dtype.kind in "biu" else blurred).astype(plane.dtype)
    return result


def _hot(values: np.ndarray) -> np.ndarray:
    """Bool, of (y, x) or (y, x, colours) of a result, whose first pixel is the first one of a pixel
    of the image: those that a hot pixel of the image has become, which are all alike.
    """
    hot = np.zeros(values.shape, bool)
    own: np.ndarray = values.reshape(*values.shape[:2], -1)
    alike = np.ones(own.shape, bool)
    for factor in _FACTORS:
        rows, columns = (length // 2 * 2 for length in own.shape[:2])
        quarters = [np.s_[y:rows:2, x:columns:2] for y in (0, 1) for x in (0, 1)]
        alike = np.logical_and.reduce(
            [alike[each] & (own[each] == own[quarters[0]]) for each in quarters]
        )
        own = own[quarters[0]]
        found = hot_pixels(own, alike) if alike.any() else None
        if found is not None:
            coarse = np.zeros(own.shape, bool)
            coarse[found.places] = True
            there: np.ndarray = on_result(coarse, factor)
            hot[: len(there), : there.shape[1]] |= there.reshape(*there.shape[:2], *hot.shape[2:])
    return hot


def _single(values: np.ndarray, window: Window) -> np.ndarray:
    """The same of a result that has the image's own pixels."""
    hot = np.zeros(values.shape, bool)
    there: np.ndarray = hot.reshape(*hot.shape[:2], -1)  # a view
    found = hot_pixels(window.normalise_finite(values).reshape(there.shape))
    if found is not None:
        there[found.places] = True
    return hot


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """Along y and x, the first two axes."""
    for axis in (0, 1):
        values = ndimage.gaussian_filter1d(
            values, sigma, axis=axis, mode="mirror", radius=gaussian_radius(sigma)
        )
    return values


def softened_part(
    data: Any,
    index: tuple[int, ...],
    y: range,
    x: range,
    sigma: float,
    *,
    rgb: bool,
    windows: WindowOf | None = None,
) -> np.ndarray:
    """A part of one image of a stack as it is in the whole once that is blurred; reads no more
    around it than the blur does.

    Parameters
    ----------
    data : array
        (..., y, x), or (..., y, x, 3 or 4) in colour; in memory or lazy.
    index : tuple of int
        Which image of the stack.
    y, x : range
        Rows and columns, not empty; a step gives every n-th pixel.
    sigma, rgb
        As in `softened_plane`.
    windows : callable, optional
        See `hot_windows`.
    """
    around, inside = [], []
    for span, length in zip((y, x), data.shape[len(index) : len(index) + 2], strict=True):
        first, last = min(span[0], span[-1]), max(span[0], span[-1])
        reach, block = gaussian_radius(sigma) + _HOT_REACH, _FACTORS[-1]
        start = max(first - reach, 0) // block * block
        around.append(slice(start, min(-(-(last + reach + 1) // block) * block, length)))
        inside.append(
            np.array(span) - start if abs(span.step) > 1 else slice(first - start, last - start + 1)
        )
    window = None if windows is None else windows(index)
    plane = softened_plane(read(data, (*index, *around)), sigma, rgb=rgb, window=window)
    return plane[inside[0]][:, inside[1]]


def softening(
    data: np.ndarray, plan: RestorationPlan, sigma: float
) -> Generator[None, None, np.ndarray]:
    """All of a result in memory as `softened_plane` makes it; yields before every piece, and
    closing it ends the work.

    Parameters
    ----------
    data : ndarray
        The result.
    plan : RestorationPlan
        By which it was made.
    sigma : float
        Standard deviation in pixels.
    """
    soft, windows, axes = np.empty_like(data), hot_windows(plan), len(plan.leading)
    height, width = data.shape[axes : axes + 2]
    for index in np.ndindex(*plan.leading):
        for top in range(0, height, rows := max(1, _AT_ONCE // width)):
            yield
            strip = range(top, min(top + rows, height))
            soft[(*index, slice(strip.start, strip.stop))] = softened_part(
                data, index, strip, range(width), sigma, rgb=plan.rgb, windows=windows
            )
    return soft


class SoftLevels:
    """The levels of a result that lies on disk as the network gave it, to be shown as soft as is
    wanted now.

    Parameters
    ----------
    levels : sequence of dask.array.Array
        (..., y, x), or (..., y, x, 3 or 4) in colour; the finest first.
    rgb : bool
        Whether the last axis holds colours.
    sigma : float
        Standard deviation in pixels of the finest level; can be changed at any time.
    windows : callable, optional
        See `hot_windows`; of the finest level.

    Attributes
    ----------
    arrays : list of dask.array.Array
        The levels softened: each reads and blurs what is asked for and no more, by the `sigma` that
        there is then.
    """

    def __init__(
        self,
        levels: Sequence[Any],
        *,
        rgb: bool,
        sigma: float = 0.0,
        windows: WindowOf | None = None,
    ) -> None:
        self.levels, self.rgb, self.sigma, self.windows = list(levels), rgb, sigma, windows
        self._kept: OrderedDict[tuple[int, float, Spans], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        self.arrays = [self._lazy(number, lambda: self.sigma) for number in range(len(self.levels))]

    def prepare(self, sigma: float, level: int, index: tuple[int | slice, ...]) -> None:
        """Have a part of a level ready for another `sigma`, so that it need not be waited for once
        that holds.
        """
        read(self._lazy(level, lambda: sigma), index)

    def part(self, level: int, sigma: Callable[[], float] | None = None) -> ArrayPart:
        """A level that is read and blurred in one go, whatever its blocks on disk are: for whoever
        goes through all of it. `sigma` tells by how much; by default, by what holds then.
        """
        data, wanted = self.levels[level], sigma or (lambda: self.sigma)
        return ArrayPart(lambda spans: self._read(level, wanted(), spans), data.shape, data.dtype)

    def _lazy(self, level: int, sigma: Callable[[], float]) -> da.Array:
        """A level, blurred by the sigma that there is when it is read, block by block."""
        import dask.array as da  # takes half a second

        data, part = self.levels[level], self.part(level, sigma)
        meta = np.empty((0,) * data.ndim, data.dtype)
        return da.from_array(part, data.chunks, name=False, asarray=True, fancy=False, meta=meta)

    def _read(self, level: int, sigma: float, spans: Spans) -> np.ndarray:
        """Some spans of a level; what was read last is kept."""
        key = level, sigma, spans
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        axis = -2 if self.rgb else -1
        coarser = self.levels[0].shape[axis] / self.levels[level].shape[axis]
        windows = self.windows if level == 0 else None
        pixels = _of_spans(self.levels[level], sigma / coarser, self.rgb, spans, windows)
        with self._lock:
            self._kept[key] = pixels
            while (
                sum(each.nbytes for each in self._kept.values()) > _KEPT_BYTES
                and len(self._kept) > 1
            ):
                self._kept.popitem(last=False)
        return pixels


def _of_spans(
    data: Any, sigma: float, rgb: bool, spans: Spans, windows: WindowOf | None
) -> np.ndarray:
    """Some spans of the softened whole, without the axes along which one place is named."""
    first = data.ndim - (3 if rgb else 2)
    several = [span if isinstance(span, range) else range(span, span + 1) for span in spans]
    shape = tuple(len(span) for span in several[: first + 2])
    result = np.empty((*shape, *data.shape[first + 2 :]), data.dtype)
    if result.size:
        for place in np.ndindex(*shape[:first]):
            index = tuple(span[at] for span, at in zip(several[:first], place, strict=True))
            result[place] = softened_part(
                data, index, several[first], several[first + 1], sigma, rgb=rgb, windows=windows
            )
    if rgb:
        result = result[..., spans[-1] if isinstance(spans[-1], int) else list(spans[-1])]
    return result[
        tuple(slice(None) if isinstance(span, range) else 0 for span in spans[: first + 2])
    ]
