"""Which pixels lie in a polygon, and levels without a value outside of it."""

from __future__ import annotations

from functools import partial

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.draw import polygon2mask

from napari_mdeblurgan.widgets.runs.cut import emptied
from napari_mdeblurgan.widgets.runs.outline import Outline, outline_in, pixels_inside

TRIANGLE = np.array([[1.2, 2.3], [30.4, 11.1], [8.7, 44.9]])
OFF_THE_EDGES = 1 / 128  # whole numbers lie on no edge between such corners, nor in its rounding


@given(arrays(np.int64, st.tuples(st.integers(3, 9), st.just(2)), elements=st.integers(-9, 40)))
def test_pixels_of_any_polygon_are_those_that_scikit_image_finds(corners: np.ndarray) -> None:
    outline = corners + np.arange(1, 2 * len(corners) + 1).reshape(-1, 2) * OFF_THE_EDGES / 3
    found = pixels_inside(outline, range(32), range(36))
    differ = found != polygon2mask((32, 36), outline)
    assert not differ.any() or _near_an_edge(outline, np.argwhere(differ)).all()


def _near_an_edge(outline: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether points are so near to an edge that rounding decides."""
    near = np.zeros(len(points), bool)
    for start, stop in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        along = stop - start
        share = np.clip((points - start) @ along / max(along @ along, 1e-12), 0, 1)
        near |= np.linalg.norm(start + share[:, None] * along - points, axis=1) < 1e-9
    return near


def test_a_part_of_the_pixels_is_that_part_of_all_of_them() -> None:
    whole = pixels_inside(TRIANGLE, range(40), range(50))
    part = pixels_inside(TRIANGLE, range(7, 33, 3), range(11, 47, 2))
    np.testing.assert_array_equal(part, whole[7:33:3, 11:47:2])


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("colours", [(), (3,)])
def test_any_part_of_a_level_is_that_part_of_the_whole(
    lazy: bool, colours: tuple[int, ...]
) -> None:
    data = np.random.default_rng(0).integers(1, 255, (2, 40, 50, *colours), np.uint8)
    outline = Outline(TRIANGLE, 1, partial(emptied, rgb=bool(colours)))
    levels = [data, data[:, ::2, ::2]]
    whole = [
        emptied(
            each, outline.inside(n, range(each.shape[1]), range(each.shape[2])), rgb=bool(colours)
        )
        for n, each in enumerate(levels)
    ]
    if lazy:
        made = outline.over_lazy(
            [da.from_array(each, chunks=(1, 16, 16, *colours)) for each in levels]
        )
    else:
        made = outline.over(levels)
    for part, expected in zip(made, whole, strict=True):
        assert part.shape == expected.shape
        assert part.dtype == expected.dtype == (np.uint8 if colours else np.float32)
        for index in (
            np.s_[:],
            np.s_[1],
            np.s_[0, 3:17, 9:],
            np.s_[:, 4, 2:19:3],
            np.s_[1, ::-1, ::-2],
            np.s_[0, 5:5],
            np.s_[..., 1],
        ):
            np.testing.assert_array_equal(np.asarray(part[index]), expected[index])


@pytest.mark.parametrize(
    "told",
    [
        *(None, "text", [[1, 2]], [[1, 2, 3]] * 3, [[1], 2]),
        *([[0, 0], [1, float("nan")], [2, 2]], [[0, 0], [1, 10**400], [2, 2]]),
    ],
)
def test_what_is_no_outline_in_a_file_is_none(told: object) -> None:
    assert outline_in(told) is None


def test_an_outline_in_a_file_is_taken() -> None:
    found = outline_in(TRIANGLE.tolist())
    assert found is not None
    np.testing.assert_array_equal(found, TRIANGLE)
