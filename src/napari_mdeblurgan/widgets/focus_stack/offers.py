"""Which stacks there are to choose from, and why there are none. No Qt in here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image

from napari_mdeblurgan.widgets.focus_stack.source import depth_axis, leading_axes
from napari_mdeblurgan.widgets.layers.axes import letter_of, spoken
from napari_mdeblurgan.widgets.layers.origin import is_map
from napari_mdeblurgan.widgets.layers.view import image_shape
from napari_mdeblurgan.widgets.shared import wording

if TYPE_CHECKING:
    from napari import Viewer

MOST_DETAIL = "Most detail"
CHOOSE_AXIS = "Choose an axis"


def stacks_of(viewer: Viewer) -> list[tuple[str, tuple[Image, ...]]]:
    """Layers with more axes than y and x, and all single planes together that are selected, if
    there are several.
    """
    images = [layer for layer in viewer.layers if isinstance(layer, Image) and not is_map(layer)]
    found = [(layer.name, (layer,)) for layer in images if layer.ndim > 2]
    planes = tuple(
        layer for layer in images if layer.ndim == 2 and layer in viewer.layers.selection
    )
    return (
        [*found, (f"The {len(planes)} selected layers", planes)] if len(planes) > 1 else list(found)
    )


def axes_of(layer: Image) -> tuple[list[tuple[str, int | None]], int | None]:
    """The axes along which the focus may change, and the one that it is."""
    lengths = image_shape(layer, range(layer.ndim))
    entries = [
        (f"{spoken(layer.axis_labels[axis])} ({lengths[axis]} planes)", axis)
        for axis in leading_axes(layer)
    ]
    chosen = depth_axis(layer)
    return ([] if chosen is not None else [(CHOOSE_AXIS, None)]) + list(entries), chosen


def offered_channels(layer: Image, axis: int | None) -> list[tuple[str, int | None]]:
    """The channels that may decide; none where the layer has no axis of channels."""
    lengths = image_shape(layer, range(layer.ndim))
    named = [
        each
        for each in leading_axes(layer)
        if each != axis and letter_of(layer.axis_labels[each]) == "C"
    ]
    if not named:
        return []
    return [
        (MOST_DETAIL, None),
        *((f"Channel {number}", number) for number in range(lengths[named[0]])),
    ]


def problem_of(viewer: Viewer, layers: tuple[Image, ...], axis: int | None) -> str:
    """Why nothing can be put together, in one sentence; empty if something can."""
    if not layers:
        return _nothing(viewer)
    if len(layers) > 1:
        kinds = {layer.rgb for layer in layers}
        return (
            "Some of the selected layers are in colour and others are not: select planes of one "
            "kind." * (len(kinds) > 1)
        )
    (layer,) = layers
    if axis is None:
        names = " and ".join(spoken(layer.axis_labels[each]) for each in leading_axes(layer))
        return (
            f"{layer.name!r} has no axis that is called z, and {names} is not for focus but for "
            "time or channels. If its planes are at different focus all the same, choose the axis."
        )
    if image_shape(layer, range(layer.ndim))[axis] < 2:
        return (
            f"Along {spoken(layer.axis_labels[axis])} {layer.name!r} has a single plane; a "
            "focus stack has at least two."
        )
    return ""


def _nothing(viewer: Viewer) -> str:
    active = next(
        (layer for layer in viewer.layers if layer == viewer.layers.selection.active), None
    )
    if isinstance(active, Image) and not is_map(active):
        return (
            f"{active.name!r} is a single plane; a focus stack has at least two. Open one with a z "
            "axis, or select all of its planes together in the layer list."
        )
    return f"Open a focus stack first, or try {wording.OPEN_SAMPLE}."
