"""What microscopes and slide scanners write into TIFF files beside the pixels: Zeiss LSM, Aperio
SVS, Hamamatsu NDPI and Akoya QPTIFF.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.storage.calibration import Calibration
from napari_mdeblurgan.storage.claims import checked_xml
from napari_mdeblurgan.storage.display import ChannelDisplay
from napari_mdeblurgan.storage.geometry import AxisStep, Geometry, is_size
from napari_mdeblurgan.storage.objective import labelled_objective
from napari_mdeblurgan.storage.tiff.tiff_images import axes_in_capitals
from napari_mdeblurgan.storage.tiff.tiff_tags import sizes_in_tags

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries


def from_lsm(tif: TiffFile, _series: TiffPageSeries) -> Calibration:
    """What the tag of Zeiss says: sizes in metres, colours, names, and the
    objective by its name.
    """
    told: Mapping[str, Any] = tif.lsm_metadata or {}
    sizes = {axis: told.get(f"VoxelSize{axis}") for axis in "XYZ"}
    steps = {axis: AxisStep(size * 1e6, "µm") for axis, size in sizes.items() if is_size(size)}
    step = told.get("TimeIntervall")
    colours, scan = told.get("ChannelColors") or {}, told.get("ScanInformation") or {}
    names = tuple(str(name).strip("\0 ") for name in colours.get("ColorNames", ()))
    shown = [tuple(int(value) for value in each[:3]) for each in colours.get("Colors", ())]
    return Calibration(
        Geometry.of(steps),
        names if all(names) else (),
        float(step) if is_size(step) else None,
        tuple(ChannelDisplay((red, green, blue)) for red, green, blue in shown),
        objective=labelled_objective(scan.get("Objective"), _detected_um(scan)),
    )


def _detected_um(scan: Mapping[str, Any]) -> Iterator[float]:
    """The middle of each spectral band that was detected; files tell it of spectral detectors
    alone.
    """
    for track in scan.get("Tracks", ()):
        for channel in track.get("DetectionChannels", ()):
            ends = [channel.get(f"SpiWavelength{end}") for end in ("Start", "Stop")]
            if channel.get("Acquire", 1) and all(is_size(end) for end in ends):
                yield sum(ends) / 2000


def from_svs(tif: TiffFile, series: TiffPageSeries) -> Calibration:
    """What the description says: micrometres per pixel. It never tells the numerical aperture."""
    for entry in series.keyframe.description.split("|")[1:]:
        name, _, value = entry.partition("=")
        if name.strip() == "MPP":
            size = _number(value)
            return Calibration(
                Geometry.of({axis: AxisStep(size, "µm") for axis in "XY"})
                if size > 0
                else Geometry()
            )
    return from_tags(tif, series)


def from_tags(_tif: TiffFile, series: TiffPageSeries) -> Calibration:
    """What the tags of TIFF itself say, as in NDPI."""
    return Calibration(sizes_in_tags(series.keyframe))


def from_qptiff(tif: TiffFile, series: TiffPageSeries) -> Calibration:
    """What the description of the page of each channel says beside the tags: name and colour."""
    calibration = from_tags(tif, series)
    if axes_in_capitals(series) not in ("YX", "CYX"):
        return calibration
    path = Path(tif.filehandle.path)
    told = [checked_xml(path, page.aspage().description) for page in series.pages if page]
    names = [root.findtext("Name", "").strip() if root is not None else "" for root in told]
    colours = [_colour(root.findtext("Color", "") if root is not None else "") for root in told]
    return replace(
        calibration,
        channel_names=tuple(names) if all(names) else (),
        display=tuple(map(ChannelDisplay, colours)) if all(colours) else (),
    )


def _colour(text: str) -> tuple[int, int, int] | None:
    """Red, green and blue of "0,128,255"."""
    found = re.fullmatch(r"\s*(\d{1,3}),\s*(\d{1,3}),\s*(\d{1,3})\s*", text)
    if found is None:
        return None
    red, green, blue = (min(int(value), 255) for value in found.groups())
    return red, green, blue


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


SCANNERS: dict[str, Callable[[TiffFile, TiffPageSeries], Calibration]] = {
    "lsm": from_lsm,
    "svs": from_svs,
    "ndpi": from_tags,
    "qpi": from_qptiff,
}  # by tifffile's name for the kind of a series
