"""Carrying out a plan: tiles through the network, stitched to an array in memory or a lazy one."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration import memory
from napari_mdeblurgan.restoration.arrays import as_array, is_masked
from napari_mdeblurgan.restoration.binning import binned, checked_binning
from napari_mdeblurgan.restoration.fitting import target
from napari_mdeblurgan.restoration.inference import network_on, restored_tiles
from napari_mdeblurgan.restoration.lazy import restore_lazily
from napari_mdeblurgan.restoration.measuring import finished, measuring, told
from napari_mdeblurgan.restoration.plan import RestorationPlan, has_colours, make_plan
from napari_mdeblurgan.restoration.tiling import Tile, TileLimit
from napari_mdeblurgan.storage.lazy import by_block

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a restoration has come.

    Attributes
    ----------
    done, total : int
        Pixels of the result.
    seconds : float
        Since the start.
    before : int
        Of those done, the pixels that an earlier run had done.
    """

    done: int
    total: int
    seconds: float
    before: int = 0

    @property
    def fraction(self) -> float:
        """0 at the start, 1 at the end."""
        return self.done / self.total

    @property
    def remaining_s(self) -> float | None:
        """Seconds still to go at the rate so far; None before the first tile is done."""
        own = self.done - self.before
        return self.seconds * (self.total - self.done) / own if own else None

    @property
    def rate(self) -> float | None:
        """Megapixels of the result per second so far; None before the first tile is done."""
        own = self.done - self.before
        return own / self.seconds / 1e6 if own and self.seconds else None


def restore(image: Any, model: Model, *, binning: int = 1, **wishes: Any) -> Any:
    """Deblur and super-resolve an image or a stack of images.

    Parameters
    ----------
    image : array
        (..., y, x), or (..., y, x, 3 or 4) for a model for colours; bool, integer or float.
    model : Model
        From `load_model`.
    binning : int
        The image is binned by so many pixels along y and x first, see `binned`: by 2 where its blur is much larger than its
        pixels, so that a ×2 model gives back as many pixels as it has. A ``region`` is then in binned pixels.
    **wishes
        As in `make_plan`: ``rgb``, ``channel_axis``, ``window``, ``tile``, ``device``, ``precision``, ``region``,
        ``softness``, ``output_scale``: 1 for a sharp image of as many pixels as it had.

    Returns
    -------
    array
        The image's dtype and leading axes, and along y and x `output_scale` times the (binned) pixels, by default as many
        times as the model was trained for (`model.card.output_scale` or `model.card.scale`). A dask array for a dask array, with
        nothing computed yet; else numpy. Masked where a masked array has no value.

    Raises
    ------
    ImageError
        In one sentence, if the image cannot be restored.
    OutOfMemory
        If not even the smallest tile fits.
    """
    masked = is_masked(image)
    image = as_array(image)
    if checked_binning(binning) > 1:
        image = binned(image, binning, rgb=has_colours(tuple(image.shape), model.card, wishes.get("rgb")))
    if hasattr(image, "dask"):
        lazy = restore_lazily(image, model, make_plan(image, model.card, in_memory=False, **wishes))
        return by_block(np.ma.masked_invalid, lazy) if masked else lazy
    plan = make_plan(image, model.card, **wishes)
    for sentence in plan.warnings:
        warnings.warn(sentence, stacklevel=2)
    result = finished(restore_steps(image, plan, model))
    return np.ma.masked_invalid(result, copy=False) if masked else result


def restore_steps(
    image: Any,
    plan: RestorationPlan,
    model: Model,
    tell: Callable[[tuple[int, ...], Tile, np.ndarray], None] | None = None,
) -> Generator[Progress, None, np.ndarray]:
    """Carry out `plan`; yields at the start and after every tile, and returns the result.

    Closing the generator ends the work. When memory runs out, the tiles still to come are quartered.

    Parameters
    ----------
    image : array
        What the plan was made for; a lazy one is read tile by tile.
    plan : RestorationPlan
        From `make_plan`.
    model : Model
        The model that the plan was made for.
    tell : callable, optional
        Called with the position along the axes before y, a tile, and what the network says of it, see `inference.explanation`.

    Returns
    -------
    ndarray
        `plan.output_shape`, `plan.dtype`.
    """
    if tuple(image.shape) != plan.shape:
        raise ImageError(
            f"The plan was made for an image of shape {plan.shape}, not for {tuple(image.shape)}; make a new plan."
        )
    start = time.perf_counter()
    done, total = 0, math.prod(plan.output_shape) // (plan.colours or (1,))[0]
    steps = measuring(image, plan.rgb, plan.window_axes)
    windows = plan.windows or (yield from told(steps, lambda _: Progress(0, total, 0.0)))
    result = np.empty(plan.output_shape, plan.dtype)
    yield Progress(done, total, 0.0)
    network = network_on(model, plan.device)
    limit = TileLimit()
    try:
        for index in np.ndindex(*plan.leading):

            def read(tile: Tile, index: tuple[int, ...] = index) -> np.ndarray:
                return np.asarray(image[(*index, tile.y.source, tile.x.source)])

            note = None if tell is None else partial(tell, index)
            for tile, piece in restored_tiles(
                read, list(plan.grid), plan, plan.window(index, windows), network, limit, note
            ):
                result[(*index, *target(tile, plan))] = piece
                done += tile.pixels * plan.factor**2
                yield Progress(done, total, time.perf_counter() - start)
    finally:
        memory.release()
    return result
