"""Images read along a line."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.widgets.deblur.line_profile import sampling
from napari_mdeblurgan.widgets.deblur.line_profile.sampling import Line, Track, along, measured

Y, X = np.mgrid[:40, :60]
PLANE = 3.0 * Y + X


def line(
    data: Any, ends: list[tuple[float, float]], *, rgb: bool = False, plane: tuple[int, ...] = ()
) -> Line:
    return Line((data,), rgb, plane, np.array(ends, float))


@pytest.mark.parametrize("data", [PLANE, PLANE.astype(np.uint16), da.from_array(PLANE, chunks=7)])
def test_values_lie_where_the_line_is(data: Any) -> None:
    found = along(line(data, [(2, 3), (12, 43)]), 5)
    np.testing.assert_allclose(found, 3 * np.linspace(2, 12, 5) + np.linspace(3, 43, 5), atol=0.51)


def test_values_between_pixels_are_interpolated_also_of_whole_numbers() -> None:
    found = along(line(PLANE.astype(np.uint8), [(0, 0), (0, 1)]), 5)
    np.testing.assert_allclose(found, [0, 0.25, 0.5, 0.75, 1])


def test_beyond_the_image_there_is_no_number() -> None:
    found = along(line(PLANE.astype(np.uint8), [(5, -10), (5, 10)]), 21)
    assert np.isnan(found[:10]).all()
    np.testing.assert_allclose(found[10:], 15 + np.arange(11))
    assert np.isnan(along(line(PLANE, [(-9, -9), (-3, -5)]), 4)).all()


def test_of_colours_the_mean_is_read_without_the_transparency() -> None:
    colours = np.stack([PLANE, PLANE + 3, PLANE + 6, np.full_like(PLANE, 255)], axis=-1)
    np.testing.assert_allclose(along(line(colours, [(1, 1), (1, 3)], rgb=True), 3), [7, 8, 9])


def test_of_a_stack_the_plane_that_is_shown_is_read() -> None:
    stack = np.stack([PLANE, PLANE + 100])
    assert along(line(stack, [(0, 0), (0, 1)], plane=(1,)), 2).tolist() == [100, 101]


def test_of_a_pyramid_a_coarser_level_is_read_for_a_long_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampling, "MOST_SAMPLES", 32)
    coarser = PLANE.reshape(20, 2, 30, 2).mean(axis=(1, 3))
    fine = da.from_array(PLANE).map_blocks(
        lambda _: pytest.fail("the finest level was read"), meta=np.empty((0, 0))
    )
    found = along(Line((fine, coarser), False, (), np.array([(10.5, 4.5), (10.5, 44.5)])), 11)
    np.testing.assert_allclose(found, 31.5 + np.linspace(4.5, 44.5, 11))


def test_a_line_for_which_too_much_would_be_read_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampling, "LARGEST_VALUES", 100)
    with pytest.raises(ImageError, match="draw a shorter one"):
        along(line(da.from_array(PLANE), [(0, 0), (30, 30)]), 5)


def test_there_are_as_many_samples_as_pixels_of_the_result() -> None:
    before, after = line(PLANE, [(1, 1), (1, 11)]), line(PLANE, [(2, 2), (2, 22)])
    (found,) = measured([Track("a", before, after, None)])
    assert len(found.share) == len(found.before) == len(found.after) == 21
    assert np.isnan(found.error).all()
