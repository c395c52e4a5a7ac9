"""Which part of an image the canvas shows now.

`order` names a layer's axes in the order of the image, y and x last; by default as the labels tell,
see `axes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration.tiling import Region
from napari_mdeblurgan.widgets.layers.axes import order_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image


_Order = Sequence[int] | None


def full_resolution(layer: Image) -> object:
    """The layer's array; of a multiscale layer the finest level."""
    return layer.data[0] if layer.multiscale else layer.data


def image_shape(layer: Image, order: _Order = None) -> tuple[int, ...]:
    """Shape of the layer's array at full resolution without the colour axis."""
    shape = full_resolution(layer).shape  # type: ignore[attr-defined]
    return tuple(shape[axis] for axis in order or order_of(layer.axis_labels))


def current_slice(layer: Image, viewer: Viewer, order: _Order = None) -> tuple[int, ...]:
    """Index of the plane that the viewer shows, one value per axis before y and x; empty for a 2-D
    image.
    """
    order = order or order_of(layer.axis_labels)
    position = np.asarray(layer.world_to_data(viewer.dims.point))[list(order[:-2])]
    last = np.array(image_shape(layer, order)[:-2]) - 1
    return tuple(int(i) for i in np.clip(np.round(position), 0, last))


def check_plane_shown(layer: Image, viewer: Viewer, wish: str, order: _Order = None) -> None:
    """Make sure that the canvas shows a plane of y and x, which `wish`, the subject of the
    sentence, needs.

    Raises
    ------
    ImageError
        If the viewer is in 3-D or shows other axes than y and x.
    """
    if viewer.dims.ndisplay != 2:
        raise ImageError(
            f"{wish} needs the 2-D view: switch 3-D off with the button below the layer list."
        )
    displayed = sorted(axis - (viewer.dims.ndim - layer.ndim) for axis in viewer.dims.displayed)
    if displayed != sorted((order or order_of(layer.axis_labels))[-2:]):
        raise ImageError(
            f"{wish} needs y and x on the canvas: roll or transpose the axes back, or choose "
            "other planes."
        )


def visible_region(
    layer: Image, viewer: Viewer, limit: int, order: _Order = None
) -> tuple[Region, bool]:
    """Pixels of `layer` within the canvas, no more than `limit` of them, around the middle of the
    view.

    Returns
    -------
    ((y0, y1), (x0, x1)), bool
        Half-open, in pixels of the full resolution; and whether that is all that the canvas shows.

    Raises
    ------
    ImageError
        If the viewer is in 3-D, shows other axes than y and x, or shows nothing of the image.
    """
    check_plane_shown(layer, viewer, "The preview", order)
    plane = list((order or order_of(layer.axis_labels))[-2:])
    step = layer.downsample_factors[layer.data_level][plane] if layer.multiscale else np.ones(2)
    low, high = layer.corner_pixels[:, plane]
    thin = np.ceil(np.array(image_shape(layer, order)[-2:]) / step) <= 1
    if np.any((high <= low) & ~thin):
        raise ImageError(
            f"Nothing of {layer.name!r} is on the canvas: press the home button to see it."
        )
    start = np.floor(low * step).astype(int)
    stop = np.minimum(np.ceil((high + 1) * step).astype(int), image_shape(layer, order)[-2:])
    region = _middle(start, stop, limit)
    return region, [span[1] - span[0] for span in region] == (stop - start).tolist()


def _middle(start: np.ndarray, stop: np.ndarray, limit: int) -> Region:
    """Shrink a region about its middle to at most `limit` pixels; a side that is short already
    stays.
    """
    size = stop - start
    side = int(np.sqrt(limit))
    short = int(size.min())
    wanted = np.minimum(size, max(side, limit // max(short, 1)) if short < side else side)
    first = start + (size - wanted) // 2
    (y0, x0), (y1, x1) = first.tolist(), (first + wanted).tolist()
    return (y0, y1), (x0, x1)
