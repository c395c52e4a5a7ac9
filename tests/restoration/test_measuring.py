"""Measuring windows of intensity step by step: little of a lazy image is read, and what takes long
can be stopped.
"""

from __future__ import annotations

import math
from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.measuring import measured_windows, measuring
from napari_mdeblurgan.steps import finished


class Counted:
    """A lazy image that counts the values that are read of it."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels, self.read = pixels, 0
        self.shape, self.dtype, self.ndim = pixels.shape, pixels.dtype, pixels.ndim

    def __getitem__(self, key: Any) -> np.ndarray:
        part = self._pixels[key]
        self.read += part.size
        return part


def test_of_a_lazy_image_a_few_spots_are_read() -> None:
    image = Counted(np.random.default_rng(0).integers(0, 255, (5000, 4000)).astype(np.uint8))
    (window,) = measured_windows(image, False)
    assert (window.low, window.high) == (0, 254)
    assert image.read < 0.1 * 5000 * 4000


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_of_each_channel_of_a_lazy_image_a_few_spots_are_read(axes: tuple[int, ...]) -> None:
    """Whether it is sliced when it is read, as dask's, or read when it is sliced, as zarr's."""
    pixels = np.random.default_rng(0).integers(0, 255, (2, 3, 2500, 2000)).astype(np.uint8)
    pixels //= np.arange(1, 7, dtype=np.uint8).reshape(2, 3, 1, 1)
    image = Counted(pixels)
    found = measured_windows(image, False, axes)
    assert found == measured_windows(da.from_array(pixels), False, axes)
    assert len(found) == math.prod(pixels.shape[axis] for axis in axes)
    assert image.read < 0.25 * pixels.size


@pytest.mark.parametrize("shape", [(300, 380), (2, 500, 700), (300, 380, 3)])
def test_a_lazy_image_that_is_no_larger_than_the_spots_has_the_window_of_one_in_memory(
    shape: tuple[int, ...],
) -> None:
    pixels = np.random.default_rng(0).integers(90, 110, shape).astype(np.uint16)
    pixels[(0,) * (len(shape) == 3 and shape[-1] != 3)][20:40, 20:60] = 3000  # far from the middle
    rgb = shape[-1] == 3
    (window,) = measured_windows(Counted(pixels), rgb)
    assert (window,) == measured_windows(pixels, rgb)
    assert window.high == 3000


def test_where_the_spots_are_of_one_value_all_is_read_in_steps_that_tell_how_far_it_is() -> None:
    pixels = np.zeros((9000, 5000), np.uint8)
    pixels[0, 0] = 9
    image = Counted(pixels)
    steps, told = measuring(image, False), []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            assert end.value == (Window(0, 9),)
            break
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(set(told)) > 10
    assert image.read > pixels.size


def test_closing_it_ends_the_reading() -> None:
    image = Counted(np.zeros((9000, 5000), np.uint8))
    steps = measuring(image, False)
    while not next(steps):
        pass
    steps.close()
    assert image.read < 0.2 * 9000 * 5000


def test_every_channel_has_its_share_of_the_progress() -> None:
    image = np.zeros((4, 32, 32), np.uint8)
    image[1:, 3, 4] = 1, 2, 3
    steps = measuring(Rows(image), False, (0,))
    told = list(steps)
    assert told == [0, 0.25, 0.5, 0.75]
    assert finished(measuring(Rows(image), False, (0,))) == tuple(
        Window(0, high) for high in range(4)
    )


class Rows(Counted):
    """The same, whose entries are lazy as well."""

    def __getitem__(self, key: Any) -> Any:
        return (
            Rows(self._pixels[key])
            if key in [(entry,) for entry in range(9)]
            else super().__getitem__(key)
        )


def test_an_image_without_a_number_is_refused() -> None:
    with pytest.raises(
        ImageError, match="Every pixel of the image, or of one of its channels or slices, is NaN"
    ):
        measured_windows(Counted(np.full((40, 40), np.nan, np.float32)), False)
