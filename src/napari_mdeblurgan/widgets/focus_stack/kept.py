"""What was chosen of a stack, kept in the metadata of its height map for other layers to follow. No
Qt in here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.widgets.focus_stack.source import depth_axis, leading_axes
from napari_mdeblurgan.widgets.layers.axes import arranged, letter_of, order_of
from napari_mdeblurgan.widgets.layers.view import image_shape

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_mdeblurgan.focus import FocusChoice
    from napari_mdeblurgan.widgets.focus_stack.source import StackSource


def kept_choices(
    choices: Sequence[FocusChoice], stack: StackSource, step_um: float
) -> dict[str, Any]:
    """All but the heights, in plain values; those are the pixels of the map."""
    return {
        "planes": len(stack.planes),
        "size": list(choices[0].height.shape),
        "other": list(stack.other),
        "step": step_um or 1.0,
        "places": [
            {
                "transforms": [
                    None if each is None else each.tolist() for each in choice.transforms
                ],
                "reference": choice.reference,
                "order": list(choice.order),
                "depth": choice.depth,
            }
            for choice in choices
        ],
    }


def _kept(layer: Layer) -> dict[str, Any] | None:
    made = layer.metadata.get("mdeblurgan")
    kept = made.get("focus") if isinstance(made, dict) and made.get("map") == "height" else None
    return kept if isinstance(kept, dict) and isinstance(layer, Image) else None


def height_maps(layers: Iterable[Layer]) -> list[Image]:
    """The height maps among layers, whose choices others can follow; the topmost first."""
    return [
        layer
        for layer in reversed(list(layers))
        if isinstance(layer, Image) and _kept(layer) is not None
    ]


def source_name(heights: Image) -> str:
    """The stack that a height map was made of."""
    return str(heights.metadata["mdeblurgan"]["source"])


def choices_of(heights: Image) -> tuple[FocusChoice, ...]:
    """What was chosen, by its height map as it is now.

    Raises
    ------
    ImageError
        If the map was cut or enlarged since.
    """
    from napari_mdeblurgan.focus import FocusChoice

    kept = _kept(heights)
    data = np.asarray(arranged(heights.data, order_of(heights.axis_labels)))
    shape = (len(kept["places"]), *kept["size"]) if kept else ()
    if kept is None or data.size != np.prod(shape):
        raise ImageError(f"{heights.name!r} has changed its size: make it anew with Focus stack.")
    planes = (data / kept["step"]).reshape(shape).astype(np.float32)
    return tuple(
        FocusChoice(
            height,
            tuple(None if each is None else np.array(each) for each in place["transforms"]),
            place["reference"],
            tuple(place["order"]),
            place["depth"],
        )
        for height, place in zip(planes, kept["places"], strict=True)
    )


def fitting_axis(heights: Image, layer: Layer) -> int | None:
    """The axis of a layer along which it has as many planes, of the same size, as the stack that a
    height map was made of.
    """
    kept = _kept(heights)
    if (
        kept is None
        or not isinstance(layer, Image)
        or layer.ndim < 3
        or list(image_shape(layer)[-2:]) != kept["size"]
    ):
        return None
    if layer.name == source_name(heights) or "mdeblurgan" in layer.metadata:
        return None
    lengths = image_shape(layer, range(layer.ndim))
    likely = [axis for axis in (depth_axis(layer),) if axis is not None]
    for axis in (*likely, *leading_axes(layer)):
        if lengths[axis] == kept["planes"] and _fits(layer, axis, lengths, kept["other"]):
            return axis
    return None


def _fits(layer: Image, axis: int, lengths: Sequence[int], other: list[int]) -> bool:
    further = [each for each in leading_axes(layer) if each != axis]
    channels = [each for each in further if letter_of(layer.axis_labels[each]) == "C"][:1]
    return [lengths[each] for each in further if each not in channels] == other
