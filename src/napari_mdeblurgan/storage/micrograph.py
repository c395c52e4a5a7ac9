"""An image together with what its file says about it: axes, pixel sizes, channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.storage.display import ChannelDisplay, GreyCalibration
from napari_mdeblurgan.storage.geometry import MICROMETRES, Geometry, is_scale, unit_of_length
from napari_mdeblurgan.storage.objective import Objective


class Frame(TypedDict):
    """How an image lies in space, time and channels, as keywords of `Micrograph` and of
    `create_ome_zarr`.
    """

    pixel_size: dict[str, float]
    position: dict[str, float]
    unit: str | None
    unitless: frozenset[str]
    time_step_s: float | None
    time_step: float | None
    time_origin: float
    channel_names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Micrograph:
    """An image with its axes and sizes.

    Attributes
    ----------
    data : ndarray or dask.array.Array
        Pixels, in memory or read when asked for, one dimension for every letter of `axes`.
    axes : str
        tifffile's letters, ending in "YX" or, for colour, in "YXS" with S of length 3 (RGB) or 4
        (RGBA): for example "YX", "TZCYX", "YXS". I and Q are stacks of which nothing more is known.
    pixel_size : dict of str to float
        From one pixel to the next along X, Y and Z, as far as it is known, in `unit`; negative
        along a mirrored axis.
    unit : str or None
        "µm", "nm", …; None where sizes are not known, or are plain numbers without a unit of
        length.
    channel_names : tuple of str
        One for each channel along C, or empty.
    name : str
        Name of the image, mostly its file's without the suffix.
    time_step_s : float or None
        Seconds from one image to the next along T; negative where time runs backwards.
    position : dict of str to float
        Where the centre of the first pixel lies along X, Y and Z, in `unit`; 0 where it is not
        known.
    unitless : frozenset of str
        Axes of `pixel_size` and `position` whose numbers are in no unit of length, although `unit`
        is that of the others.
    display : tuple of ChannelDisplay
        How each channel is shown, one for each along C and one for an image without; empty where
        nothing is known.
    grey_calibration : GreyCalibration or None
        What greys stand for, where they are not the measure itself.
    remarks : tuple of str
        What is to be said of it, a sentence each: what of its file was not read, and why.
    objective : Objective or None
        What it was taken with, as far as the file tells.
    restored : bool
        Whether it is a result of this program, which its file is then marked as; see
        `storage.provenance`. Reading an image does not look for the mark.
    time_step : float or None
        From one image to the next along T in no unit of time, where `time_step_s` is not known.
    time_origin : float
        Where the first image lies along T, in seconds, or in no unit where `time_step_s` is not
        known.
    provenance : mapping
        How it was made and how far it can be trusted, in values that JSON has, to be kept in its
        file; empty where there is nothing to keep. Reading an image does not look for it either:
        `storage.provenance.read_provenance` does.
    binning : int
        Each pixel is the mean of so many of its file along y and x; 1 for the pixels themselves.

    Raises
    ------
    ImageError
        If axes and data do not belong together.
    """

    data: Any
    axes: str
    pixel_size: dict[str, float] = field(default_factory=dict)
    unit: str | None = None
    channel_names: tuple[str, ...] = ()
    name: str = ""
    time_step_s: float | None = None
    position: dict[str, float] = field(default_factory=dict)
    unitless: frozenset[str] = frozenset()
    display: tuple[ChannelDisplay, ...] = ()
    grey_calibration: GreyCalibration | None = None
    remarks: tuple[str, ...] = ()
    objective: Objective | None = None
    restored: bool = False
    time_step: float | None = None
    time_origin: float = 0.0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    binning: int = 1

    def __post_init__(self) -> None:
        axes = self.axes
        kind = getattr(self.data, "dtype", None)
        if not hasattr(self.data, "ndim") or not isinstance(kind, np.dtype | None):
            raise ImageError(
                f"A {type(self.data).__name__} is no array of numpy, dask or zarr; pass "
                "`numpy.asarray(data)`."
            )
        check_size_known(self.data)
        if len(axes) != self.data.ndim or len(set(axes)) != len(axes):
            raise ImageError(
                f"The axes {axes!r} do not name the {self.data.ndim} dimensions of the image, "
                "each once."
            )
        if not axes.removesuffix("S").endswith("YX") or "S" in axes[:-1]:
            raise ImageError(f"The axes {axes!r} do not end in YX, or YXS for colour.")
        if axes[-1] == "S" and self.data.shape[-1] not in (3, 4):
            raise ImageError(
                f"A colour image has 3 or 4 samples for each pixel, not {self.data.shape[-1]}."
            )
        if strange := sorted({*self.pixel_size, *self.position, *self.unitless} - set("XYZ")):
            raise ImageError(
                f"Sizes and places are told along X, Y and Z, not along {strange[0]!r}."
            )
        if self.channel_names and len(self.channel_names) != self.channels:
            raise ImageError(
                f"{len(self.channel_names)} channel names are given for {self.channels} channels."
            )
        if self.display and len(self.display) != self.channels:
            raise ImageError(
                f"Colours of {len(self.display)} channels are given for {self.channels} channels."
            )

    @property
    def rgb(self) -> bool:
        """Whether the last axis holds red, green, blue and perhaps alpha."""
        return self.axes.endswith("S")

    @property
    def channel_axis(self) -> int | None:
        """Which dimension runs over the channels of a fluorescence image."""
        return self.axes.index("C") if "C" in self.axes else None

    @property
    def channels(self) -> int:
        """Number of channels along C; 1 where there is no such axis."""
        return self.data.shape[self.axes.index("C")] if "C" in self.axes else 1

    @property
    def geometry(self) -> Geometry:
        """Where the pixels lie along X, Y and Z, as far as the image has these axes and it can be
        written to a file.
        """
        unit = unit_of_length(self.unit)
        scale = {
            axis: float(self.pixel_size[axis])
            for axis in "XYZ"
            if is_scale(self.pixel_size.get(axis))
        }
        position = {axis: float(value) for axis, value in self.position.items() if is_scale(value)}
        return Geometry(scale, unit, position, self.unitless if unit else frozenset()).along(
            self.axes
        )

    @property
    def pixel_size_um(self) -> float | None:
        """Edge of a pixel in µm, the mean of X and Y; None where it is not known."""
        lengths, unit = self.physical()
        if unit is None or not {"X", "Y"} <= lengths.keys():
            return None
        return (lengths["X"] + lengths["Y"]) / 2 * MICROMETRES[unit]

    def physical(self) -> tuple[dict[str, float], str | None]:
        """Sizes of a pixel, all positive, along the axes that have a unit of
        length, and that unit.
        """
        geometry = self.geometry
        return geometry.lengths, geometry.unit

    @property
    def place(self) -> tuple[object, ...]:
        """Where its pixels lie in space and time, comparable with that of another: what files of
        both would tell.
        """
        geometry = self.geometry
        along = (
            (geometry.scale.get(a, 1.0), geometry.unit_of(a), geometry.origin.get(a, 0.0))
            for a in "ZYX"
        )
        time = (
            (self.time_step_s, self.time_step or 1.0, self.time_origin) if "T" in self.axes else ()
        )
        return (*(each for axis, each in zip("ZYX", along, strict=True) if axis in self.axes), time)

    def frame(self, density: float = 1.0, origin: tuple[int, int] = (0, 0)) -> Frame:
        """How an image made of this one lies in space, time and channels, as far as it is worth
        writing to a file.

        Parameters
        ----------
        density : float
            Its pixels for one of this image, along y and x; below 1 if it is coarser.
        origin : (int, int)
            Row and column of this image where it begins.

        Notes
        -----
        A pixel's position is its centre's. That of the first pixel at twice the density lies a
        quarter of a pixel before.
        """
        geometry = self.geometry.resampled(density, dict(zip("YX", origin, strict=True)))
        return Frame(
            pixel_size=geometry.scale,
            position=geometry.origin,
            unit=geometry.unit,
            unitless=geometry.unitless,
            time_step_s=self.time_step_s,
            time_step=self.time_step,
            time_origin=self.time_origin,
            channel_names=self.channel_names,
        )


def check_size_known(array: Any) -> None:
    """Refuse a lazy array whose size dask does not know, as after indexing by a condition.

    Raises
    ------
    ImageError
        With the mend.
    """
    if any(math.isnan(length) for length in array.shape):
        raise ImageError(
            "The size of the lazy image is not known; call its `compute_chunk_sizes()` first."
        )
