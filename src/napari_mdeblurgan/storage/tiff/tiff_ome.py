"""OME-XML: what it says of an image, and what it is told of one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.calibration import Calibration, telling, time_document, with_time
from napari_mdeblurgan.storage.display import (
    ChannelDisplay,
    calibration_document,
    calibration_from,
    display_document,
    display_from,
)
from napari_mdeblurgan.storage.geometry import (
    MICROMETRES,
    AxisStep,
    Geometry,
    is_scale,
    is_size,
    seconds_in,
    unit_of_length,
)
from napari_mdeblurgan.storage.objective import ome_objective
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import PROVENANCE_KEY
from napari_mdeblurgan.storage.tiff.tiff_imagej import known_origins

if TYPE_CHECKING:
    from tifffile import TiffPageSeries

    from napari_mdeblurgan.storage.micrograph import Micrograph

NAMESPACE = "napari-mdeblurgan"  # of the annotation that holds what OME-XML has no place for
_KEY = "image"
OPAQUE = 255
_UNEVEN = 0.5  # of the mean step: slices that lie so unevenly are not where the stage says
_MODULO_AXES = "APRHEQI"  # angle, phase, tile, lifetime, wavelength, and what has no name


def from_ome(xml: str, index: int, name: str, file_name: str = "") -> Calibration:
    """What OME-XML says of an image of a file; nothing where it is garbled.

    Parameters
    ----------
    xml : str
        The whole document.
    index : int
        Number of the image among those with pixels; counts where neither file nor name tell.
    name : str
        Its name.
    file_name : str
        The file that its planes begin in, where that tells images apart.
    """
    root = _root(xml)
    image = None if root is None else _image(root, index, name, file_name)
    chosen = None if image is None else image.find("{*}Pixels")
    if root is None or image is None or chosen is None:
        return Calibration()
    own = own_annotation(root)
    mirrored, position = own.get("mirrored"), own.get("position")
    stage = _stage(chosen)
    steps = {}
    for axis in "XYZ":
        size = _number(chosen.get(f"PhysicalSize{axis}"))
        unit = chosen.get(f"PhysicalSize{axis}Unit", "µm")
        if axis == "Z" and not is_scale(size):
            size, unit = _spacing(chosen)
        begin = position.get(axis) if isinstance(position, dict) else None
        if is_size(size) or (axis == "Z" and is_scale(size)):  # of a stack taken downwards
            sign = -1 if isinstance(mirrored, list) and axis in mirrored else 1
            own_begin = float(begin) if is_scale(begin) else 0.0
            steps[axis] = AxisStep(
                sign * size, unit, own_begin if own else _in_unit(stage.get(axis), unit)
            )
    channels = chosen.findall("{*}Channel")
    names = tuple(channel.get("Name", "") for channel in channels)
    step = _time_step(chosen)
    calibration = Calibration(
        telling(Geometry.of(steps)),
        names if all(names) else (),
        step if is_size(step) else None,
        display=display_from(own.get("display")) or _display(channels),
        grey_calibration=calibration_from(own.get("grey_calibration")),
        objective=ome_objective(root, image),
    )
    return with_time(calibration, own.get("time"))


def _root(xml: str) -> ElementTree.Element | None:
    """Of a document; None where it is garbled."""
    try:
        return ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError):
        return None


def sizes_in_ome(xml: str, series: TiffPageSeries) -> Calibration:
    """How large pixels are and what they were taken with, of OME-XML that does not fit the planes
    of its file, such as three channels of what is stored as colours; nothing if it tells of several
    images, or of an image of another height or width.
    """
    root = _root(xml)
    pixels = [] if root is None else root.findall("{*}Image/{*}Pixels")
    lengths = dict(zip(series.axes, series.shape, strict=True))
    if len(pixels) != 1 or any(
        pixels[0].get(f"Size{axis}") != str(lengths.get(axis)) for axis in "XY"
    ):
        return Calibration()
    told = from_ome(xml, 0, "")
    return Calibration(told.geometry, objective=told.objective)


def _image(
    root: ElementTree.Element, index: int, name: str, file_name: str
) -> ElementTree.Element | None:
    """Of the image in that file or of that name, if there is one alone, else of that number; of
    those with pixels.
    """
    images = [
        image
        for image in root.findall("{*}Image")
        if image.find("{*}Pixels/{*}TiffData") is not None
    ]
    there = [
        image
        for image in images
        if any(
            each.get("FileName") == file_name
            for each in image.findall("{*}Pixels/{*}TiffData/{*}UUID")
        )
    ]
    named = [image for image in images if image.get("Name") == name]
    for only in (there, named):
        if len(only) == 1:
            return only[0]
    return images[index] if index < len(images) else None


def _time_step(pixels: ElementTree.Element) -> float:
    """Seconds from image to image, or else the mean of what the time stamps of the planes tell; not
    a number where neither is there.
    """
    told = _seconds(pixels, "TimeIncrement")
    if is_size(told):
        return told
    return _mean_step(_by_index(pixels, "T", lambda plane: _seconds(plane, "DeltaT")))


def _spacing(pixels: ElementTree.Element) -> tuple[float, str]:
    """From slice to slice, the mean of what the places of the stage tell, and its unit; not a
    number where they tell none, or the stage did not go from slice to slice evenly.
    """
    stage = _stage(pixels)
    if "Z" not in stage:
        return math.nan, ""
    places = _by_index(pixels, "Z", lambda plane: _number(plane.get("PositionZ")))
    mean = _mean_step(places)
    indices = sorted(places)
    steps = [
        (places[after] - places[before]) / (after - before) for before, after in pairwise(indices)
    ]
    even = all(abs(step - mean) <= _UNEVEN * abs(mean) for step in steps)
    return mean if even else math.nan, stage["Z"][1]


def _by_index(
    pixels: ElementTree.Element, axis: str, told: Callable[[ElementTree.Element], float]
) -> dict[float, float]:
    """What the first plane at each index of an axis tells of itself."""
    values: dict[float, float] = {}
    for plane in sorted(pixels.findall("{*}Plane"), key=_place):
        values.setdefault(_number(plane.get(f"The{axis}")), told(plane))
    return values


def _mean_step(values: Mapping[float, float]) -> float:
    """From one index to the next; not a number where there is but one."""
    first, last = (edge(values, default=0.0) for edge in (min, max))
    return (values[last] - values[first]) / (last - first) if last > first else math.nan


def _seconds(element: ElementTree.Element, name: str) -> float:
    seconds = seconds_in(element.get(f"{name}Unit", "s"))
    return _number(element.get(name)) * (seconds or math.nan)


def _place(plane: ElementTree.Element) -> list[float]:
    return [_number(plane.get(f"The{axis}")) for axis in "TCZ"]


def _stage(pixels: ElementTree.Element) -> dict[str, tuple[float, str]]:
    """Where the stage was at the first plane, with its unit of length; nothing along axes where it
    is in another.
    """
    planes = pixels.findall("{*}Plane")
    if not planes:
        return {}
    first = min(planes, key=_place)
    told = {
        axis: (
            _number(first.get(f"Position{axis}")),
            unit_of_length(first.get(f"Position{axis}Unit")),
        )
        for axis in "XYZ"
    }
    return {
        axis: (value, unit)
        for axis, (value, unit) in told.items()
        if unit is not None and math.isfinite(value)
    }


def _in_unit(place: tuple[float, str] | None, unit: str) -> float:
    """A place in another unit of length; 0 where there is none, or the other is
    no unit of length.
    """
    wanted = unit_of_length(unit)
    if place is None or wanted is None:
        return 0.0
    value, known = place
    return value if known == wanted else value * (MICROMETRES[known] / MICROMETRES[wanted])


def own_annotation(root: ElementTree.Element) -> dict[str, Any]:
    """What `ome_options` put into an annotation."""
    for annotation in root.findall("{*}StructuredAnnotations/{*}MapAnnotation"):
        if annotation.get("Namespace") == NAMESPACE:
            for entry in annotation.findall("{*}Value/{*}M"):
                try:
                    document = json.loads(entry.text or "") if entry.get("K") == _KEY else None
                except (ValueError, RecursionError):
                    document = None
                if isinstance(document, dict):
                    return document
    return {}


def _display(channels: list[ElementTree.Element]) -> tuple[ChannelDisplay, ...]:
    """Colours of channels, which are red, green, blue and opacity in one signed number."""
    colours: list[tuple[int, int, int] | None] = []
    for channel in channels:
        try:
            red, green, blue, _ = (int(channel.get("Color", "")) & 0xFFFFFFFF).to_bytes(4, "big")
        except ValueError:
            colours.append(None)
        else:
            colours.append((red, green, blue))
    return tuple(map(ChannelDisplay, colours)) if any(colours) else ()


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def check_ome_axes(axes: str, plain: str) -> None:
    """Make sure that OME-TIFF can hold these axes; `plain` is the name of a file that can.

    One more axis than those of OME lies along T or Z, as its modulo annotation tells.

    Raises
    ------
    FileError
        If there are axes it has no place for.
    """
    more = [axis for axis in axes if axis not in "TZCYXS"]
    before = axes[: axes.index(more[0])][-1:] if more else ""
    if more and (
        len(more) > 1
        or more[0] not in _MODULO_AXES
        or (before not in ("T", "Z") if before else {"T", "Z"} <= set(axes))
    ):
        raise FileError(f"OME-TIFF cannot hold an axis {more[0]} of {axes}; write {plain} instead.")


def ome_options(image: Micrograph) -> dict[str, Any]:
    """What tifffile is told of an OME-TIFF's metadata; what OME-XML has no place for goes into an
    annotation of our own.
    """
    geometry = image.geometry
    metadata: dict[str, Any] = {"axes": image.axes.replace("I", "Q")}  # OME's "other"
    for axis, size in geometry.scale.items():
        unit = geometry.unit_of(axis) or "pixel"
        metadata |= {f"PhysicalSize{axis}": abs(size), f"PhysicalSize{axis}Unit": unit}
    if image.time_step_s is not None:
        metadata |= {"TimeIncrement": abs(float(image.time_step_s)), "TimeIncrementUnit": "s"}
    channels: dict[str, Any] = {}
    if image.channel_names:
        channels["Name"] = list(image.channel_names)
    if any(channel.color for channel in image.display):
        channels["Color"] = [_packed(channel) for channel in image.display]
    if channels:
        metadata["Channel"] = channels
    if stage := _stage_options(image):
        metadata["Plane"] = stage
    if image.name:
        metadata["Name"] = image.name
    if own := _without_place(image):
        metadata["MapAnnotation"] = {"Namespace": NAMESPACE, _KEY: json.dumps(own)}
    return {"metadata": metadata}


def _stage_options(image: Micrograph) -> dict[str, list[Any]]:
    """Where the stage was along X and Y, for each plane, by which other programs put images
    together; nothing where that is not known.
    """
    geometry, lengths = image.geometry, zip(image.axes, image.data.shape, strict=True)
    planes = math.prod(length for axis, length in lengths if axis not in "YXS")
    told: dict[str, list[Any]] = {}
    for axis in known_origins(geometry).keys() & set("XY"):
        if unit := geometry.unit_of(axis):
            told[f"Position{axis}"] = [geometry.origin[axis]] * planes
            told[f"Position{axis}Unit"] = [unit] * planes
    return told


def _without_place(image: Micrograph) -> dict[str, Any]:
    geometry = image.geometry
    own: dict[str, Any] = {}
    if mirrored := [axis for axis, size in geometry.scale.items() if size < 0]:
        own["mirrored"] = mirrored
    if any(geometry.origin.values()):
        own["position"] = geometry.origin
    if time := time_document(image):
        own["time"] = time
    if any(channel.limits or channel.lut or not channel.active for channel in image.display):
        own["display"] = display_document(image.display)
    if image.grey_calibration:
        own["grey_calibration"] = calibration_document(image.grey_calibration)
    if image.provenance:
        own[PROVENANCE_KEY] = dict(image.provenance)
    return own


def _packed(channel: ChannelDisplay) -> int:
    """A colour as OME-XML has it; white, which is its default, where none is known."""
    return int.from_bytes(bytes((*(channel.color or (255, 255, 255)), OPAQUE)), "big", signed=True)
