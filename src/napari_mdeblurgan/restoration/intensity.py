"""The intensity window: what the network sees as 0 and 1, and the way back to the image's own dtype
and range.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.errors import ImageError

PERCENTILES = (0.1, 99.9)
_MOST = (0.1, 98)  # percentiles between which no hot pixels are, however many
SAMPLE_VALUES = 1_000_000
SPOTS, SPOT_EDGE = 16, 256
_BLOCK_EDGE = 2048
_LARGEST = 1e6  # in windows: what is brighter would only cost the network its precision
FILL_SIGMA, FILL_RADIUS = 4.0, 8
_ROUNDS = 3
_MANY = 0.01  # of all pixels: of so many bright ones only peaks are looked at
_STANDS_OUT = 3.0  # windows that a hot pixel stands out by at least: single photons do not
_LEAK = 0.06  # by how much of a point's light in the brightest pixel its neighbours differ at least


@dataclass(frozen=True, slots=True)
class Window:
    """Two grey values of the image which the network sees as 0 and 1; values outside are not
    clipped.

    Attributes
    ----------
    low, high : float or int
        In units of the image. They are equal for an image of one value.
    """

    low: float
    high: float

    @property
    def _half_span(self) -> float:
        half = float(self.high) / 2 - float(self.low) / 2
        return half if half > np.finfo(np.float64).tiny else 0.5

    @property
    def span(self) -> float:
        """Grey levels between the two; 1 where they are equal."""
        return 2 * self._half_span

    def normalise(self, values: np.ndarray) -> np.ndarray:
        """To float32, `low` at 0 and `high` at 1; any shape. NaN stays NaN; beyond a million
        windows it is cut off.
        """
        kind: type[np.floating] = (
            np.float32 if values.dtype.kind in "biu" and values.dtype.itemsize <= 2 else np.float64
        )
        with np.errstate(all="ignore"):
            normalised: np.ndarray = values.astype(kind)
            normalised *= kind(0.5)  # in place: copies take most of the time
            normalised -= kind(float(self.low) / 2)
            normalised /= kind(self._half_span)
            if not self._near(values.dtype):
                np.clip(normalised, -_LARGEST, _LARGEST, out=normalised)
            return normalised.astype(np.float32, copy=False)

    def _near(self, kind: np.dtype) -> bool:
        """Whether no value of a type lies a million windows off."""
        if kind.kind not in "iu" or kind.itemsize > 2:
            return False
        ends = np.iinfo(kind)
        farthest = max(abs(float(end) - float(self.low)) for end in (ends.min, ends.max))
        return farthest < _LARGEST * self.span

    def normalise_finite(self, values: np.ndarray) -> np.ndarray:
        """The same, but NaN where a value is not finite."""
        normalised = self.normalise(values)
        if values.dtype.kind not in "biu":
            normalised[~np.isfinite(values)] = np.nan
        return normalised

    def invert(self, normalised: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Back to `dtype` and the image's units: rounded for integers, clipped to what `dtype` can
        hold.
        """
        kind: type[np.floating] = (
            np.float32 if dtype.kind in "biu" and dtype.itemsize <= 2 else np.float64
        )
        with np.errstate(all="ignore"):
            values: np.ndarray = normalised.astype(kind)
            values = (values * kind(self._half_span) + kind(float(self.low) / 2)) * kind(2)
        if dtype.kind == "b":
            return (values >= 0.5).astype(dtype)
        smallest, largest = bounds(dtype)
        if dtype.kind in "iu":
            np.rint(values, out=values)
        result = np.clip(values, kind(smallest), kind(largest), out=values).astype(dtype)
        if isinstance(self.low, int):  # beyond 2**53 a float cannot hold every integer
            result[normalised == 0] = self.low
        return result


def bounds(dtype: np.dtype) -> tuple[float, float]:
    """Smallest and largest number that a float holds and `dtype` can take."""
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    info = np.iinfo(dtype)
    largest = float(info.max)
    return float(info.min), float(np.nextafter(largest, 0)) if largest > info.max else largest


def measure_window(parts: Iterable[np.ndarray]) -> Window:
    """The window of samples of an image: the 0.1 and 99.9 percentiles, or the extremes where these
    are equal.

    Raises
    ------
    ImageError
        If no value is finite.
    """
    flat = [np.asarray(part).reshape(-1) for part in parts]
    values = np.concatenate([part[np.isfinite(part)] for part in flat])
    if not values.size:
        raise ImageError(
            "Every pixel of the image, or of one of its channels or slices, is NaN or infinite; "
            "there is nothing to restore, so choose another image, or leave that one out."
        )
    if values.dtype.kind == "b":
        return Window(0, 1)
    low, high = (
        quantile.item() for quantile in np.percentile(values, PERCENTILES, method="nearest")
    )
    if low == high:
        low, high = values.min().item(), values.max().item()
    return Window(low, high)


def sample(image: np.ndarray, image_axes: int) -> Iterator[np.ndarray]:
    """About a million values spread evenly over an array in memory, as views of some of its images.

    Parameters
    ----------
    image : ndarray
        (..., y, x) or (..., y, x, colours).
    image_axes : {2, 3}
        How many of the last axes belong to one image.
    """
    step = max(1.0, image.size / SAMPLE_VALUES)
    leading = image.shape[: image.ndim - image_axes]
    planes = int(np.prod(leading, dtype=np.int64))
    every = max(1, min(planes // 8, int(step)))
    in_plane = max(1, int(np.sqrt(step / every)))
    for plane in range(0, planes, every):
        yield image[np.unravel_index(plane, leading) if leading else ()][::in_plane, ::in_plane]


def spots(shape: Sequence[int], image_axes: int) -> Iterator[tuple[int | slice, ...]]:
    """Index expressions of a few small squares spread over an array too large to look at whole."""
    leading = tuple(shape[: len(shape) - image_axes])
    height, width = shape[len(leading)], shape[len(leading) + 1]
    planes = int(np.prod(leading, dtype=np.int64))
    chosen = np.unique(np.linspace(0, planes - 1, min(planes, 16)).round().astype(np.int64))
    edge = max(1, int(np.sqrt(SPOTS // len(chosen))))
    for plane in chosen:
        at = tuple(int(i) for i in np.unravel_index(int(plane), leading)) if leading else ()
        for y in _starts(height, edge):
            for x in _starts(width, edge):
                yield (*at, slice(y, y + SPOT_EDGE), slice(x, x + SPOT_EDGE))


def _starts(length: int, count: int) -> list[int]:
    count = min(count, max(1, length // SPOT_EDGE))
    last = max(0, length - SPOT_EDGE)
    return [round(last * (i + 0.5) / count) if count > 1 else last // 2 for i in range(count)]


def square_blocks(shape: Sequence[int], image_axes: int) -> Iterator[tuple[int | slice, ...]]:
    """Index expressions of squares that cover an array."""
    leading = tuple(shape[: len(shape) - image_axes])
    height, width = shape[len(leading)], shape[len(leading) + 1]
    for at in np.ndindex(*leading):
        for y in range(0, height, _BLOCK_EDGE):
            for x in range(0, width, _BLOCK_EDGE):
                yield (*at, slice(y, y + _BLOCK_EDGE), slice(x, x + _BLOCK_EDGE))


def gist(block: np.ndarray) -> np.ndarray:
    """The extremes of a block's finite values, and some values between them."""
    values = block[::16, ::16].ravel()
    finite = block[np.isfinite(block)]
    return np.concatenate([values, [finite.min(), finite.max()]]) if finite.size else values


def fill(normalised: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Put the weighted mean of the neighbours within 8 pixels where values are missing, and 0 where
    there are none.

    Parameters
    ----------
    normalised : ndarray
        (y, x) float32.
    missing : ndarray
        (y, x) bool.
    """

    def blur(plane: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(
            plane, FILL_SIGMA, mode="nearest", truncate=FILL_RADIUS / FILL_SIGMA
        )

    weight = blur((~missing).astype(np.float32))
    mean = blur(np.where(missing, np.float32(0), normalised)) / np.maximum(weight, 1e-6)
    return np.where(missing, mean, normalised).astype(np.float32)


class HotPixels(NamedTuple):
    """Values that no optics make: of the camera, or of a cosmic ray, not of the specimen.

    Attributes
    ----------
    places : tuple of (n,) ndarray
        Along y, x and the colours.
    values : (n,) ndarray
        There.
    """

    places: tuple[np.ndarray, np.ndarray, np.ndarray]
    values: np.ndarray


def hot_pixels(normalised: np.ndarray, among: np.ndarray | None = None) -> HotPixels | None:
    """Pixels above both neighbours of their row, or of their column, by more than three windows,
    while these stand out of what is around by less than a sixteenth of that: single ones, and
    streaks of one pixel's width. With the medians of their calm neighbours as values; None if there
    are none.

    Parameters
    ----------
    normalised : ndarray
        (y, x, colours) float32; of what has no number none is hot.
    among : ndarray, optional
        (y, x, colours) bool: hot are some of these, by however little they stand out; the values
        may have any unit.

    Notes
    -----
    No optics do so: of a point in the middle of a pixel, or of a line, blurred by σ = 0.57 pixels
    (NA 0.15, 1.3 µm), the next pixels to either side have 30 % of the light of the brightest, and 8
    % where σ = 0.34 pixels (NA 0.2, 1.625 µm).
    """
    calm, found = normalised, np.zeros((0, 3), int)
    for _ in range(_ROUNDS):  # where a streak bends, its corner stands alone once the rest is gone
        places, values = _lonely(calm, among)
        if not len(places):
            break
        calm = calm.copy() if calm is normalised else calm
        calm[tuple(places.T)] = values
        found = np.concatenate([found, places])
    y, x, colours = found.T
    return HotPixels((y, x, colours), calm[y, x, colours]) if len(found) else None


def unswayed(parts: Sequence[np.ndarray], squares: Iterable[np.ndarray]) -> Window:
    """The window of samples of an image, see `measure_window`; where hot pixels are so many that
    they would set it, that of the others.

    Parameters
    ----------
    parts : sequence of ndarray
        The samples; any shape.
    squares : iterable of ndarray
        Parts of the image, (y, x) or (y, x, colours), in which hot pixels are counted; where the
        first has none, the others are not looked at.

    Raises
    ------
    ImageError
        If no value is finite.
    """
    window = measure_window(parts)
    hot, looked_at = _hot_values(window, squares)
    beyond = 1 - PERCENTILES[1] / 100
    if hot.size <= beyond * looked_at:
        return window
    values = np.sort(np.concatenate([part[np.isfinite(part)].reshape(-1) for part in parts]))
    share = np.arange(values.size, 0, -1) / values.size  # of values as bright as each, and more
    share -= (hot.size - np.searchsorted(hot, values)) / looked_at  # but for hot pixels
    reached = np.flatnonzero(share > beyond)
    high = values[reached[-1]].item() if reached.size else window.high
    found = Window(window.low, high)
    return found if window.high - found.low > _STANDS_OUT * found.span else window


def _hot_values(window: Window, squares: Iterable[np.ndarray]) -> tuple[np.ndarray, int]:
    """The values of the hot pixels of squares, sorted, and of how many values; none where something
    else reaches to the end of the window.
    """
    found: list[np.ndarray] = []
    looked_at = 0
    for square in squares:
        known = square[np.isfinite(square)]
        if known.dtype.kind == "b":
            return np.zeros(0), 0
        looked_at += known.size
        low, high = np.percentile(known, _MOST, method="nearest").tolist() if known.size else (0, 0)
        if low == high:  # nothing is known of what is around
            continue
        if window.high - low <= _STANDS_OUT * (high - low):
            return np.zeros(0), 0
        colours = square.reshape(*square.shape[:2], -1)
        hot = hot_pixels(Window(low, high).normalise_finite(colours))
        if hot is None and not found:
            return np.zeros(0), 0
        if hot is not None:
            found.append(colours[hot.places])
    return np.sort(np.concatenate(found)) if found else np.zeros(0), looked_at


def hot_as_gaps(normalised: np.ndarray) -> np.ndarray:
    """The same array, (y, x, colours) float32, in which hot pixels have no number any more."""
    hot = hot_pixels(normalised)
    if hot is not None:
        normalised[hot.places] = np.nan
    return normalised


def _lonely(normalised: np.ndarray, among: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Where hot pixels are, (n, 3) of y, x and colour; and what to put there."""
    height, width = normalised.shape[:2]

    def near(places: np.ndarray, dy: int, dx: int) -> np.ndarray:
        """The values so far away; beyond an edge those at it."""
        y, x, c = places.T
        return normalised[np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1), c]

    def beside(places: np.ndarray) -> np.ndarray:
        y, x, _ = places.T
        columns = _either(near(places, -1, 0), near(places, 1, 0), y, height)
        return np.fmin(columns, _either(near(places, 0, -1), near(places, 0, 1), x, width))

    least, bright = (_STANDS_OUT, normalised > _STANDS_OUT) if among is None else (0, among)
    many = np.count_nonzero(bright)  # in a small part of the time of finding them
    if many > _MANY * bright.size:
        bright = bright & _peaks(normalised)
    places = np.argwhere(bright) if many else np.zeros((0, 3), int)
    places = places[normalised[tuple(places.T)] - beside(places) > least]
    if not len(places):
        return places, normalised[:0, 0, 0]
    own = normalised[tuple(places.T)]
    lowest = own.copy()
    for dy, dx in np.ndindex(5, 5):
        np.fmin(lowest, near(places, dy - 2, dx - 2), out=lowest)
    places = places[beside(places) - lowest < _LEAK * (own - lowest)]
    hot = np.zeros(normalised.shape, bool)
    hot[tuple(places.T)] = True
    around = np.stack([near(places, dy - 1, dx - 1) for dy, dx in np.ndindex(3, 3)])
    y, x, c = places.T
    for values, (dy, dx) in zip(around, np.ndindex(3, 3), strict=True):
        there = np.clip(y + dy - 1, 0, height - 1), np.clip(x + dx - 1, 0, width - 1), c
        values[hot[there]] = np.nan
    return places, np.nanmedian(around, axis=0)


def _either(before: np.ndarray, after: np.ndarray, at: np.ndarray, length: int) -> np.ndarray:
    """The brighter one of two neighbours; of a pixel at an edge the only one."""
    return np.where(at == 0, after, np.where(at == length - 1, before, np.fmax(before, after)))


def _peaks(values: np.ndarray) -> np.ndarray:
    """Bool: what is above both neighbours along y, or along x; at an edge, above the only one."""
    found = np.zeros(values.shape, bool)
    for axis in (0, 1):
        if values.shape[axis] < 2:
            continue
        line, into = np.moveaxis(values, axis, 0), np.moveaxis(found, axis, 0)
        into[1:-1] |= line[1:-1] > np.fmax(line[:-2], line[2:])
        into[0] |= line[0] > line[1]
        into[-1] |= line[-1] > line[-2]
    return found
