"""The lazy way: a dask array whose every chunk is one tile, restored when it is asked for."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dask
import numpy as np
from dask.utils import SerializableLock

from napari_mdeblurgan.restoration.arrays import Cutout, as_announced
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.measuring import measured_windows
from napari_mdeblurgan.restoration.operations import RESULT, restoring_operation
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile, TileLimit
from napari_mdeblurgan.restoration.walk import Spot, made_of
from napari_mdeblurgan.storage.lost_arrays import check_not_lost, is_of_one_value

if TYPE_CHECKING:
    import dask.array as da

    from napari_mdeblurgan.model import Model


class LazyImage:
    """What is asked of a lazy image beside its pixels. Its windows are measured when they are first
    needed and then kept.
    """

    def __init__(self, image: Any, plan: RestorationPlan) -> None:
        self._image, self._plan = image, plan
        self._windows = plan.windows
        self._lock = SerializableLock()

    def windows(self) -> tuple[Window, ...]:
        """Measure the image, or a few spots of a large one, the first time."""
        with self._lock:
            if self._windows is None:
                self._windows = measured_windows(
                    self._image, self._plan.rgb, self._plan.window_axes
                )
            return self._windows

    def check_not_lost(self, pixels: np.ndarray, index: tuple[Any, ...]) -> None:
        """Make sure that pixels, which were read from an index of the image, are no stand-ins for
        what is gone.
        """
        if is_of_one_value(pixels):  # else the image need not be sliced
            check_not_lost(pixels, self._image[index])


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
    from dask.highlevelgraph import HighLevelGraph

    if plan.rgb:
        image = image.rechunk({image.ndim - 1: -1})
    colour = (0,) if plan.rgb else ()
    lazy_model = dask.delayed(model, pure=True, traverse=False)
    held = LazyImage(image, plan)
    source = dask.delayed(held, pure=False, traverse=False)
    windows = dask.delayed(held.windows, pure=False, traverse=False)()
    limit = TileLimit()
    bounds = [np.cumsum((0, *sizes)) for sizes in image.chunks]
    rows, columns = plan.grid.spans
    along_y = [_overlapping(span.source, bounds[len(plan.leading)]) for span in rows]
    along_x = [_overlapping(span.source, bounds[len(plan.leading) + 1]) for span in columns]
    name = f"restored-{uuid4().hex}"
    # of one layer: as arrays that are put together, they take 4 ms for every tile
    tasks: dict[Any, Any] = {}
    for index in np.ndindex(*plan.leading):
        chunk, inside = _located(index, bounds)
        for j, i in np.ndindex(len(rows), len(columns)):
            work = partial(
                _restore_chunk,
                crops=[[(*inside, y, x) for _, x in along_x[i]] for _, y in along_y[j]],
                index=index,
                tile=Tile(rows[j], columns[i]),
                plan=plan,
                limit=limit,
            )
            parts = [
                [(image.name, *chunk, cy, cx, *colour) for cx, _ in along_x[i]]
                for cy, _ in along_y[j]
            ]
            tasks[(name, *index, j, i, *colour)] = (
                work,
                lazy_model.key,
                source.key,
                windows.key,
                parts,
            )
    graph = HighLevelGraph.from_collections(name, tasks, [image, lazy_model, source, windows])
    along = (rows, columns)
    edges = [tuple((span.stop - span.start) * plan.factor for span in spans) for spans in along]
    chunks = (*((1,) * n for n in plan.leading), *edges, *((n,) for n in plan.colours))
    return da.Array(graph, name, chunks, meta=np.empty((0,) * len(chunks), plan.dtype))


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
    source: LazyImage,
    windows: tuple[Window, ...],
    parts: list[list[np.ndarray]],
    *,
    crops: list[list[tuple[int | slice, ...]]],
    index: tuple[int, ...],
    tile: Tile,
    plan: RestorationPlan,
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
    y, x = tile.y.source, tile.x.source
    shape = (y.stop - y.start, x.stop - x.start, *plan.colours)
    pixels = as_announced(np.concatenate(rows, axis=0), shape, plan.dtype)
    source.check_not_lost(pixels, (*index, y, x))
    image = Cutout(pixels, y.start, x.start)
    operation = restoring_operation(image, plan, windows, model)
    return made_of(Spot(index, tile), plan, operation, limit)[RESULT][(None,) * len(index)]
