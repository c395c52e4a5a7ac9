"""Olympus and Evident OIR of the FluoView FV3000 and FV4000, read by oirfile.

The library reads an image as a whole; so it has to fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.calibration import Calibration, labelled
from napari_mdeblurgan.storage.chatter import chatter
from napari_mdeblurgan.storage.claims import checked_xml
from napari_mdeblurgan.storage.geometry import AxisStep, Geometry, is_size
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.objective import (
    Objective,
    labelled_objective,
    number_told,
    told_objective,
)
from napari_mdeblurgan.storage.planes import lazy_planes, plain_letters
from napari_mdeblurgan.storage.several import ImageList, chosen
from napari_mdeblurgan.storage.stems import file_stem

SHORT = ("truncated", "incomplete")  # words of the library for what it fills with zeros
_USUAL = "TZC"


def list_images(path: Path) -> ImageList:
    """The only image of a file.

    Raises
    ------
    FileError
        If it is no OIR, damaged or cut short.
    """
    with _opened_file(path):
        return ImageList(("0",))


def open_image(path: Path, image: str | int | None = None) -> Micrograph:
    """Open the image; its pixels are read when they are asked for, all at once.

    Raises
    ------
    FileError
        If it is no OIR, damaged, cut short, a scan along a line, or does not fit into memory.
    """
    chosen(path, ("0",), image)
    with _opened_file(path) as file:
        dims = _dims(file)
        axes, shape = plain_letters(dims), tuple(file.sizes[dim] for dim in dims)
        data = lazy_planes(path, _pixels, (), axes, shape, file.dtype.newbyteorder("="))
        return labelled(data, axes, _calibration(path, file), file_stem(path))


@contextmanager
def _opened_file(path: Path) -> Iterator[Any]:
    from oirfile import OirFile

    with chatter("oirfile") as complaints:
        with OirFile(path) as file:
            _check(path, file)
            yield file
        if any(word in complaint for complaint in complaints for word in SHORT):
            raise _cut_short(path)


def _check(path: Path, file: Any) -> None:
    if not {"X", "Y"} <= file.sizes.keys():
        raise FileError(f"{path} holds no image of rows and columns; save it as OME-TIFF.")
    there = sum(each.stat().st_size for each in (path, *map(Path, file.companion_files)))
    if file.nbytes > there:
        raise _cut_short(path)
    if file.nbytes > psutil.virtual_memory().available:
        size = f"{file.nbytes / 2**30:,.1f} GiB"
        raise FileError(
            f"{path} holds {size}, which does not fit into memory; save it as OME-TIFF."
        )


def _cut_short(path: Path) -> FileError:
    return FileError(f"{path} is damaged or cut short; copy it again.")


def _dims(file: Any) -> tuple[str, ...]:
    last = ("Y", "X", "S") if "S" in file.dims else ("Y", "X")
    others = [dim for dim in file.dims if dim not in last]
    return (*sorted(others, key=_USUAL.find), *last)


def _pixels(path: str) -> np.ndarray:
    with _opened_file(Path(path)) as file:
        order = [file.dims.index(dim) for dim in _dims(file)]
        return file.asarray().transpose(order).astype(file.dtype.newbyteorder("="), copy=False)


def _calibration(path: Path, file: Any) -> Calibration:
    scales, units = file.coord_scales, file.coord_units
    steps = {
        axis: AxisStep(float(scales[axis]), units.get(axis, ""))
        for axis in "XYZ"
        if axis in scales and is_size(abs(float(scales[axis])))
    }
    seconds = number_told(scales.get("T"))
    names = tuple(str(each.name or "") for each in file.channels)
    ends = [
        (number_told(each.start_wavelength), number_told(each.end_wavelength))
        for each in file.channels
    ]
    waves = [(low + high) / 2000 for low, high in ends]
    return Calibration(
        Geometry.of(steps),
        names if all(names) else (),
        seconds if is_size(seconds) else None,
        objective=_objective(path, file, waves),
    )


def _objective(path: Path, file: Any, waves: list[float]) -> Objective | None:
    """What the settings of the microscope say of its objective lens, whatever
    namespaces they use.
    """
    for text in (text for texts in file.xml_metadata.values() for text in texts):
        root = checked_xml(path, text) if "objectiveLens" in text else None
        for lens in () if root is None else root.iter():
            if _plain(lens.tag) != "objectiveLens":
                continue
            told = {_plain(each.tag): each.text or "" for each in lens.iter()}
            name = told.get("displayName") or told.get("name") or lens.get("name")
            label = labelled_objective(name, waves)
            medium = told.get("immersion") or (label.immersion if label else "")
            if (
                found := told_objective(
                    told.get("naValue"), waves, told.get("magnification"), medium
                )
                or label
            ):
                return found
    return None


def _plain(tag: object) -> str:
    return str(tag).rpartition("}")[2]
