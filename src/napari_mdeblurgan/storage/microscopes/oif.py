"""Olympus OIB and OIF of the FluoView FV1000, read by oiffile."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.calibration import Calibration, labelled
from napari_mdeblurgan.storage.chatter import chatter
from napari_mdeblurgan.storage.claims import check_member
from napari_mdeblurgan.storage.geometry import AxisStep, Geometry, is_size, seconds_in
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.objective import (
    Objective,
    labelled_objective,
    number_told,
    told_objective,
)
from napari_mdeblurgan.storage.planes import Planes, lazy_planes
from napari_mdeblurgan.storage.several import ImageList, chosen
from napari_mdeblurgan.storage.stems import file_stem

FOLDER = ".files"  # what is added to the name of an OIF for that of the folder with its planes
PLANE = re.compile(r"s_((?:[A-Z]\d+)+)\.tif", re.IGNORECASE)
PLACE = re.compile(r"([A-Z])(\d+)")
_USUAL = "TZC"
COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HIGHEST_COMPRESSION = 1500


@dataclass(frozen=True)
class _Content:
    """What a file, or a folder beside it, holds.

    Attributes
    ----------
    settings : mapping
        Sections of settings by their names.
    planes : dict of tuple of int to str
        What each plane is called, by its place along `leading`.
    leading : str
        Axes before those of a plane.
    shape : tuple of int
        Of the image.
    dtype : dtype
        Of its pixels.
    open : callable
        Opens a plane of that name.
    """

    settings: Mapping[str, Mapping[str, Any]]
    planes: dict[tuple[int, ...], str]
    leading: str
    shape: tuple[int, ...]
    dtype: np.dtype
    open: Callable[[str], BinaryIO]


def list_images(path: Path) -> ImageList:
    """The only image of a file.

    Raises
    ------
    FileError
        If it is none of these files, damaged or cut short, or planes are missing.
    """
    with _opened_file(path):
        return ImageList(("0",))


def open_image(path: Path, image: str | int | None = None) -> Micrograph:
    """Open the image without reading its pixels.

    Raises
    ------
    FileError
        If it is none of these files, damaged or cut short, or planes are missing.
    """
    chosen(path, ("0",), image)
    with _opened_file(path) as content:
        axes = f"{content.leading}YX"
        data = lazy_planes(path, _planes, (), axes, content.shape, content.dtype.newbyteorder("="))
        return labelled(data, axes, _calibration(content), file_stem(path))


@contextmanager
def _opened_file(path: Path) -> Iterator[_Content]:
    with chatter("tifffile"):
        content, close = _read(path)
        try:
            yield content
        finally:
            close()


def _planes(path: str) -> Planes:
    place = Path(path)
    with chatter("tifffile"):
        content, close = _read(place)
    dtype = content.dtype.newbyteorder("=")

    def read(index: tuple[int, ...], rows: slice, columns: slice) -> np.ndarray:
        with content.open(content.planes[index]) as file:
            return _plane(place, file, content)[rows, columns].astype(dtype, copy=False)

    return Planes(content.shape, dtype, False, read, close)


def _read(path: Path) -> tuple[_Content, Callable[[], object]]:
    from oiffile import OibFileSystem, SettingsFile

    if path.suffix.lower() == ".oif":
        folder = path.with_name(path.name + FOLDER)
        if not folder.is_dir():
            raise FileError(
                f"{path} tells of planes in a folder {folder.name} that is not there; put it "
                "beside the file."
            )
        files = {each.name: each.name for each in folder.iterdir()}
        for name in files:
            check_member(path, folder / name)
        return _content(
            path, SettingsFile(path), files, lambda name: (folder / name).open("rb")
        ), lambda: None
    check_chains(path)
    system = OibFileSystem(path)
    try:
        files = {PurePosixPath(name.replace("\\", "/")).name: name for name in system.files()}
        return _content(path, system.settings, files, system.open_file), system.close
    except BaseException:
        system.close()
        raise


def _content(
    path: Path,
    settings: Mapping[str, Any],
    files: Mapping[str, str],
    opener: Callable[[str], BinaryIO],
) -> _Content:
    order = str(settings.get("Axis Parameter Common", {}).get("AxisOrder", "XY"))
    if not order.startswith("XY"):
        raise FileError(
            f"{path} is a scan along {order[:2]}, not of rows and columns; save it as OME-TIFF."
        )
    places = {
        name: dict(PLACE.findall(match[1].upper()))
        for name in files
        if (match := PLANE.fullmatch(name))
    }
    if not places:
        raise FileError(
            f"{path} holds no image; copy it again, with the folder beside it if it has one."
        )
    letters = sorted(
        {letter for each in places.values() for letter in each},
        key=lambda letter: _USUAL.find(letter),
    )
    numbers = {
        letter: sorted({int(each.get(letter, 1)) for each in places.values()}) for letter in letters
    }
    leading = "".join(letter for letter in letters if len(numbers[letter]) > 1)
    planes = {
        tuple(numbers[letter].index(int(each.get(letter, 1))) for letter in leading): files[name]
        for name, each in places.items()
    }
    counts = tuple(len(numbers[letter]) for letter in leading)
    if len(planes) != math.prod(counts) or len(planes) != len(places):
        raise FileError(
            f"{path} lacks planes: {len(planes):,} of {math.prod(counts):,} are there; copy it "
            "again."
        )
    with opener(next(iter(planes.values()))) as file:
        shape, dtype = _size(path, file)
    return _Content(settings, planes, leading, (*counts, *shape), dtype, opener)


def _size(path: Path, file: BinaryIO) -> tuple[tuple[int, int], np.dtype]:
    """Of a plane, as far as its bytes can hold it."""
    from tifffile import TiffFile

    there = file.seek(0, 2)
    file.seek(0)
    with TiffFile(file) as tif:
        page: Any = tif.pages.first
        if page.ndim != 2 or page.dtype is None or page.dtype.kind not in "uif":
            raise FileError(f"{path} has planes of a kind that is not read; save it as OME-TIFF.")
        if page.nbytes > _HIGHEST_COMPRESSION * there:
            raise _cut_short(path)
        return page.shape, np.dtype(page.dtype)


def _plane(path: Path, file: BinaryIO, content: _Content) -> np.ndarray:
    from tifffile import TiffFile

    shape, dtype = _size(path, file)
    if shape != content.shape[-2:] or dtype != content.dtype:
        raise FileError(f"{path} has planes of several sizes or types; save it as OME-TIFF.")
    file.seek(0)
    with TiffFile(file) as tif:
        return tif.pages.first.asarray()


def _cut_short(path: Path) -> FileError:
    return FileError(f"{path} is damaged or cut short; copy it again.")


def check_chains(path: Path) -> None:
    """Make sure that the sectors of a compound file follow each other to an end, which the library
    takes for granted.

    Raises
    ------
    FileError
        If it is no compound file, or they do not.
    """
    content = np.memmap(path, np.uint8, "r")
    if content[:8].tobytes() != COMPOUND or len(content) < 512:
        raise FileError(f"{path} is not an OIB file, whatever its name says; save it again.")
    (shift,) = struct.unpack("<H", content[30:32].tobytes())
    if shift not in (9, 12):
        raise _cut_short(path)
    size = 2**shift
    count, _, _, _, small, small_count, more, more_count = struct.unpack(
        "<8I", content[44:76].tobytes()
    )
    most = len(content) // size
    if max(count, small_count, more_count) > most:
        raise _cut_short(path)

    def sector(number: int) -> np.ndarray:
        found = content[(number + 1) * size : (number + 2) * size]
        if len(found) != size:
            raise _cut_short(path)
        return found.view("<u4")

    numbers = list(content[76:512].view("<u4"))
    for _ in range(more_count):
        found = sector(int(more))
        numbers += list(found[:-1])
        more = int(found[-1])
    table = np.concatenate(
        [sector(int(number)) for number in numbers[:count]] or [np.empty(0, "<u4")]
    )
    if not _ends(table):
        raise _cut_short(path)
    chain: list[np.ndarray] = []
    while small < len(table) and len(chain) < small_count:
        chain.append(sector(small))
        small = int(table[small])
    if chain and not _ends(np.concatenate(chain)):
        raise _cut_short(path)


def _ends(table: np.ndarray) -> bool:
    """Whether no chain of a table, each entry of which is the number of the next, goes round for
    ever.
    """
    end = len(table)
    following = np.append(np.minimum(table, end).astype(np.int64), end)
    for _ in range(max(end, 1).bit_length()):
        following = following[following]
    return bool((following == end).all())


def _calibration(content: _Content) -> Calibration:
    settings = content.settings
    steps, seconds = {}, math.nan
    reference = settings.get("Reference Image Parameter", {})
    for letter, name in (("X", "Width"), ("Y", "Height")):
        size = number_told(reference.get(f"{name}ConvertValue"))
        if is_size(size):
            steps[letter] = AxisStep(size, str(reference.get(f"{name}Unit", "")))
    for number in range(8):
        axis = settings.get(f"Axis {number} Parameters Common", {})
        letter, unit = str(axis.get("AxisCode", "")), str(axis.get("UnitName", ""))
        count = number_told(axis.get("MaxSize"))
        begin, end = (number_told(axis.get(f"{which}Position")) for which in ("Start", "End"))
        step = abs(end - begin) / (count - 1) if count > 1 else math.nan
        if letter == "Z" and is_size(step):
            steps["Z"] = AxisStep(step, unit)
        if letter == "T":
            seconds = step * (seconds_in(unit) or math.nan)
    channels = _channels(settings)
    names = tuple(str(each.get("DyeName") or each.get("CH Name") or "") for each in channels)
    return Calibration(
        Geometry.of(steps),
        names if all(names) else (),
        seconds if is_size(seconds) else None,
        objective=_objective(settings, channels),
    )


def _channels(settings: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The settings of those channels that were recorded."""
    found: list[Mapping[str, Any]] = []
    while (one := settings.get(f"GUI Channel {len(found) + 1} Parameters")) is not None:
        found.append(one)
    return [each for each in found if number_told(each.get("CH Activate", 1)) != 0]


def _objective(
    settings: Mapping[str, Mapping[str, Any]], channels: list[Mapping[str, Any]]
) -> Objective | None:
    told = settings.get("Acquisition Parameters Common", {})
    waves = [number_told(each.get("EmissionWavelength")) / 1000 for each in channels]
    label = labelled_objective(told.get("ObjectiveLens Name"), waves)
    aperture, magnification = told.get("ObjectiveLens NAValue"), told.get("Magnification")
    return told_objective(aperture, waves, magnification, label.immersion if label else "") or label
