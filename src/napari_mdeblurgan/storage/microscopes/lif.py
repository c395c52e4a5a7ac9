"""Leica LIF and LOF, read by liffile."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.bounded import BoundedReader
from napari_mdeblurgan.storage.calibration import Calibration, labelled
from napari_mdeblurgan.storage.chatter import chatter
from napari_mdeblurgan.storage.display import ChannelDisplay
from napari_mdeblurgan.storage.geometry import AxisStep, Geometry, is_size, seconds_in
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.objective import (
    Objective,
    labelled_objective,
    number_told,
    told_objective,
)
from napari_mdeblurgan.storage.planes import Planes, lazy_planes, plain_letters
from napari_mdeblurgan.storage.several import ImageList, chosen, unique_names
from napari_mdeblurgan.storage.stems import file_stem

SINGLE = ("LIF", "LOF")  # kinds of files that hold their pixels themselves
DIMENSIONS = {"1": "X", "2": "Y", "3": "Z", "4": "T"}
_COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
    "yellow": (255, 255, 0),
    "gray": (255, 255, 255),
    "grey": (255, 255, 255),
}
_DESCRIPTION = "./Data/Image/ImageDescription"
SETTINGS = "./Data/Image/Attachment[@Name='HardwareSetting']"


def list_images(path: Path) -> ImageList:
    """The images of a file, called by their folders and names in it; those of lifetimes are left
    out.

    Raises
    ------
    FileError
        If there is none.
    """
    with _opened_file(path) as file:
        return ImageList(_names(_images(path, file)))


def open_image(path: Path, image: str | int | None = None) -> Micrograph:
    """Open an image without reading its pixels; the first where none is named.

    Raises
    ------
    FileError
        If it is no LIF, damaged or cut short, or its pixels lie in other files.
    """
    with _opened_file(path) as file:
        images = _images(path, file)
        names = _names(images)
        number = chosen(path, names, image)
        one = images[number]
        axes, shape = _axes(one), _shape(one)
        _check(path, one)
        data = lazy_planes(path, _planes, (number,), axes, shape, one.dtype.newbyteorder("="))
        stem = file_stem(path)
        return labelled(
            data,
            axes,
            _calibration(one, axes),
            f"{stem} {names[number]}" if len(names) > 1 else stem,
        )


@contextmanager
def _opened_file(path: Path) -> Iterator[Any]:
    from liffile import LifFile

    with chatter("liffile"), BoundedReader(path) as handle, LifFile(handle) as file:
        if file.type.name not in SINGLE:
            raise FileError(
                f"{path} only tells of other files; name one of them, or save the images as LIF."
            )
        yield file


def _images(path: Path, file: Any) -> list[Any]:
    found = [each for each in file.images if not each.is_flim and {"X", "Y"} <= each.sizes.keys()]
    if not found:
        raise FileError(f"{path} holds no image; save it again.")
    return found


def _names(images: Sequence[Any]) -> tuple[str, ...]:
    return unique_names(each.path for each in images)


def _planes(path: str, number: int) -> Planes | np.ndarray:
    from liffile import LifFile

    with chatter("liffile"):
        handle = BoundedReader(path)
        file = LifFile(handle)
        one = _images(Path(path), file)[number]
    leading, dtype = _leading(one), one.dtype.newbyteorder("=")
    if set(one.frames.frame_dims) != {*one.dims} - set(
        leading
    ):  # rows of a plane do not lie side by side
        order = [one.dims.index(dim) for dim in (*leading, *_last(one))]
        return one.asarray().transpose(order).astype(dtype, copy=False)

    def read(index: tuple[int, ...], rows: slice, columns: slice) -> np.ndarray:
        frame = one.frame(**dict(zip(leading, index, strict=True)))
        plane = frame.transpose([one.frames.frame_dims.index(dim) for dim in _last(one)])
        return plane[rows, columns].astype(dtype, copy=False)

    return Planes(_shape(one), dtype, "S" in one.dims, read, handle.close)


def _last(one: Any) -> tuple[str, ...]:
    return ("Y", "X", "S") if "S" in one.dims else ("Y", "X")


def _leading(one: Any) -> tuple[str, ...]:
    """All dimensions but those of a plane, with time, depth and channels last."""
    usual = ("T", "Z", "C")
    others = [dim for dim in one.dims if dim not in (*usual, "Y", "X", "S")]
    return (*others, *(dim for dim in usual if dim in one.dims))


def _axes(one: Any) -> str:
    return plain_letters((*_leading(one), *_last(one)))


def _shape(one: Any) -> tuple[int, ...]:
    return tuple(one.sizes[dim] for dim in (*_leading(one), *_last(one)))


def _check(path: Path, one: Any) -> None:
    """Make sure that the pixels that are told of are there."""
    there, claimed = one.memory_block.size, math.prod(_shape(one)) * one.dtype.itemsize
    if claimed > there:
        raise FileError(
            f"{path} is damaged or cut short: {one.path} claims to hold {claimed:,} bytes of "
            f"pixels, and {there:,} are there; copy it again."
        )


def _calibration(one: Any, axes: str) -> Calibration:
    root: Element = one.xml_element
    steps, seconds = {}, math.nan
    for each in root.iterfind(f"{_DESCRIPTION}/Dimensions/DimensionDescription"):
        axis, unit = DIMENSIONS.get(each.get("DimID", "")), each.get("Unit", "")
        count = number_told(each.get("NumberOfElements"))
        step = number_told(each.get("Length")) / (count - 1) if count > 1 else math.nan
        if axis == "T":
            seconds = step * (seconds_in(unit) or math.nan)
        elif axis is not None and math.isfinite(step) and step:
            in_um = unit == "m"
            steps[axis] = AxisStep(abs(step) * (1e6 if in_um else 1), "µm" if in_um else unit)
    channels = root.findall(f"{_DESCRIPTION}/Channels/ChannelDescription")
    names = tuple(_dye(each) for each in channels)
    display = tuple(
        ChannelDisplay(_COLOURS.get(each.get("LUTName", "").lower())) for each in channels
    )
    plain = "S" in axes
    return Calibration(
        Geometry.of(steps),
        names if all(names) and not plain else (),
        seconds if is_size(seconds) else None,
        display if any(each.color for each in display) and not plain else (),
        objective=_objective(root, len(channels)),
    )


def _dye(channel: Element) -> str:
    """The name of a channel, of its properties."""
    told = {
        each.findtext("Key", ""): each.findtext("Value", "").strip()
        for each in channel.iterfind("./ChannelProperty")
    }
    return next((told[key] for key in ("ChannelName", "DyeName") if told.get(key)), "")


def _objective(root: Element, channels: int) -> Objective | None:
    """What the settings of the microscope say; those of its camera, or of its scanner."""
    settings = root.find(SETTINGS)
    for each in () if settings is None else settings.iter():
        if each.get("NumericalAperture") or each.get("ObjectiveName"):
            waves = _emitted_um(settings, channels) if settings is not None else []
            name = each.get("ObjectiveName")
            told = told_objective(
                each.get("NumericalAperture"),
                waves,
                each.get("Magnification"),
                each.get("Immersion"),
            )
            return told or labelled_objective(name, waves)
    return None


def _emitted_um(settings: Element, channels: int) -> list[float]:
    """The middle of what each channel detects, where there is a band for each, or else what filters
    let through.
    """
    told = [
        number_told(each.get("EmissionWavelength")) / 1000
        for each in settings.iter("WideFieldChannelInfo")
    ]
    if any(wave > 0 for wave in told):
        return told
    bands = [
        (number_told(each.get("LeftWorld")) + number_told(each.get("RightWorld"))) / 2000
        for each in settings.iter("MultiBand")
    ]
    return bands if len(bands) == channels else []
