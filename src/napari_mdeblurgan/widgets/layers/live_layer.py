"""A layer that fills in while its image is being made: refreshed without making anybody wait, and
the view made known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.widgets.layers.axes import put_back
from napari_mdeblurgan.widgets.layers.shown_levels import AtOnce, ShownLevels
from napari_mdeblurgan.widgets.layers.view import current_slice, visible_region

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer

    from napari_mdeblurgan.restoration.tiling import Region

_LOOK_MS = (
    300  # after something was made, until it is looked for: several tiles are shown in one go
)
_REST = 15  # times as long as refreshing and drawing has taken, nothing is refreshed
THUMBNAIL_S = 2.0
_DRAW_MS = 15
FOLLOW_MS = 120  # after the view has come to rest

_Follow = Callable[[tuple[int, ...], "Region"], None]


class LiveLayer(QObject):
    """Keeps a layer up to date with the levels of an image that is being made; lives on the main
    thread.

    Parameters
    ----------
    viewer : Viewer
        That will show the layer.
    levels : sequence of array
        Of the image, as far as it is made; the finest first.
    at_once : callable
        Gives something to be shown of a level until that is read, see `ShownLevels`.
    rgb : bool
        Whether the last axis holds colours.
    follow : callable
        Called with the index of the plane that is shown and the region of it, in pixels of the
        finest level, whenever the view has moved and come to rest.
    valid : callable
        Whether the levels still lie where they were; what was read when they no longer do is not
        shown.
    order : sequence of int
        The axes of the layer in the order of the levels, y and x last.
    """

    _arrived = Signal()

    def __init__(
        self,
        viewer: Viewer,
        levels: Sequence[Any],
        at_once: AtOnce,
        rgb: bool,
        follow: _Follow,
        valid: Callable[[], bool],
        order: Sequence[int],
    ) -> None:
        super().__init__()
        self._viewer, self._follow, self._order = viewer, follow, order
        self._shown = ShownLevels(levels, at_once, rgb, self._arrived.emit, valid)
        self._arrays = [put_back(level, order) for level in self._shown.arrays]
        self._layer: Image | None = None
        self._thumbnail_at = self._refreshed_at = self._took = 0.0
        self._look, self._refresh, self._rest = (
            self._timer(at) for at in (self._look_again, self._draw, self._tell)
        )
        self._arrived.connect(self._on_arrival)

    @property
    def arrays(self) -> list[Any]:
        """The levels for napari, with the axes of the layer, which never make it wait."""
        return list(self._arrays)

    @property
    def layer(self) -> Image | None:
        """The layer, if it is still in the viewer."""
        return self._layer if self._layer in self._viewer.layers else None

    def attach(self, layer: Image) -> None:
        """Keep `layer`, whose data are `arrays`, up to date."""
        self._layer = layer
        for emitter in self._view_events():
            emitter.connect(self._on_view)
        self._on_view()

    def touch(self) -> None:
        """Something new was made: show it soon."""
        if not self._look.isActive():
            self._look.start(_LOOK_MS)

    @property
    def layers(self) -> list[Image]:
        """The layer and copies of it, as far as they are in the viewer."""
        return [each for each in self._viewer.layers if self._is_shown_by(each)]

    def finish(self, levels: Sequence[Any]) -> list[Image]:
        """Let the layer, and copies of it, show `levels`, which have its axes, for good; returns
        them.
        """
        shown = self.layers
        self.close()
        for layer in shown:
            show_levels(layer, levels)
        return shown

    def _is_shown_by(self, layer: Layer) -> TypeGuard[Image]:
        """Whether these arrays are the data of a layer, as of one that was duplicated."""
        return getattr(layer, "multiscale", False) and layer.data[0] is self._arrays[0]

    def close(self) -> None:
        """Leave the layer alone from now on."""
        if self._layer is not None:
            for emitter in self._view_events():
                emitter.disconnect(self._on_view)
        self._layer = None
        for timer in (self._look, self._refresh, self._rest):
            timer.stop()
        self._shown.close()

    def _timer(self, act: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(act)
        return timer

    def _view_events(self) -> tuple[Any, ...]:
        camera, dims = self._viewer.scene.camera.events, self._viewer.dims.events
        return camera.center, camera.zoom, dims.point, dims.order, dims.ndisplay

    def _on_view(self, _: object = None) -> None:
        self._rest.start(FOLLOW_MS)

    def _look_again(self) -> None:
        self._shown.look_again()

    def _on_arrival(self) -> None:
        if not self._refresh.isActive():
            rest = self._refreshed_at + _REST * self._took - time.perf_counter()
            self._refresh.start(max(0, round(1000 * rest)))

    def _draw(self) -> None:
        seen = [each for each in self.layers if each.visible]
        if not seen:
            return
        start = time.perf_counter()
        thumbnail = start - self._thumbnail_at > THUMBNAIL_S
        for layer in seen:
            layer.refresh(extent=False, highlight=False, thumbnail=thumbnail)
        self._thumbnail_at = start if thumbnail else self._thumbnail_at
        QTimer.singleShot(_DRAW_MS, lambda: self._drawn(start))

    def _drawn(self, start: float) -> None:
        """Drawing follows the refresh as an event of its own, which made this call late."""
        self._refreshed_at = time.perf_counter()
        self._took = self._refreshed_at - start - _DRAW_MS / 1000

    def _tell(self) -> None:
        layer = self.layer
        if layer is None:
            return
        try:
            region, _ = visible_region(layer, self._viewer, 2**62, self._order)
        except ImageError:
            return  # nothing of it is seen, or not as planes: then any order is as good
        self._follow(current_slice(layer, self._viewer, self._order), region)


def show_levels(layer: Image, levels: Sequence[Any]) -> None:
    """Let a multiscale layer show other levels, of the same shapes.

    napari begins with the whole of the coarsest one, and would cut the part that is shown of the
    finer one out of it.
    """
    corners = np.zeros((2, layer.ndim), int)
    corners[1] = layer.level_shapes[-1][: layer.ndim] - 1
    layer.corner_pixels = corners
    layer.data = list(levels)
