"""The blur of an image place by place: right, whatever else is sharp in it, and silent where
nothing can be told.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_mdeblurgan.trust.blur import BLOCK, LARGEST_PX, blur_of_blocks, local_blur
from napari_mdeblurgan.trust.noise import Noise, measure_coarse_noise

Blurred = Callable[..., np.ndarray]
SILENT = Noise((1e-6,), (0.0,))


@pytest.fixture
def field(scene, blurred: Blurred) -> Callable[..., np.ndarray]:
    """``field(sigma, noise)``: (256, 256) of cells, blurred by sigma pixels, in [0, 1]."""
    sharp = scene(512)
    return lambda sigma, noise=0.0: np.clip(blurred(sharp, sigma, noise), 0, 1)


def middle(plane: np.ndarray) -> float:
    """The median over the blocks, most of which have to be judged."""
    found = local_blur(
        plane.astype(np.float32), measure_coarse_noise([plane.astype(np.float32)], 1 / 255)
    )
    assert np.isfinite(found).mean() > 0.7
    return float(np.nanmedian(found))


def compressed(plane: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(np.rint(plane * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).astype(np.float32) / 255


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
def test_the_blur_of_a_clean_field(field, sigma: float) -> None:
    assert middle(field(sigma)) == pytest.approx(sigma, rel=0.35)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("noise", [0.01, 0.03])
def test_noise_of_the_camera_is_not_taken_for_sharpness(field, sigma: float, noise: float) -> None:
    assert middle(field(sigma, noise)) == pytest.approx(sigma, rel=0.4)


@pytest.mark.parametrize("sigma", [2.0, 4.0])
def test_blocks_of_jpeg_are_not_taken_for_sharpness(field, sigma: float) -> None:
    assert middle(compressed(field(sigma), 75)) == pytest.approx(sigma, rel=0.35)


def test_sharp_specks_on_a_blurred_field_change_nothing(field) -> None:
    plane = field(4.0, 0.003).astype(np.float32)
    random = np.random.default_rng(0)
    for y, x in random.integers(2, 254, (20, 2)):
        plane[y - 1 : y + 2, x - 1 : x + 2] *= 0.2
    assert middle(plane) == pytest.approx(middle(field(4.0, 0.003)), rel=0.15)


def test_half_a_field_out_of_focus_is_told_there(field) -> None:
    plane = np.concatenate([field(0.8, 0.005)[:, :128], field(5.0, 0.005)[:, 128:]], axis=1).astype(
        np.float32
    )
    found = local_blur(plane, measure_coarse_noise([plane]))
    columns = 128 // BLOCK
    assert np.nanmedian(found[:, : columns - 1]) == pytest.approx(0.8, abs=0.4)
    assert np.nanmedian(found[:, columns + 1 :]) == pytest.approx(5.0, abs=1.0)


@pytest.mark.parametrize("kind", ["flat", "noise", "uneven light", "one speck"])
def test_nothing_is_said_where_there_is_nothing_to_see(kind: str) -> None:
    plane = np.full((128, 128), 0.5, np.float32)
    if kind == "noise":
        plane += 0.02 * np.random.default_rng(0).standard_normal(plane.shape).astype(np.float32)
    elif kind == "uneven light":
        plane += np.linspace(-0.3, 0.3, 128, dtype=np.float32)[:, None]
    elif kind == "one speck":
        plane[62:65, 60:64] = 0.1
    noise = measure_coarse_noise([plane]) if kind == "noise" else SILENT
    assert np.isnan(local_blur(plane, noise)).all()


def test_an_empty_part_of_a_field_is_left_out(field) -> None:
    plane = field(1.0).astype(np.float32)
    plane[:128] = 0.1
    found = local_blur(plane, SILENT)
    assert np.isnan(found[:3]).all()
    assert np.isfinite(found[5:]).all()


def test_where_pixels_are_missing_nothing_is_said(field) -> None:
    plane = field(1.0).astype(np.float32)
    plane[:, 100:200] = np.nan
    found = local_blur(plane, SILENT)
    assert np.isnan(found[:, 4]).all()
    whole = local_blur(field(1.0).astype(np.float32), SILENT)
    np.testing.assert_allclose(found[:, :2], whole[:, :2], rtol=0.02)


def test_dead_pixels_do_not_hide_the_blur(field) -> None:
    plane = field(1.0).astype(np.float32)
    dead = np.random.default_rng(0).random(plane.shape) < 0.005
    found = local_blur(np.where(dead, np.float32(np.nan), plane), SILENT)
    whole = local_blur(plane, SILENT)
    assert np.array_equal(np.isfinite(found), np.isfinite(whole))
    assert np.nanmedian(found) == pytest.approx(np.nanmedian(whole), abs=0.2)


def test_parts_of_an_image_are_judged_as_in_the_whole(field) -> None:
    plane = np.tile(field(1.5, 0.01), (1, 2))[:250, :405].astype(np.float32)
    noise = measure_coarse_noise([plane])
    whole = local_blur(plane, noise)
    assert whole.shape == (8, 13)
    for rows, columns in (
        (range(2), range(13)),
        (range(3, 8), range(5, 6)),
        (range(7, 8), range(12, 13)),
    ):
        part = blur_of_blocks(lambda y, x: plane[y, x], plane.shape, (rows, columns), noise)
        np.testing.assert_allclose(
            part, whole[rows.start : rows.stop, columns.start : columns.stop], rtol=1e-4
        )


@pytest.mark.parametrize("shape", [(2, 2), (3, 90), (31, 31), (32, 33), (40, 500)])
def test_images_of_any_size_can_be_looked_at(shape: tuple[int, int]) -> None:
    plane = ndimage.gaussian_filter(np.random.default_rng(0).random(shape), 1.0).astype(np.float32)
    found = local_blur(5 * (plane - plane.mean()) + 0.5, SILENT)
    assert found.shape == tuple(-(-length // BLOCK) for length in shape)
    assert np.isnan(found).all() == (min(shape) < BLOCK)
    assert not (found > LARGEST_PX).any()
