"""What the network says of itself: the weight of each candidate, and how far off it thinks they are."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.restoration.inference import apply_network, mirrored, network_input
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile

VALUES = 6  # three weights, three distances


def explains(network: torch.nn.Module) -> TypeGuard[Generator]:
    """Whether a network has an approximation module to tell of."""
    return isinstance(network, Generator) and network.approximation.reading != "none"


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
        self._watched: _Watched | None = None

    def watching(self, network: torch.nn.Module) -> torch.nn.Module:
        """A network that does the same, and lets this one know."""
        self._watched = _Watched(network)
        return self._watched

    def keep(self, index: tuple[int, ...], tile: Tile) -> None:
        """Take what was said last as the tile's."""
        if self._watched is not None and self._watched.said is not None:
            said = self._watched.said[0].movedim(0, -1)[tile.y.inside, tile.x.inside]
            self._values[index][self._place(tile)] = said.float().cpu().numpy()
            self._watched.said = None

    def of(self, index: tuple[int, ...], tile: Tile) -> np.ndarray:
        """(y, x, 6) float32: three weights and three distances, in windows."""
        values: np.ndarray = self._values[index][self._place(tile)].astype(np.float32)
        return values

    def _place(self, tile: Tile) -> tuple[slice, slice]:
        (y0, _), (x0, _) = self._plan.region
        return slice(tile.y.start - y0, tile.y.stop - y0), slice(tile.x.start - x0, tile.x.stop - x0)


def explained(block: np.ndarray, tile: Tile, plan: RestorationPlan, window: Window, network: Generator) -> np.ndarray:
    """The same for one tile where nothing was kept: `block` is the tile's `source` part of one image."""
    normalised, _ = network_input(mirrored(block, tile), plan, window)
    said = apply_network(_Weighing(network), normalised, plan)
    return said[tile.y.inside, tile.x.inside].astype(np.float16).astype(np.float32)


class _Watched(torch.nn.Module):
    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        self.said: Tensor | None = None

    def forward(self, image: Tensor) -> Tensor:
        if not explains(self.network):
            return self.network(image)  # type: ignore[no-any-return]
        restoration = self.network.explain(image)
        self.said = torch.cat([restoration.weights, restoration.distances], dim=1)
        return restoration.output


class _Weighing(torch.nn.Module):
    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        passed = self.network.approximate(image)
        return torch.cat([passed.weights, passed.distances], dim=1)
