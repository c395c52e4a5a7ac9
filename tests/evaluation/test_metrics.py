"""PSNR and SSIM on images whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mdeblurgan.evaluation.metrics import cropped, psnr, ssim


def test_an_error_of_a_tenth_everywhere_is_20_db() -> None:
    truth = np.random.default_rng(0).random((40, 30))
    assert psnr(truth + 0.1, truth) == pytest.approx(20)


def test_the_image_itself_is_perfect() -> None:
    truth = np.random.default_rng(0).random((40, 30, 3)).astype(np.float32)
    assert psnr(truth, truth) == float("inf")
    assert ssim(truth, truth) == pytest.approx(1)


def test_ssim_falls_with_noise() -> None:
    random = np.random.default_rng(0)
    truth = random.random((64, 64))
    little, much = (ssim(truth + random.normal(0, level, truth.shape), truth) for level in (0.05, 0.3))
    assert 1 > little > much > 0


def test_a_border_is_left_out_of_y_and_x_only() -> None:
    assert cropped(np.zeros((30, 40, 3)), 8).shape == (14, 24, 3)
