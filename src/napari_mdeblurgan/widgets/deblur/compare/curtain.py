"""A line to drag over the canvas: before on its left, after on its right, all channels of a run
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.widgets.deblur.compare.arrangement import Arrangement, LayerPair
from napari_mdeblurgan.widgets.deblur.compare.clip import EVERYWHERE, ClippedLayer
from napari_mdeblurgan.widgets.deblur.compare.line import Captions, CurtainLine

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer


class Curtain:
    """Is there from when it is made until `leave`.

    Parameters
    ----------
    viewer : Viewer
    canvas : VispyCanvas
        Of the viewer.
    pairs : sequence of (Image, Image)
        Sources and their results.
    others : set of Layer
        Other results of these sources, and maps, which are hidden meanwhile.
    """

    def __init__(
        self, viewer: Viewer, canvas: Any, pairs: Sequence[LayerPair], others: set[Layer]
    ) -> None:
        self.pairs = list(pairs)
        self._canvas, self._grid = canvas, viewer.canvas.grid
        self._kept = Arrangement(viewer)
        shown = {layer for pair in pairs for layer in pair}
        self._kept.set_grid(enabled=False)
        self._kept.show(shown, shown | others)
        nodes = canvas.layer_to_visual
        sides = (
            dict.fromkeys(pair[side] for pair in pairs) for side in (0, 1)
        )  # a source may have several results
        self._before, self._after = (
            [ClippedLayer(each, nodes) for each in layers] for layers in sides
        )
        self.line = CurtainLine(canvas.native)
        self._captions = Captions(canvas.native, beside=True)
        self.line.moved.connect(self._on_moved)
        canvas.events.draw.connect(self._on_draw)  # comes before what is drawn
        canvas.native.update()

    @property
    def holds(self) -> bool:
        """Whether it can stay: where the user puts every layer into a square of its own, there is
        nothing to be drawn over it.
        """
        return not self._grid.enabled

    def leave(self) -> None:
        """Put back all as it was."""
        with suppress(RuntimeError):  # the window is closed, and Qt has deleted the canvas
            self._canvas.events.draw.disconnect(self._on_draw)
            self.line.close_line()
            self._captions.close()
            for layer in (*self._before, *self._after):
                layer.release()
            self._kept.put_back()
            self._canvas.native.update()

    def _on_moved(self, place: float) -> None:
        self._captions.lie(place)
        self._canvas.native.update()

    def _on_draw(self, _: object = None) -> None:
        native = self._canvas.native
        edge = self.line.place * native.width() * native.devicePixelRatioF()
        for layer in self._before:
            layer.draw(-EVERYWHERE, edge)
        for layer in self._after:
            layer.draw(edge, EVERYWHERE)
