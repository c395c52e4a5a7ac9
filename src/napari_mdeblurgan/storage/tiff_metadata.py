"""What a TIFF file says about the size of its pixels and about its channels, in each dialect."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from napari_mdeblurgan.storage.geometry import (
    MICROMETRES,
    Geometry,
    Step,
    is_scale,
    is_size,
    seconds_in,
    size_from_density,
    unit_of_length,
)

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

NO_UNIT, INCH, CENTIMETRE = 1, 2, 3  # values of the tag ResolutionUnit
SMALLEST_UM = 1e-5  # a hundredth of a nanometre: finer than any microscope
SCREEN_DPI = 72.0  # what programs write that know no density


@dataclass(frozen=True, slots=True)
class Calibration:
    """Where the pixels lie, names of channels, seconds between frames: as far as the file tells."""

    geometry: Geometry = field(default_factory=Geometry)
    channel_names: tuple[str, ...] = ()
    time_step_s: float | None = None


def read_calibration(tif: TiffFile, index: int, series: TiffPageSeries) -> Calibration:
    """Calibration of the series number `index`; nothing is made up where the file is silent or garbled."""
    kind = series.kind.lower()
    if kind == "ome" and tif.ome_metadata:
        return _from_ome(tif.ome_metadata, index, series.name)
    if tif.imagej_metadata:
        return _from_imagej(tif.imagej_metadata, series)
    if kind == "shaped" and tif.shaped_metadata and index < len(tif.shaped_metadata):
        calibration = _from_json(tif.shaped_metadata[index])
        return calibration if calibration.geometry.scale else replace(calibration, geometry=_from_tags(series.keyframe))
    return Calibration(_from_tags(series.keyframe))


def _from_ome(xml: str, index: int, name: str) -> Calibration:
    """Of the image of that name, if there is one alone, else of the image of that number; those without pixels do not count."""
    try:
        images = ElementTree.fromstring(xml.encode()).findall("{*}Image")
    except ElementTree.ParseError:
        return Calibration()
    images = [image for image in images if image.find("{*}Pixels/{*}TiffData") is not None]
    named = [image for image in images if image.get("Name") == name]
    images = named if len(named) == 1 else images[index : index + 1]
    chosen = images[0].find("{*}Pixels") if images else None
    if chosen is None:
        return Calibration()
    steps = {}
    for axis in "XYZ":
        size = _number(chosen.get(f"PhysicalSize{axis}"))
        if is_size(size):
            steps[axis] = Step(size, chosen.get(f"PhysicalSize{axis}Unit", "µm"))
    names = tuple(channel.get("Name", "") for channel in chosen.findall("{*}Channel"))
    seconds = seconds_in(chosen.get("TimeIncrementUnit", "s"))
    step = _number(chosen.get("TimeIncrement")) * (seconds or math.nan)
    return Calibration(_telling(Geometry.of(steps)), names if all(names) else (), step if is_size(step) else None)


def _telling(geometry: Geometry) -> Geometry:
    """The geometry, unless it says no more than that pixels are one pixel apart."""
    silent = geometry.unit is None and all(value == 1 for value in geometry.scale.values())
    return Geometry() if silent and not any(geometry.origin.values()) else geometry


def _from_imagej(metadata: dict[str, Any], series: TiffPageSeries) -> Calibration:
    step, seconds = metadata.get("finterval"), seconds_in(str(metadata.get("tunit", "s")))
    time_step = float(step) * seconds if is_size(step) and seconds else None
    return Calibration(_imagej_geometry(metadata, series.keyframe), _from_labels(metadata, series), time_step)


def _imagej_geometry(metadata: dict[str, Any], page: TiffPage) -> Geometry:
    """Sizes and origins as ImageJ reads them; origins are in pixels there, and in the other direction."""
    unit = str(metadata.get("unit", ""))
    if not unit.strip() and page.tags.valueof("ResolutionUnit") in (INCH, CENTIMETRE):
        plane = {axis: Step(size, "µm") for axis, size in _from_tags(page).scale.items()}
    else:
        plane = {axis: _imagej_step(metadata, page, axis, unit) for axis in "XY"}
    steps = {axis: step for axis, step in plane.items() if is_scale(step.scale)}
    spacing = metadata.get("spacing")
    if is_scale(spacing):
        if not unit_of_length(unit):
            steps = {axis: Step(1.0) for axis in "XY"} | steps
        steps["Z"] = Step(float(spacing), str(metadata.get("zunit", "")) or unit)
    for axis, step in steps.items():
        begin = metadata.get(f"{axis.lower()}origin")
        if is_scale(begin):
            steps[axis] = step._replace(origin=-begin * step.scale)
    return _telling(Geometry.of(steps))


def _imagej_step(metadata: dict[str, Any], page: TiffPage, axis: str, unit: str) -> Step:
    """Of X or Y: pixels for one of the description's unit, whatever the tags say, but for what cannot be meant so.

    Programs other than ImageJ, Micro-Manager among them, give the density for the unit that the tags name.
    """
    density, of_tags = _ratio(page, f"{axis}Resolution"), page.tags.valueof("ResolutionUnit")
    named = str(metadata.get(f"{axis.lower()}unit", "")) or unit
    size, length = 1 / density if is_size(density) else math.nan, unit_of_length(named)
    if length is None:
        return Step(size if of_tags in (None, NO_UNIT) else math.nan)
    if of_tags == INCH and density == SCREEN_DPI and length != "in":
        return Step(math.nan)
    impossible = size * MICROMETRES[length] < SMALLEST_UM
    if of_tags == CENTIMETRE or (of_tags == INCH and impossible):
        metric = "cm" if of_tags == CENTIMETRE else "in"
        return Step(size * MICROMETRES[metric] / MICROMETRES[length], length)
    return Step(size, length)


def _from_labels(metadata: dict[str, Any], series: TiffPageSeries) -> tuple[str, ...]:
    """Labels of slices as names of channels, where they repeat with every plane (channels run fastest in ImageJ)."""
    labels = metadata.get("Labels")
    if "C" not in series.axes or not isinstance(labels, list):
        return ()
    channels = series.shape[series.axes.index("C")]
    names = [str(label) for label in labels[:channels]]
    planes = int(metadata.get("images", 0) or 0)
    whole = len(labels) == planes and all(str(label) == names[i % channels] for i, label in enumerate(labels))
    return tuple(names) if whole and all(names) else ()


def _from_json(metadata: dict[str, Any]) -> Calibration:
    """What `write_image` puts beside the axes of a plain TIFF file."""
    unit, sizes = metadata.get("unit"), metadata.get("pixel_size")
    names, step = metadata.get("channel_names"), metadata.get("time_step_s")
    position, unitless = metadata.get("position"), metadata.get("unitless")
    known = {axis: float(sizes[axis]) for axis in "XYZ" if is_scale(sizes.get(axis))} if isinstance(sizes, dict) else {}
    origin = (
        {axis: float(position[axis]) for axis in known if is_scale(position.get(axis))}
        if isinstance(position, dict)
        else {}
    )
    bare = unitless if isinstance(unitless, list) else ()
    steps = {
        axis: Step(size, None if axis in bare else str(unit), origin.get(axis, 0.0)) for axis, size in known.items()
    }
    return Calibration(
        Geometry.of(steps),
        tuple(map(str, names)) if isinstance(names, list) else (),
        float(step) if is_size(step) else None,
    )


def _from_tags(page: TiffPage) -> Geometry:
    """Resolution tags, where they can be the density of pixels on the object."""
    unit = page.tags.valueof("ResolutionUnit", INCH)
    if unit not in (INCH, CENTIMETRE):
        return Geometry()
    per_inch = 2.54 if unit == CENTIMETRE else 1.0
    steps = {}
    for axis, tag in (("X", "XResolution"), ("Y", "YResolution")):
        size = size_from_density(_ratio(page, tag) * per_inch)
        if size is None:
            return Geometry()
        steps[axis] = Step(size, "µm")
    return Geometry.of(steps)


def _ratio(page: TiffPage, tag: str) -> float:
    value = page.tags.valueof(tag)
    try:
        numerator, denominator = value
        return numerator / denominator
    except (TypeError, ValueError, ZeroDivisionError):
        return float("nan")


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")
