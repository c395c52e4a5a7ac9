"""How a channel is shown, and what its greys stand for: what goes from a source to its result as it
is.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

DISPLAY_LEVELS = 256  # of a lookup table
HEXADECIMAL = re.compile(r"#?([0-9a-fA-F]{6})([0-9a-fA-F]{2})?")


@dataclass(frozen=True, slots=True)
class ChannelDisplay:
    """How one channel is shown.

    Attributes
    ----------
    color : (int, int, int) or None
        Red, green and blue, 0 to 255, of the brightest pixels; None where it is not known.
    lut : bytes or None
        256 reds, 256 greens and 256 blues, where colours do not run evenly from black to `color`.
    limits : (float, float) or None
        The values that are shown darkest and brightest.
    active : bool
        Whether the channel is shown at first.
    """

    color: tuple[int, int, int] | None = None
    lut: bytes | None = None
    limits: tuple[float, float] | None = None
    active: bool = True

    @classmethod
    def of(cls, table: Any = None, limits: Any = None) -> ChannelDisplay:
        """From a lookup table (3, 256) of uint8 and two limits, as far as they are such.

        A table that runs evenly from black to a colour is that colour; any other has the
        colour that it ends with, or begins with where it ends in black, as an inverted one does.
        """
        colours = None if table is None else np.asarray(table)
        bounds = limits_of(limits)
        if colours is None or colours.shape != (3, DISPLAY_LEVELS):
            return cls(limits=bounds)
        colours = colours.astype(np.uint8)
        red, green, blue = (int(value) for value in colours[:, -1])
        plain = cls((red, green, blue), limits=bounds)
        even = np.abs(colours.astype(int) - plain.table.astype(int)).max() <= 1
        if even:
            return plain
        end = -1 if colours[:, -1].any() else 0
        red, green, blue = map(int, colours[:, end])
        return cls((red, green, blue), colours.tobytes(), bounds)

    @property
    def hexadecimal(self) -> str | None:
        """The colour as "RRGGBB"."""
        return None if self.color is None else "{:02X}{:02X}{:02X}".format(*self.color)

    @property
    def table(self) -> np.ndarray:
        """The lookup table, (3, 256) uint8; grey where no colour is known."""
        if self.lut is not None:
            return np.frombuffer(self.lut, np.uint8).reshape(3, DISPLAY_LEVELS)
        return np.round(
            np.outer(self.color or (255, 255, 255), np.linspace(0, 1, DISPLAY_LEVELS))
        ).astype(np.uint8)

    @property
    def grey(self) -> bool:
        """Whether dark to bright is black to white, or nothing is known."""
        return self.lut is None and self.color in (None, (255, 255, 255))


@dataclass(frozen=True, slots=True)
class GreyCalibration:
    """What greys stand for, as ImageJ has it: optical density, concentration, temperature, …

    Attributes
    ----------
    function : int
        The number of a formula: 0 is c0 + c1 · v; others are in ImageJ's `Calibration`.
    coefficients : tuple of float
        Those of the formula.
    unit : str
        Of what comes out.
    """

    function: int
    coefficients: tuple[float, ...]
    unit: str = ""


def limits_of(value: Any) -> tuple[float, float] | None:
    """Two limits that something can be shown between, or None."""
    try:
        low, high = (float(each) for each in value)
    except (TypeError, ValueError):
        return None
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None


def color_of(text: Any) -> tuple[int, int, int] | None:
    """Red, green and blue of "RRGGBB", with "#" before or with an opacity after it, or None."""
    found = HEXADECIMAL.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        return None
    red, green, blue = bytes.fromhex(found[1])
    return red, green, blue


def display_document(display: tuple[ChannelDisplay, ...]) -> list[dict[str, Any]]:
    """As JSON has it: lists of what is known of each channel."""
    documents = []
    for channel in display:
        known: dict[str, Any] = {
            "color": channel.hexadecimal,
            "limits": channel.limits and list(channel.limits),
        }
        known |= {
            "lut": channel.lut and channel.lut.hex(),
            "active": None if channel.active else False,
        }
        documents.append({key: value for key, value in known.items() if value is not None})
    return documents


def display_from(documents: Any) -> tuple[ChannelDisplay, ...]:
    """What `display_document` made; empty where it is something else."""
    if not isinstance(documents, list) or not all(isinstance(each, dict) for each in documents):
        return ()
    channels = []
    for each in documents:
        try:
            lut = bytes.fromhex(each["lut"])
        except (KeyError, TypeError, ValueError):
            lut = b""
        table = lut if len(lut) == 3 * DISPLAY_LEVELS else None
        channels.append(
            ChannelDisplay(
                color_of(each.get("color")),
                table,
                limits_of(each.get("limits")),
                each.get("active") is not False,
            )
        )
    return tuple(channels)


def calibration_document(calibration: GreyCalibration) -> dict[str, Any]:
    """As JSON has it."""
    return {
        "function": calibration.function,
        "coefficients": list(calibration.coefficients),
        "unit": calibration.unit,
    }


def calibration_from(document: Any) -> GreyCalibration | None:
    """What `calibration_document` made; None where it is something else."""
    try:
        coefficients = tuple(float(each) for each in document["coefficients"])
        return GreyCalibration(
            int(document["function"]), coefficients, str(document.get("unit", ""))
        )
    except (TypeError, KeyError, ValueError, AttributeError):
        return None
