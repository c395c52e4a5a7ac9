"""Averages by products with banded matrices are those of scipy's filter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_mdeblurgan.trust.smoothing import gaussian_average


@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    reach=st.integers(1, 8),
    turned=st.booleans(),
)
def test_an_average_equals_scipy_s(shape: tuple[int, int], reach: int, turned: bool) -> None:
    plane = np.random.default_rng(sum(shape)).random(shape, np.float32)
    plane = plane.T if turned else plane
    exact = ndimage.gaussian_filter(plane.astype(float), reach / 3, radius=reach, mode="nearest")
    made = gaussian_average(plane, reach / 3, reach)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, exact, atol=1e-6)


@pytest.mark.parametrize("shape", [(1030, 9), (9, 2050)])
def test_lines_longer_than_a_product(shape: tuple[int, int]) -> None:
    plane = np.random.default_rng(0).random(shape, np.float32)
    exact = ndimage.gaussian_filter(plane.astype(float), 1.5, radius=5, mode="nearest")
    np.testing.assert_allclose(gaussian_average(plane, 1.5, 5), exact, atol=1e-6)
