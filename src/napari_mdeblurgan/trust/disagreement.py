"""Where a network contradicts itself: the same image, flipped and turned, restored eight times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from napari_mdeblurgan.restoration.inference import apply_network, mirrored, network_input, result_inside
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Region, Tile
from napari_mdeblurgan.trust.orientation import ORIENTATIONS

TIMES = len(ORIENTATIONS)


class Ensemble(NamedTuple):
    """What the eight restorations of a tile have in common, and how far they lie apart; (y, x, colours) float32 in windows."""

    mean: np.ndarray
    spread: np.ndarray


def ensemble(
    read: Callable[[Region], np.ndarray], tile: Tile, plan: RestorationPlan, window: Window, network: torch.nn.Module
) -> Ensemble:
    """Mean and standard deviation of the eight restorations of one tile, each turned back to lie upright.

    Parameters
    ----------
    read : callable
        From ((y start, y stop), (x start, x stop)) to that part of the image.
    tile : Tile
        What is restored, in the upright image.

    Notes
    -----
    Every orientation has the network's grid start at its own corner, whatever the tile; so tiles fit together to what the whole
    image would give.
    """
    shape = plan.grid.shape
    region = (tile.y.start, tile.y.stop), (tile.x.start, tile.x.stop)
    mean, squares = np.float64(0), np.float64(0)
    for count, orientation in enumerate(ORIENTATIONS, start=1):
        laid = orientation.shape(shape)
        grid = replace(plan.grid, shape=laid, region=((0, laid[0]), (0, laid[1])))
        turned = grid.tile_over(orientation.region(region, shape))
        source = tuple((span.source.start, span.source.stop) for span in (turned.y, turned.x))
        block = orientation.laid(read(orientation.region_back(source, shape)))  # type: ignore[arg-type]
        normalised, _ = network_input(mirrored(block, turned), plan, window)
        output = orientation.back(apply_network(network, normalised, plan)[result_inside(turned, plan.factor)])
        step = output - mean
        mean = mean + step / count
        squares = squares + step * (output - mean)
    return Ensemble(np.asarray(mean, np.float32), np.sqrt(squares / (TIMES - 1)).astype(np.float32))
