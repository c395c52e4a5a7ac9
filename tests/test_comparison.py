"""The before/after picture: layout, contrast, the part that is magnified."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.before_after import (
    DIVIDER,
    LABEL_BAND,
    PANEL,
    comparison,
    middle_plane,
    write_comparison,
)
from napari_mdeblurgan.errors import FileError, ImageError
from napari_mdeblurgan.storage import Micrograph, read_image


def doubled(image: np.ndarray) -> np.ndarray:
    return image.repeat(2, axis=0).repeat(2, axis=1)


def halves(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    width = (picture.shape[1] - DIVIDER) // 2
    return picture[:, :width], picture[:, width + DIVIDER :]


def whole_panel(half: np.ndarray, height: int) -> np.ndarray:
    return half[LABEL_BAND : LABEL_BAND + height]


@pytest.mark.parametrize("shape", [(200, 240), (200, 240, 3), (200, 240, 4)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "bool"])
def test_both_halves_stand_side_by_side_above_their_magnified_parts(
    shape: tuple[int, ...], dtype: str
) -> None:
    random = np.random.default_rng(0)
    image = random.random(shape)
    image = (
        image > 0.5
        if dtype == "bool"
        else (image * (1 if dtype == "float32" else 255)).astype(dtype)
    )
    picture = comparison(image, doubled(image))
    assert picture.dtype == np.uint8
    zoom = 480 // 3 // 2 * 2 * 3
    assert picture.shape[1] == 2 * 480 + DIVIDER
    assert picture.shape[0] > 400 + zoom // 2
    left, right = halves(picture)
    assert left.shape == right.shape
    assert (picture[:, left.shape[1] : left.shape[1] + DIVIDER] == 255).all()


def test_the_contrast_of_both_halves_is_that_of_the_image_before() -> None:
    before = np.random.default_rng(0).integers(1000, 2000, (160, 160)).astype(np.uint16)
    after = np.full((320, 320), 1500, np.uint16)
    after[:, 160:] = 60_000
    _, right = halves(comparison(before, after))
    panel = whole_panel(right, 320)
    assert int(panel[300, 20, 0]) == pytest.approx(127, abs=3)
    assert panel[300, 300, 0] == 255


def test_the_most_detailed_part_is_magnified_three_times_from_both_images() -> None:
    before = np.full((200, 200), 100, np.uint8)
    before[120:160, 140:180] = np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8)
    after = doubled(before)
    picture = comparison(before, after)
    left, right = halves(picture)
    below = LABEL_BAND + 400 + DIVIDER + LABEL_BAND
    for half in (left, right):
        assert half[below:].std() > 20
    part = right[below:, :, 0]
    width = 400 // 3 // 2 * 2 * 3
    inset = (400 - width) // 2
    pixels = part[1::3, inset + 1 : inset + width : 3]
    detail = after[240:320, 280:360]
    windows = np.lib.stride_tricks.sliding_window_view(pixels, detail.shape)
    assert (windows == detail).all(axis=(2, 3)).any()


def test_the_image_before_is_enlarged_without_a_shift() -> None:
    y, x = np.mgrid[:120, :120]
    before = (100 + 80 * np.sin(x / 9) * np.sin(y / 7)).astype(np.float32)
    y, x = np.mgrid[:240, :240] / 2 - 0.25
    after = (100 + 80 * np.sin(x / 9) * np.sin(y / 7)).astype(np.float32)
    left, right = halves(comparison(before, after))
    difference = np.abs(left.astype(int) - right)[LABEL_BAND + 240 + DIVIDER + LABEL_BAND :]
    assert difference.max() <= 4


def test_large_images_are_reduced() -> None:
    image = np.random.default_rng(0).integers(0, 255, (300, 1500), np.uint8)
    picture = comparison(image, doubled(image))
    assert picture.shape[1] == 2 * PANEL[1] + DIVIDER


def test_a_large_image_takes_little_memory_beside_its_own() -> None:
    before = np.random.default_rng(0).integers(0, 60_000, (1000, 1000)).astype(np.uint16)
    after = doubled(before)
    comparison(before[:50, :50], after[:100, :100])
    tracemalloc.start()
    try:
        comparison(before, after)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * after.nbytes


def test_a_reduced_panel_shows_the_whole_image_at_its_place() -> None:
    y, x = np.mgrid[:1501, :1333]
    before = (120 + 60 * np.sin(x / 90) + 60 * np.sin(y / 70)).astype(np.uint8)
    picture = comparison(before, doubled(before))
    height, width = PANEL[1], round(PANEL[1] * 1333 / 1501)
    y, x = (np.mgrid[:height, :width] + 0.5) * (1501 / PANEL[1]) - 0.5
    expected = 120 + 60 * np.sin(x / 90) + 60 * np.sin(y / 70)
    for half in halves(picture):
        shown = np.abs(whole_panel(half, height)[:, :width, 0] - expected)
        assert np.percentile(shown, 95) < 3  # the frame is drawn over some


def test_the_detail_of_a_large_image_is_found() -> None:
    before = np.full((2100, 2000), 100, np.uint8)
    before[1800:1860, 1900:1980] = np.random.default_rng(0).integers(0, 255, (60, 80), np.uint8)
    picture = comparison(before, doubled(before))
    for half in halves(picture):
        assert half[2 * LABEL_BAND + PANEL[1] + DIVIDER :].std() > 25


@pytest.mark.parametrize("shape", [(2, 2), (2, 300), (300, 2), (7, 5), (7, 9000), (9000, 7)])
def test_the_smallest_images_get_a_picture(shape: tuple[int, int]) -> None:
    image = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    assert comparison(image, doubled(image)).size


def test_constant_images_and_missing_pixels_get_a_picture() -> None:
    for image in (np.zeros((40, 40), np.float32), np.full((40, 40), np.nan, np.float32)):
        assert comparison(image, doubled(image)).size


def test_images_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ImageError, match="no restoration"):
        comparison(np.zeros((10, 10)), np.zeros((20, 21)))
    with pytest.raises(ImageError, match="no restoration"):
        comparison(np.zeros((10, 10)), np.zeros((5, 5)))


def test_a_stack_is_shown_by_its_middle_plane_and_first_channel() -> None:
    data = np.zeros((3, 2, 5, 4, 6), np.uint8)
    data[1, 0, 2] = 7
    np.testing.assert_array_equal(middle_plane(Micrograph(data, "TCZYX")), 7)


def test_the_picture_is_written_as_png(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (3, 40, 40), np.uint8)
    after = image.repeat(2, axis=1).repeat(2, axis=2)
    write_comparison(tmp_path / "a.png", Micrograph(image, "ZYX"), Micrograph(after, "ZYX"))
    picture = read_image(tmp_path / "a.png").data
    np.testing.assert_array_equal(picture, comparison(image[1], after[1]))
    with pytest.raises(FileError, match="no folder"):
        write_comparison(
            tmp_path / "missing" / "a.png", Micrograph(image, "ZYX"), Micrograph(after, "ZYX")
        )
