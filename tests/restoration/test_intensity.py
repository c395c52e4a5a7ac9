"""Intensity windows: to the network's range and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration.intensity import (
    Window,
    bounds,
    fill,
    measure_window,
    sample,
    spots,
)

DTYPES = [
    np.dtype(code)
    for code in ("?", "i1", "u1", "<i2", ">u2", "i4", "u4", "i8", "u8", "f2", "f4", ">f4", "f8")
]
SMALL = [dtype for dtype in DTYPES if dtype.kind != "f" and dtype.itemsize <= 2]


@given(st.data())
def test_integers_of_up_to_16_bits_survive_the_way_there_and_back(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(SMALL))
    values = data.draw(hnp.arrays(dtype, (3, 4)))
    window = measure_window([values])
    assert np.array_equal(window.invert(window.normalise(values), dtype), values)


@given(st.data())
def test_any_finite_values_give_finite_normalised_ones_and_stay_in_range(
    data: st.DataObject,
) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    elements = hnp.from_dtype(dtype, allow_nan=False, allow_infinity=False)
    values = data.draw(hnp.arrays(dtype, (4, 5), elements=elements))
    window = measure_window([values])
    normalised = window.normalise(values)
    back = window.invert(np.clip(normalised, -10, 10) * 1.5, dtype)
    assert normalised.dtype == np.float32
    assert back.dtype == dtype
    if dtype.kind == "f":
        assert np.isfinite(back).all()


def test_overshoot_is_clipped_not_wrapped() -> None:
    window = Window(0, 255)
    assert window.invert(np.float32([-0.5, 1.5]), np.dtype("u1")).tolist() == [0, 255]


@pytest.mark.parametrize("dtype", [np.dtype(code) for code in ("i8", "u8", "i4", "u1")])
def test_a_window_wider_than_the_type_does_not_wrap(dtype: np.dtype) -> None:
    window = Window(-1e20, 1e20)
    back = window.invert(np.float32([0, 1]), dtype)
    assert back[0] == np.iinfo(dtype).min
    assert np.iinfo(dtype).max * 0.999 <= back[1] <= np.iinfo(dtype).max


def test_a_constant_of_64_bits_comes_back_exactly() -> None:
    values = np.full((2, 2), 2**64 - 1, np.uint64)
    window = measure_window([values])
    assert np.array_equal(window.invert(window.normalise(values), values.dtype), values)


def test_a_few_hot_pixels_do_not_set_the_window() -> None:
    values = np.random.default_rng(0).normal(100, 5, 100_000)
    values[:10] = 60_000
    assert measure_window([values]).high < 130


def test_sparse_bright_spots_on_an_even_background_set_the_window() -> None:
    values = np.zeros(100_000)
    values[:10] = 7
    assert measure_window([values]) == Window(0, 7)


def test_nan_and_infinity_do_not_count() -> None:
    assert measure_window([np.array([np.nan, 1.0, np.inf, 3.0])]) == Window(1, 3)


def test_an_image_of_nan_alone_is_refused() -> None:
    with pytest.raises(ImageError, match="NaN or infinite"):
        measure_window([np.full((3, 3), np.nan)])


@pytest.mark.parametrize("shape", [(3000, 4000), (50, 300, 300), (4, 30, 200, 200)])
def test_a_sample_is_small_and_spread_over_the_image(shape: tuple[int, ...]) -> None:
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    values = np.concatenate([part.ravel() for part in sample(image, 2)])
    assert 50_000 < values.size < 4_000_000
    assert values.min() < 0.05 * image.size
    assert values.max() > 0.9 * image.size


@given(st.lists(st.integers(1, 5000), min_size=2, max_size=4))
def test_spots_lie_within_the_array_and_are_few(shape: list[int]) -> None:
    found = list(spots(shape, 2))
    assert 1 <= len(found) <= 32
    for spot in found:
        for at, length in zip(spot, shape, strict=True):
            assert at < length if isinstance(at, int) else 0 <= at.start < length


def test_a_hole_is_filled_with_what_surrounds_it() -> None:
    plane = np.full((40, 40), 0.7, np.float32)
    missing = np.zeros(plane.shape, bool)
    missing[18:22, 18:22] = True
    plane[missing] = np.nan
    assert fill(plane, missing) == pytest.approx(0.7, abs=1e-5)


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.kind != "b"], ids=str)
def test_bounds_can_be_held(dtype: np.dtype) -> None:
    low, high = bounds(dtype)
    with np.errstate(over="raise", invalid="raise"):
        assert np.array([low, high]).astype(dtype).astype(float).tolist() == [low, high]
