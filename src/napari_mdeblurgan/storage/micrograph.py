"""An image together with what its file says about it: axes, pixel sizes, channels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeGuard

from napari_mdeblurgan.errors import ImageError

MICROMETRES = {"pm": 1e-6, "Å": 1e-4, "nm": 1e-3, "µm": 1.0, "mm": 1e3, "cm": 1e4, "in": 25_400.0, "m": 1e6}
SPELLINGS = {
    "picometer": "pm",
    "picometre": "pm",
    "angstrom": "Å",
    "å": "Å",
    "nanometer": "nm",
    "nanometre": "nm",
    "um": "µm",
    "μm": "µm",
    "\\u00b5m": "µm",
    "micron": "µm",
    "micrometer": "µm",
    "micrometre": "µm",
    "millimeter": "mm",
    "millimetre": "mm",
    "centimeter": "cm",
    "centimetre": "cm",
    "inch": "in",
    "inche": "in",
    "meter": "m",
    "metre": "m",
}
PRINT_DPI = (72, 75, 90, 96, 100, 120, 144, 150, 180, 192, 200, 220, 240, 254, 266, 288, 300, 350, 360, 400, 480, 600)
SCAN_DPI = (720, 762, 800, 960, 1000, 1200, 1440, 1600, 2000, 2400, 3200, 3600, 4000, 4800, 6400, 7200, 9600)
COARSEST_UM = 100.0


class Frame(TypedDict):
    """How an image lies in space, time and channels, as keywords of `Micrograph` and of `create_ome_zarr`."""

    pixel_size: dict[str, float]
    position: dict[str, float]
    unit: str | None
    time_step_s: float | None
    channel_names: tuple[str, ...]


@dataclass(frozen=True)
class Micrograph:
    """An image with its axes and sizes.

    Attributes
    ----------
    data : ndarray or dask.array.Array
        Pixels, in memory or read when asked for, one dimension for every letter of `axes`.
    axes : str
        tifffile's letters, ending in "YX" or, for colour, in "YXS" with S of length 3 (RGB) or 4 (RGBA): for example
        "YX", "TZCYX", "YXS". I and Q are stacks of which nothing more is known.
    pixel_size : dict of str to float
        Size of a pixel along X, Y and Z, as far as it is known, in `unit`.
    unit : str or None
        "µm", "nm", …; None where no pixel size is known. Sizes without a unit of length are not written to files.
    channel_names : tuple of str
        One for each channel along C, or empty.
    name : str
        Name of the image, mostly its file's without the suffix.
    time_step_s : float or None
        Seconds from one image to the next along T.
    position : dict of str to float
        Where the centre of the first pixel lies along X, Y and Z, in `unit`; 0 where it is not known. Only OME-Zarr keeps it.

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

    def __post_init__(self) -> None:
        axes = self.axes
        if len(axes) != self.data.ndim or len(set(axes)) != len(axes):
            raise ImageError(f"The axes {axes!r} do not name the {self.data.ndim} dimensions of the image, each once.")
        if not axes.removesuffix("S").endswith("YX") or "S" in axes[:-1]:
            raise ImageError(f"The axes {axes!r} do not end in YX, or YXS for colour.")
        if axes[-1] == "S" and self.data.shape[-1] not in (3, 4):
            raise ImageError(f"A colour image has 3 or 4 samples for each pixel, not {self.data.shape[-1]}.")
        if self.channel_names and len(self.channel_names) != self.channels:
            raise ImageError(f"{len(self.channel_names)} channel names are given for {self.channels} channels.")

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

    def physical(self) -> tuple[dict[str, float], str | None]:
        """Pixel sizes that are worth writing to a file, for axes that the image has, and their unit."""
        unit = unit_of_length(self.unit)
        sizes = {axis: float(self.pixel_size[axis]) for axis in "XYZ" if axis in self.pixel_size and axis in self.axes}
        sizes = {axis: size for axis, size in sizes.items() if is_size(size)}
        return (sizes, unit) if unit and sizes else ({}, None)

    def frame(self, density: float = 1.0, origin: tuple[int, int] = (0, 0)) -> Frame:
        """How an image made of this one lies in space, time and channels, as far as it is worth writing to a file.

        Parameters
        ----------
        density : float
            Its pixels for one of this image, along y and x; below 1 if it is coarser.
        origin : (int, int)
            Row and column of this image where it begins.

        Notes
        -----
        A pixel's position is its centre's. That of the first pixel at twice the density lies a quarter of a pixel before.
        """
        sizes, unit = self.physical()
        begin = dict(zip("YX", origin, strict=True))
        moved = {axis: begin[axis] - (1 - 1 / density) / 2 if axis in begin else 0.0 for axis in sizes}
        return Frame(
            pixel_size={axis: size / density if axis in begin else size for axis, size in sizes.items()},
            position={axis: self.position.get(axis, 0.0) + size * moved[axis] for axis, size in sizes.items()},
            unit=unit,
            time_step_s=self.time_step_s,
            channel_names=self.channel_names,
        )


def is_size(value: object) -> TypeGuard[float]:
    """Whether a value from a file can be the size of a pixel."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def unit_of_length(text: str | None) -> str | None:
    """The usual sign of a unit of length, however it is spelled: "micron" → "µm"; None for anything else."""
    if not text:
        return None
    text = text.strip(" \0\"'")
    if text in MICROMETRES:
        return text
    lower = text.lower()
    return SPELLINGS.get(lower) or SPELLINGS.get(lower.removesuffix("s")) or (lower if lower in MICROMETRES else None)


def in_one_unit(sizes: dict[str, tuple[float, str]]) -> tuple[dict[str, float], str | None]:
    """Sizes or positions with a unit each, converted to the unit of the first."""
    if not sizes:
        return {}, None
    unit = next(iter(sizes.values()))[1]
    factors = {axis: 1.0 if own == unit else MICROMETRES[own] / MICROMETRES[unit] for axis, (_, own) in sizes.items()}
    return {axis: size * factors[axis] for axis, (size, _) in sizes.items()}, unit


def size_from_density(pixels_per_inch: float) -> float | None:
    """Pixel size in µm that a file's print resolution stands for, or None where it is no measure of the object.

    Cameras and programs write the density of a screen, a printer or a scanner (72, 96, 300 … dots per inch) into every
    file; such figures, and pixels larger than 0.1 mm, are not taken for the pixel size of a micrograph.
    """
    if not is_size(pixels_per_inch):
        return None
    size = MICROMETRES["in"] / pixels_per_inch
    customary = any(abs(pixels_per_inch - dpi) <= 0.003 * dpi for dpi in (*PRINT_DPI, *SCAN_DPI))
    return None if customary or size > COARSEST_UM else size
