"""The lazy way: a dask array whose every chunk is one tile, restored when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np

from napari_mdeblurgan.restoration.inference import DoesNotFit, network_on, restore_tile, smaller_tiles
from napari_mdeblurgan.restoration.intensity import Window, measure_window, spots
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model


def restore_lazily(image: Any, model: Model, plan: RestorationPlan) -> Any:
    """A dask array whose every chunk is one tile of one image; nothing is computed here."""
    if plan.rgb:
        image = image.rechunk({image.ndim - 1: -1})
    lazy_model = dask.delayed(model, pure=True, traverse=False)
    windows = plan.windows if plan.windows is not None else dask.delayed(_measured_parts)(*_lazy_spots(image, plan))
    blocks = image.to_delayed()
    bounds = [np.cumsum((0, *sizes)) for sizes in image.chunks]
    rows, columns = plan.grid.spans
    task = dask.delayed(_restore_chunk, pure=False)
    pieces = np.empty((*plan.leading, len(rows), len(columns), *((1,) if plan.rgb else ())), dtype=object)
    for index in np.ndindex(*plan.leading):
        block_index, inside = _located(index, bounds)
        for j, y in enumerate(rows):
            for i, x in enumerate(columns):
                tile = Tile(y, x)
                chunks_y, chunks_x = (
                    _overlapping(span.source, b) for span, b in zip((y, x), bounds[len(index) :], strict=False)
                )
                parts = [
                    [blocks[(*block_index, cy, cx, *((0,) if plan.rgb else ()))] for cx, _ in chunks_x]
                    for cy, _ in chunks_y
                ]
                crops = [[(sy, sx) for _, sx in chunks_x] for _, sy in chunks_y]
                piece = task(parts, crops, inside, index, tile, plan, windows, lazy_model)
                f = plan.factor
                shape = (*(1 for _ in index), (y.stop - y.start) * f, (x.stop - x.start) * f, *plan.colours)
                pieces[(*index, j, i, *((0,) if plan.rgb else ()))] = da.from_delayed(piece, shape, plan.dtype)
    return da.block(pieces.tolist())


def _lazy_spots(image: Any, plan: RestorationPlan) -> Iterator[list[Any]]:
    """Samples of each window's part of the image, as dask arrays."""
    for channel in range(image.shape[plan.channel_axis]) if plan.channel_axis is not None else (None,):
        part = image if channel is None else image[(*(slice(None),) * (plan.channel_axis or 0), channel)]
        part = part[..., :3] if plan.rgb else part
        yield [part[spot] for spot in spots(part.shape, plan.image_axes)]


def _measured_parts(*channels: list[np.ndarray]) -> tuple[Window, ...]:
    return tuple(measure_window(parts) for parts in channels)


def _located(index: tuple[int, ...], bounds: list[np.ndarray]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which chunk holds an image of the stack, and where in that chunk it is."""
    chunks = tuple(int(np.searchsorted(b, i, side="right")) - 1 for i, b in zip(index, bounds, strict=False))
    return chunks, tuple(int(i - b[c]) for i, b, c in zip(index, bounds, chunks, strict=False))


def _overlapping(wanted: slice, bounds: np.ndarray) -> list[tuple[int, slice]]:
    """Chunks along one axis that hold a part of `wanted`, and which part of each."""
    found = []
    for chunk, (start, stop) in enumerate(pairwise(bounds)):
        low, high = max(int(start), wanted.start), min(int(stop), wanted.stop)
        if low < high:
            found.append((chunk, slice(low - int(start), high - int(start))))
    return found


def _index(inside: tuple[int, ...], crop: tuple[slice, slice]) -> tuple[int | slice, ...]:
    return (*inside, *crop)


def _restore_chunk(
    parts: list[list[np.ndarray]],
    crops: list[list[tuple[slice, slice]]],
    inside: tuple[int, ...],
    index: tuple[int, ...],
    tile: Tile,
    plan: RestorationPlan,
    windows: tuple[Window, ...],
    model: Model,
) -> np.ndarray:
    rows = [
        np.concatenate([np.asarray(part)[_index(inside, crop)] for part, crop in zip(line, cuts, strict=True)], axis=1)
        for line, cuts in zip(parts, crops, strict=True)
    ]
    block = np.concatenate(rows, axis=0)
    network, window = network_on(model, plan), plan.window(index, windows)
    f, todo = plan.factor, [tile]
    result = np.empty(((tile.y.stop - tile.y.start) * f, (tile.x.stop - tile.x.start) * f, *plan.colours), plan.dtype)
    while todo:
        part_of = todo.pop()
        cut = tuple(
            slice(small.source.start - whole.source.start, small.source.stop - whole.source.start)
            for small, whole in ((part_of.y, tile.y), (part_of.x, tile.x))
        )
        try:
            piece = restore_tile(block[cut], part_of, plan, window, network)
        except DoesNotFit as error:
            todo = smaller_tiles(plan, [*todo, part_of], error)
            continue
        at = tuple(
            slice((small.start - whole.start) * f, (small.stop - whole.start) * f)
            for small, whole in ((part_of.y, tile.y), (part_of.x, tile.x))
        )
        result[at] = piece
    return result[(None,) * len(index)]
