"""From shapes on the canvas to parts of an image. No Qt in here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.widgets.layers.view import (
    current_slice,
    image_shape,
    in_units_of_the_viewer,
)

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer, Shapes
    from numpy.typing import NDArray

    from napari_mdeblurgan.restoration.tiling import Region

WITH_AN_AREA = ("rectangle", "ellipse", "polygon")
ELLIPSE_POINTS = 128
STRAIGHT_PX = 0.01  # how far a corner of an upright rectangle may lie aside
ROUNDING_PX = 1e-6
DRAW = "draw a rectangle, an ellipse or a polygon"


@dataclass(frozen=True, slots=True, eq=False)
class ShapePart:
    """A shape that is restored.

    Attributes
    ----------
    number : int
        Which of the shapes of its layer, from 1.
    outline : ndarray or None
        (n, 2) float64: y and x of its corners in pixels of the image, whose centres are whole
        numbers; None where it fills its region, as an upright rectangle does.
    """

    number: int
    outline: NDArray[np.float64] | None = None

    @property
    def name(self) -> str:
        """What it is called in the names of layers and files."""
        return f"region {self.number}"

    def binned(self, binning: int) -> ShapePart:
        """The same in pixels of the image averaged over so many pixels along y and x."""
        return (
            self
            if self.outline is None
            else replace(self, outline=(self.outline + 0.5) / binning - 0.5)
        )

    def told(self, binning: int) -> list[list[float]] | None:
        """The outline in plain values, in pixels of the image before it was averaged over so many
        pixels; None without one.
        """
        return None if self.outline is None else ((self.outline + 0.5) * binning - 0.5).tolist()


@dataclass(frozen=True, slots=True)
class FoundParts:
    """The shapes that are on an image.

    Attributes
    ----------
    parts : tuple of (((y0, y1), (x0, x1)), ShapePart)
        The box around each, in pixels of the image and clipped to it, and the shape.
    note : str
        How many were left out, and why, in a sentence; empty if none.
    """

    parts: tuple[tuple[Region, ShapePart], ...]
    note: str


def with_an_area(layer: Shapes) -> list[int]:
    """Indices of the shapes of a layer that enclose something."""
    return [number for number, kind in enumerate(layer.shape_type) if kind in WITH_AN_AREA]


def parts_on(
    layer: Shapes, numbers: Sequence[int], image: Image, viewer: Viewer, order: Sequence[int]
) -> FoundParts:
    """Where shapes of a layer lie in an image, whatever the scale, rotation and units of both.

    Parameters
    ----------
    layer : Shapes
    numbers : sequence of int
        Indices of the shapes that are meant.
    image : Image
    viewer : Viewer
        Which shows both; a shape in another plane of a stack than it shows is left out.
    order : sequence of int
        The image's axes in the order of an image, y and x last.

    Raises
    ------
    ImageError
        In one sentence, if none of them has an area on the plane of the image that is shown.
    """
    if not numbers:
        raise ImageError(_why_none(layer))
    shape = image_shape(image, order)
    plane = current_slice(image, viewer, order)
    data, kinds, in_pixels = layer.data, layer.shape_type, _to_pixels(layer, image, viewer)
    parts, elsewhere, outside = [], 0, 0
    for number in numbers:
        places = in_pixels(_corners(np.asarray(data[number], dtype=np.float64), kinds[number]))[
            :, list(order)
        ]
        at = np.clip(np.round(places[:, :-2]), 0, np.array(shape[:-2]) - 1)
        if np.any(at != np.array(plane)):
            elsewhere += 1
            continue
        region = _box(places[:, -2:], shape[-2:])
        if region is None:
            outside += 1
            continue
        outline = None if _is_upright(places[:, -2:]) else places[:, -2:]
        parts.append((region, ShapePart(number + 1, outline)))
    if not parts:
        where = "the plane that is shown" if elsewhere else "it"
        raise ImageError(f"No shape of {layer.name!r} lies on {image.name!r}: {DRAW} over {where}.")
    return FoundParts(
        tuple(parts), " ".join(_left_out(outside, f"outside of {image.name!r}", elsewhere))
    )


def _why_none(layer: Shapes) -> str:
    if not layer.nshapes:
        return f"{layer.name!r} has no shape yet: {DRAW} around what is to be restored."
    which = "What is selected in" if with_an_area(layer) else "What is in"
    return f"{which} {layer.name!r} encloses nothing, as lines and paths do: {DRAW}."


def _left_out(outside: int, of_what: str, elsewhere: int) -> Iterable[str]:
    for count, where in ((outside, of_what), (elsewhere, "in another plane than is shown")):
        if count:
            yield (
                f"{count} shape{'s' * (count > 1)} {where} {'were' if count > 1 else 'was'} "
                "left out."
            )


def _corners(corners: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """Corners of a shape in its layer's own coordinates; of an ellipse, which napari keeps as the
    box around it, many points.
    """
    if kind != "ellipse":
        return corners
    middle, down, across = (
        corners.mean(axis=0),
        (corners[1] - corners[0]) / 2,
        (corners[3] - corners[0]) / 2,
    )
    angles = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)[:, None]
    return np.asarray(middle + np.sin(angles) * down + np.cos(angles) * across)


def _to_pixels(
    layer: Shapes, image: Image, viewer: Viewer
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """From a layer's coordinates, (n, ndim), to the image's; along axes that the layer lacks, to
    where the viewer is.
    """
    to_world, from_world = _affine(layer.data_to_world, layer), _affine(image.world_to_data, image)
    own, images = (in_units_of_the_viewer(each, viewer) for each in (layer, image))
    here, first = np.asarray(viewer.dims.point, dtype=np.float64), viewer.dims.ndim - layer.ndim

    def convert(points: NDArray[np.float64]) -> NDArray[np.float64]:
        there = np.tile(here, (len(points), 1))
        there[:, first:] = to_world(points) * own
        return from_world(there[:, -image.ndim :] / images)

    return convert


def _affine(convert: Any, layer: Layer) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """An affine conversion of single points as one of many."""
    zero = np.asarray(convert(np.zeros(layer.ndim)), dtype=np.float64)
    axes = np.array([convert(unit) for unit in np.eye(layer.ndim)], dtype=np.float64) - zero
    return lambda points: np.asarray(points @ axes + zero)


def _box(corners: NDArray[np.float64], shape: Sequence[int]) -> Region | None:
    """All pixels of an image that a shape touches; None where it touches none."""
    spans = []
    for values, length in zip(corners.T, shape, strict=True):
        start = max(int(np.floor(values.min() + 0.5 + ROUNDING_PX)), 0)
        stop = min(int(np.ceil(values.max() + 0.5 - ROUNDING_PX)), length)
        if start >= stop:
            return None
        spans.append((start, stop))
    return spans[0], spans[1]


def _is_upright(corners: NDArray[np.float64]) -> bool:
    """Whether a shape is a rectangle along the axes of the image."""
    if len(corners) != 4:
        return False
    low, high = corners.min(axis=0), corners.max(axis=0)
    at_edges = np.minimum(np.abs(corners - low), np.abs(corners - high)) <= STRAIGHT_PX
    steps = np.abs(np.diff(corners, axis=0, append=corners[:1]))
    return bool(at_edges.all() and np.all(steps.min(axis=1) <= STRAIGHT_PX))
