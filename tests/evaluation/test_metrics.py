"""PSNR, SSIM and MS-SSIM on images whose figures are known, and against other people's code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from napari_mdeblurgan.evaluation.metrics import SCALE_WEIGHTS, cropped, ms_ssim, psnr, ssim
from napari_mdeblurgan.training.losses import similarity


def noisy(level: float, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth = random.random(shape)
    return truth + random.normal(0, level, shape), truth


def library_ssim(image: np.ndarray, truth: np.ndarray) -> float:
    return float(
        structural_similarity(
            image,
            truth,
            data_range=1.0,
            gaussian_weights=True,
            use_sample_covariance=False,
            channel_axis=-1 if image.ndim == 3 else None,
        )
    )


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
    assert ssim(image, truth) == pytest.approx(library_ssim(image, truth), abs=1e-9)


def slow_ms_ssim(image: np.ndarray, truth: np.ndarray) -> float:
    """Of one channel, with scipy's filters and skimage's similarity at the coarsest scale."""
    product = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale:
            image, truth = (
                each.reshape(len(each) // 2, 2, -1, 2).mean(axis=(1, 3)) for each in (image, truth)
            )
        if scale == len(SCALE_WEIGHTS) - 1:
            return float(product * max(0, library_ssim(image, truth)) ** weight)
        blur = [gaussian_filter(each, 1.5, radius=5)[5:-5, 5:-5] for each in (image, truth)]
        squares = [gaussian_filter(each**2, 1.5, radius=5)[5:-5, 5:-5] for each in (image, truth)]
        cross = gaussian_filter(image * truth, 1.5, radius=5)[5:-5, 5:-5] - blur[0] * blur[1]
        variances = sum(square - mean**2 for square, mean in zip(squares, blur, strict=True))
        product *= max(0, np.mean((2 * cross + 0.03**2) / (variances + 0.03**2))) ** weight
    raise AssertionError


@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_several_scales_equal_the_formula_written_out(noise: float) -> None:
    truth = gaussian_filter(np.random.default_rng(0).random((176, 192)), 2)
    truth = (truth - truth.min()) / np.ptp(truth)
    image = truth + noise * np.random.default_rng(1).standard_normal(truth.shape)
    assert ms_ssim(image, truth) == pytest.approx(slow_ms_ssim(image, truth), abs=1e-9)


def test_colours_are_averaged_at_several_scales_too() -> None:
    image, truth = noisy(0.2, 177, 191, 3)
    each = [ms_ssim(image[..., colour], truth[..., colour]) for colour in range(3)]
    assert ms_ssim(image, truth) == pytest.approx(np.mean(each))


def test_the_opposite_of_an_image_has_multi_scale_similarity_zero() -> None:
    truth = gaussian_filter(np.random.default_rng(0).random((176, 176)), 2)
    truth = (truth - truth.min()) / np.ptp(truth)
    assert ms_ssim(1 - truth, truth) == 0


def test_a_training_goes_by_the_same_similarity() -> None:
    image, truth = noisy(0.2, 60, 57, 3)
    batches = [torch.from_numpy(each.transpose(2, 0, 1))[None] for each in (image, truth)]
    assert ssim(image, truth) == pytest.approx(float(similarity.batch_ssim(*batches)), abs=1e-14)


def test_an_image_too_small_for_five_scales_has_no_ms_ssim() -> None:
    assert ms_ssim(*noisy(0.1, 175, 400)) is None
    assert ms_ssim(*noisy(0.1, 176, 176)) is not None


def test_a_border_is_left_out_of_y_and_x_only() -> None:
    assert cropped(np.zeros((30, 40, 3)), 8).shape == (14, 24, 3)
