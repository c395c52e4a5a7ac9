"""Label maps are refused; images, however flat or sparse, are not."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration.label_maps import refuse_label_map


def cells(dtype: str = "int32", size: int = 200) -> np.ndarray:
    """Discs of 22 pixels on a background of 0, each with a number."""
    y, x = np.indices((size, size))
    number = 1 + (y // 25) * (size // 25) + x // 25
    return np.where((y % 25 - 12) ** 2 + (x % 25 - 12) ** 2 <= 121, number, 0).astype(dtype)


def noisy(level: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(level)


@pytest.mark.parametrize("dtype", ["uint16", "int32", "uint32", "int64"])
@pytest.mark.parametrize("lazy", [False, True])
def test_numbers_of_objects_are_refused(dtype: str, lazy: bool) -> None:
    image = cells(dtype)
    with pytest.raises(
        ImageError, match=f"looks like a label map: .*{dtype}.*convert it to float32"
    ):
        refuse_label_map(da.from_array(image, (100, 100)) if lazy else image)


def test_labels_that_leave_no_background_and_stacks_of_labels_are_refused() -> None:
    for image in (
        np.kron(np.arange(1, 7).reshape(2, 3) * 1000, np.ones((12, 10), np.int32)),
        np.stack([cells()] * 3),
    ):
        with pytest.raises(ImageError, match="label map"):
            refuse_label_map(image)


IMAGES = {
    "cells with the noise of a camera": noisy(100 + 10 * cells()),
    "few photons": noisy(np.where(cells() > 0, 0.3, 0.02)),
    "a flat background and noise": np.where(cells() > 20, noisy(500 * np.ones((200, 200))), 65535),
    "8 bits stored in 64": np.clip(noisy(200 + 2 * cells()), 0, 255),
    "one value": np.full((64, 64), 7),
    "a mask": (cells() > 0) * 65535,
    "two areas": np.where(np.arange(64) < 32, 100, 4000) * np.ones((64, 1), int),
    "planes of one value each": np.arange(1, 9)[:, None, None] * np.ones((1, 64, 64), int),
    "every pixel another value": np.arange(64 * 64).reshape(64, 64),
    "a smooth spot": (4000 * np.exp(-((np.indices((90, 90)) - 45.0) ** 2).sum(0) / 800)).astype(
        int
    ),
    "a smooth spot of few levels": (
        60 * np.exp(-((np.indices((256, 256)) - 128.0) ** 2).sum(0) / 9000)
    ).astype(int),
    "nothing": np.zeros((0, 5), int),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_are_not_taken_for_label_maps(name: str) -> None:
    for dtype in (np.uint16, np.int32, np.int64):
        refuse_label_map(IMAGES[name].astype(dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, bool])
def test_drawings_of_8_bits_and_real_numbers_are_restored(dtype: type) -> None:
    refuse_label_map(cells().astype(dtype))
