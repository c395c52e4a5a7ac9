"""Where the pixels of an image lie: one geometry, whatever a format or a layer says about it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import NamedTuple, TypedDict, TypeGuard

MICROMETRES = {
    "fm": 1e-9,
    "pm": 1e-6,
    "Å": 1e-4,
    "nm": 1e-3,
    "µm": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "dm": 1e5,
    "m": 1e6,
    "km": 1e9,
    "in": 25_400.0,
    "ft": 304_800.0,
    "yd": 914_400.0,
}
SPELLINGS = {
    "femtometer": "fm",
    "femtometre": "fm",
    "picometer": "pm",
    "picometre": "pm",
    "angstrom": "Å",
    "ångström": "Å",
    "å": "Å",
    "nanometer": "nm",
    "nanometre": "nm",
    "um": "µm",
    "μm": "µm",
    "\\u00b5m": "µm",
    "âµm": "µm",  # UTF-8 that a program read byte by byte
    "micron": "µm",
    "micrometer": "µm",
    "micrometre": "µm",
    "millimeter": "mm",
    "millimetre": "mm",
    "centimeter": "cm",
    "centimetre": "cm",
    "decimeter": "dm",
    "decimetre": "dm",
    "kilometer": "km",
    "kilometre": "km",
    "foot": "ft",
    "feet": "ft",
    "yard": "yd",
    "inch": "in",
    "inche": "in",
    "meter": "m",
    "metre": "m",
}
SECONDS = {
    "as": 1e-18,
    "fs": 1e-15,
    "ps": 1e-12,
    "ns": 1e-9,
    "µs": 1e-6,
    "ms": 1e-3,
    "cs": 1e-2,
    "ds": 0.1,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
}
_TIMES = {
    "attosecond": "as",
    "femtosecond": "fs",
    "picosecond": "ps",
    "nanosecond": "ns",
    "nsec": "ns",
    "microsecond": "µs",
    "us": "µs",
    "μs": "µs",
    "usec": "µs",
    "µsec": "µs",
    "millisecond": "ms",
    "msec": "ms",
    "centisecond": "cs",
    "decisecond": "ds",
    "second": "s",
    "sec": "s",
    "minute": "min",
    "hour": "h",
    "hr": "h",
    "day": "d",
}
PRINT_DPI = (
    72,
    75,
    90,
    96,
    100,
    120,
    144,
    150,
    180,
    192,
    200,
    220,
    240,
    254,
    266,
    288,
    300,
    350,
    360,
    400,
    480,
    600,
)
SCAN_DPI = (
    720,
    762,
    800,
    960,
    1000,
    1200,
    1440,
    1600,
    2000,
    2400,
    3200,
    3600,
    4000,
    4800,
    6400,
    7200,
    9600,
)
COARSEST_UM = 100.0
SQUARE = 1e-3  # densities that differ by less are the same


class AxisStep(NamedTuple):
    """What is said of one axis: the way from a pixel to the next, its unit as it is spelled, and
    where the first lies.
    """

    scale: float
    unit: str | None = None
    origin: float = 0.0


class Time(TypedDict):
    """Where images lie along T, as keywords of `Micrograph`: seconds where the unit is one of time,
    else a plain number.
    """

    time_step_s: float | None
    time_step: float | None
    time_origin: float


@dataclass(frozen=True, slots=True)
class Geometry:
    """Scale, unit and origin along X, Y and Z.

    Attributes
    ----------
    scale : dict of str to float
        From the centre of one pixel to that of the next, as far as it is known; negative along an
        axis that is mirrored.
    unit : str or None
        The sign of a unit of length, "µm", "nm", …, that scales and origins are in; None where they
        are plain numbers.
    origin : dict of str to float
        Where the centre of the first pixel lies; 0 where it is not known.
    unitless : frozenset of str
        Axes whose numbers are not in `unit`, but in no unit of length; empty where `unit` is None.
    """

    scale: dict[str, float] = field(default_factory=dict)
    unit: str | None = None
    origin: dict[str, float] = field(default_factory=dict)
    unitless: frozenset[str] = frozenset()

    @classmethod
    def of(cls, steps: Mapping[str, AxisStep]) -> Geometry:
        """What is said of each axis, brought to one unit: that of the first axis which has a unit
        of length.

        Parameters
        ----------
        steps : mapping of str to AxisStep
            By axis. Scales that are 0 or not finite are left out, with their axis; an origin that
            is not finite is 0.
        """
        known = {
            axis: step for axis, step in steps.items() if axis in "XYZ" and is_scale(step.scale)
        }
        lengths = {
            axis: unit for axis, step in known.items() if (unit := unit_of_length(step.unit))
        }
        unit = next(iter(lengths.values()), None)
        factors = {
            axis: 1.0 if own == unit else MICROMETRES[own] / MICROMETRES[unit or own]
            for axis, own in lengths.items()
        }
        return cls(
            scale={axis: step.scale * factors.get(axis, 1.0) for axis, step in known.items()},
            unit=unit,
            origin={
                axis: step.origin * factors.get(axis, 1.0)
                for axis, step in known.items()
                if math.isfinite(step.origin)
            },
            unitless=frozenset(known.keys() - lengths.keys()) if lengths else frozenset(),
        )

    def along(self, axes: Collection[str]) -> Geometry:
        """What is known of these axes alone."""
        scale = {axis: value for axis, value in self.scale.items() if axis in axes}
        origin = {axis: value for axis, value in self.origin.items() if axis in axes}
        unitless = self.unitless.intersection(scale)
        measured = self.unit is not None and scale.keys() > unitless
        return Geometry(
            scale, self.unit if measured else None, origin, unitless if measured else frozenset()
        )

    def on_its_side(self) -> Geometry:
        """The geometry of an image whose rows become columns."""
        names = {"X": "Y", "Y": "X"}
        return Geometry(
            {names.get(axis, axis): value for axis, value in self.scale.items()},
            self.unit,
            {names.get(axis, axis): value for axis, value in self.origin.items()},
            frozenset(names.get(axis, axis) for axis in self.unitless),
        )

    def unit_of(self, axis: str) -> str | None:
        """The unit of length of one axis; None where it has none, or its scale is not known."""
        return self.unit if axis in self.scale and axis not in self.unitless else None

    @property
    def lengths(self) -> dict[str, float]:
        """Sizes of a pixel in `unit`, whichever way the axis runs; without axes that have no unit
        of length.
        """
        return {axis: abs(value) for axis, value in self.scale.items() if self.unit_of(axis)}

    def resampled(self, density: float, begin: Mapping[str, float]) -> Geometry:
        """The geometry of an image of the same object whose pixels are finer or coarser along some
        axes.

        Parameters
        ----------
        density : float
            Its pixels for one of this, along the axes of `begin`; below 1 if it is coarser.
        begin : mapping of str to float
            Index of the pixel of this image where it begins, for the axes along which it is
            resampled.

        Notes
        -----
        A pixel's position is its centre's. That of the first pixel at twice the density lies a
        quarter of a pixel before.
        """
        moved = {
            axis: begin[axis] - (1 - 1 / density) / 2 if axis in begin else 0.0
            for axis in self.scale
        }
        return Geometry(
            {
                axis: value / density if axis in begin else value
                for axis, value in self.scale.items()
            },
            self.unit,
            {
                axis: self.origin.get(axis, 0.0) + value * moved[axis]
                for axis, value in self.scale.items()
            },
            self.unitless,
        )


def is_size(value: object) -> TypeGuard[float]:
    """Whether a value from a file can be the size of a pixel, or a time between two images."""
    return is_scale(value) and value > 0


def is_scale(value: object) -> TypeGuard[float]:
    """Whether a value can be the way from one pixel to the next; it is negative along a mirrored
    axis.

    Numbers of numpy, of any precision, are numbers.
    """
    return (
        isinstance(value, Real)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value != 0
    )


def unit_of_length(text: object) -> str | None:
    """The usual sign of a unit of length, however it is spelled: "micron" → "µm"; None for anything
    else.
    """
    if not isinstance(text, str):
        return None
    text = text.strip(" \0\"'")
    if text in MICROMETRES:
        return text
    lower = text.lower()
    return (
        SPELLINGS.get(lower)
        or SPELLINGS.get(lower.removesuffix("s"))
        or (lower if lower in MICROMETRES else None)
    )


def seconds_in(unit: object) -> float | None:
    """How many seconds a unit of time has, however it is spelled: "min", "minutes"; None for
    anything else.
    """
    text = (unit if isinstance(unit, str) else "").strip(" \0\"'.").lower()
    sign = _TIMES.get(text) or _TIMES.get(text.removesuffix("s")) or text
    return SECONDS.get(sign) or SECONDS.get(sign.removesuffix("s"))


def time_of(step: float, unit: str | None, origin: float) -> Time:
    """What is said of the axis of time; a step that is 0 or not finite says nothing, and 1 in no
    unit is nothing said.
    """
    seconds = seconds_in(unit)
    step, origin = step * (seconds or 1.0), origin * (seconds or 1.0)
    known = step if is_scale(step) else None
    plain = None if seconds or known == 1 else known
    return Time(
        time_step_s=known if seconds else None,
        time_step=plain,
        time_origin=origin if known else 0.0,
    )


def size_from_density(pixels_per_inch: float) -> float | None:
    """Pixel size in µm that a file's print resolution stands for, or None where it is no measure of
    the object.

    Cameras and programs write the density of a screen, a printer or a scanner (72, 96, 300 … dots
    per inch) into every file; such figures, and pixels larger than 0.1 mm, are not taken for the
    pixel size of a micrograph.
    """
    if not is_size(pixels_per_inch):
        return None
    size = MICROMETRES["in"] / pixels_per_inch
    customary = any(abs(pixels_per_inch - dpi) <= 0.003 * dpi for dpi in (*PRINT_DPI, *SCAN_DPI))
    return None if customary or size > COARSEST_UM else size


def proportions(densities: Mapping[str, float]) -> Geometry:
    """Pixels that are not square, of densities in no unit: the shorter side is 1; nothing is known
    of those that are.
    """
    if not densities or not all(is_size(density) for density in densities.values()):
        return Geometry()
    finest = max(densities.values())
    scale = {axis: finest / density for axis, density in densities.items()}
    return Geometry(scale) if max(scale.values()) > 1 + SQUARE else Geometry()
