"""Stacks of Micro-Manager: an image for each position, of the planes that were recorded.

An acquisition that was stopped early leaves fewer planes than its files promise. tifffile puts
zeros in their place, and shows the positions of all files of an acquisition as one image; here an
image has the planes of the file that is named.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.calibration import Calibration
from napari_mdeblurgan.storage.claims import check_claims, check_member
from napari_mdeblurgan.storage.display import ChannelDisplay, limits_of
from napari_mdeblurgan.storage.geometry import AxisStep, Geometry, is_scale, is_size
from napari_mdeblurgan.storage.objective import named_objective
from napari_mdeblurgan.storage.tiff.tiff_companion import companion_xml
from napari_mdeblurgan.storage.tiff.tiff_imagej import with_all_planes
from napari_mdeblurgan.storage.tiff.tiff_note import without_note
from napari_mdeblurgan.storage.tiff.tiff_ome import from_ome

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffFrame, TiffPage, TiffPageSeries

KIND = "micromanager"
INDEX = "NDTiff.index"
AXES = "TZC"  # in which order planes are put
# of the map of planes in a file; then come the position and the place of the plane
_COLUMNS = {"C": 0, "Z": 1, "T": 2}
PLANNED = ("Frames", "Slices", "Channels")
PLANE_METADATA = 51123  # number of a tag
_SUFFIX = re.compile(r"((\.ome)?\.tiff?)$", re.IGNORECASE)


@dataclass
class Position:
    """The planes of one position: the page that holds each, by its index along T, Z and C."""

    planes: dict[tuple[int, ...], TiffPage | TiffFrame] = field(default_factory=dict)
    absent: int = 0


def open_tiff_file(path: str | Path) -> TiffFile:
    """Open a TIFF file by tifffile, with the series that this module finds in stacks of
    Micro-Manager.

    Raises
    ------
    FileError
        If planes of a stack are missing so that no image is whole, or the file claims more than it
        can hold.
    """
    tif = _opened(path)
    try:
        found = _stack_series(Path(path), tif) if tif.is_mmstack else None
        found = _ndtiff_series(Path(path), tif) if found is None and tif.is_ndtiff else found
        if not found:
            check_claims(Path(path), tif)
            _check_index(Path(path), tif)
            found = with_all_planes(tif)
    except BaseException:
        tif.close()
        raise
    if found:
        tif.__dict__["series"] = found  # a cached property: this is what everybody is given
    return tif


def _opened(path: str | Path) -> TiffFile:
    """A TIFF file with the OME-XML of its set; what Micro-Manager writes at its end is not read:
    it is often garbled, and not needed.
    """
    import tifffile

    tif = tifffile.TiffFile(path)
    try:
        if xml := companion_xml(Path(path), tif):
            tif.close()
            tif = tifffile.TiffFile(path, omexml=xml)
        elif described := without_note(Path(path), tif):
            tif.close()
            tif = described
        if tif.is_micromanager:
            known = tifffile.read_micromanager_metadata(tif.filehandle, {"Summary", "IndexMap"})
            tif.__dict__["micromanager_metadata"] = known
    except BaseException:
        tif.close()
        raise
    return tif


def is_stack(series: TiffPageSeries) -> bool:
    """Whether a series is of this module."""
    return series.kind == KIND


def _calibration_of_acquisition(tif: TiffFile, series: TiffPageSeries) -> Calibration:
    """What the OME-XML and the summary of an acquisition say of a position; the first counts where
    both do.
    """
    xml, number, channels = tif.ome_metadata, series.attr["position"], series.attr["channels"]
    ome = from_ome(xml, number, series.name, tif.filename) if xml else Calibration()
    summary = _summary(tif)
    steps = {
        axis: AxisStep(size, ome.geometry.unit_of(axis), ome.geometry.origin.get(axis, 0.0))
        for axis, size in ome.geometry.scale.items()
    }
    edge = next(
        (summary[key] for key in ("PixelSize_um", "PixelSizeUm") if is_size(summary.get(key))), None
    )
    if edge is not None:
        steps = {axis: AxisStep(float(edge), "µm") for axis in "XY"} | steps
    depth = summary.get("z-step_um")
    if is_scale(depth) and "Z" not in steps:
        steps["Z"] = AxisStep(float(depth), "µm")
    elif is_scale(depth) and depth < 0:
        steps["Z"] = steps["Z"]._replace(scale=-abs(steps["Z"].scale))
    interval = summary.get("Interval_ms")
    names = ome.channel_names or _texts(summary.get("ChNames"))
    display = ome.display or _display(summary)
    last = max(channels)
    return Calibration(
        Geometry.of(steps),
        tuple(names[channel] for channel in channels) if last < len(names) else (),
        ome.time_step_s or (interval / 1000 if is_size(interval) else None),
        tuple(display[channel] for channel in channels) if last < len(display) else (),
        remarks=tuple(series.attr["remarks"]),
        objective=ome.objective or named_objective(summary),
    )


def _summary(tif: TiffFile) -> dict[str, Any]:
    """What Micro-Manager says of an acquisition, and of its first plane."""
    metadata, plane = (
        (tif.micromanager_metadata or {}).get("Summary"),
        tif.pages.first.tags.valueof(PLANE_METADATA),
    )
    if isinstance(plane, str | bytes):
        try:
            plane = json.loads(plane)
        except (ValueError, RecursionError):
            plane = None
    found = dict(plane) if isinstance(plane, Mapping) else {}
    return found | (dict(metadata) if isinstance(metadata, Mapping) else {})


def _texts(value: Any) -> tuple[str, ...]:
    return (
        tuple(value)
        if isinstance(value, list) and all(isinstance(each, str) and each for each in value)
        else ()
    )


def _display(summary: Mapping[str, Any]) -> tuple[ChannelDisplay, ...]:
    """Colours, which are opacity, red, green and blue in one signed number, and limits of the
    channels.
    """
    colours, darkest, brightest = (
        summary.get(key) for key in ("ChColors", "ChContrastMin", "ChContrastMax")
    )
    if not isinstance(colours, list) or not all(isinstance(each, int) for each in colours):
        return ()
    limits: list[Any] = [None] * len(colours)
    if (
        isinstance(darkest, list)
        and isinstance(brightest, list)
        and len(darkest) == len(brightest) == len(colours)
    ):
        limits = list(zip(darkest, brightest, strict=True))
    packed = [(each & 0xFFFFFF).to_bytes(3, "big") for each in colours]
    return tuple(
        ChannelDisplay((each[0], each[1], each[2]), None, limits_of(bounds))
        for each, bounds in zip(packed, limits, strict=True)
    )


def _stack_series(path: Path, tif: TiffFile) -> list[TiffPageSeries] | None:
    """One series for each position in a stack; None where it is read as another kind of TIFF."""
    metadata = tif.micromanager_metadata or {}
    summary, entries = metadata.get("Summary"), metadata.get("IndexMap")
    if not isinstance(summary, Mapping) or entries is None or not len(entries):
        return None
    positions: dict[int, Position] = {}
    _add_planes(positions, tif, entries, None)
    planned = prod(max(_whole(summary.get(key)), 1) for key in PLANNED)
    several = False
    if any(len(position.planes) < planned for position in positions.values()):
        for more in _continuations(path, summary):
            several = True
            _add_planes(positions, more, more.micromanager_metadata["IndexMap"], set(positions))  # type: ignore[index]
            more.close()
    return [
        _series(
            path,
            tif,
            index,
            position,
            found,
            AXES,
            planned,
            several,
            f"Pos{position}" if len(positions) > 1 else "",
        )
        for index, (position, found) in enumerate(sorted(positions.items()))
    ]


def _check_index(path: Path, tif: TiffFile) -> None:
    """Refuse a stack that ends before the index of its planes, unless all planes are there: which
    they are is not known.
    """
    metadata = tif.micromanager_metadata or {}
    summary = metadata.get("Summary")
    if (
        not isinstance(summary, Mapping)
        or metadata.get("MajorVersion", 1) != 0
        or "IndexMap" in metadata
    ):
        return
    planned = prod(max(_whole(summary.get(key)), 1) for key in PLANNED)
    if planned > len(tif.pages):
        raise FileError(
            f"{path} was cut short: the index of its planes is missing, and some of its {planned} "
            "planes; copy it again, or open it in Micro-Manager, which can mend it."
        )


def _ndtiff_series(path: Path, tif: TiffFile) -> list[TiffPageSeries] | None:
    """One series for each position of NDTiff, whose files share one index."""
    from tifffile import read_ndtiff_index

    listed = path.with_name(INDEX)
    check_member(path, listed)
    for name in {entry[1] for entry in read_ndtiff_index(listed)}:
        if Path(name).name != name:
            raise FileError(f"{listed} is damaged: it names no files beside it; copy it again.")
        check_member(path, path.parent / name)
    whole = tif.series[0] if len(tif.series) == 1 else None
    if whole is None or whole.kind != "ndtiff":
        return None
    axes, shape = whole.get_axes(squeeze=False), whole.get_shape(squeeze=False)
    leading = axes[: -len(whole.keyframe.shape)]
    if len(set(leading)) != len(leading):
        return None
    kept = [axis for axis, letter in enumerate(leading) if letter != "R"]
    positions: dict[int, Position] = {}
    for index, page in zip(product(*map(range, shape[: len(leading)])), whole, strict=False):
        position = positions.setdefault(
            index[leading.index("R")] if "R" in leading else 0, Position()
        )
        if page is not None:
            position.planes[tuple(index[axis] for axis in kept)] = page
    names = "".join(leading[axis] for axis in kept)
    return [
        _series(
            path,
            tif,
            number,
            position,
            planes,
            names,
            0,
            whole.is_multifile,
            f"Pos{position}" if len(positions) > 1 else "",
        )
        for number, (position, planes) in enumerate(sorted(positions.items()))
        if planes.planes
    ]


def _add_planes(
    positions: dict[int, Position], tif: TiffFile, entries: Any, wanted: set[int] | None
) -> None:
    """Add the planes that are in a file, of all positions or of some; those that are cut off count
    as absent.
    """
    import tifffile

    keyframe = tif.pages.first
    ends = tif.filehandle.size
    for number, (channel, plane, frame, position, offset) in enumerate(
        entries[entries[:, 4].argsort()].tolist()
    ):
        if wanted is not None and position not in wanted:
            continue
        found = positions.setdefault(position, Position())
        page: TiffPage | TiffFrame = keyframe
        if offset != keyframe.offset:
            try:
                page = tifffile.TiffFrame(tif, number, offset=offset, keyframe=keyframe)
            except (tifffile.TiffFileError, RuntimeError, ValueError, OSError, struct.error):
                page = None  # type: ignore[assignment]
        parts = () if page is None else zip(page.dataoffsets, page.databytecounts, strict=False)
        if (
            page is None
            or not page.dataoffsets
            or any(start + length > ends for start, length in parts)
        ):
            found.absent += 1
            continue
        found.planes[frame, plane, channel] = page


def _continuations(path: Path, summary: Mapping[str, Any]) -> Iterator[TiffFile]:
    """The files that go on where one is full, as they lie beside it: NAME_1, NAME_2, …"""
    suffix = _SUFFIX.search(path.name)
    if suffix is None:
        return
    number = 1
    while (more := path.with_name(f"{path.name[: suffix.start()]}_{number}{suffix[1]}")).is_file():
        tif = _opened(more)
        metadata = (tif.micromanager_metadata or {}) if tif.is_mmstack else {}
        if metadata.get("Summary") != summary:
            tif.close()
            return
        yield tif
        number += 1


def _series(
    path: Path,
    tif: TiffFile,
    index: int,
    number: int,
    position: Position,
    axes: str,
    planned: int,
    several: bool,
    name: str,
) -> TiffPageSeries:
    """The series of a position: all its planes, or the whole time points or slices at its
    beginning.

    Raises
    ------
    FileError
        If planes are missing in its midst.
    """
    import tifffile

    if not position.planes:
        raise FileError(f"{path} is cut short: none of its planes is there; copy it again.")
    values = [sorted({place[axis] for place in position.planes}) for axis in range(len(axes))]
    kept = _whole_part(position.planes, axes, values)
    if kept is None:
        missing = prod(map(len, values)) - len(position.planes)
        raise FileError(
            f"{path} lacks {missing} of its {prod(map(len, values))} planes, and not at its end; "
            "put the files that belong to it beside it, or save what is there as an image of its "
            "own."
        )
    pages = [position.planes[place] for place in product(*kept)]
    keyframe = next(page.keyframe for page in pages if page.keyframe is not None)
    attributes: dict[str, Any] = {
        "position": number,
        "channels": kept[axes.index("C")] if "C" in axes else [0],
        "remarks": _remarks(
            path,
            axes,
            kept,
            values,
            max(planned, len(position.planes) + position.absent, prod(map(len, values))),
            position,
        ),
    }
    return tifffile.TiffPageSeries(
        pages,
        shape=(*map(len, kept), *keyframe.shape),
        dtype=keyframe.dtype,
        axes=axes + keyframe.axes,
        attr=attributes,
        index=index,
        parent=tif,
        name=name,
        kind=KIND,
        multifile=several and any(page.parent is not tif for page in pages),
    )


def _whole_part(
    planes: Mapping[tuple[int, ...], Any], axes: str, values: list[list[int]]
) -> list[list[int]] | None:
    """The values of each axis at which all planes are there: all of them, or the first along T, or
    else along Z.
    """
    if len(planes) == prod(map(len, values)):
        return values
    for letter in "TZ":
        if letter not in axes:
            continue
        axis = axes.index(letter)
        others = prod(len(each) for number, each in enumerate(values) if number != axis)
        count = 0
        while (
            count < len(values[axis])
            and sum(place[axis] == values[axis][count] for place in planes) == others
        ):
            count += 1
        if count and all(
            place[axis] <= values[axis][min(count, len(values[axis]) - 1)] for place in planes
        ):
            return [each[:count] if number == axis else each for number, each in enumerate(values)]
    return None


def _remarks(
    path: Path,
    axes: str,
    kept: list[list[int]],
    values: list[list[int]],
    planned: int,
    position: Position,
) -> tuple[str, ...]:
    taken, there = prod(map(len, kept)), len(position.planes)
    if taken == planned:
        return ()
    words = {"T": "time points", "Z": "slices"}
    cut = next(
        (
            number
            for number, (some, each) in enumerate(zip(kept, values, strict=True))
            if len(some) < len(each)
        ),
        None,
    )
    which = (
        "they are all read"
        if cut is None
        else f"the first {len(kept[cut])} whole {words[axes[cut]]} are read"
    )
    return (
        f"{path.name} was stopped early, or files that belong to it are not beside it: {there} of "
        f"{planned} planes are there, and {which}.",
    )


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
