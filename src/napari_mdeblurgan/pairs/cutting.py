"""From a transform to what a network learns from: the part that both images show, on grids that
belong together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.pairs.affine import box, corners, moved
from napari_mdeblurgan.pairs.pair import MULTIPLE, ImagePair, RegisteredPair, Registration
from napari_mdeblurgan.pairs.refine import seen, warped
from napari_mdeblurgan.pairs.solving import solved
from napari_mdeblurgan.pairs.structure import blurred
from napari_mdeblurgan.restoration.measuring import measured_windows

_FILLED = 0.9  # of the rows and columns at the edge of the part that is cut out
_SAMPLES = 40_000
USEFUL = (
    0.001,
    0.999,
)  # quantiles between which intensities are compared: no saturation, no hot pixels


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """An image as it is cut: its channels as float32, and what is known of them.

    Attributes
    ----------
    values : ndarray
        float32, (channels, y, x), in the image's units; finite everywhere.
    known : ndarray
        bool, (y, x): False where a channel was NaN or infinite.
    """

    values: np.ndarray
    known: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """What both images show, the high-magnification one blurred like the other and on its pixels.

    Attributes
    ----------
    low, high : ndarray
        float32, (channels, y, x).
    mask : ndarray
        bool, (y, x): where both show something.
    """

    low: np.ndarray
    high: np.ndarray
    mask: np.ndarray


def overlap_of(low: np.ndarray, high: Channels, transform: np.ndarray, blur: float) -> Overlap:
    """Lay the high-magnification image on the pixels of the other.

    Parameters
    ----------
    low : ndarray
        (channels, y, x) float32.
    high : Channels
        The other image, as many channels.
    transform : ndarray
        (3, 3), from low to high.
    blur : float
        σ in low-resolution pixels.
    """
    shape = high.values.shape[1:]
    where = box(transform, shape, low.shape[1:])
    ratio = _ratio(transform)
    mask = seen(transform, where, shape, max(1.0, blur) * ratio)
    if not mask.any():
        mask = seen(transform, where, shape)
    alike = [
        warped(
            ndimage.spline_filter(
                blurred(each, math.hypot(blur, 0.3) * ratio), 3, np.float32, "mirror"
            ),
            transform,
            where,
        )
        for each in high.values
    ]
    return Overlap(low[:, *where], np.stack(alike), mask)


def intensities(both: Overlap) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """For each channel the gain and the offset that make the high-magnification image look like the
    low one: a robust straight line (soft L1) through the pixels of both.
    """
    chosen = np.argwhere(both.mask)
    chosen = chosen[:: max(1, len(chosen) // _SAMPLES)]
    lines = [
        _line(*(each[tuple(chosen.T)].astype(np.float64) for each in (other, one)))
        for one, other in zip(both.low, both.high, strict=True)
    ]
    return tuple(gain for gain, _ in lines), tuple(offset for _, offset in lines)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The robust straight line y = gain · x + offset."""
    bounds = [np.quantile(each, USEFUL) for each in (x, y)]
    use = np.all(
        [(each >= low) & (each <= high) for each, (low, high) in zip((x, y), bounds, strict=True)],
        axis=0,
    )
    use &= np.isfinite(x) & np.isfinite(y)
    if use.sum() < 8 or x[use].std() == 0:
        return 1.0, float(np.nanmean(y) - np.nanmean(x))
    x, y = x[use], y[use]
    middle, spread = x.mean(), x.std()
    unit = (x - middle) / spread
    height, scale = y.mean(), max(y.std(), 1e-12)
    value = (y - height) / scale
    start = np.array([float((unit * value).sum()) / len(unit), 0.0])
    noise = max(float(np.median(np.abs(value - start[0] * unit))) * 1.4826, 1e-6)
    design = np.stack([unit, np.ones_like(unit)]) / noise
    (slope, rest), _ = solved(
        lambda line: (line[0] * unit + line[1] - value) / noise,
        lambda _: design,
        start,
        scale=1.5,
        tolerance=1e-8,
        rounds=200,
    )
    gain = slope * scale / spread
    return float(gain), float(rest * scale + height - gain * middle)


def cut_pair(
    pair: ImagePair, low: np.ndarray, high: Channels, registration: Registration, scale: int
) -> RegisteredPair | None:
    """Cut out what both images show and resample the high-magnification image on the grid of a
    network's output.

    Parameters
    ----------
    pair : ImagePair
        The images as they were given.
    low : ndarray
        (channels, y, x) float32, the whole low-magnification image.
    high : Channels
        The high-magnification image.
    registration : Registration
        How it lies.
    scale : {1, 2, 4}
        Pixels of the output for one of `low`, along an edge.

    Returns
    -------
    RegisteredPair or None
        None if the overlap is smaller than 8 × 8 low-resolution pixels.
    """
    transform, shape = registration.transform, high.values.shape[1:]
    where = _whole_multiples(_filled(transform, shape, box(transform, shape, low.shape[1:])))
    if where is None:
        return None
    colours, channel_axis = pair.low.rgb, pair.low.channel_axis
    windows = measured_windows(
        np.asarray(pair.low.data), colours, () if channel_axis is None else (channel_axis,)
    )
    windows = windows * (len(low) // len(windows))

    fine = np.diag([1 / scale, 1 / scale, 1.0])
    fine[:2, 2] = np.array([each.start for each in where]) + 0.5 / scale - 0.5
    to_high = transform @ fine  # from the pixels of the cut-out's high to those of the whole
    y, x = ((each.stop - each.start) * scale for each in where)
    grid = slice(0, y), slice(0, x)
    coarser = _ratio(to_high)
    smooth = 0.5 * math.sqrt(coarser**2 - 1) if coarser > 1.05 else 0.0
    resampled = []
    for values, gain, offset, window in zip(
        high.values, registration.gain, registration.offset, windows, strict=True
    ):
        coefficients = ndimage.spline_filter(blurred(values, smooth), 3, np.float32, "mirror")
        image = np.clip(
            warped(coefficients, to_high, grid), values.min(), values.max()
        )  # a spline overshoots
        resampled.append(window.normalise(image.astype(np.float64) * gain + offset))
    valid = seen(to_high, grid, shape)
    if not high.known.all():
        gaps = ndimage.affine_transform(
            (~high.known).astype(np.float32),
            to_high[:2, :2],
            to_high[:2, 2],
            valid.shape,
            order=1,
            mode="nearest",
        )
        valid &= gaps == 0
    inside = [window.normalise(values[where]) for values, window in zip(low, windows, strict=True)]
    there = moved(to_high, corners(valid.shape))
    start = np.clip(np.floor(there.min(axis=0)), 0, None).astype(int)
    stop = np.minimum(np.ceil(there.max(axis=0)).astype(int) + 1, shape)
    return RegisteredPair(
        name=pair.name,
        low=np.ascontiguousarray(np.stack(inside), np.float32),
        high=np.ascontiguousarray(np.stack(resampled) * valid, np.float32),
        valid=valid,
        scale=scale,
        rgb=colours,
        windows=windows,
        low_crop=where,
        high_crop=(slice(int(start[0]), int(stop[0])), slice(int(start[1]), int(stop[1]))),
        low_shape=(low.shape[1], low.shape[2]),
        high_shape=(shape[0], shape[1]),
        registration=registration,
    )


def _ratio(transform: np.ndarray) -> float:
    return math.sqrt(abs(float(np.linalg.det(transform[:2, :2]))))


def _filled(
    transform: np.ndarray, shape: tuple[int, ...], where: tuple[slice, slice]
) -> tuple[slice, slice]:
    """The box less the rows and columns at its edges that mostly lie outside the high-magnification
    image.
    """
    top, left = (each.start for each in where)
    mask = seen(transform, where, shape)
    y, x = [0, mask.shape[0]], [0, mask.shape[1]]
    while y[0] < y[1] and x[0] < x[1]:
        part = mask[y[0] : y[1], x[0] : x[1]]
        edges = [part[0].mean(), part[-1].mean(), part[:, 0].mean(), part[:, -1].mean()]
        worst = int(np.argmin(edges))
        if edges[worst] >= _FILLED:
            break
        (y if worst < 2 else x)[worst % 2] += -1 if worst % 2 else 1
    return slice(top + y[0], top + y[1]), slice(left + x[0], left + x[1])


def _whole_multiples(where: tuple[slice, slice]) -> tuple[slice, slice] | None:
    """The middle of a box, of edges that are multiples of 8; None where there
    is no room for any.
    """
    cuts = []
    for each in where:
        length = each.stop - each.start
        kept = length // MULTIPLE * MULTIPLE
        if kept <= 0:
            return None
        start = each.start + (length - kept) // 2
        cuts.append(slice(start, start + kept))
    return cuts[0], cuts[1]
