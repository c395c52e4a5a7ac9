"""Which part of a focus stack a preview is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_mdeblurgan.widgets.layers import view
from napari_mdeblurgan.widgets.layers.axes import letter_of, order_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

    from napari_mdeblurgan.widgets.focus_stack.source import CutRanges

STACK_PREVIEW_PIXELS = 512 * 512
_SMALLEST = 128  # pixels of an edge: in less than that planes cannot be registered well


def preview_part(
    layers: Sequence[Image], viewer: Viewer, axis: int | None
) -> tuple[CutRanges, bool]:
    """What the canvas shows of a stack, with all planes and channels; and whether that is all that
    it shows.

    Parameters
    ----------
    layers : sequence of Image
        One with all planes, or one for each.
    viewer : Viewer
        Whose canvas it is.
    axis : int or None
        Along which the planes of the one are counted.

    Raises
    ------
    ImageError
        If the canvas shows no plane of y and x, or nothing of the stack.
    """
    layer = layers[-1]
    order = order_of(layer.axis_labels)
    shape = view.image_shape(layer, order)
    region, is_all = view.visible_region(layer, viewer, STACK_PREVIEW_PIXELS, order)
    spans = tuple(_at_least(span, length) for span, length in zip(region, shape[-2:], strict=True))
    if axis is None:
        return spans, is_all
    index = view.current_slice(layer, viewer, order)
    further = [
        (0, length) if letter_of(layer.axis_labels[each]) == "C" else (at, at + 1)
        for each, at, length in zip(order, index, shape, strict=False)
        if each != axis
    ]
    return (*further, *spans), is_all


def _at_least(span: tuple[int, int], length: int) -> tuple[int, int]:
    """A span made so long that something can be seen in it, as far as the image goes."""
    start, stop = span
    lacking = max(0, min(_SMALLEST, length) - (stop - start))
    start = min(max(0, start - lacking // 2), length - (stop - start) - lacking)
    return start, start + (span[1] - span[0]) + lacking
