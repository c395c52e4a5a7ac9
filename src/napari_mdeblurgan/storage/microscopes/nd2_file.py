"""Nikon ND2, read by nd2."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.bounded import BoundedReader
from napari_mdeblurgan.storage.calibration import Calibration, labelled
from napari_mdeblurgan.storage.chatter import chatter
from napari_mdeblurgan.storage.display import ChannelDisplay
from napari_mdeblurgan.storage.geometry import AxisStep, Geometry, is_size
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.objective import (
    labelled_objective,
    medium_of,
    number_told,
    told_objective,
)
from napari_mdeblurgan.storage.planes import Planes, lazy_planes
from napari_mdeblurgan.storage.several import ImageList, chosen, unique_names
from napari_mdeblurgan.storage.stems import file_stem

LOOPS = {"TimeLoop": "T", "NETimeLoop": "T", "ZStackLoop": "Z", "XYPosLoop": "P", "CustomLoop": "Q"}
POSITION = "P"
_USUAL = "TZC"
_UNKNOWN = "nd2 cannot read what this file tells of its pixel size, channels and objective."
_FRAME = re.compile(rb"ImageDataSeq\|(\d+)!(.{8})", re.DOTALL)
FRAME_HEADER = 24 + 4072  # bytes before its pixels
_HIGHEST_COMPRESSION = 1100  # of deflate


@dataclass(frozen=True)
class _Layout:
    """How the frames of a file make images.

    Attributes
    ----------
    loops : str
        A letter for each loop, the outermost first: T, Z, P for positions.
    counts : tuple of int
        How often each is run through, as far as there are frames.
    shape : tuple of int
        Of a frame: channels, height, width, colours.
    dtype : dtype
        Of its pixels.
    frames : int
        How many there are.
    """

    loops: str
    counts: tuple[int, ...]
    shape: tuple[int, int, int, int]
    dtype: np.dtype
    frames: int

    @property
    def leading(self) -> str:
        """The axes before those of a plane."""
        there = [
            letter
            for letter, count in zip(self.loops, self.counts, strict=True)
            if count > 1 and letter != POSITION
        ]
        if self.shape[0] > 1:
            there.append("C")
        return "".join(sorted(there, key=lambda letter: _USUAL.find(letter)))

    def size(self, letter: str) -> int:
        """The length of an axis."""
        return self.shape[0] if letter == "C" else self.counts[self.loops.index(letter)]

    @property
    def positions(self) -> int:
        """How many images there are."""
        return self.size(POSITION) if POSITION in self.loops else 1

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of one image."""
        colours = self.shape[3:] if self.shape[3] > 1 else ()
        return (*map(self.size, self.leading), *self.shape[1:3], *colours)

    @property
    def axes(self) -> str:
        """Of one image."""
        return self.leading + ("YXS" if self.shape[3] > 1 else "YX")

    def frame(self, position: int, index: Sequence[int]) -> tuple[int, int]:
        """The number of the frame that a plane lies in, and its channel there."""
        place = {POSITION: position} | dict(zip(self.leading, index, strict=True))
        number = 0
        for letter, count in zip(self.loops, self.counts, strict=True):
            number = number * count + place.get(letter, 0)
        return number, place.get("C", 0)


def list_images(path: Path) -> ImageList:
    """The positions of the stage, by their names, or else their numbers.

    Raises
    ------
    FileError
        If it is no ND2, damaged or cut short.
    """
    with _opened_file(path) as file:
        return ImageList(_names(file, _layout(path, file)))


def open_image(path: Path, image: str | int | None = None) -> Micrograph:
    """Open the image of a position without reading its pixels; the first one where none is named.

    Of a time series that was stopped early, the whole time points are read.

    Raises
    ------
    FileError
        If it is no ND2, damaged, cut short, or frames are missing.
    """
    with _opened_file(path) as file:
        layout = _layout(path, file)
        names = _names(file, layout)
        number = chosen(path, names, image)
        data = lazy_planes(path, _planes, (number,), layout.axes, layout.image_shape, layout.dtype)
        stem = file_stem(path)
        name = f"{stem} {names[number]}" if len(names) > 1 else stem
        try:
            calibration = _calibration(file, layout)
        except Exception:  # kinds of microscopes that the library has not met; the pixels are there
            calibration = Calibration(remarks=(_UNKNOWN,))
        calibration = replace(calibration, remarks=(*calibration.remarks, *_remarks(file, layout)))
        return labelled(data, layout.axes, calibration, name)


@contextmanager
def _opened_file(path: Path) -> Iterator[Any]:
    import nd2

    with chatter("nd2"), BoundedReader(path) as handle, nd2.ND2File(handle) as file:
        yield file


def _planes(path: str, position: int) -> Planes:
    import nd2

    with chatter("nd2"):
        handle = BoundedReader(path)
        file = nd2.ND2File(handle)
        layout = _layout(Path(path), file)

    def close() -> None:
        file.close()
        handle.close()

    def read(index: tuple[int, ...], rows: slice, columns: slice) -> np.ndarray:
        number, channel = layout.frame(position, index)
        frame = file.read_frame(number).reshape(layout.shape)[channel, rows, columns]
        if layout.shape[3] == 1:
            return frame[..., 0]
        return (
            frame if file.is_legacy else frame[..., ::-1]
        )  # NIS-Elements writes blue, green and red

    return Planes(layout.image_shape, layout.dtype, layout.shape[3] > 1, read, close)


def _layout(path: Path, file: Any) -> _Layout:
    told = file.attributes
    try:
        colours = 3 if file.components_per_channel == 3 else 1
        shape = (
            int(told.componentCount) // colours,
            int(told.heightPx),
            int(told.widthPx or 0),
            colours,
        )
        loops = [(LOOPS.get(loop.type, "Q"), int(loop.count)) for loop in file.experiment]
        frames = int(told.sequenceCount)
    except (TypeError, ValueError, AttributeError):  # something else stands where a number is to be
        raise FileError(
            f"{path} is damaged: it does not tell how large it is; copy it again."
        ) from None
    letters, counts = "".join(letter for letter, _ in loops), [count for _, count in loops]
    if len(set(letters)) != len(letters) or min(shape) < 1 or frames < 1:
        raise FileError(f"{path} has loops that are not read; save it as OME-TIFF.")
    size = math.prod(shape) * file.dtype.itemsize * frames
    if size > path.stat().st_size * (
        _HIGHEST_COMPRESSION if told.compressionType or file.is_legacy else 1
    ):
        raise FileError(
            f"{path} is damaged or cut short: it claims to hold {frames:,} frames, more than its "
            "bytes can; copy it again."
        )
    if (
        not file.is_legacy
        and (there := _frames_there(path, size // frames, told.compressionType)) < frames
    ):
        raise FileError(
            f"{path} is damaged or cut short: {there:,} of its {frames:,} frames are there; copy "
            "it again."
        )
    if counts and math.prod(counts) > frames:  # it was stopped early
        counts[0] = frames // math.prod(counts[1:])
        if not counts[0] or letters[0] == POSITION:
            raise FileError(
                f"{path} lacks frames: {frames:,} are there; save what is there as an image of "
                "its own."
            )
    if not counts and frames > 1:
        letters, counts = "T", [frames]
    return _Layout(letters, tuple(counts), shape, file.dtype.newbyteorder("="), frames)


def _frames_there(path: Path, size: int, compression: object) -> int:
    """How many frames the map at the end of a file leads to; for others the
    library makes up zeros.
    """
    length = path.stat().st_size
    with path.open("rb") as file:
        file.seek(-8, 2)
        file.seek(min(int.from_bytes(file.read(8), "little"), length))
        places = {
            match[1]: int.from_bytes(match[2], "little") for match in _FRAME.finditer(file.read())
        }
    least = 1 if compression else size
    return sum(place + FRAME_HEADER + least <= length for place in places.values())


def _remarks(file: Any, layout: _Layout) -> tuple[str, ...]:
    claimed = int(file.experiment[0].count) if file.experiment else 0
    if not claimed or claimed == layout.counts[0]:
        return ()
    what = {"T": "time points", "Z": "slices"}.get(layout.loops[0], "parts")
    return (
        f"The acquisition was stopped early: of {claimed:,} {what} {layout.counts[0]:,} are whole "
        "and are read.",
    )


def _names(file: Any, layout: _Layout) -> tuple[str, ...]:
    points: list[Any] = next(
        (loop.parameters.points for loop in file.experiment if LOOPS.get(loop.type) == POSITION), []
    )
    return unique_names(
        (points[number].name or "") if number < len(points) else ""
        for number in range(layout.positions)
    )


def _calibration(file: Any, layout: _Layout) -> Calibration:
    channels = list(getattr(file.metadata, "channels", None) or [])
    if not channels:
        return Calibration()
    volume, microscope = channels[0].volume, channels[0].microscope
    steps = {}
    for axis, size, known in zip("XYZ", volume.axesCalibration, volume.axesCalibrated, strict=True):
        if known and is_size(size):
            steps[axis] = AxisStep(size, "µm")
    waves = [number_told(each.channel.emissionLambdaNm) / 1000 for each in channels]
    label = labelled_objective(microscope.objectiveName, waves)
    objective = told_objective(
        microscope.objectiveNumericalAperture,
        waves if layout.shape[3] == 1 else (),
        microscope.objectiveMagnification,
        medium_of(microscope.immersionRefractiveIndex) or (label.immersion if label else ""),
    )
    names = tuple(str(each.channel.name or "") for each in channels)
    colours = [each.channel.color for each in channels]
    plain = layout.shape[3] > 1
    return Calibration(
        Geometry.of(steps),
        names if all(names) and not plain else (),
        _seconds(file),
        ()
        if plain
        else tuple(ChannelDisplay((int(each.r), int(each.g), int(each.b))) for each in colours),
        objective=objective or label,
    )


def _seconds(file: Any) -> float | None:
    """From one time point to the next, as it was measured, or else as it was asked for."""
    for loop in file.experiment:
        if loop.type == "TimeLoop":
            for period in (loop.parameters.periodDiff.avg, loop.parameters.periodMs):
                if is_size(period):
                    return float(period) / 1000
    return None
