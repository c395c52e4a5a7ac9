"""Images read along a line. No Qt in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.errors import ImageError

MOST_SAMPLES = 4096  # of a line; of a pyramid a coarser level is read for a longer one
LARGEST_VALUES = 64 * 2**20  # of the rectangle around it that is read


@dataclass(frozen=True)
class Line:
    """A line across an image.

    Attributes
    ----------
    levels : tuple of array
        Of the image, the finest first, (..., y, x) or (..., y, x, 3|4).
    rgb : bool
        Whether the last axis holds colours.
    plane : tuple of int
        Index of the axes before y and x.
    ends : ndarray
        (2, 2): y and x of both ends, in pixels of the finest level, whose centres are whole
        numbers.
    """

    levels: tuple[Any, ...]
    rgb: bool
    plane: tuple[int, ...]
    ends: np.ndarray

    @property
    def length_px(self) -> float:
        """In pixels of the finest level."""
        return float(np.hypot(*(self.ends[1] - self.ends[0])))

    @property
    def in_memory(self) -> bool:
        """Whether nothing has to be read from a file."""
        return all(isinstance(level, np.ndarray) for level in self.levels)


@dataclass(frozen=True)
class Track:
    """A line across before and after of one channel.

    Attributes
    ----------
    name : str
        Of the source.
    before, after : Line
    error : Line or None
        Across the map of the error bar, if there is one.
    calibrated : bool
        Whether the error bar is one of grey levels, and not relative only.
    """

    name: str
    before: Line
    after: Line
    error: Line | None
    calibrated: bool = True

    @property
    def in_memory(self) -> bool:
        """Whether nothing has to be read from a file."""
        return all(
            each.in_memory for each in (self.before, self.after, self.error) if each is not None
        )


@dataclass(frozen=True)
class Profile:
    """What was found along a line of one channel.

    Attributes
    ----------
    name : str
    share : ndarray
        (n,): where along the line, from 0 to 1.
    before, after, error : ndarray
        (n,) float64 each, NaN where the image is not; the error is NaN throughout where no map is
        known.
    calibrated : bool
        As in `Track`.
    """

    name: str
    share: np.ndarray
    before: np.ndarray
    after: np.ndarray
    error: np.ndarray
    calibrated: bool = True


def measured(tracks: Sequence[Track]) -> list[Profile]:
    """Read all channels along their lines, as often as the result has pixels along it.

    Raises
    ------
    ImageError
        In one sentence, if far more would have to be read than is shown.
    """
    found = []
    for track in tracks:
        count = int(np.clip(np.ceil(track.after.length_px) + 1, 2, MOST_SAMPLES))
        before, after = along(track.before, count), along(track.after, count)
        error = np.full(count, np.nan) if track.error is None else along(track.error, count)
        found.append(
            Profile(track.name, np.linspace(0, 1, count), before, after, error, track.calibrated)
        )
    return found


def along(line: Line, count: int) -> np.ndarray:
    """Values at so many places of a line, both ends among them, interpolated linearly; of colours
    their mean.
    """
    level = line.levels[_level_for(line)]
    y = len(line.plane)
    ratio = np.array([level.shape[y + axis] / line.levels[0].shape[y + axis] for axis in (0, 1)])
    ends = (line.ends + 0.5) * ratio - 0.5
    points = np.linspace(ends[0], ends[1], count).T
    low = np.floor(points.min(axis=1)).astype(int)
    high = np.ceil(points.max(axis=1)).astype(int) + 1
    spans = [
        slice(max(a, 0), max(min(b, level.shape[y + axis]), 0))
        for axis, (a, b) in enumerate(zip(low, high, strict=True))
    ]
    if any(span.stop <= span.start for span in spans):
        return np.full(count, np.nan)
    if (
        not isinstance(level, np.ndarray)
        and np.prod([float(span.stop - span.start) for span in spans]) > LARGEST_VALUES
    ):
        raise ImageError(
            "The line is too long for an image that is read from a file without a pyramid: draw a "
            "shorter one."
        )
    part = np.asarray(level[(*line.plane, *spans)])
    if line.rgb:
        part = part[..., :3].mean(axis=-1)
    if part.dtype.kind == "f":
        part = part.astype(np.float64)
    begin = np.array([span.start for span in spans])[:, None]
    return ndimage.map_coordinates(
        part, points - begin, output=np.float64, order=1, mode="constant", cval=np.nan
    )


def _level_for(line: Line) -> int:
    """The finest level that has no more pixels along the line than are drawn."""
    y = len(line.plane)
    for number, level in enumerate(line.levels):
        if line.length_px * level.shape[y] / line.levels[0].shape[y] <= MOST_SAMPLES:
            return number
    return len(line.levels) - 1
