"""A finished result made softer: the same as the network's last stage, part by part, on disk as in
memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration import softened_result
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.softened_result import SoftLevels, softened_part, softened_plane

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(60, 70), (60, 70, 3)])
def test_a_softened_result_is_what_the_networks_last_stage_makes(
    tiny_model: Callable[..., Model], shape: tuple[int, ...]
) -> None:
    image, rgb = RANDOM.random(shape).astype(np.float32), len(shape) == 3
    model = tiny_model(channels=3 if rgb else 1)
    options = {"precision": "float32", "window": (0, 1)}
    bare, soft = (
        np.asarray(restore(image, model, softness=sigma, **options)) for sigma in (0, 1.3)
    )
    inside = (slice(6, -6),) * 2  # the network makes something of what is mirrored beyond the edge
    np.testing.assert_allclose(softened_plane(bare, 1.3, rgb=rgb)[inside], soft[inside], atol=2e-5)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "uint16", "int32", "float16", "float32", "float64"]
)
def test_type_and_a_flat_image_stay_as_they_are(dtype: str) -> None:
    flat = np.full((20, 30), 1, dtype)
    soft = softened_plane(flat, 2, rgb=False)
    assert soft.dtype == flat.dtype
    np.testing.assert_allclose(soft.astype(float), 1, atol=1e-3)


def test_missing_pixels_stay_missing_and_change_no_others() -> None:
    image = np.full((20, 30), 5, np.float32)
    image[4, 7], image[5, 9] = np.nan, np.inf
    soft = softened_plane(image, 1.5, rgb=False)
    assert np.isnan(soft[4, 7])
    assert np.isposinf(soft[5, 9])
    np.testing.assert_allclose(soft[np.isfinite(image)], 5, rtol=1e-6)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("colours", [(), (3,)])
def test_hot_pixels_stay_and_change_no_others(factor: int, colours: tuple[int, ...]) -> None:
    plain = RANDOM.integers(900, 1000, (48, 60, *colours), dtype=np.uint16)
    image, hot = plain.copy(), np.zeros(plain.shape[:2], bool)
    for y, x in ((0, 6), (3, 4), (4, 4), (4, 5), (6, 0), (9, 11)):  # bent, at edges
        at = np.s_[factor * y : factor * (y + 1), factor * x : factor * (x + 1)]
        image[at], hot[at] = 60_000, True
    soft = softened_plane(image, 1.5, rgb=bool(colours))
    assert (soft[hot] == 60_000).all()
    blurred = softened_plane(plain, 1.5, rgb=bool(colours)).astype(float)
    assert np.abs(soft - blurred)[~hot].max() < 40  # tens of thousands where they are blurred
    for top in range(0, 48, 5):
        part = softened_part(
            image, (), range(top, min(top + 5, 48)), range(11, 43), 1.5, rgb=bool(colours)
        )
        assert np.array_equal(part, soft[top : top + 5, 11:43])


@pytest.mark.parametrize("colours", [(), (3,)])
def test_hot_pixels_of_a_result_with_the_images_own_pixels_are_told_by_its_window(
    colours: tuple[int, ...],
) -> None:
    window = Window(900, 1000)
    plain = RANDOM.integers(900, 1000, (2, 48, 60, *colours), dtype=np.uint16)
    image, rgb = plain.copy(), bool(colours)
    for y, x in ((0, 6), (9, 11), (10, 11), (30, 59)):
        image[1, y, x] = 60_000
    image[1, 20, 20] = 1200  # bright, and less than three windows above what is around
    hot = image[1] == 60_000
    soft = softened_plane(image[1], 1.5, rgb=rgb, window=window)
    assert (soft[hot] == 60_000).all()
    assert (soft[20, 20] < 1100).all()
    blurred = softened_plane(plain[1], 1.5, rgb=rgb).astype(float)
    assert np.abs(soft - blurred)[~hot].max() < 40
    assert softened_plane(image[1], 1.5, rgb=rgb)[9, 12].min() > 2000  # without it they spread
    lazy = SoftLevels([da.from_array(image)], rgb=rgb, sigma=1.5, windows=lambda _: window)
    assert np.array_equal(lazy.arrays[0][1, 5:33, 9:].compute(), soft[5:33, 9:])


def test_a_sharp_point_is_not_taken_for_a_hot_pixel() -> None:
    image = np.zeros((20, 20), np.float32)
    image[10:12, 10:12] = 1.0, 0.9
    assert softened_plane(image, 1.0, rgb=False).max() < 0.6


def test_opacity_is_not_blurred() -> None:
    image = RANDOM.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    soft = softened_plane(image, 1, rgb=True)
    assert np.array_equal(soft[..., 3], image[..., 3])
    assert not np.array_equal(soft[..., :3], image[..., :3])


def test_a_part_equals_that_part_of_the_whole() -> None:
    stack = RANDOM.integers(0, 256, (2, 60, 70), dtype=np.uint8)
    whole = softened_plane(stack[1], 1.3, rgb=False)
    for y, x in ((range(20), range(50, 70)), (range(30, 60, 3), range(10, 11))):
        assert np.array_equal(softened_part(stack, (1,), y, x, 1.3, rgb=False), whole[y][:, x])


@pytest.mark.parametrize("colours", [(), (4,)])
def test_levels_on_disk_are_softened_as_they_are_read(colours: tuple[int, ...]) -> None:
    fine = RANDOM.integers(0, 256, (3, 64, 80, *colours), dtype=np.uint8)
    levels = [da.from_array(each, (1, 32, 32, *colours)) for each in (fine, fine[:, ::2, ::2])]
    rgb = bool(colours)
    soft = SoftLevels(levels, rgb=rgb, sigma=1.2)
    for level, sigma in enumerate((1.2, 0.6)):
        whole = np.stack(
            [softened_plane(plane, sigma, rgb=rgb) for plane in np.asarray(levels[level])]
        )
        for index in (
            (slice(None),) * 3,
            (1, slice(5, 40), slice(3, 9)),
            (slice(None), slice(None, None, 3), 20),
        ):
            assert np.array_equal(soft.arrays[level][index].compute(), whole[index])
    if rgb:
        assert np.array_equal(
            soft.arrays[0][1, :, 4, :3].compute(), softened_plane(fine[1], 1.2, rgb=True)[:, 4, :3]
        )
    soft.sigma = 0
    assert np.array_equal(soft.arrays[0].compute(), fine)


def test_what_was_prepared_for_a_softness_is_not_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    soft = SoftLevels([da.from_array(RANDOM.random((64, 64)), 32)], rgb=False)
    part = slice(5, 50), slice(0, 40)
    soft.prepare(2.0, 0, part)
    soft.sigma = 2.0
    monkeypatch.setattr(
        softened_result, "softened_part", lambda *_, **__: pytest.fail("made again")
    )
    soft.arrays[0][part].compute()


@pytest.mark.parametrize("colours", [(), (3,)])
def test_of_a_part_every_block_on_disk_is_read_once(colours: tuple[int, ...]) -> None:
    stack, read = RANDOM.integers(0, 256, (2, 48, 64, *colours), dtype=np.uint8), []

    def noted(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        read.append(block_info[0]["chunk-location"])
        return block

    blocks = da.from_array(stack, chunks=(1, 16, 16, *colours))
    level = blocks.map_blocks(noted, dtype=np.uint8, meta=np.empty((0,) * stack.ndim, np.uint8))
    part = SoftLevels([level], rgb=bool(colours), sigma=1.0).part(0)
    assert (part.shape, part.dtype) == (stack.shape, stack.dtype)
    found = np.asarray(part[1, 10:40, 5:60])
    assert len(read) == len(set(read)) == 12
    expected = softened_plane(stack[1], 1.0, rgb=bool(colours))[10:40, 5:60]
    np.testing.assert_array_equal(found, expected)
