"""What a layer's axes stand for: the letters, pixel sizes and channels that files and the intensity windows need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.storage.micrograph import Micrograph, in_one_unit, is_size, unit_of_length
from napari_mdeblurgan.widgets.placement import Placement

LETTERS = {"t": "T", "time": "T", "z": "Z", "c": "C", "ch": "C", "channel": "C", "channels": "C"}
SECONDS = {"second": 1.0, "millisecond": 1e-3, "microsecond": 1e-6, "minute": 60.0, "hour": 3600.0, "day": 86_400.0}
UNNAMED = "ZTC"  # what axes without a telling name are taken for, from y outwards


def channel_axis(labels: Sequence[str]) -> int | None:
    """Which of the axes before y and x runs over the channels of fluorescence, as far as the labels tell."""
    leading = [letter_of(label) for label in labels[:-2]]
    return leading.index("C") if "C" in leading else None


def letter_of(label: str) -> str:
    """T, Z or C for an axis that is called so; empty for any other."""
    return LETTERS.get(label.strip().lower(), "")


def letters(labels: Sequence[str], rgb: bool) -> str:
    """A letter for every axis, as `Micrograph` takes them; `labels` has none for the colours.

    Raises
    ------
    ImageError
        If there are more axes than an OME-Zarr has room for.
    """
    named = [letter_of(label) for label in labels[:-2]]
    named = [letter if letter not in named[:position] else "" for position, letter in enumerate(named)]
    room = [letter for letter in UNNAMED if letter not in named and not (rgb and letter == "C")]
    if named.count("") > len(room) or (rgb and "C" in named):
        raise ImageError(
            f"An OME-Zarr has no room for the {len(labels)} axes of this image; restore a range of its slices, or choose "
            "one axis less."
        )
    for position in reversed(range(len(named))):
        named[position] = named[position] or room.pop(0)
    return "".join(named) + ("YXS" if rgb else "YX")


def micrograph(data: Any, name: str, rgb: bool, placement: Placement) -> Micrograph:
    """A layer's image with what the layer says about its axes; pixel sizes only where their unit is one of length.

    Raises
    ------
    ImageError
        If there are more axes than an OME-Zarr has room for.
    """
    axes = letters(placement.axis_labels, rgb)
    sizes: dict[str, tuple[float, str]] = {}
    step: float | None = None
    for letter, size, unit in zip(axes, np.abs(placement.scale).tolist(), map(str, placement.units), strict=False):
        length = unit_of_length(unit)
        if letter in "XYZ" and length and is_size(size):
            sizes[letter] = size, length
        elif letter == "T" and unit in SECONDS:
            step = size * SECONDS[unit]
    pixel_size, unit_of_all = in_one_unit(dict(reversed(sizes.items())))
    return Micrograph(data, axes, pixel_size, unit_of_all, name=name, time_step_s=step)


def part_of(data: Any, planes: Sequence[slice]) -> Any:
    """Some planes of an image: a view of one in memory, else a lazy array, so that nothing is read here."""
    if all(span == slice(None) for span in planes):
        return data
    if not isinstance(data, np.ndarray) and not hasattr(data, "dask"):
        import dask.array as da

        data = da.from_array(data, chunks=getattr(data, "chunks", None) or "auto", asarray=True)
    return data[tuple(planes)]
