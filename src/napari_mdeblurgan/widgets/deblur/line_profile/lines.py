"""Lines of Shapes layers: which one is meant, where it lies, and one of our own. No Qt in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import ref

import numpy as np
from napari.layers import Shapes

from napari_mdeblurgan.widgets.layers.view import in_units_of_the_viewer

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer

LINES_NAME = "Line profile"
COLOUR = "#f0e442"
WIDTH_PX = 3  # on the screen
_SHARE = 0.25, 0.75  # of the width of what is seen


@dataclass(frozen=True)
class ShapesLine:
    """A line of a Shapes layer.

    Attributes
    ----------
    layer : weakref of Shapes
    number : int
        Which of its shapes.
    """

    layer: ref[Shapes]
    number: int

    def ends(self, viewer: Viewer) -> np.ndarray | None:
        """Both ends in world coordinates of the plane that is shown, (2, ndim of the viewer); None
        where it is gone.
        """
        layer = self.layer()
        if layer is None or layer not in viewer.layers or not _is_line(layer, self.number):
            return None
        world = np.array(
            [layer.data_to_world(point) for point in np.asarray(layer.data[self.number])]
        )
        world *= in_units_of_the_viewer(layer, viewer)
        ends = np.tile(np.asarray(viewer.dims.point, float), (2, 1))
        for axis in viewer.dims.displayed:
            own = axis - (viewer.dims.ndim - layer.ndim)
            if own >= 0:
                ends[:, axis] = world[:, own]
        return ends


def line_meant(active: Layer | None) -> ShapesLine | None:
    """The selected line of a Shapes layer that is selected, or its only one."""
    if not isinstance(active, Shapes):
        return None
    lines = [number for number in range(active.nshapes) if _is_line(active, number)]
    chosen = [number for number in lines if number in active.selected_data]
    number = chosen[-1] if chosen else lines[0] if len(lines) == 1 else None
    return None if number is None else ShapesLine(ref(active), number)


def own_line(viewer: Viewer, source: Image) -> Shapes:
    """A Shapes layer with a line across the middle of what is seen, selected, so that its ends can
    be dragged at once.
    """
    displayed = list(viewer.dims.displayed)[-2:]
    camera, (_, width) = viewer.scene.camera, viewer.canvas.size
    half = (_SHARE[1] - _SHARE[0]) / 2 * width / camera.zoom
    y, x = camera.center[-2:]
    flat = displayed == list(range(viewer.dims.ndim))[-2:]  # then the line is seen in all planes
    ends = np.tile(np.asarray(viewer.dims.point, float), (2, 1))
    ends[:, displayed] = [(y, x - half), (y, x + half)]
    first = viewer.dims.ndim - (2 if flat else source.ndim)
    layer = Shapes(
        [ends[:, first:]],
        shape_type="line",
        name=LINES_NAME,
        edge_color=COLOUR,
        edge_width=WIDTH_PX / camera.zoom,
        units=(viewer.layers.extent.units or source.units)[first - viewer.dims.ndim :],
    )
    viewer.add_layer(layer)
    layer.mode = "direct"
    layer.selected_data = {0}
    viewer.layers.selection.active = layer
    return layer


def _is_line(layer: Shapes, number: int) -> bool:
    return number < layer.nshapes and str(layer.shape_type[number]) == "line"
