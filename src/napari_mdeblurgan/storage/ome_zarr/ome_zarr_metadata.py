"""What the metadata of an OME-Zarr say about its axes, sizes and channels, versions 0.4 and 0.5."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.display import (
    ChannelDisplay,
    GreyCalibration,
    calibration_from,
    color_of,
    display_from,
    limits_of,
)
from napari_mdeblurgan.storage.geometry import AxisStep, Geometry, Time, time_of

if TYPE_CHECKING:
    from yaozarrs.v04 import Multiscale as Multiscale04
    from yaozarrs.v05 import Multiscale as Multiscale05

OWN_KEY = "napari-mdeblurgan"
PROVENANCE_KEY, DISPLAY_KEY = "provenance", "display"  # within that
PARTIAL = ".partial"
_KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
COLOUR_NAMES = ({"red", "r"}, {"green", "g"}, {"blue", "b"})


@dataclass(frozen=True, slots=True)
class Level0:
    """The image at full resolution: where it is and what its dimensions are.

    Attributes
    ----------
    component : str
        Path of the array inside the group.
    axes : str
        tifffile's letters in the order of the array's dimensions.
    order : str or None
        The order that the image had when this program wrote it, with S for its colours.
    geometry : Geometry
        Where its pixels lie.
    channel_names, time_step_s, display, grey_calibration, time_step, time_origin
        As in `Micrograph`.
    """

    component: str
    axes: str
    order: str | None
    geometry: Geometry
    channel_names: tuple[str, ...]
    time_step_s: float | None = None
    display: tuple[ChannelDisplay, ...] = ()
    grey_calibration: GreyCalibration | None = None
    time_step: float | None = None
    time_origin: float = 0.0


def unfinished(attributes: Mapping[str, Any]) -> bool:
    """Whether this program has begun an image and not come to its end."""
    own = attributes.get(OWN_KEY)
    return isinstance(own, Mapping) and own.get("finished") is False


def read_level0(path: Path, attributes: Mapping[str, Any], number: int = 0) -> Level0:
    """Read the metadata of a group; `number` says which of its multiscale images is meant.

    Raises
    ------
    FileError
        If they are missing, of another version, or not those of an image.
    """
    from pydantic import ValidationError

    ome = attributes.get("ome", attributes)
    if not isinstance(ome, Mapping) or not ome.get("multiscales"):
        kind = (
            "a plate"
            if isinstance(ome, Mapping) and "plate" in ome
            else "without the metadata of an OME-Zarr image"
        )
        raise FileError(f"{path} is {kind}; name the folder of one of its images.")
    try:
        multiscale = _parsed(ome["multiscales"][number], modern="ome" in attributes)
    except (ValidationError, TypeError, KeyError, LookupError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        detail = " ".join(reason.split())[:120]
        raise FileError(
            f"{path} is not OME-Zarr 0.4 or 0.5 ({detail}); convert it to one of them."
        ) from None
    axes = _letters(path, multiscale)
    geometry, time = _geometry(multiscale, axes)
    own = attributes.get(OWN_KEY)
    own = own if isinstance(own, Mapping) else {}
    order = own["axes"] if isinstance(own.get("axes"), str) else None
    names, colours = _channels(ome)
    if order is None and colours and "C" in axes:
        order = "".join(axis for axis in axes if axis not in "CYX") + "YXS"
    display = display_from(own[DISPLAY_KEY]) if DISPLAY_KEY in own else _display(ome)
    greys = calibration_from(own.get("grey_calibration"))
    return Level0(
        multiscale.datasets[0].path,
        axes,
        order,
        geometry,
        names,
        display=display,
        grey_calibration=greys,
        **time,
    )


def _parsed(document: Any, *, modern: bool) -> Multiscale04 | Multiscale05:
    """The document, checked, and without a warning of what should be and need not be: units of a
    list, names without spaces.

    Filters of warnings belong to the whole process, and other threads. So what would be warned of
    is left out while the document is checked, and put back afterwards.
    """
    from yaozarrs import v04, v05

    kind: Any = v05.Multiscale if modern else v04.Multiscale
    if not isinstance(document, Mapping):
        return kind.model_validate(document)
    checked = {**document}
    if isinstance(document.get("axes"), list):
        checked["axes"] = [_plain_axis(axis) for axis in document["axes"]]
    if isinstance(document.get("datasets"), list):
        checked["datasets"] = [_plainly_named(dataset) for dataset in document["datasets"]]
    multiscale = kind.model_validate(checked)
    axes = [
        axis.model_copy(update={"unit": own["unit"]}) if "unit" in own else axis
        for axis, own in zip(multiscale.axes, document["axes"], strict=True)
    ]
    datasets = [
        dataset.model_copy(update={"path": own["path"]})
        for dataset, own in zip(multiscale.datasets, document["datasets"], strict=True)
    ]
    return multiscale.model_copy(update={"axes": axes, "datasets": datasets})


def _plain_axis(axis: Any) -> Any:
    """An axis without its unit, and of the type that its name stands for where it tells none."""
    if not isinstance(axis, Mapping):
        return axis
    kind = _KINDS.get(str(axis.get("name")).lower()) if axis.get("type") is None else None
    kept = {key: value for key, value in axis.items() if key != "unit"}
    return kept | {"type": kind} if kind else kept


def _plainly_named(dataset: Any) -> Any:
    if not isinstance(dataset, Mapping) or not isinstance(dataset.get("path"), str):
        return dataset
    return {**dataset, "path": re.sub(r"[^A-Za-z0-9._/-]", "_", dataset["path"])}


def _letters(path: Path, multiscale: Multiscale04 | Multiscale05) -> str:
    """One letter for each axis; the axes of space by their names, or else by their order, z before
    y before x.
    """
    space = [axis.name.lower() for axis in multiscale.axes if axis.type == "space"]
    by_order = dict(zip(space, "ZYX"[-len(space) :], strict=True))
    named = (
        {name: name.upper() for name in space}
        if set(space) in ({"x", "y"}, {"x", "y", "z"})
        else by_order
    )
    letters = []
    for axis in multiscale.axes:
        match axis.type:
            case "space":
                letters.append(named[axis.name.lower()])
            case "time":
                letters.append("T")
            case "channel":
                letters.append("C")
            case _:
                letters.append(axis.name.upper() if axis.name.upper() in ("I", "Q", "C") else "Q")
    if len(set(letters)) != len(letters):
        raise FileError(
            f"{path} has more than one axis of a kind ({', '.join(letters)}); save one image of "
            "it alone."
        )
    return "".join(letters)


def _transforms(multiscale: Multiscale04 | Multiscale05) -> tuple[Any, ...]:
    """From pixels of full resolution to space, in the order in which they are applied."""
    return (
        *multiscale.datasets[0].coordinateTransformations,
        *(multiscale.coordinateTransformations or ()),
    )


def _geometry(multiscale: Multiscale04 | Multiscale05, axes: str) -> tuple[Geometry, Time]:
    """Where the pixels lie along X, Y and Z, and the images along T."""
    factors = [
        transform.scale for transform in _transforms(multiscale) if transform.type == "scale"
    ]
    scale = dict(
        zip(axes, (math.prod(values) for values in zip(*factors, strict=True)), strict=True)
    )
    units = {
        letter: getattr(axis, "unit", None)
        for letter, axis in zip(axes, multiscale.axes, strict=True)
    }
    begin = _position(multiscale, axes)
    steps = {
        axis: AxisStep(scale[axis], units[axis], begin[axis]) for axis in "XYZ" if axis in scale
    }
    return Geometry.of(steps), time_of(
        scale.get("T", math.nan), units.get("T"), begin.get("T", 0.0)
    )


def _position(multiscale: Multiscale04 | Multiscale05, axes: str) -> dict[str, float]:
    """Where the first pixel lies along each axis, in the axis' unit: scale and translation are
    applied one after the other.
    """
    at = dict.fromkeys(axes, 0.0)
    for transform in _transforms(multiscale):
        if transform.type == "scale":
            at = {
                axis: at[axis] * factor for axis, factor in zip(axes, transform.scale, strict=True)
            }
        elif transform.type == "translation":
            at = {
                axis: at[axis] + shift
                for axis, shift in zip(axes, transform.translation, strict=True)
            }
    return {axis: float(value) if math.isfinite(value) else 0.0 for axis, value in at.items()}


def _described(ome: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What the rendering settings say of each channel."""
    omero = ome.get("omero")
    channels = omero.get("channels") if isinstance(omero, Mapping) else None
    described = isinstance(channels, list) and all(
        isinstance(channel, Mapping) for channel in channels
    )
    return channels if described and channels else []


def _channels(ome: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
    """Names of the channels, and whether these are the red, green and blue of one colour image."""
    names = tuple(str(channel.get("label") or "") for channel in _described(ome))
    colours = len(names) == 3 and all(
        name.lower() in known for name, known in zip(names, COLOUR_NAMES, strict=True)
    )
    return (names if all(names) else ()), colours


def _display(ome: Mapping[str, Any]) -> tuple[ChannelDisplay, ...]:
    """Colours and limits of the channels."""
    shown = []
    for channel in _described(ome):
        window = channel.get("window")
        limits = (
            limits_of((window.get("start"), window.get("end")))
            if isinstance(window, Mapping)
            else None
        )
        shown.append(
            ChannelDisplay(
                color_of(channel.get("color")), None, limits, channel.get("active") is not False
            )
        )
    return tuple(shown)
