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
    from napari.layers import Image, Layer


_Order = Sequence[int] | None


def full_resolution(layer: Image) -> object:
    """The layer's array; of a multiscale layer the finest level."""
    return layer.data[0] if layer.multiscale else layer.data


def image_shape(layer: Image, order: _Order = None) -> tuple[int, ...]:
    """Shape of the layer's array at full resolution without the colour axis."""
    shape = full_resolution(layer).shape  # type: ignore[attr-defined]
    return tuple(shape[axis] for axis in order or order_of(layer.axis_labels))


def in_units_of_the_viewer(layer: Layer, viewer: Viewer) -> np.ndarray:
    """By what a layer's world coordinates are multiplied to be those of its viewer, (ndim,).

    Layers may tell the same length in different units, which napari converts, as long as all of
    them can be.
    """
    common = viewer.layers.extent.units
    if common is None or layer not in viewer.layers:
        return np.ones(layer.ndim)
    units = common[-layer.ndim :]
    return np.array(
        [float((1 * own).to(unit).magnitude) for own, unit in zip(layer.units, units, strict=True)]
    )


def current_slice(layer: Image, viewer: Viewer, order: _Order = None) -> tuple[int, ...]:
    """Index of the plane that the viewer shows, one value per axis before y and x; empty for a 2-D
    image.
    """
    order = order or order_of(layer.axis_labels)
    here = np.array(viewer.dims.point[-layer.ndim :])
    here /= in_units_of_the_viewer(layer, viewer)[-len(here) :]
    position = np.asarray(layer.world_to_data(here))[list(order[:-2])]
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
    low, high = _corner_pixels(layer, viewer)[:, plane]
    thin = np.ceil(np.array(image_shape(layer, order)[-2:]) / step) <= 1
    if np.any((high <= low) & ~thin):
        raise ImageError(
            f"Nothing of {layer.name!r} is on the canvas: press the home button to see it."
        )
    start = np.floor(low * step).astype(int)
    stop = np.minimum(np.ceil((high + 1) * step).astype(int), image_shape(layer, order)[-2:])
    region = _middle(start, stop, limit)
    return region, [span[1] - span[0] for span in region] == (stop - start).tolist()


def _corner_pixels(layer: Image, viewer: Viewer) -> np.ndarray:
    """First and last pixel within the canvas, (2, ndim), at the resolution that is shown.

    napari's own are wrong for a layer in other units than those of the viewer, which it leaves out.
    """
    units = in_units_of_the_viewer(layer, viewer)
    if np.all(units == 1):
        return np.asarray(layer.corner_pixels)
    shown, camera = list(viewer.dims.displayed), viewer.scene.camera
    size = np.array(viewer.canvas.size) / viewer.canvas.grid.actual_shape(viewer.layers)
    corners = np.tile(np.array(viewer.dims.point, float), (4, 1))
    sides = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    corners[:, shown] = np.array(camera.center[-2:]) + sides * size / 2 / camera.zoom
    pixels = np.array([layer.world_to_data(each[-layer.ndim :] / units) for each in corners])
    if layer.multiscale:
        pixels /= layer.downsample_factors[layer.data_level]
    shape = layer.level_shapes[layer.data_level] if layer.multiscale else layer.data.shape
    bounds = np.array([np.floor(pixels.min(axis=0)), np.ceil(pixels.max(axis=0))]).astype(int)
    return np.clip(bounds, 0, np.array(shape[: layer.ndim]) - 1)


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
