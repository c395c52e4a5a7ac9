"""The lazy way: a dask array whose every chunk is one tile, restored when it is asked for."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
from dask.utils import SerializableLock

from napari_mdeblurgan.restoration.arrays import Cutout
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.measuring import measured_windows
from napari_mdeblurgan.restoration.operations import RESULT, restoring_operation
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile, TileLimit
from napari_mdeblurgan.restoration.walk import Spot, made_of

if TYPE_CHECKING:
    import dask.array as da

    from napari_mdeblurgan.model import Model


class LazyWindows:
    """The windows of a lazy image, measured when they are first needed and then kept."""

    def __init__(self, image: Any, plan: RestorationPlan) -> None:
        self._image, self._plan = image, plan
        self._windows = plan.windows
        self._lock = SerializableLock()

    def get(self) -> tuple[Window, ...]:
        """Measure the image, or a few spots of a large one, the first time."""
        with self._lock:
            if self._windows is None:
                self._windows = measured_windows(
                    self._image, self._plan.rgb, self._plan.window_axes
                )
            return self._windows


def restore_lazily(image: Any, model: Model, plan: RestorationPlan) -> da.Array:
    """A dask array whose every chunk is one tile of one image; nothing is computed here.

    Parameters
    ----------
    image : dask.array.Array
        What the plan was made for.
    model : Model
        The model that the plan was made for.
    plan : RestorationPlan
        From `make_plan`.
    """
    import dask.array as da  # takes half a second

    if plan.rgb:
        image = image.rechunk({image.ndim - 1: -1})
    colour = (0,) if plan.rgb else ()
    lazy_model = dask.delayed(model, pure=True, traverse=False)
    windows, limit = LazyWindows(image, plan), TileLimit()
    blocks = image.to_delayed()
    bounds = [np.cumsum((0, *sizes)) for sizes in image.chunks]
    rows, columns = plan.grid.spans
    pieces = np.empty((*plan.leading, len(rows), len(columns), *(1 for _ in colour)), dtype=object)
    for index in np.ndindex(*plan.leading):
        chunk, inside = _located(index, bounds)
        for j, i in np.ndindex(len(rows), len(columns)):
            tile = Tile(rows[j], columns[i])
            along_y = _overlapping(tile.y.source, bounds[len(index)])
            along_x = _overlapping(tile.x.source, bounds[len(index) + 1])
            parts = [[blocks[(*chunk, cy, cx, *colour)] for cx, _ in along_x] for cy, _ in along_y]
            crops: list[list[tuple[int | slice, ...]]] = [
                [(*inside, y, x) for _, x in along_x] for _, y in along_y
            ]
            work = partial(
                _restore_chunk,
                crops=crops,
                index=index,
                tile=tile,
                plan=plan,
                windows=windows,
                limit=limit,
            )
            piece = dask.delayed(work, pure=False, traverse=False)(lazy_model, parts)
            edges = (span.stop - span.start for span in (tile.y, tile.x))
            shape = (*(1 for _ in index), *(edge * plan.factor for edge in edges), *plan.colours)
            pieces[(*index, j, i, *colour)] = da.from_delayed(piece, shape, plan.dtype)
    return da.block(pieces.tolist())


def _located(
    index: tuple[int, ...], bounds: list[np.ndarray]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which chunk holds an image of the stack, and where in that chunk it is."""
    chunks = tuple(
        int(np.searchsorted(b, i, side="right")) - 1 for i, b in zip(index, bounds, strict=False)
    )
    return chunks, tuple(int(i - b[c]) for i, b, c in zip(index, bounds, chunks, strict=False))


def _overlapping(wanted: slice, bounds: np.ndarray) -> list[tuple[int, slice]]:
    """Chunks along one axis that hold a part of `wanted`, and which part of each."""
    found = []
    for chunk, (start, stop) in enumerate(pairwise(bounds)):
        low, high = max(int(start), wanted.start), min(int(stop), wanted.stop)
        if low < high:
            found.append((chunk, slice(low - int(start), high - int(start))))
    return found


def _restore_chunk(
    model: Model,
    parts: list[list[np.ndarray]],
    *,
    crops: list[list[tuple[int | slice, ...]]],
    index: tuple[int, ...],
    tile: Tile,
    plan: RestorationPlan,
    windows: LazyWindows,
    limit: TileLimit,
) -> np.ndarray:
    """One chunk of the result from the chunks of the image that its tile reads, each with the crop
    to take of it.
    """
    rows = [
        np.concatenate(
            [np.asarray(part)[crop] for part, crop in zip(line, cuts, strict=True)], axis=1
        )
        for line, cuts in zip(parts, crops, strict=True)
    ]
    image = Cutout(np.concatenate(rows, axis=0), tile.y.source.start, tile.x.source.start)
    operation = restoring_operation(image, plan, windows.get(), model)
    return made_of(Spot(index, tile), plan, operation, limit)[RESULT][(None,) * len(index)]
