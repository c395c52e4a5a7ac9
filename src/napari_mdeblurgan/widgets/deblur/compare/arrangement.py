"""What is shown and how the grid is set: kept while before and after are compared, and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.layers import Image, Layer

from napari_mdeblurgan.widgets.layers.appearance import show_alone

if TYPE_CHECKING:
    from napari import Viewer

LayerPair = tuple[Image, Image]  # a source and its result
_GRID = ("stride", "shape", "spacing", "enabled")


class Arrangement:
    """Remembers which layers of a viewer are visible, how its grid is set and where its camera is.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._visible: WeakKeyDictionary[Layer, bool] = WeakKeyDictionary(
            {each: each.visible for each in viewer.layers}
        )
        self._grid: dict[str, Any] = {name: getattr(viewer.canvas.grid, name) for name in _GRID}

    def show(self, shown: set[Layer], among: set[Layer]) -> None:
        """Of the layers `among` show those that are in `shown`."""
        for layer in among:
            if layer.visible is not (layer in shown):
                show_alone(layer, visible=layer in shown)

    def set_grid(self, **wishes: Any) -> None:
        """Set the grid; what is seen stays in the middle, as large as it was."""
        camera = self._viewer.scene.camera
        center, zoom = camera.center, camera.zoom
        for name, value in wishes.items():
            if getattr(self._viewer.canvas.grid, name) != value:
                setattr(self._viewer.canvas.grid, name, value)
        camera.center, camera.zoom = center, zoom

    def put_back(self) -> None:
        """Show what was shown before, of what is still there."""
        self.set_grid(**self._grid)
        for layer in list(self._viewer.layers):
            visible = self._visible.get(layer)
            if visible is not None and layer.visible is not visible:
                show_alone(layer, visible=visible)
