"""ImageJ's dialect of TIFF: sizes, times, colours and greys as ImageJ itself
reads and writes them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.storage.calibration import Calibration, telling, time_document
from napari_mdeblurgan.storage.display import ChannelDisplay, GreyCalibration, limits_of
from napari_mdeblurgan.storage.geometry import (
    MICROMETRES,
    AxisStep,
    Geometry,
    is_scale,
    is_size,
    seconds_in,
    unit_of_length,
)
from napari_mdeblurgan.storage.tiff.tiff_tags import (
    INCH,
    LENGTHS,
    NO_UNIT,
    density_of,
    sizes_in_tags,
)

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

    from napari_mdeblurgan.storage.micrograph import Micrograph

SMALLEST_UM = 1e-5  # a hundredth of a nanometre: finer than any microscope
SCREEN_DPI = 72.0  # what programs write that know no density
LARGEST_DENSITY = 2**32 - 1  # what the numerator of a tag can hold
_DTYPES = frozenset({"uint8", "int16", "uint16", "float32"})
SIGNED_OFFSET = (
    32_768  # ImageJ holds signed numbers of 16 bits as unsigned ones that are so much larger
)
STRAIGHT_LINE = 0  # number of the calibration c0 + c1 · v
NO_CALIBRATION = (20,)
GREY_UNITS = ("", "Gray Value")
CORNER = {"X": 0.5, "Y": 0.5, "Z": 0.0}  # from what ImageJ calls the place of a pixel to its centre
_UNTOLD = (
    0.0,
    -0.5,
    -1.0,
    -1.5,
)  # pixels: where a result of an image begins whose origin is not known
COMPOSITE_COLOURS = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (0, 255, 255),
    (255, 0, 255),
    (255, 255, 0),
)


def is_signed(metadata: dict[str, Any], dtype: np.dtype) -> bool:
    """Whether unsigned numbers of 16 bits stand for signed ones."""
    greys = (metadata.get("cf"), metadata.get("c0"), metadata.get("c1"))
    return dtype == np.uint16 and greys == (STRAIGHT_LINE, -SIGNED_OFFSET, 1)


def with_all_planes(tif: TiffFile) -> list[TiffPageSeries] | None:
    """The image of a file whose description counts fewer planes than there are, as one to which
    planes were added; they are a stack, as in ImageJ. None for any other file.
    """
    from tifffile import TiffPageSeries

    first = tif.series[0] if tif.is_imagej and tif.series else None
    if first is None or first.kind != "imagej":
        return None
    page = first.keyframe
    if len(tif.pages) * page.size <= first.size:
        return None
    shape, axes = (len(tif.pages), *page.shape), "I" + page.axes
    return [TiffPageSeries(list(tif.pages), shape, first.dtype, axes, kind=first.kind)]


def from_imagej(metadata: dict[str, Any], series: TiffPageSeries) -> Calibration:
    """What ImageJ says of an image."""
    step, seconds = metadata.get("finterval"), seconds_in(str(metadata.get("tunit", "s")))
    return Calibration(
        _geometry(metadata, series.keyframe),
        _names(metadata, series),
        float(step) * seconds if is_size(step) and seconds else None,
        _display(metadata, series),
        _greys(metadata, np.dtype(series.dtype)),
    )


def _geometry(metadata: dict[str, Any], page: TiffPage) -> Geometry:
    """Sizes and origins as ImageJ reads them; an origin is the pixel whose corner lies at zero."""
    unit = str(metadata.get("unit", ""))
    if not unit.strip() and page.tags.valueof("ResolutionUnit") in LENGTHS:
        plane = {axis: AxisStep(size, "µm") for axis, size in sizes_in_tags(page).scale.items()}
    else:
        plane = {axis: _step(metadata, page, axis, unit) for axis in "XY"}
    steps = {axis: step for axis, step in plane.items() if is_scale(step.scale)}
    spacing = metadata.get("spacing")
    if is_scale(spacing):
        if not unit_of_length(unit):
            steps = {axis: AxisStep(1.0) for axis in "XY"} | steps
        steps["Z"] = AxisStep(float(spacing), str(metadata.get("zunit", "")) or unit)
    for axis, step in steps.items():
        begin = metadata.get(f"{axis.lower()}origin")
        if is_scale(begin):
            steps[axis] = step._replace(origin=(CORNER[axis] - begin) * step.scale)
    return telling(Geometry.of(steps))


def _step(metadata: dict[str, Any], page: TiffPage, axis: str, unit: str) -> AxisStep:
    """Of X or Y: pixels for one of the description's unit, whatever the tags say, but for what
    cannot be meant so.

    Programs other than ImageJ, Micro-Manager among them, give the density for the unit that the
    tags name.
    """
    density, of_tags = density_of(page, axis), page.tags.valueof("ResolutionUnit")
    named = str(metadata.get(f"{axis.lower()}unit", "")) or unit
    size, length = 1 / density if is_size(density) else math.nan, unit_of_length(named)
    if length is None:
        return AxisStep(size if of_tags in (None, NO_UNIT) else math.nan)
    if of_tags == INCH and density == SCREEN_DPI and length != "in":
        return AxisStep(math.nan)
    impossible = size * MICROMETRES[length] < SMALLEST_UM
    if of_tags in LENGTHS and (of_tags != INCH or impossible):
        metric = LENGTHS[of_tags]
        return AxisStep(size * MICROMETRES[metric] / MICROMETRES[length], length)
    return AxisStep(size, length)


def _names(metadata: dict[str, Any], series: TiffPageSeries) -> tuple[str, ...]:
    """Labels of slices as names of channels, where they repeat with every plane (channels run
    fastest in ImageJ).
    """
    labels = metadata.get("Labels")
    if "C" not in series.axes or not isinstance(labels, list):
        return ()
    channels = series.shape[series.axes.index("C")]
    names = [str(label) for label in labels[:channels]]
    planes = int(metadata.get("images", 0) or 0)
    whole = len(labels) == planes and all(
        str(label) == names[i % channels] for i, label in enumerate(labels)
    )
    return tuple(names) if whole and all(names) else ()


def _display(metadata: dict[str, Any], series: TiffPageSeries) -> tuple[ChannelDisplay, ...]:
    """Lookup tables and limits of the channels; where there are none and it is coloured, ImageJ's
    own colours.
    """
    if "S" in series.axes:
        return ()
    channels = series.shape[series.axes.index("C")] if "C" in series.axes else 1
    tables, ranges = metadata.get("LUTs"), metadata.get("Ranges")
    tables = list(tables) if isinstance(tables, list) else [] if tables is None else [tables]
    limits: list[Any] = [None] * channels
    if isinstance(ranges, tuple) and len(ranges) == 2 * channels:
        limits = [ranges[2 * i : 2 * i + 2] for i in range(channels)]
    elif channels == 1:
        limits = [(metadata.get("min"), metadata.get("max"))]
    offset = (
        SIGNED_OFFSET
        if series.dtype == np.int16 or is_signed(metadata, np.dtype(series.dtype))
        else 0
    )
    bounds = [_moved(limits_of(each), -offset) for each in limits]
    if len(tables) != channels:
        tables = [page_table(series.keyframe)] if channels == 1 else []
    if not tables and channels > 1 and metadata.get("mode") in ("composite", "color"):
        colours = [
            COMPOSITE_COLOURS[i] if i < len(COMPOSITE_COLOURS) else (255, 255, 255)
            for i in range(channels)
        ]
        return tuple(
            ChannelDisplay(colour, None, each) for colour, each in zip(colours, bounds, strict=True)
        )
    if not any(each is not None for each in tables) and not any(bounds):
        return ()
    return tuple(map(ChannelDisplay.of, tables or [None] * channels, bounds))


def page_table(page: TiffPage) -> np.ndarray | None:
    """The lookup table in a page's tags, (3, 256) uint8: a colour map, or the inverse greys of
    white-is-zero; else None.
    """
    from tifffile import PHOTOMETRIC

    if (
        page.photometric == PHOTOMETRIC.PALETTE
        and page.colormap is not None
        and page.colormap.shape == (3, 256)
    ):
        return (np.asarray(page.colormap) >> (8 if page.colormap.max() > 255 else 0)).astype(
            np.uint8
        )
    inverted = (
        page.photometric == PHOTOMETRIC.MINISWHITE and "PhotometricInterpretation" in page.tags
    )
    if inverted and page.bitspersample > 1:  # of bits, tifffile says so by itself
        return np.tile(np.arange(255, -1, -1, dtype=np.uint8), (3, 1))
    return None


def _greys(metadata: dict[str, Any], dtype: np.dtype) -> GreyCalibration | None:
    """What greys stand for; None where they stand for themselves, as signed numbers do once they
    are such.
    """
    function, unit = metadata.get("cf"), str(metadata.get("vunit", ""))
    if not isinstance(function, int) or isinstance(function, bool) or function in NO_CALIBRATION:
        return None
    if is_signed(metadata, dtype):
        return None if unit in GREY_UNITS else GreyCalibration(STRAIGHT_LINE, (0.0, 1.0), unit)
    coefficients: list[float] = []
    while isinstance(value := metadata.get(f"c{len(coefficients)}"), int | float):
        coefficients.append(float(value))
    return GreyCalibration(function, tuple(coefficients), unit)


def _moved(limits: tuple[float, float] | None, by: float) -> tuple[float, float] | None:
    return limits and (limits[0] + by, limits[1] + by)


def fits_imagej(image: Micrograph) -> bool:
    """Whether ImageJ's dialect holds the pixels, the axes and all that says where they lie."""
    dtypes = {"uint8"} if image.rgb else _DTYPES
    geometry = image.geometry
    plane = [geometry.scale[axis] for axis in "XY" if axis in geometry.scale]
    return (
        set(image.axes) <= set("TZCYXS")
        and image.data.dtype.name in dtypes
        and set(geometry.scale) in (set(), {"X", "Y"}, {"X", "Y", "Z"})
        and not geometry.unitless
        and not time_document(image)
        and all(size > 0 and 1 / size < LARGEST_DENSITY for size in plane)
        and not (image.rgb and image.grey_calibration)
    )


def imagej_options(image: Micrograph, axes: str) -> dict[str, Any]:
    """What tifffile is told of ImageJ's metadata."""
    geometry = image.geometry
    metadata: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {"metadata": metadata}
    if geometry.scale:
        unit = geometry.unit or "pixel"
        metadata["unit"] = {"µm": "micron", "Å": "angstrom", "in": "inch"}.get(unit, unit)
        options |= {
            "resolution": tuple(1 / geometry.scale[axis] for axis in "XY"),
            "resolutionunit": "NONE",
        }
    if "Z" in geometry.scale:
        metadata["spacing"] = geometry.scale["Z"]
    for axis, first in known_origins(geometry).items():
        metadata[f"{axis.lower()}origin"] = CORNER[axis] - first
    if image.time_step_s is not None:
        metadata["finterval"] = abs(float(image.time_step_s))
    if "C" in axes:
        metadata["mode"] = "composite"
        planes = math.prod(
            image.data.shape[image.axes.index(axis)] for axis in "TZ" if axis in axes
        )
        if image.channel_names:
            metadata["Labels"] = list(image.channel_names) * planes
    if greys := image.grey_calibration:
        metadata |= {"cf": greys.function, "vunit": greys.unit or GREY_UNITS[-1]}
        metadata |= {f"c{number}": value for number, value in enumerate(greys.coefficients)}
    return options | _shown(image, metadata)


def known_origins(geometry: Geometry) -> dict[str, float]:
    """Where the first pixel lies, in pixels, along the axes for which that is known."""
    first = {axis: begin / geometry.scale[axis] for axis, begin in geometry.origin.items()}
    plane = [first[axis] for axis in "XY" if axis in first]
    untold = any(
        all(math.isclose(pixels, each, abs_tol=1e-6) for pixels in plane) for each in _UNTOLD
    )
    return {
        axis: pixels
        for axis, pixels in first.items()
        if (pixels != 0 if axis == "Z" else not untold)
    }


def _shown(image: Micrograph, metadata: dict[str, Any]) -> dict[str, Any]:
    """Puts colours and limits into ImageJ's metadata; what they need of the tags is given back."""
    offset = SIGNED_OFFSET if image.data.dtype == np.int16 else 0
    limits = [_moved(channel.limits, offset) for channel in image.display]
    known = [each for each in limits if each is not None]
    if image.channels > 1:
        if any(channel.color for channel in image.display):
            metadata["LUTs"] = [channel.table for channel in image.display]
        if known and len(known) == len(limits):
            metadata["Ranges"] = tuple(value for each in known for value in each)
        return {}
    if known:
        metadata["min"], metadata["max"] = known[0]
    if not image.display or image.display[0].grey:
        return {}
    if image.data.dtype == np.uint8 and "C" not in image.axes:
        return {
            "photometric": "palette",
            "colormap": image.display[0].table.astype(np.uint16) * 257,
        }
    metadata["LUTs"] = [image.display[0].table]
    return {}
