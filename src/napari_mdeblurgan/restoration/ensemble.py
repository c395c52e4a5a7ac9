"""The same image, flipped and turned, restored eight times: the mean is a little better, the spread
tells of guesses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_mdeblurgan.restoration.arrays import Cutout, read
from napari_mdeblurgan.restoration.inference import apply, prepare, strips
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.orientation import ORIENTATIONS, Orientation
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tile_size import tiles_at_a_time
from napari_mdeblurgan.restoration.tiling import Region, Tile
from napari_mdeblurgan.stopping import portion

if TYPE_CHECKING:
    from napari_mdeblurgan.network import Network

TIMES = len(ORIENTATIONS)


class Ensemble(NamedTuple):
    """What the eight restorations of a tile have in common, and how far they lie apart; (y, x,
    colours) float32 in windows.
    """

    mean: np.ndarray
    spread: np.ndarray


def ensemble(
    around: Cutout, tile: Tile, plan: RestorationPlan, window: Window, network: Network
) -> Ensemble:
    """Mean and standard deviation of the eight restorations of one tile, each turned back to lie
    upright.

    Parameters
    ----------
    around : Cutout
        Of the image: what the tile reads in all orientations, from `read_for_all`.
    tile : Tile
        What is restored, in the upright image.

    Raises
    ------
    DoesNotFit
        If memory runs out.
    """
    height, width = tile.y.stop - tile.y.start, tile.x.stop - tile.x.start
    shape = height * plan.factor, width * plan.factor, plan.channels
    mean, squares = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    todo, done = _laid(tile, plan), 0
    at_a_time = tiles_at_a_time(tile.edge, plan.device, plan.precision)
    while some := list(islice(todo, at_a_time)):
        batch = [
            prepare(orientation.laid(around[_slices(region)]), turned, plan, window)
            for orientation, turned, region in some
        ]
        with portion(done / TIMES, (done + len(some)) / TIMES):
            outputs = apply(network, batch, plan)
        for (orientation, _, _), output in zip(some, outputs, strict=True):
            done += 1
            _take_up(orientation.back(output), done, mean, squares)
    squares /= np.float32(TIMES - 1)
    return Ensemble(mean, np.sqrt(squares, out=squares))


def _slices(region: Region) -> tuple[slice, slice]:
    rows, columns = (slice(start, stop) for start, stop in region)
    return rows, columns


def _take_up(output: np.ndarray, count: int, mean: np.ndarray, squares: np.ndarray) -> None:
    """Bring the mean and the sum of squares of deviations up to the `count`-th output, in place
    (Welford 1962).
    """
    for rows in strips(len(output)):
        upright = np.ascontiguousarray(output[rows])
        step = upright - mean[rows]
        mean[rows] += step / np.float32(count)
        squares[rows] += step * (upright - mean[rows])


def read_for_all(image: Any, index: tuple[int, ...], tile: Tile, plan: RestorationPlan) -> Cutout:
    """What a tile reads of one image of a stack, in whichever orientation; read once."""
    regions = [region for _, _, region in _laid(tile, plan)]
    (top, bottom), (left, right) = (
        (min(region[axis][0] for region in regions), max(region[axis][1] for region in regions))
        for axis in (0, 1)
    )
    return Cutout(read(image, (*index, slice(top, bottom), slice(left, right))), top, left)


def _laid(tile: Tile, plan: RestorationPlan) -> Iterator[tuple[Orientation, Tile, Region]]:
    """Each orientation, the tile in it, and what it reads of the upright image.

    Every orientation has the network's grid start at its own corner, whatever the tile; so tiles
    fit together to what the whole image would give.
    """
    shape = plan.grid.shape
    region = (tile.y.start, tile.y.stop), (tile.x.start, tile.x.stop)
    for orientation in ORIENTATIONS:
        laid = orientation.shape(shape)
        grid = replace(plan.grid, shape=laid, region=((0, laid[0]), (0, laid[1])))
        turned = grid.tile_over(orientation.region(region, shape))
        y, x = ((span.source.start, span.source.stop) for span in (turned.y, turned.x))
        yield orientation, turned, orientation.region_back((y, x), shape)
