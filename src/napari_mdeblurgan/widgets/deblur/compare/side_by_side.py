"""Before in the left half of the canvas, after in the right half, at the same place and
magnification: by napari's grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.widgets.deblur.compare.arrangement import Arrangement, LayerPair
from napari_mdeblurgan.widgets.deblur.compare.line import Captions

if TYPE_CHECKING:
    from napari import Viewer
    from napari.components.grid import GridCanvas

HALVES = (1, 2)
GAP = 4  # pixels between them
OUT_OF_ORDER = (
    "Side by side needs every result right above its source: drag them there in the "
    "layer list, or choose Curtain."
)


class SideBySide:
    """Is there from when it is made until `leave`. Nothing but the pairs is shown.

    napari lays the visible layers into the squares of its grid one after the other, and begins anew
    in the first one when it has come to the last: of two squares, sources go into the left one, and
    the results above them into the right one.

    Parameters
    ----------
    viewer : Viewer
    canvas : VispyCanvas or None
        Of the viewer, which is told what is before and what is after.
    pairs : sequence of (Image, Image)
        Sources and their results.

    Raises
    ------
    ImageError
        If the layers are in an order that cannot be laid out so.
    """

    def __init__(self, viewer: Viewer, canvas: Any, pairs: Sequence[LayerPair]) -> None:
        self.pairs = list(pairs)
        self._viewer = viewer
        self._kept = Arrangement(viewer)
        shown = {layer for pair in pairs for layer in pair}
        self._kept.show(shown, set(viewer.layers))
        stride = self._stride()
        if stride is None:
            self._kept.put_back()
            raise ImageError(OUT_OF_ORDER)
        self._kept.set_grid(stride=stride, shape=HALVES, spacing=GAP, enabled=True)
        self._captions = None if canvas is None else Captions(canvas.native, beside=False)

    @property
    def holds(self) -> bool:
        """Whether nothing but the pairs is shown, each on its side; the user may have done
        something else to the layers.
        """
        shown = {layer for pair in self.pairs for layer in pair}
        grid = self._viewer.canvas.grid
        return (
            {each for each in self._viewer.layers if each.visible} == shown
            and grid.enabled
            and self._fits(grid)
        )

    def leave(self) -> None:
        """Put back all as it was."""
        with suppress(RuntimeError):  # the window is closed, and Qt has deleted the canvas
            if self._captions is not None:
                self._captions.close()
            self._kept.put_back()

    def _stride(self) -> int | None:
        """How many layers in a row napari has to put into a half; a negative one begins with the
        topmost layer.
        """
        from napari.components.grid import GridCanvas

        for stride in range(1, len(self._viewer.layers) + 1):
            for each in (stride, -stride):
                if self._fits(GridCanvas(stride=each, shape=HALVES, enabled=True)):
                    return each
        return None

    def _fits(self, grid: GridCanvas) -> bool:
        layers = self._viewer.layers
        return all(
            grid.position(layers.index(each[side]), layers) == (0, side)
            for each in self.pairs
            for side in (0, 1)
        )
