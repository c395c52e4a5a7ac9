"""Tile geometry, without a network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mdeblurgan.restoration.tiling import SMALLEST_TILE, TILE_BORDER, Span, TileGrid


@st.composite
def grids(draw: st.DrawFn) -> TileGrid:
    shape = draw(st.tuples(st.integers(2, 400), st.integers(2, 400)))
    region = []
    for length in shape:
        start = draw(st.integers(0, length - 1))
        region.append((start, draw(st.integers(start + 1, length))))
    return TileGrid(
        shape, (region[0], region[1]), draw(st.integers(1, 200)), 8 * draw(st.integers(0, 12))
    )


@given(grids())
def test_tiles_cover_the_region_once(grid: TileGrid) -> None:
    written = np.zeros(grid.shape, int)
    for tile in grid:
        written[tile.y.start : tile.y.stop, tile.x.start : tile.x.stop] += 1
    (y0, y1), (x0, x1) = grid.region
    assert (written[y0:y1, x0:x1] == 1).all()
    assert written.sum() == (y1 - y0) * (x1 - x0)
    assert len(list(grid)) == len(grid)


@given(grids())
def test_tiles_read_from_the_grid_with_their_halo_up_to_the_frame(grid: TileGrid) -> None:
    for tile in grid:
        for span in (tile.y, tile.x):
            assert span.read_start % grid.multiple == 0
            assert span.read_stop % grid.multiple == 0
            assert span.read_start == -TILE_BORDER or span.start - span.read_start >= grid.halo
            assert (
                span.read_stop >= span.length + TILE_BORDER
                or span.read_stop - span.stop >= grid.halo
            )
            assert span.read_stop < span.length + TILE_BORDER + grid.multiple


@given(grids())
def test_no_tile_is_larger_than_asked_for_beyond_the_grid(grid: TileGrid) -> None:
    for tile in grid:
        for span in (tile.y, tile.x):
            assert 0 < span.stop - span.start <= grid.tile


@given(grids())
def test_quarters_cover_their_tile_and_shrink_it_down_to_the_smallest(grid: TileGrid) -> None:
    for tile in grid:
        quarters = grid.quarters(tile)
        assert sum(quarter.pixels for quarter in quarters) == tile.pixels
        edges = [tile.y.stop - tile.y.start, tile.x.stop - tile.x.start]
        if max(edges) > SMALLEST_TILE:
            assert max(quarter.pixels for quarter in quarters) < tile.pixels
        else:
            assert quarters == (tile,)


@pytest.mark.parametrize(
    ("length", "expected"),
    [(4, [2, 3, 2, 1, 0, 1, 2, 3, 2, 1]), (2, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1])],
)
def test_indices_are_mirrored_at_the_edge_pixel(length: int, expected: list[int]) -> None:
    span = Span(start=0, stop=length, read_start=-4, read_stop=6, length=length)
    assert span.indices.tolist() == expected
    assert span.source == slice(0, length)


def test_an_interior_tile_reads_only_its_neighbourhood() -> None:
    grid = TileGrid((10_000, 10_000), ((0, 10_000), (0, 10_000)), 512, 88)
    rows, _ = grid.spans
    assert rows[3].source == slice(rows[3].start - 88, rows[3].stop + 88)


def test_a_region_outside_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match="does not lie within"):
        TileGrid((10, 10), ((0, 11), (0, 10)), 64, 8)
