"""What a TIFF file tells of an image beside its pixels, whichever dialect it is in."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_mdeblurgan.storage.display import ChannelDisplay, GreyCalibration
from napari_mdeblurgan.storage.geometry import Geometry
from napari_mdeblurgan.storage.objective import Objective


@dataclass(frozen=True, slots=True)
class Calibration:
    """Where the pixels lie, names of channels, seconds between frames, how it is shown: as far as the file tells.

    The fields are those of `Micrograph`, with all that says where pixels lie in `geometry`.
    """

    geometry: Geometry = field(default_factory=Geometry)
    channel_names: tuple[str, ...] = ()
    time_step_s: float | None = None
    display: tuple[ChannelDisplay, ...] = ()
    grey_calibration: GreyCalibration | None = None
    remarks: tuple[str, ...] = ()
    objective: Objective | None = None


def telling(geometry: Geometry) -> Geometry:
    """The geometry, unless it says no more than that pixels are one pixel apart."""
    silent = geometry.unit is None and all(value == 1 for value in geometry.scale.values())
    return Geometry() if silent and not any(geometry.origin.values()) else geometry
