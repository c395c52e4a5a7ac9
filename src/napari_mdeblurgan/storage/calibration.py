"""What a file tells of an image beside its pixels, whichever format it is in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from napari_mdeblurgan.storage.display import ChannelDisplay, GreyCalibration
from napari_mdeblurgan.storage.geometry import Geometry, is_scale
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.objective import Objective


@dataclass(frozen=True, slots=True)
class Calibration:
    """Where the pixels lie, names of channels, seconds between frames, how it is shown: as far as
    the file tells.

    The fields are those of `Micrograph`, with all that says where pixels lie in `geometry`.
    """

    geometry: Geometry = field(default_factory=Geometry)
    channel_names: tuple[str, ...] = ()
    time_step_s: float | None = None
    display: tuple[ChannelDisplay, ...] = ()
    grey_calibration: GreyCalibration | None = None
    remarks: tuple[str, ...] = ()
    objective: Objective | None = None
    time_step: float | None = None
    time_origin: float = 0.0


def telling(geometry: Geometry) -> Geometry:
    """The geometry, unless it says no more than that pixels are one pixel apart."""
    silent = geometry.unit is None and all(value == 1 for value in geometry.scale.values())
    return Geometry() if silent and not any(geometry.origin.values()) else geometry


def time_document(image: Micrograph) -> dict[str, float]:
    """What is known of the axis of time beyond a number of seconds from image to image, as JSON has
    it; mostly nothing.
    """
    if "T" not in image.axes:
        return {}
    known: dict[str, float] = {}
    if image.time_step_s is not None and image.time_step_s < 0:
        known["step_s"] = float(image.time_step_s)
    if image.time_step_s is None and image.time_step is not None:
        known["step"] = float(image.time_step)
    if image.time_origin:
        known["origin"] = float(image.time_origin)
    return known


def with_time(calibration: Calibration, document: Any) -> Calibration:
    """With what `time_document` made; as it is where that is something else."""
    told = document if isinstance(document, dict) else {}
    step_s, step, origin = (told.get(name) for name in ("step_s", "step", "origin"))
    return replace(
        calibration,
        time_step_s=float(step_s) if is_scale(step_s) else calibration.time_step_s,
        time_step=float(step) if is_scale(step) else calibration.time_step,
        time_origin=float(origin) if is_scale(origin) else calibration.time_origin,
    )


def labelled(data: Any, axes: str, calibration: Calibration, name: str) -> Micrograph:
    """A micrograph of this name with what of a file's calibration belongs to
    the axes that it has.
    """
    channels = data.shape[axes.index("C")] if "C" in axes else 1
    geometry = calibration.geometry.along(axes)
    return Micrograph(
        data,
        axes,
        pixel_size=geometry.scale,
        unit=geometry.unit,
        channel_names=calibration.channel_names
        if len(calibration.channel_names) == channels
        else (),
        name=name,
        time_step_s=calibration.time_step_s if "T" in axes else None,
        time_step=calibration.time_step if "T" in axes else None,
        time_origin=calibration.time_origin if "T" in axes else 0.0,
        position=geometry.origin,
        unitless=geometry.unitless,
        display=calibration.display
        if len(calibration.display) == channels and "S" not in axes
        else (),
        grey_calibration=calibration.grey_calibration,
        remarks=calibration.remarks,
        objective=calibration.objective,
    )
