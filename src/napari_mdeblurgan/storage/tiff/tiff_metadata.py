"""What a TIFF file says of its pixels and its channels, in each dialect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.storage.calibration import Calibration, telling, time_document, with_time
from napari_mdeblurgan.storage.display import (
    ChannelDisplay,
    calibration_document,
    calibration_from,
    display_document,
    display_from,
)
from napari_mdeblurgan.storage.geometry import MICROMETRES, AxisStep, Geometry, is_scale, is_size
from napari_mdeblurgan.storage.tiff import micromanager
from napari_mdeblurgan.storage.tiff.tiff_imagej import LARGEST_DENSITY, from_imagej, page_table
from napari_mdeblurgan.storage.tiff.tiff_images import axes_in_capitals
from napari_mdeblurgan.storage.tiff.tiff_instruments import instrument_sizes
from napari_mdeblurgan.storage.tiff.tiff_ome import from_ome, sizes_in_ome
from napari_mdeblurgan.storage.tiff.tiff_scanners import SCANNERS
from napari_mdeblurgan.storage.tiff.tiff_tags import sizes_in_tags

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

    from napari_mdeblurgan.storage.micrograph import Micrograph


def read_calibration(tif: TiffFile, index: int, series: TiffPageSeries) -> Calibration:
    """Calibration of the series number `index`; nothing is made up where the file is silent or
    garbled.
    """
    kind = series.kind.lower()
    if kind in SCANNERS:
        return SCANNERS[kind](tif, series)
    if micromanager.is_stack(series):
        return micromanager._calibration_of_acquisition(tif, series)
    if kind == "ome" and tif.ome_metadata:
        return _with_table(from_ome(tif.ome_metadata, index, series.name), series)
    if tif.is_ome:
        sizes = sizes_in_ome(tif.ome_metadata or "", series)
        if sizes.geometry.scale:
            return sizes
    if tif.imagej_metadata:
        return from_imagej(tif.imagej_metadata, series)
    if kind == "shaped" and tif.shaped_metadata and index < len(tif.shaped_metadata):
        calibration = _from_json(tif.shaped_metadata[index])
        return (
            calibration
            if calibration.geometry.scale
            else replace(calibration, geometry=sizes_in_tags(series.keyframe))
        )
    told = instrument_sizes(tif)
    return Calibration(told if told.scale else sizes_in_tags(series.keyframe))


def _with_table(calibration: Calibration, series: TiffPageSeries) -> Calibration:
    """With the lookup table of a single channel that OME-TIFF keeps in the tags."""
    table = page_table(series.keyframe)
    if (
        table is None
        or {"C", "S"} & set(axes_in_capitals(series))
        or any(each.lut for each in calibration.display)
    ):
        return calibration
    limits = calibration.display[0].limits if calibration.display else None
    return replace(calibration, display=(ChannelDisplay.of(table, limits),))


def _from_json(metadata: dict[str, Any]) -> Calibration:
    """What `plain_options` puts beside the axes of a plain TIFF file."""
    unit, sizes = metadata.get("unit"), metadata.get("pixel_size")
    names, step = metadata.get("channel_names"), metadata.get("time_step_s")
    position, unitless = metadata.get("position"), metadata.get("unitless")
    sizes = sizes if isinstance(sizes, dict) else {}
    steps = {}
    for axis in "XYZ":
        begin = position.get(axis) if isinstance(position, dict) else None
        bare = isinstance(unitless, list) and axis in unitless
        size = sizes.get(axis)
        if is_scale(size):
            steps[axis] = AxisStep(
                float(size), None if bare else str(unit), float(begin) if is_scale(begin) else 0.0
            )
    calibration = Calibration(
        telling(Geometry.of(steps)),
        tuple(map(str, names)) if isinstance(names, list) else (),
        float(step) if is_size(step) else None,
        display=display_from(metadata.get("display")),
        grey_calibration=calibration_from(metadata.get("grey_calibration")),
    )
    return with_time(calibration, metadata.get("time"))


def plain_options(image: Micrograph) -> dict[str, Any]:
    """What tifffile is told of a plain TIFF's metadata."""
    geometry = image.geometry
    metadata: dict[str, Any] = {"axes": image.axes}
    options: dict[str, Any] = {"metadata": metadata}
    if geometry.scale:
        metadata |= {"pixel_size": geometry.scale, "unit": geometry.unit}
        if any(geometry.origin.values()):
            metadata["position"] = geometry.origin
        if geometry.unitless:
            metadata["unitless"] = sorted(geometry.unitless)
        if geometry.unit and {"X", "Y"} <= geometry.lengths.keys():
            per_cm = [
                MICROMETRES["cm"] / (geometry.lengths[axis] * MICROMETRES[geometry.unit])
                for axis in "XY"
            ]
            if max(per_cm) < LARGEST_DENSITY:
                options |= {"resolution": tuple(per_cm), "resolutionunit": "CENTIMETER"}
    if image.time_step_s is not None:
        metadata["time_step_s"] = abs(float(image.time_step_s))
    if time := time_document(image):
        metadata["time"] = time
    if image.channel_names:
        metadata["channel_names"] = list(image.channel_names)
    if image.display:
        metadata["display"] = display_document(image.display)
    if image.grey_calibration:
        metadata["grey_calibration"] = calibration_document(image.grey_calibration)
    return options
