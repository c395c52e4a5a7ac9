"""Tiles small enough for several numbers for every pixel of the result, and
where they lie in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_mdeblurgan.restoration.tiling import Tile, TileGrid

if TYPE_CHECKING:
    from napari_mdeblurgan.restoration.plan import RestorationPlan

LARGEST_TILE = 512  # several numbers for every pixel of the result are held at once


def close_together(grid: TileGrid) -> Iterator[Tile]:
    """The tiles of a grid, neighbours close together, so that coarser levels of what is made of
    them are soon complete.
    """
    rows, columns = grid.spans
    for j, i in sorted(np.ndindex(len(rows), len(columns)), key=lambda at: interleaved(*at)):
        yield Tile(rows[j], columns[i])


def interleaved(row: int, column: int) -> int:
    """Position along a Z-order curve."""
    bits = max(row.bit_length(), column.bit_length())
    return sum(
        (row >> bit & 1) << 2 * bit + 1 | (column >> bit & 1) << 2 * bit for bit in range(bits)
    )


def fine_grid(plan: RestorationPlan) -> TileGrid:
    """Tiles of one image of the plan, none larger than `LARGEST_TILE`."""
    return replace(plan.grid, tile=min(plan.tile, LARGEST_TILE), step=plan.grid.multiple)


def target(tile: Tile, plan: RestorationPlan, factor: int | None = None) -> tuple[slice, slice]:
    """Where a tile lies in an array of the plan's region with `factor` pixels for one of the image,
    by default the plan's.
    """
    f = plan.factor if factor is None else factor
    y0, x0 = plan.origin
    return (
        slice((tile.y.start - y0) * f, (tile.y.stop - y0) * f),
        slice((tile.x.start - x0) * f, (tile.x.stop - x0) * f),
    )


def on_result(plane: np.ndarray, factor: int) -> np.ndarray:
    """Every value for all pixels of the result that its pixel has become: (y, x) to (factor · y,
    factor · x).
    """
    return plane.repeat(factor, axis=0).repeat(factor, axis=1)
