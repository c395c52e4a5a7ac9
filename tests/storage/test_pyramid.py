"""Means of 2 × 2 pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mdeblurgan.storage.pyramid import first, halved, largest, level_sizes

DTYPES = (
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
)


@given(st.sampled_from(DTYPES), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32))
def test_every_pixel_is_the_mean_of_four(dtype: str, height: int, width: int, seed: int) -> None:
    bits = np.random.default_rng(seed).bytes(2 * height * width * np.dtype(dtype).itemsize)
    pixels = np.frombuffer(bits, dtype if dtype[0] in "iu" else "uint8")[
        : 2 * height * width
    ].reshape(2, height, width)
    pixels = pixels > 100 if dtype == "bool" else pixels.astype(dtype)
    small = halved(pixels)
    assert small.dtype == pixels.dtype
    even = np.pad(pixels, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    assert small.shape == (2, even.shape[1] // 2, even.shape[2] // 2)
    for place in np.ndindex(small.shape):
        four = [
            even[place[0], 2 * place[1] + y, 2 * place[2] + x].item()
            for y in (0, 1)
            for x in (0, 1)
        ]
        off = (
            abs(small[place].item() - sum(four) / 4)
            if dtype != "bool"
            else small[place] != (sum(four) >= 2)
        )
        assert off <= (
            0.5
            if dtype[0] in "iu" and not dtype.endswith("64")
            else 1e-3
            if dtype[0] in "bf"
            else 2**11
        )


def test_extremes_do_not_leave_their_range() -> None:
    for dtype in DTYPES[1:9]:
        for value in (np.iinfo(dtype).min, np.iinfo(dtype).max):
            assert (halved(np.full((4, 4), value, dtype)) == value).all()


@pytest.mark.parametrize(
    ("size", "expected"),
    [((300, 400), 1), ((1024, 1), 1), ((1025, 3), 2), ((4096, 4097), 4), ((1, 5000), 4)],
)
def test_levels_go_down_to_a_longer_edge_of_1024(size: tuple[int, int], expected: int) -> None:
    sizes = level_sizes(*size)
    assert len(sizes) == expected
    assert sizes[0] == size
    assert max(sizes[-1]) <= 1024


def test_the_largest_of_four_counts_and_gaps_only_where_all_are() -> None:
    pixels = np.arange(15, dtype=np.float32).reshape(1, 3, 5)
    pixels[0, :2, :2] = np.nan
    pixels[0, 0, 2] = np.nan
    np.testing.assert_array_equal(largest(pixels), [[[np.nan, 8, 9], [11, 13, 14]]])


def test_the_first_of_four_labels_counts() -> None:
    labels = np.arange(15, dtype=np.uint8).reshape(1, 3, 5)
    np.testing.assert_array_equal(first(labels), [[[0, 2, 4], [10, 12, 14]]])
