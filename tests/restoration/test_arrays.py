"""What is passed as an image is taken as what it holds."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration.arrays import as_array


class Labelled:
    """An array with names of its axes, as xarray has them, which is not indexed as others are."""

    def __init__(self, data: Any) -> None:
        self.data, self.dims, self.dtype, self.shape = data, ("y", "x"), data.dtype, data.shape


@pytest.mark.parametrize("held", [np.ones((2, 3)), da.ones((2, 3))], ids=["numpy", "dask"])
def test_a_labelled_array_is_taken_as_what_it_holds(held: Any) -> None:
    assert as_array(Labelled(held)) is held


def test_masked_real_numbers_become_nan() -> None:
    masked = np.ma.masked_array(np.float32([[1, -9999], [3, 4]]), [[False, True], [False, False]])
    assert np.array_equal(as_array(masked), np.float32([[1, np.nan], [3, 4]]), equal_nan=True)


def test_masked_integers_are_refused() -> None:
    with pytest.raises(ImageError, match="1 pixels of the image are masked"):
        as_array(np.ma.masked_array(np.uint8([[1, 2]]), [[False, True]]))


def test_nothing_masked_is_an_image_like_any_other() -> None:
    assert type(as_array(np.ma.masked_array(np.uint8([[1, 2]])))) is np.ndarray
