"""From shapes on the canvas to parts of an image. No Qt in here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.widgets.line_profile.lines import in_units_of_the_viewer
from napari_mdeblurgan.widgets.view import current_slice, image_shape

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
class Part:
    """A shape that is restored.

    Attributes
    ----------
    number : int
        Which of the shapes of its layer, from 1.
    outline : ndarray or None
        (n, 2) float64: y and x of its corners in pixels of the image, whose centres are whole numbers; None where it fills its
        region, as an upright rectangle does.
    """

    number: int
    outline: NDArray[np.float64] | None = None

    @property
    def name(self) -> str:
        """What it is called in the names of layers and files."""
        return f"region {self.number}"

    def binned(self, binning: int) -> Part:
        """The same in pixels of the image averaged over so many pixels along y and x."""
        return self if self.outline is None else replace(self, outline=(self.outline + 0.5) / binning - 0.5)

    def told(self, binning: int) -> list[list[float]] | None:
        """The outline in plain values, in pixels of the image before it was averaged over so many pixels; None without one."""
        return None if self.outline is None else ((self.outline + 0.5) * binning - 0.5).tolist()


@dataclass(frozen=True, slots=True)
class Found:
    """The shapes that are on an image.

    Attributes
    ----------
    parts : tuple of (((y0, y1), (x0, x1)), Part)
        The box around each, in pixels of the image and clipped to it, and the shape.
    note : str
        How many were left out, and why, in a sentence; empty if none.
    """

    parts: tuple[tuple[Region, Part], ...]
    note: str


def meant(layer: Shapes) -> list[int]:
    """Indices of the shapes that are meant and have an area: those that are selected, or else all.

    A shape that was just drawn is selected as long as the drawing tool is held: that selects nothing.
    """
    drawing = str(layer.mode).startswith("add_")
    numbers = range(layer.nshapes) if drawing or not layer.selected_data else sorted(layer.selected_data)
    return [int(number) for number in numbers if layer.shape_type[number] in WITH_AN_AREA]


def count_in_words(layer: Shapes) -> str:
    """How many shapes are meant, and of how many."""
    several, of = len(meant(layer)), sum(kind in WITH_AN_AREA for kind in layer.shape_type)
    if not several:
        return "no shape"
    return f"{several} of {of} shapes" if several < of else f"{of} shape{'s' * (of > 1)}"


def parts_on(layer: Shapes, image: Image, viewer: Viewer, order: Sequence[int]) -> Found:
    """Where the meant shapes of a layer lie in an image, whatever the scale, rotation and units of both.

    Parameters
    ----------
    layer : Shapes
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
    numbers = meant(layer)
    if not numbers:
        raise ImageError(_why_none(layer))
    shape = image_shape(image, order)
    plane = current_slice(image, viewer, order)
    parts, elsewhere, outside = [], 0, 0
    for number in numbers:
        places = _in_pixels(_corners(layer, number), layer, image, viewer)[:, list(order)]
        at = np.clip(np.round(places[:, :-2]), 0, np.array(shape[:-2]) - 1)
        if np.any(at != np.array(plane)):
            elsewhere += 1
            continue
        region = _box(places[:, -2:], shape[-2:])
        if region is None:
            outside += 1
            continue
        outline = None if _is_upright(places[:, -2:]) else places[:, -2:]
        parts.append((region, Part(number + 1, outline)))
    if not parts:
        where = "the plane that is shown" if elsewhere else "it"
        raise ImageError(f"No shape of {layer.name!r} lies on {image.name!r}: {DRAW} over {where}.")
    return Found(tuple(parts), " ".join(_left_out(outside, f"outside of {image.name!r}", elsewhere)))


def _why_none(layer: Shapes) -> str:
    if not layer.nshapes:
        return f"{layer.name!r} has no shape yet: {DRAW} around what is to be restored."
    which = "What is selected in" if layer.selected_data else "What is in"
    return f"{which} {layer.name!r} encloses nothing, as lines and paths do: {DRAW}."


def _left_out(outside: int, of_what: str, elsewhere: int) -> Iterable[str]:
    for count, where in ((outside, of_what), (elsewhere, "in another plane than is shown")):
        if count:
            yield f"{count} shape{'s' * (count > 1)} {where} {'were' if count > 1 else 'was'} left out."


def _corners(layer: Shapes, number: int) -> NDArray[np.float64]:
    """Corners of a shape in its layer's own coordinates; an ellipse, which napari keeps as the box around it, by many points."""
    corners = np.asarray(layer.data[number], dtype=np.float64)
    if layer.shape_type[number] != "ellipse":
        return corners
    middle, down, across = corners.mean(axis=0), (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angles = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)[:, None]
    return np.asarray(middle + np.sin(angles) * down + np.cos(angles) * across)


def _in_pixels(corners: NDArray[np.float64], layer: Shapes, image: Image, viewer: Viewer) -> NDArray[np.float64]:
    """Corners in the image's own coordinates, (n, ndim of the image); along axes that the shape lacks, where the viewer is."""
    world = _affine(layer.data_to_world, layer, corners) * in_units_of_the_viewer(layer, viewer)
    there = np.tile(np.asarray(viewer.dims.point, dtype=np.float64), (len(corners), 1))
    there[:, viewer.dims.ndim - layer.ndim :] = world
    return _affine(image.world_to_data, image, there[:, -image.ndim :] / in_units_of_the_viewer(image, viewer))


def _affine(convert: Any, layer: Layer, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Many points by an affine conversion of single ones."""
    zero = np.asarray(convert(np.zeros(layer.ndim)), dtype=np.float64)
    axes = np.array([convert(unit) for unit in np.eye(layer.ndim)], dtype=np.float64) - zero
    return np.asarray(points @ axes + zero)


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
