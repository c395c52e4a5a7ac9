"""How an image is laid out as OME-Zarr 0.5: axes, levels, chunks, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.display import (
    ChannelDisplay,
    GreyCalibration,
    calibration_document,
    color_of,
    display_document,
)
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import (
    DISPLAY_KEY,
    OWN_KEY,
    PROVENANCE_KEY,
)
from napari_mdeblurgan.storage.pyramid import level_sizes

ORDER = "TCIQZYX"
CHUNK_EDGE = 1024
UNITS = {
    "fm": "femtometer",
    "pm": "picometer",
    "Å": "angstrom",
    "nm": "nanometer",
    "µm": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "in": "inch",
    "dm": "decimeter",
    "m": "meter",
    "km": "kilometer",
    "ft": "foot",
    "yd": "yard",
}
_OPACITY = "Alpha"  # not shown: as a channel it would lie over the colours and be white
_COLOURS = {"Red": "FF0000", "Green": "00FF00", "Blue": "0000FF", _OPACITY: "FFFFFF"}
PALETTE = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF", "FFFFFF")


@dataclass(frozen=True, slots=True)
class Layout:
    """An image and how it is cut.

    Attributes
    ----------
    shape, axes, pixel_size, unit, channel_names, name, position, unitless, display,
    grey_calibration time_step_s, time_step, time_origin, provenance
        As in `Micrograph`.
    dtype : str
        Name of the type of a pixel: bool, an integer or a real number.
    chunk : tuple of int
        Height and width of a chunk, both even; along other axes a chunk has length 1, but colours
        are kept together.
    reduction : str
        How coarser levels are made of finer ones, a key of `pyramid.REDUCTIONS`.
    """

    shape: tuple[int, ...]
    axes: str
    dtype: str
    pixel_size: dict[str, float] = field(default_factory=dict)
    unit: str | None = None
    channel_names: tuple[str, ...] = ()
    time_step_s: float | None = None
    name: str = ""
    chunk: tuple[int, int] = (CHUNK_EDGE, CHUNK_EDGE)
    reduction: str = "mean"
    position: dict[str, float] = field(default_factory=dict)
    unitless: frozenset[str] = frozenset()
    display: tuple[ChannelDisplay, ...] = ()
    grey_calibration: GreyCalibration | None = None
    time_step: float | None = None
    time_origin: float = 0.0
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stored_axes(self) -> str:
        """The letters in the order of OME-Zarr: time, then channels or what else there is, then
        space.
        """
        axes = self.axes.replace("S", "C")
        return "".join(sorted(axes, key=ORDER.index))

    @property
    def permutation(self) -> tuple[int, ...]:
        """Where each stored dimension is among those of the image."""
        axes = self.axes.replace("S", "C")
        return tuple(axes.index(axis) for axis in self.stored_axes)

    @property
    def planes(self) -> tuple[int, ...]:
        """Lengths of the stored dimensions before y and x, where chunks have length 1; colours
        count as one.
        """
        lengths = [self.shape[axis] for axis in self.permutation[:-2]]
        return tuple(
            1 if self.rgb and axis == "C" else n
            for axis, n in zip(self.stored_axes, lengths, strict=False)
        )

    @property
    def rgb(self) -> bool:
        """Whether the image has colours along its last axis."""
        return self.axes.endswith("S")

    @property
    def levels(self) -> list[tuple[int, int]]:
        """Height and width of each level."""
        y, x = self.axes.index("Y"), self.axes.index("X")
        return level_sizes(self.shape[y], self.shape[x])

    def stored_shape(self, level: int) -> tuple[int, ...]:
        """Shape of the array of a level."""
        return (*(self.shape[axis] for axis in self.permutation[:-2]), *self.levels[level])

    def stored_chunk(self, level: int) -> tuple[int, ...]:
        """Shape of a chunk of a level."""
        leading = zip(self.stored_axes, self.stored_shape(level)[:-2], strict=False)
        edges = (
            min(edge, length) for edge, length in zip(self.chunk, self.levels[level], strict=True)
        )
        return (*(n if self.rgb and axis == "C" else 1 for axis, n in leading), *edges)

    def grid(self, level: int) -> tuple[int, int]:
        """Number of chunks along y and x."""
        height, width = self.levels[level]
        return -(-height // self.chunk[0]), -(-width // self.chunk[1])


def check_axes(axes: str) -> None:
    """Make sure that OME-Zarr can hold these axes.

    Raises
    ------
    FileError
        If there are axes it has no place for.
    """
    others = set(axes) - set("TZYX")
    if not others <= set("CSIQ") or len(others) > 1:
        raise FileError(f"OME-Zarr cannot hold the axes {axes}; write .tif instead.")


def attributes(
    layout: Layout, job: str, *, finished: bool, windows: list[tuple[float, float]] | None
) -> dict[str, Any]:
    """Attributes of the group: OME-Zarr's metadata, and beside them what only this program knows.

    Parameters
    ----------
    layout : Layout
        Of the image.
    job : str
        What makes the image, so that it is only ever resumed with the same.
    finished : bool
        Whether all pixels are there.
    windows : list of tuple of float or None
        The least and the largest value of each channel, once they are known.
    """
    from yaozarrs import v05

    multiscale = v05.Multiscale.model_validate(
        {
            "name": layout.name or None,
            "axes": [_axis(axis, layout) for axis in layout.stored_axes],
            "datasets": [_dataset(level, layout) for level in range(len(layout.levels))],
            "type": layout.reduction,
        }
    )
    omero = (
        {"channels": _channels(layout, windows), "rdefs": {"model": "color"}}
        if _named(layout)
        else None
    )
    image = v05.Image.model_validate(
        {"version": "0.5", "multiscales": [multiscale], "omero": omero}
    )
    own: dict[str, Any] = {"axes": layout.axes, "job": job, "finished": finished}
    if (
        _named(layout) and not layout.rgb
    ):  # what of the rendering is the source's; OME-Zarr has no place for tables
        own[DISPLAY_KEY] = display_document(layout.display)
    if layout.grey_calibration:
        own["grey_calibration"] = calibration_document(layout.grey_calibration)
    if layout.provenance:
        own[PROVENANCE_KEY] = dict(layout.provenance)
    return {"ome": image.model_dump(mode="json", exclude_none=True), OWN_KEY: own}


def _axis(axis: str, layout: Layout) -> dict[str, str]:
    described = {"name": axis.lower()}
    match axis:
        case "T":
            described |= {"type": "time"} | (
                {"unit": "second"} if layout.time_step_s is not None else {}
            )
        case "C":
            described |= {"type": "channel"}
        case "X" | "Y" | "Z":
            known = (
                layout.unit is not None
                and axis in layout.pixel_size
                and axis not in layout.unitless
            )
            described |= {"type": "space"} | ({"unit": UNITS[layout.unit or ""]} if known else {})
    return described


def _dataset(level: int, layout: Layout) -> dict[str, Any]:
    scale, translation = [], []
    for axis in layout.stored_axes:
        if axis == "T":
            size, begin = layout.time_step_s or layout.time_step or 1.0, layout.time_origin
        else:
            size, begin = layout.pixel_size.get(axis, 1.0), layout.position.get(axis, 0.0)
        factor = 2**level if axis in "YX" else 1
        scale.append(size * factor)
        translation.append(begin + size * (factor - 1) / 2)
    transforms: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    if any(translation):
        transforms.append({"type": "translation", "translation": translation})
    return {"path": str(level), "coordinateTransformations": transforms}


def _named(layout: Layout) -> bool:
    return layout.rgb or bool(layout.channel_names) or bool(layout.display)


def _channels(layout: Layout, windows: list[tuple[float, float]] | None) -> list[dict[str, Any]]:
    dtype = np.dtype(layout.dtype)
    whole = (
        (0.0, 1.0)
        if dtype.kind in "bf"
        else (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max))
    )
    named: list[tuple[str | None, ChannelDisplay]]
    if layout.rgb:
        named, windows = (
            [
                (name, ChannelDisplay(color_of(colour), active=name != _OPACITY))
                for name, colour in _COLOURS.items()
            ],
            None,
        )
        named = named[: layout.shape[-1]]
    else:
        number = layout.shape[layout.axes.index("C")] if "C" in layout.axes else 1
        shown = layout.display or (ChannelDisplay(),) * number
        names: tuple[str | None, ...] = layout.channel_names or (None,) * number
        named = list(zip(names, shown, strict=True))
    channels = []
    for number, (name, display) in enumerate(named):
        start, end = display.limits or (windows[number] if windows else whole)
        window = {
            "min": min(start, whole[0]),
            "max": max(end, whole[1]),
            "start": start,
            "end": end,
        }
        colour = display.hexadecimal or (
            "FFFFFF" if len(named) == 1 else PALETTE[number % len(PALETTE)]
        )
        channels.append(
            {"label": name, "color": colour, "active": display.active, "window": window}
        )
    return channels
