"""What a layer's axes stand for: which are y and x, and the letters, pixel sizes and channels that
files and windows need.

A layer's axes may be in any order. They are brought into that of an image, with y and x last, where
a job is made of a layer, and back where a layer is made of a result; everything between knows the
order of the image alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.storage.array_part import ArrayPart
from napari_mdeblurgan.storage.geometry import AxisStep, Geometry, Time, time_of
from napari_mdeblurgan.storage.micrograph import Micrograph

if TYPE_CHECKING:
    from napari_mdeblurgan.widgets.layers.placement import Placement

LETTERS = {"t": "T", "time": "T", "z": "Z", "c": "C", "ch": "C", "channel": "C", "channels": "C"}
UNNAMED = "ZTC"  # what axes without a telling name are taken for, from y outwards


def spoken(label: str) -> str:
    """An axis by its label; napari numbers those without one from behind."""
    return f"axis {label}" if label.lstrip("-").isdecimal() else label


def order_of(labels: Sequence[str]) -> tuple[int, ...]:
    """A layer's axes in the order of an image: y and x, as far as the labels tell, or else the last
    two come last.
    """
    named = [label.strip().lower() for label in labels]
    if named.count("y") == named.count("x") == 1:
        return order_of_planes(len(labels), named.index("y"), named.index("x"))
    return tuple(range(len(labels)))


def order_of_planes(ndim: int, y: int, x: int) -> tuple[int, ...]:
    """The order of a layer's axes that makes two of them y and x."""
    return (*(axis for axis in range(ndim) if axis not in (y, x)), y, x)


def is_natural(order: Sequence[int]) -> bool:
    """Whether an order leaves the axes as they are."""
    return list(order) == sorted(order)


def arranged(data: Any, order: Sequence[int]) -> Any:
    """A layer's data with its axes in `order`, colours last: a view, or lazy, so that nothing is
    read here.
    """
    if is_natural(order):
        return data
    axes = (*order, *range(len(order), len(data.shape)))
    if isinstance(data, ArrayPart):
        return data.arranged(axes)
    return (data if isinstance(data, np.ndarray) else lazy(data)).transpose(axes)


def put_back(data: Any, order: Sequence[int]) -> Any:
    """A result with the axes of the layer that was arranged in `order`."""
    return arranged(data, [list(order).index(axis) for axis in range(len(order))])


def lazy(data: Any) -> Any:
    """A dask array of what is read on demand; the same for the same zarr array, also in another
    process.
    """
    if hasattr(data, "dask"):
        return data
    import dask.array as da

    from napari_mdeblurgan.restoration.scan_job import source_identity

    name = f"zarr-{source_identity(data)}" if hasattr(data, "store") else None
    return da.from_array(
        data, chunks=getattr(data, "chunks", None) or "auto", name=name, asarray=True
    )


def channel_axis(labels: Sequence[str]) -> int | None:
    """Which of the axes before y and x, the last two, runs over the channels of fluorescence, as
    far as the labels tell.
    """
    leading = [letter_of(label) for label in labels[:-2]]
    return leading.index("C") if "C" in leading else None


def letter_of(label: str) -> str:
    """T, Z or C for an axis that is called so; empty for any other."""
    return LETTERS.get(label.strip().lower(), "")


def letters(labels: Sequence[str], rgb: bool) -> str:
    """A letter for every axis, as `Micrograph` takes them; `labels` ends in y and x and has none
    for the colours.

    Raises
    ------
    ImageError
        If there are more axes than an OME-Zarr has room for.
    """
    named = [letter_of(label) for label in labels[:-2]]
    named = [
        letter if letter not in named[:position] else "" for position, letter in enumerate(named)
    ]
    room = [letter for letter in UNNAMED if letter not in named and not (rgb and letter == "C")]
    if named.count("") > len(room) or (rgb and "C" in named):
        raise ImageError(
            f"An OME-Zarr has no room for the {len(labels)} axes of this image; restore a range of "
            "its slices, or choose one axis less."
        )
    for position in reversed(range(len(named))):
        named[position] = named[position] or room.pop(0)
    return "".join(named) + ("YXS" if rgb else "YX")


def micrograph(data: Any, name: str, rgb: bool, placement: Placement) -> Micrograph:
    """An image with what its layer says about its axes; sizes and positions in no unit of length
    are plain numbers.

    A file can tell where an image lies, and whether it is mirrored, but not how it is turned or
    sheared: of a layer that is, only the sizes are told.

    `data` has its axes in the order of `placement.order`.

    Raises
    ------
    ImageError
        If there are more axes than an OME-Zarr has room for.
    """
    order = list(placement.order)
    axes = letters([placement.axis_labels[axis] for axis in order], rgb)
    steps: dict[str, AxisStep] = {}
    scale, begin = placement.plain or (np.abs(placement.scale), np.zeros(len(order)))
    time: Time | dict[str, float] = {}
    for letter, axis in zip(axes, order, strict=False):
        size, unit = float(scale[axis]), str(placement.units[axis])
        if letter in "XYZ":
            steps[letter] = AxisStep(size, unit, float(begin[axis]))
        elif letter == "T":
            time = time_of(size, unit, float(begin[axis]))
    found = Geometry.of(dict(reversed(steps.items())))
    return Micrograph(
        data,
        axes,
        found.scale,
        found.unit,
        name=name,
        position=found.origin,
        unitless=found.unitless,
        **time,
    )


def part_of(data: Any, planes: Sequence[slice]) -> Any:
    """Some planes of an image: a view of one in memory, else a lazy array, so that nothing is read
    here.
    """
    if all(span == slice(None) for span in planes):
        return data
    return (data if isinstance(data, np.ndarray | ArrayPart) else lazy(data))[tuple(planes)]
