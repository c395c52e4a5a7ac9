"""PSNR, SSIM and MS-SSIM on images whose figures are known, and against other people's code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from napari_mdeblurgan.evaluation.metrics import cropped, ms_ssim, psnr, ssim
from napari_mdeblurgan.training import similarity


def noisy(level: float, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth = random.random(shape)
    return truth + random.normal(0, level, shape), truth


def test_an_error_of_a_tenth_everywhere_is_20_db() -> None:
    truth = np.random.default_rng(0).random((40, 30))
    assert psnr(truth + 0.1, truth) == pytest.approx(20)


def test_the_image_itself_is_perfect() -> None:
    truth = np.random.default_rng(0).random((180, 190, 3)).astype(np.float32)
    assert psnr(truth, truth) == float("inf")
    assert ssim(truth, truth) == pytest.approx(1)
    assert ms_ssim(truth, truth) == pytest.approx(1)


def test_ssim_falls_with_noise() -> None:
    little, much = (ssim(*noisy(level, 64, 64)) for level in (0.05, 0.3))
    assert 1 > little > much > 0


@pytest.mark.parametrize("shape", [(41, 52), (40, 33, 3)])
def test_ssim_is_that_of_scikit_image(shape: tuple[int, ...]) -> None:
    image, truth = noisy(0.1, *shape)
    expected = structural_similarity(
        image,
        truth,
        data_range=1.0,
        gaussian_weights=True,
        use_sample_covariance=False,
        channel_axis=-1 if len(shape) == 3 else None,
    )
    assert ssim(image, truth) == pytest.approx(expected, abs=1e-9)


def test_ms_ssim_is_the_one_that_training_minimises() -> None:
    image, truth = noisy(0.2, 177, 191, 3)
    batches = [torch.from_numpy(each.transpose(2, 0, 1))[None] for each in (image, truth)]
    assert ms_ssim(image, truth) == pytest.approx(
        float(similarity.ms_ssim(batches[0], batches[1])), abs=1e-9
    )


def test_an_image_too_small_for_five_scales_has_no_ms_ssim() -> None:
    assert ms_ssim(*noisy(0.1, 175, 400)) is None
    assert ms_ssim(*noisy(0.1, 176, 176)) is not None


def test_a_border_is_left_out_of_y_and_x_only() -> None:
    assert cropped(np.zeros((30, 40, 3)), 8).shape == (14, 24, 3)
