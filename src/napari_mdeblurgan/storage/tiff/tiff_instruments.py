"""Sizes that programs of microscopes write into plain TIFF files beside tags of TIFF itself, which
then tell the density of a screen, or nothing: MetaMorph, FluoView, cellSens, electron microscopes
of Zeiss and FEI, and slide scanners of Philips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from napari_mdeblurgan.storage.claims import checked_xml
from napari_mdeblurgan.storage.geometry import (
    MICROMETRES,
    AxisStep,
    Geometry,
    is_size,
    unit_of_length,
)

if TYPE_CHECKING:
    from tifffile import TiffFile

_SLIDE = "Attribute[@Name='PIM_DP_IMAGE_TYPE'][.='WSI']"  # beside its label and its overview
_SPACING = "Attribute[@Name='DICOM_PIXEL_SPACING']"
Steps = Iterator[tuple[str, AxisStep]]


def instrument_sizes(tif: TiffFile) -> Geometry:
    """What the program of a microscope says of a pixel; nothing where none does, or it is
    garbled.
    """
    for told in _PROGRAMS:
        try:
            steps = {
                axis: AxisStep(float(step.scale), step.unit)
                for axis, step in told(tif)
                if is_size(step.scale) and unit_of_length(step.unit)
            }
        except (AttributeError, LookupError, ParseError, RecursionError, TypeError, ValueError):
            continue
        if steps.keys() >= {"X", "Y"}:
            return Geometry.of(steps)
    return Geometry()


def _metaseries(tif: TiffFile) -> Steps:
    """MetaMorph and MetaXpress of today."""
    told = tif.metaseries_metadata or {}
    plane: dict[str, Any] = told.get("PlaneInfo", told)
    if plane.get("spatial-calibration-state"):
        unit = plane.get("spatial-calibration-units", "")
        for axis in "XY":
            yield axis, AxisStep(plane[f"spatial-calibration-{axis.lower()}"], unit)


def _stk(tif: TiffFile) -> Steps:
    """Stacks of MetaMorph, of which each plane has a distance in micrometres."""
    told = tif.stk_metadata or {}
    if told.get("SpatialCalibration"):
        for axis in "XY":
            yield axis, AxisStep(told[f"{axis}Calibration"], told.get("CalibrationUnits", ""))
        if "Z" in tif.series[0].axes:
            yield "Z", AxisStep(abs(told["ZDistance"][0]), "µm")


def _fluoview(tif: TiffFile) -> Steps:
    """FluoView of Olympus, which also tells of the other axes."""
    told = tif.fluoview_metadata or {}
    for name, _size, _origin, step, unit in told.get("Dimensions", ()):
        if name.upper() in ("X", "Y", "Z"):
            yield name.upper(), AxisStep(step, unit)


def _sis(tif: TiffFile) -> Steps:
    """cellSens and others of Olympus Soft Imaging: metres."""
    told = tif.sis_metadata or {}
    for axis in "XY":
        yield axis, _metres(told[f"pixelsize{axis.lower()}"])


def _zeiss(tif: TiffFile) -> Steps:
    """Electron microscopes of Zeiss; without "image" it is the size of a pixel on their screen."""
    told = tif.sem_metadata or {}
    _name, size, unit = told["ap_image_pixel_size"]
    yield from ((axis, AxisStep(size, unit)) for axis in "XY")


def _fei(tif: TiffFile) -> Steps:
    """Electron microscopes of FEI and Thermo Fisher: metres."""
    told = tif.fei_metadata or {}
    for name in ("Scan", "EScan", "IScan"):
        if "PixelWidth" in told.get(name, ()):
            yield "X", _metres(told[name]["PixelWidth"])
            yield "Y", _metres(told[name]["PixelHeight"])
            return


def _philips(tif: TiffFile) -> Steps:
    """Slides of Philips: millimetres from row to row and from column to column, in quotes."""
    root: Any = checked_xml(Path(tif.filename), tif.philips_metadata or "")
    spacing = root.find(f".//{_SLIDE}/..//{_SPACING}").text.replace('"', "").split()
    for axis, size in zip("YX", spacing, strict=True):
        yield axis, AxisStep(float(size) * MICROMETRES["mm"], "µm")


def _metres(size: float) -> AxisStep:
    return AxisStep(size * MICROMETRES["m"], "µm")


_PROGRAMS: tuple[Callable[[TiffFile], Steps], ...] = (
    _metaseries,
    _stk,
    _fluoview,
    _sis,
    _zeiss,
    _fei,
    _philips,
)
