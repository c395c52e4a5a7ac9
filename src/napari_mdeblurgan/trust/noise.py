"""How noisy an image is: the variance of its noise as a straight line over brightness, measured
where little else varies.

What a 3×3 filter lets pass that is blind to planes and slopes (Immerkær 1996) is, in a blurred
image, nearly all noise. It is looked at in small cells, and of those of similar brightness in the
smoothest alone; how smooth a cell is, is judged by an average that the filter does not see. Photon
noise makes the line rise (Foi et al. 2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.restoration.binning import block_means

FILTER = (
    np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6
)  # leaves the variance of white noise as it is
_CELL = 8
_LEVELS = 8
SMOOTHEST = 0.3
_FEWEST_CELLS = 4
FLOOR = 1e-6  # of the variance, in windows: a thousandth of the intensity range
MAD_TO_SIGMA = 1.4826
MOST_COLOURED = 10.0


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviation of the noise, per colour, for values in windows (0 … 1).

    Attributes
    ----------
    constant, slope : tuple of float
        Per colour: variance = constant + slope · value, both 0 or more.
    """

    constant: tuple[float, ...]
    slope: tuple[float, ...]

    def sigma(self, values: np.ndarray) -> np.ndarray:
        """Of `values`, (..., colours) in windows; float32 of the same shape."""
        variance = np.asarray(self.constant, np.float32) + np.asarray(
            self.slope, np.float32
        ) * np.maximum(values, 0)
        return np.sqrt(variance, dtype=np.float32)

    def with_more(self, sigma: Sequence[float]) -> Noise:
        """The same with what is not noise but not in the specimen either, of a standard deviation
        for each colour, in windows.
        """
        pairs = zip(self.constant, sigma, strict=True)
        return Noise(tuple(constant + more**2 for constant, more in pairs), self.slope)

    @property
    def typical(self) -> float:
        """At half brightness, mean over the colours."""
        pairs = zip(self.constant, self.slope, strict=True)
        return float(np.mean([np.sqrt(constant + slope / 2) for constant, slope in pairs]))


def measure_noise(parts: Sequence[np.ndarray], step: float = 0.0) -> Noise:
    """The noise of an image from parts of it.

    Parameters
    ----------
    parts : sequence of ndarray
        (y, x, colours) float32 in windows; NaN where nothing is known.
    step : float
        Between neighbouring grey levels, in windows; 0 for floats. Rounding to whole levels is
        noise as well.

    Notes
    -----
    Never below a thousandth of the window. Where a camera has made colours from a mosaic, or a file
    was compressed, neighbouring pixels are not independent and the noise is underestimated; for
    what JPEG has taken see `compression_loss`.
    """
    least = max(step**2 / 12, FLOOR)
    lines = (
        [_line([part[..., c] for part in parts], least) for c in range(parts[0].shape[-1])]
        if parts
        else [(least, 0.0)]
    )
    return Noise(tuple(line[0] for line in lines), tuple(line[1] for line in lines))


def measure_coarse_noise(parts: Sequence[np.ndarray], step: float = 0.0) -> Noise:
    """The noise of a grey image as coarser structures meet it: larger where that of neighbouring
    pixels is not independent.

    A camera that makes colours from a mosaic, and a file that was compressed, move noise from fine
    to coarse structures. Binned 2 × 2, independent noise has a quarter of the variance; what is
    more is counted, up to `MOST_COLOURED` times.

    Parameters
    ----------
    parts : sequence of ndarray
        (y, x) float32 in windows; NaN where nothing is known.
    step : float
        As in `measure_noise`.
    """
    fine = measure_noise([part[..., None] for part in parts], step)
    large = [part for part in parts if min(part.shape) >= 2 * _CELL]
    if not large:
        return fine
    coarse = measure_noise(
        [block_means(part, binning=2, y=0)[..., None] for part in large], step / 2
    )
    times = min(max(4 * coarse.typical**2 / fine.typical**2, 1.0), MOST_COLOURED)
    return Noise((times * fine.constant[0],), (times * fine.slope[0],))


def _line(planes: Sequence[np.ndarray], least: float) -> tuple[float, float]:
    """Constant and slope of the variance over brightness."""
    cells = [_cells(plane) for plane in planes]
    brightness, texture, response = (np.concatenate(each) for each in zip(*cells, strict=True))
    if len(brightness) < _FEWEST_CELLS:
        return least, 0.0
    order = np.argsort(brightness, kind="stable")
    points = []
    for group in np.array_split(order, max(1, min(_LEVELS, len(order) // _FEWEST_CELLS))):
        smooth = group[
            np.argsort(texture[group], kind="stable")[
                : max(_FEWEST_CELLS, round(SMOOTHEST * len(group)))
            ]
        ]
        sigma = MAD_TO_SIGMA * float(np.median(np.abs(response[smooth])))
        points.append((float(brightness[smooth].mean()), max(sigma**2, least)))
    level, variance = np.array(points).T
    relative = 1 / variance  # a variance is known to a share of itself
    constant, slope = _least_squares(relative, np.maximum(level, 0) * relative)
    return max(constant, least), slope


def _least_squares(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """How many times two vectors, none of whose values is negative, are to be taken to come closest
    to 1 everywhere; neither a negative number of times.

    `scipy.optimize.nnls` gives the same, but takes a third of a second to load.
    """
    system = np.stack([first, second], axis=1)
    one, other = np.linalg.lstsq(system, np.ones(len(first)), rcond=None)[0].tolist()
    if other < 0:  # the best of those that are allowed lies where it is 0
        return float(first.sum() / (first @ first)), 0.0
    if one < 0:
        return 0.0, float(second.sum() / (second @ second))
    return one, other


def _cells(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Brightness, texture and (cells, 36) responses of the filter in the cells of a plane in which
    noise can be seen.
    """
    height, width = (n // _CELL * _CELL for n in plane.shape)
    if not height or not width:
        return np.zeros(0), np.zeros(0), np.zeros((0, (_CELL - 2) ** 2))
    plane = plane[:height, :width]
    kind = np.float64
    response = ndimage.convolve(plane, FILTER, output=kind, mode="reflect")
    mean = ndimage.uniform_filter(plane, 3, output=kind, mode="reflect")
    texture = np.hypot(*np.gradient(mean))
    values, inner, slopes = (_cut(each) for each in (plane, response, texture))
    inner = inner.reshape(-1, _CELL, _CELL)[:, 1:-1, 1:-1].reshape(len(inner), -1)
    low, high = (np.nanmin(plane), np.nanmax(plane)) if np.isfinite(plane).any() else (0.0, 0.0)
    clipped = ((values <= low) | (values >= high)).mean(axis=1) > 0.1
    seen = (
        np.isfinite(values).all(axis=1)
        & np.isfinite(inner).all(axis=1)
        & ~clipped
        & (np.ptp(values, axis=1) > 0)
    )
    return values[seen].mean(axis=1), slopes[seen].mean(axis=1), inner[seen]


def _cut(plane: np.ndarray) -> np.ndarray:
    rows, columns = (n // _CELL for n in plane.shape)
    return (
        plane.reshape(rows, _CELL, columns, _CELL)
        .swapaxes(1, 2)
        .reshape(rows * columns, _CELL * _CELL)
    )
