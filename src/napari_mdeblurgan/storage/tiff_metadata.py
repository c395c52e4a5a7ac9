"""What a TIFF file says about the size of its pixels and about its channels, in each dialect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from napari_mdeblurgan.storage.micrograph import in_one_unit, is_size, size_from_density, unit_of_length

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

SECONDS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
INCH, CENTIMETRE = 2, 3


@dataclass(frozen=True, slots=True)
class Calibration:
    """Sizes along X, Y and Z in `unit`, names of channels, seconds between frames: as far as the file tells."""

    sizes: dict[str, float] = field(default_factory=dict)
    unit: str | None = None
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
        if calibration.sizes:
            return calibration
        return Calibration(*_from_tags(series.keyframe), calibration.channel_names, calibration.time_step_s)
    return Calibration(*_from_tags(series.keyframe))


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
    sizes = {}
    for axis in "XYZ":
        size, unit = _number(chosen.get(f"PhysicalSize{axis}")), chosen.get(f"PhysicalSize{axis}Unit", "µm")
        sign = unit_of_length(unit)
        if is_size(size) and sign:
            sizes[axis] = (size, sign)
    names = tuple(channel.get("Name", "") for channel in chosen.findall("{*}Channel"))
    step = _number(chosen.get("TimeIncrement")) * SECONDS.get(chosen.get("TimeIncrementUnit", "s"), float("nan"))
    return Calibration(*in_one_unit(sizes), names if all(names) else (), step if is_size(step) else None)


def _from_imagej(metadata: dict[str, Any], series: TiffPageSeries) -> Calibration:
    unit = unit_of_length(str(metadata.get("unit", "")))
    sizes = {}
    if unit:
        for axis, tag in (("X", "XResolution"), ("Y", "YResolution")):
            own = unit_of_length(str(metadata.get(f"{axis.lower()}unit", ""))) or unit
            density = _ratio(series.keyframe, tag)
            if is_size(density) and is_size(1 / density):
                sizes[axis] = (1 / density, own)
        spacing = metadata.get("spacing")
        if is_size(spacing):
            sizes["Z"] = (float(spacing), unit_of_length(str(metadata.get("zunit", ""))) or unit)
    step = metadata.get("finterval")
    return Calibration(*in_one_unit(sizes), _from_labels(metadata, series), float(step) if is_size(step) else None)


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
    unit = unit_of_length(unit) if isinstance(unit, str) else None
    known = {}
    if unit and isinstance(sizes, dict):
        known = {axis: float(sizes[axis]) for axis in "XYZ" if is_size(sizes.get(axis))}
    return Calibration(
        known,
        unit if known else None,
        tuple(map(str, names)) if isinstance(names, list) else (),
        float(step) if is_size(step) else None,
    )


def _from_tags(page: TiffPage) -> tuple[dict[str, float], str | None]:
    """Resolution tags, where they can be the density of pixels on the object."""
    unit = page.tags.valueof("ResolutionUnit", INCH)
    if unit not in (INCH, CENTIMETRE):
        return {}, None
    per_inch = 2.54 if unit == CENTIMETRE else 1.0
    sizes = {}
    for axis, tag in (("X", "XResolution"), ("Y", "YResolution")):
        size = size_from_density(_ratio(page, tag) * per_inch)
        if size is None:
            return {}, None
        sizes[axis] = size
    return sizes, "µm"


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
