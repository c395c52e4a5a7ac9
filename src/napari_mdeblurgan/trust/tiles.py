"""The walk over tiles that all maps share, and the arrays that are filled on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from napari_mdeblurgan.errors import OutOfMemory
from napari_mdeblurgan.restoration.inference import DoesNotFit
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile

LARGEST_TILE = 512  # several numbers for every pixel of the result are held at once

Made = TypeVar("Made")
NewArray = Callable[[str, tuple[int, ...], np.dtype], Any]  # from a name, a shape and a type to what can be written to


def in_memory(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:  # noqa: ARG001
    """An array in memory, whatever its name."""
    return np.empty(shape, dtype)


def tiles_that_fit(plan: RestorationPlan, work: Callable[[Tile], Made]) -> Iterator[tuple[Tile, Made]]:
    """Do some work on every tile of an image; a tile for which memory runs out is quartered.

    Raises
    ------
    OutOfMemory
        If not even the smallest tile fits.
    """
    todo = list(trust_grid_tiles(plan))[::-1]
    while todo:
        tile = todo.pop()
        try:
            made = work(tile)
        except DoesNotFit as error:
            quarters = plan.grid.quarters(tile)
            if len(quarters) == 1:
                raise OutOfMemory(
                    f"Memory on {plan.device} ran out even for the smallest tile; close other programs or use another device."
                ) from error
            todo.extend(reversed(quarters))
            continue
        yield tile, made


def trust_grid_tiles(plan: RestorationPlan) -> Iterator[Tile]:
    """Tiles of one image of the plan, none larger than `LARGEST_TILE`."""
    return iter(replace(plan.grid, tile=min(plan.tile, LARGEST_TILE)))


def target(tile: Tile, plan: RestorationPlan, factor: int | None = None) -> tuple[slice, slice]:
    """Where a tile lies in an array of the plan's region with `factor` pixels for one of the image, by default the plan's."""
    f = plan.factor if factor is None else factor
    (y0, _), (x0, _) = plan.region
    return (
        slice((tile.y.start - y0) * f, (tile.y.stop - y0) * f),
        slice((tile.x.start - x0) * f, (tile.x.stop - x0) * f),
    )
