"""Carrying out a plan: an image restored to an array in memory, or to a lazy one."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.arrays import as_array, check_order, is_masked
from napari_mdeblurgan.restoration.binning import binned, checked_binning
from napari_mdeblurgan.restoration.checking import check_made_for, checked_card, has_colours
from napari_mdeblurgan.restoration.fitting import target
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.lazy import restore_lazily
from napari_mdeblurgan.restoration.measuring import measuring
from napari_mdeblurgan.restoration.operations import (
    DISAGREEMENT,
    EXPLANATION,
    RESULT,
    Eightfold,
    TellTile,
    restoring_operation,
)
from napari_mdeblurgan.restoration.plan import RestorationPlan, make_plan, planning
from napari_mdeblurgan.restoration.progress import Progress
from napari_mdeblurgan.restoration.read_in_turn import read_in_turn
from napari_mdeblurgan.restoration.tile_size import fitting_batch
from napari_mdeblurgan.restoration.tiling import TileGrid
from napari_mdeblurgan.restoration.walk import Operation, Spot, TileArrays, Todo, walk
from napari_mdeblurgan.steps import finished, map_steps
from napari_mdeblurgan.storage.lazy_arrays import by_block


def restore(image: Any, model: Model, *, binning: int = 1, **wishes: Any) -> Any:
    """Deblur and super-resolve an image or a stack of images.

    Parameters
    ----------
    image : array
        (..., y, x), or (..., y, x, 3 or 4) for a model for colours; bool, integer or float.
    model : Model
        From `load_model`.
    binning : int
        The image is binned by so many pixels along y and x first, see `binned`: by 2 where its blur
        is much larger than its pixels, so that a ×2 model gives back as many pixels as it has. A
        ``region`` is then in binned pixels.
    **wishes
        As in `make_plan`: ``rgb``, ``channel_axis``, ``window``, ``tile``, ``device``,
        ``precision``, ``region``, ``softness``, ``output_scale``: 1 for a sharp image of as many
        pixels as it had.

    Returns
    -------
    array
        The image's dtype and leading axes, and along y and x `output_scale` times the (binned)
        pixels, by default as many times as the model was trained for (`model.card.output_scale` or
        `model.card.scale`). A dask array for a dask array, with nothing computed yet; else numpy.
        Masked where a masked array has no value.

    Raises
    ------
    ImageError
        In one sentence, if the image cannot be restored.
    ModelError
        If `model` is none, such as the name of one.
    OutOfMemory
        If not even the smallest tile fits.
    """
    card = checked_card(model)
    check_order(image)
    masked = is_masked(image)
    image = as_array(image)
    if checked_binning(binning) > 1:
        image = binned(image, binning, rgb=has_colours(tuple(image.shape), card, wishes.get("rgb")))
    lazily = hasattr(image, "dask")
    plan = (
        make_plan(image, card, in_memory=False, binning=binning, **wishes)
        if lazily
        else finished(planning(image, card, binning=binning, **wishes))
    )
    for sentence in plan.warnings:
        warnings.warn(sentence, stacklevel=2)
    if lazily:
        lazy = restore_lazily(image, model, plan)
        return by_block(np.ma.masked_invalid, lazy) if masked else lazy
    result = finished(restore_steps(image, plan, model))
    return np.ma.masked_invalid(result, copy=False) if masked else result


def restore_steps(
    image: Any,
    plan: RestorationPlan,
    model: Model,
    tell: TellTile | None = None,
) -> Generator[Progress, None, np.ndarray]:
    """Carry out `plan`; yields at the start, every half second and after every tile, and returns
    the result.

    Closing the generator ends the work, in the middle of a tile too. When memory runs out, the
    tiles still to come are quartered.

    Parameters
    ----------
    image : array
        What the plan was made for; a lazy one is read tile by tile.
    plan : RestorationPlan
        From `make_plan`.
    model : Model
        The model that the plan was made for.
    tell : callable, optional
        Called with the position along the axes before y, a tile, and what the network says of it,
        see `inference.explanation`.

    Returns
    -------
    ndarray
        `plan.output_shape`, `plan.dtype`.

    Raises
    ------
    ImageError, ModelError
        If the plan was made for another image, or another kind of model.
    """
    image = _planned(image, plan, model)
    windows = yield from _windows(image, plan)
    source = read_in_turn(image)
    operation = restoring_operation(source, plan, windows, model, explain=tell is not None)
    arrays = {RESULT: np.empty(plan.output_shape, plan.dtype)}
    most = fitting_batch(model.card, plan.grid.edge, plan.device, plan.precision)
    yield from _in_memory(Todo(_places(plan, plan.grid), most), plan, operation, arrays, tell)
    return arrays[RESULT]


def ensemble_steps(
    image: Any, plan: RestorationPlan, model: Model
) -> Generator[Progress, None, tuple[np.ndarray, np.ndarray]]:
    """Restore an image as the mean of its eight orientations: a little better, at eight times the
    cost.

    Yields as `restore_steps` does.

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
        The result, `plan.output_shape` and `plan.dtype`; and the standard deviation of the eight in
        grey levels, mean over the colours, float32 without colour axis.

    Raises
    ------
    ImageError, ModelError
        If the plan was made for another image, or another kind of model.
    """
    image = _planned(image, plan, model)
    windows = yield from _windows(image, plan)
    arrays = {
        RESULT: np.empty(plan.output_shape, plan.dtype),
        DISAGREEMENT: np.empty(plan.output_shape[: len(plan.leading) + 2], np.float32),
    }
    yield from _in_memory(
        Todo(_places(plan, plan.grid)), plan, Eightfold(image, plan, windows, model), arrays
    )
    return arrays[RESULT], arrays[DISAGREEMENT]


def _planned(image: Any, plan: RestorationPlan, model: Model) -> Any:
    """The image as an array, once it is sure that the plan is for it and the model."""
    image = as_array(image)
    if tuple(image.shape) != plan.shape:
        raise ImageError(
            f"The plan was made for an image of shape {plan.shape}, not for {tuple(image.shape)}; "
            "make a new plan."
        )
    check_made_for(plan, model)
    return image


def _windows(image: Any, plan: RestorationPlan) -> Generator[Progress, None, tuple[Window, ...]]:
    """The plan's windows, or those that are measured now."""
    if plan.windows is not None:
        return plan.windows
    steps = measuring(image, plan.rgb, plan.window_axes)
    return (yield from map_steps(steps, lambda _: Progress(0, _pixels(plan), 0.0)))


def _places(plan: RestorationPlan, grid: TileGrid) -> Iterator[Spot]:
    """Every tile of every image of a stack."""
    return (Spot(index, tile) for index in np.ndindex(*plan.leading) for tile in grid)


def _in_memory(
    todo: Todo[Spot],
    plan: RestorationPlan,
    operation: Operation,
    arrays: Mapping[str, np.ndarray],
    tell: TellTile | None = None,
) -> Generator[Progress, None, None]:
    """Walk, with pieces put into arrays of the result's grid, and what is told
    of them handed on.
    """
    start, done, total = time.perf_counter(), 0, _pixels(plan)

    def write(place: Spot, made: TileArrays) -> None:
        for name, array in arrays.items():
            where: tuple[int | slice, ...] = (*place.index, *target(place.tile, plan))
            array[where] = made[name]
        if tell is not None and EXPLANATION in made:
            tell(place.index, place.tile, made[EXPLANATION])

    yield Progress(done, total, 0.0)
    for places in walk(todo, plan, operation, write):
        done += sum(place.tile.pixels for place in places) * plan.factor**2
        yield Progress(done + int(todo.begun * plan.factor**2), total, time.perf_counter() - start)


def _pixels(plan: RestorationPlan) -> int:
    """Pixels of the result, whatever its colours."""
    return math.prod(plan.output_shape) // (plan.colours or (1,))[0]
