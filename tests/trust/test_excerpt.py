"""What a page shows: all of a small plane, and of a large one a part that is rich in detail."""

from __future__ import annotations

import dask.array as da
import numpy as np

from napari_mdeblurgan.trust.excerpt import EXCERPT_EDGE, excerpt


def test_a_small_plane_is_shown_whole() -> None:
    image = np.arange(2 * 30 * 40).reshape(2, 30, 40)
    shown = excerpt(
        image, image[:, 5:25, 10:30].repeat(2, 1).repeat(2, 2), (1,), ((5, 25), (10, 30))
    )
    np.testing.assert_array_equal(shown.before, image[1, 5:25, 10:30])
    assert shown.after.shape == (40, 40)
    assert shown.where == ""


def test_of_a_large_plane_the_same_part_of_both_is_shown_where_there_is_detail() -> None:
    image = np.zeros((3000, 4000, 3), np.uint8)
    image[2900:, 3600:] = np.random.default_rng(0).integers(0, 255, (100, 400, 3))
    result = da.from_array(image, chunks=(500, 500, 3)).repeat(2, axis=0).repeat(2, axis=1)
    shown = excerpt(da.from_array(image, chunks=(500, 500, 3)), result, (), ((0, 3000), (0, 4000)))
    assert shown.before.shape == (EXCERPT_EDGE, EXCERPT_EDGE, 3)
    np.testing.assert_array_equal(shown.after[::2, ::2], shown.before)
    assert shown.before.std() > 20
    assert shown.where == "pixels 1976–2999 along y and 2976–3999 along x of the image"
