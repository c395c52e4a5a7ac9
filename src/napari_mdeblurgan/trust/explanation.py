"""What the network says of itself: the weight of each candidate, and how far off it thinks they are."""

from __future__ import annotations

import numpy as np

from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.restoration.inference import explains, explanation, prepare
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile

__all__ = ["Explanation", "explained", "explains"]

VALUES = 6  # three weights, three distances


class Explanation:
    """Weights and distances of all tiles of a restoration, kept on the way; on the input's grid.

    Parameters
    ----------
    plan : RestorationPlan
        Of the restoration.
    """

    def __init__(self, plan: RestorationPlan) -> None:
        self._plan = plan
        size = [stop - start for start, stop in plan.region]
        self._values = np.full((*plan.leading, *size, VALUES), np.nan, np.float16)

    def keep(self, index: tuple[int, ...], tile: Tile, said: np.ndarray) -> None:
        """Take (y, x, 6), what was said of a tile of one image of the stack."""
        self._values[index][self._place(tile)] = said

    def of(self, index: tuple[int, ...], tile: Tile) -> np.ndarray:
        """(y, x, 6) float32: three weights and three distances, in windows."""
        values: np.ndarray = self._values[index][self._place(tile)].astype(np.float32)
        return values

    def _place(self, tile: Tile) -> tuple[slice, slice]:
        (y0, _), (x0, _) = self._plan.region
        return slice(tile.y.start - y0, tile.y.stop - y0), slice(tile.x.start - x0, tile.x.stop - x0)


def explained(block: np.ndarray, tile: Tile, plan: RestorationPlan, window: Window, network: Generator) -> np.ndarray:
    """The same for one tile where nothing was kept: `block` is the tile's `source` part of one image."""
    said = explanation(network, prepare(block, tile, plan, window), plan)
    return said.astype(np.float16).astype(np.float32)
