"""The same image, flipped and turned, restored eight times: the mean is a little better, the spread tells of guesses."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_mdeblurgan.restoration import memory
from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.restoration.engine import Progress
from napari_mdeblurgan.restoration.fitting import target, tiles_that_fit
from napari_mdeblurgan.restoration.inference import apply, finish, network_on, prepare
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.measuring import measured_windows
from napari_mdeblurgan.restoration.orientation import ORIENTATIONS
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Region, Tile

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.network import Network

TIMES = len(ORIENTATIONS)


class Ensemble(NamedTuple):
    """What the eight restorations of a tile have in common, and how far they lie apart; (y, x, colours) float32 in windows."""

    mean: np.ndarray
    spread: np.ndarray


def ensemble(
    part: Callable[[Region], np.ndarray], tile: Tile, plan: RestorationPlan, window: Window, network: Network
) -> Ensemble:
    """Mean and standard deviation of the eight restorations of one tile, each turned back to lie upright.

    Parameters
    ----------
    part : callable
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
    mean: np.ndarray = np.zeros((), np.float32)
    squares = mean
    for count, orientation in enumerate(ORIENTATIONS, start=1):
        laid = orientation.shape(shape)
        grid = replace(plan.grid, shape=laid, region=((0, laid[0]), (0, laid[1])))
        turned = grid.tile_over(orientation.region(region, shape))
        source = tuple((span.source.start, span.source.stop) for span in (turned.y, turned.x))
        block = orientation.laid(part(orientation.region_back(source, shape)))  # type: ignore[arg-type]
        (laid_output,) = apply(network, [prepare(block, turned, plan, window)], plan)
        output = orientation.back(laid_output)
        step = output - mean
        mean = mean + step / np.float32(count)
        squares = squares + step * (output - mean)
    return Ensemble(mean, np.sqrt(squares / np.float32(TIMES - 1)))


def ensemble_steps(
    image: Any, plan: RestorationPlan, model: Model
) -> Generator[Progress, None, tuple[np.ndarray, np.ndarray]]:
    """Restore an image as the mean of its eight orientations: a little better, at eight times the cost.

    Yields once at the start and after every tile, as `restore_steps` does.

    Parameters
    ----------
    image : array
        What the plan was made for; a lazy one is read tile by tile.
    plan : RestorationPlan
        From `make_plan`.
    model : Model
        The model that the plan was made for.

    Returns
    -------
    tuple of ndarray
        The result, `plan.output_shape` and `plan.dtype`; and the standard deviation of the eight in grey levels, mean over the
        colours, float32 without colour axis.
    """
    start = time.perf_counter()
    windows = plan.windows or measured_windows(image, plan.rgb, plan.window_axes)
    result = np.empty(plan.output_shape, plan.dtype)
    spread = np.empty(plan.output_shape[: len(plan.leading) + 2], np.float32)
    network = network_on(model, plan.device)
    done, total = 0, spread.size
    yield Progress(done, total, 0.0)
    try:
        for index in np.ndindex(*plan.leading):
            window = plan.window(index, windows)

            def work(tile: Tile, index: tuple[int, ...] = index, window: Window = window) -> Ensemble:
                return ensemble_of_tile(image, index, tile, plan, window, network)

            for tile, made in tiles_that_fit(plan, work):
                place = (*index, *target(tile, plan))
                result[place], spread[place] = made
                done += tile.pixels * plan.factor**2
                yield Progress(done, total, time.perf_counter() - start)
    finally:
        memory.release()
    return result, spread


def ensemble_of_tile(
    image: Any, index: tuple[int, ...], tile: Tile, plan: RestorationPlan, window: Window, network: Network
) -> Ensemble:
    """One tile of the result: the mean in the image's type, and the spread as (y, x) float32 in grey levels.

    Raises
    ------
    DoesNotFit
        If memory runs out.
    """
    made = ensemble(lambda region: part_of(image, index, region), tile, plan, window, network)
    upright = prepare(read(image, (*index, tile.y.source, tile.x.source)), tile, plan, window)
    return Ensemble(
        finish(made.mean, upright, plan, window), in_grey_levels(made.spread, upright.missing, plan, window)
    )


def part_of(image: Any, index: tuple[int, ...], region: Region) -> np.ndarray:
    """A rectangle of one image of a stack."""
    return read(image, (*index, *(slice(start, stop) for start, stop in region)))


def in_grey_levels(spread: np.ndarray, missing: np.ndarray | None, plan: RestorationPlan, window: Window) -> np.ndarray:
    """A tile's spread as a map: (y, x) float32, mean over the colours, NaN where the image has no number."""
    grey: np.ndarray = spread.mean(axis=-1) * np.float32(window.span)
    if missing is not None:
        gap = missing.any(axis=-1)
        grey[gap.repeat(plan.factor, axis=0).repeat(plan.factor, axis=1)] = np.nan
    return grey
