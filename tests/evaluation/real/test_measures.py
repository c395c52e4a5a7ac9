"""The measures against cases whose value is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_mdeblurgan.evaluation.real.measures import (
    MEASURED_TILE,
    THRESHOLD,
    closeness,
    gmsd_where,
    linearly_fitted,
    psnr_where,
    ring_correlation,
    ring_limit,
    ssim_where,
)

EVERYWHERE = np.ones((256, 256), bool)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


def test_linear_fit_finds_gain_and_offset_of_each_colour_where_it_is_judged(
    random: np.random.Generator,
) -> None:
    truth = random.uniform(0, 255, (40, 40, 3))
    judged = np.zeros((40, 40), bool)
    judged[5:30, 8:33] = True
    result = (truth - [10, 20, 30]) / [2.0, 0.5, -1.0]
    result[~judged] = 1e6
    fitted = linearly_fitted(result, truth, judged)
    assert np.allclose(fitted[judged], truth[judged])
    assert closeness(np.where(judged[..., None], result, 0), truth, judged, 255).psnr_db > 200


def test_linear_fit_of_one_value_is_the_mean_of_the_truth(random: np.random.Generator) -> None:
    truth = random.uniform(0, 1, (20, 20))
    assert np.allclose(
        linearly_fitted(np.full((20, 20), 7), truth, np.ones((20, 20), bool)), truth.mean()
    )


def test_psnr_counts_only_what_is_judged() -> None:
    truth, result = np.zeros((10, 10)), np.full((10, 10), 25.5)
    judged = np.zeros((10, 10), bool)
    judged[:5] = True
    result[5:] = 1000
    assert psnr_where(result, truth, judged, 255) == pytest.approx(20)


def test_ssim_of_shifted_constants_is_the_luminance_term() -> None:
    one, other = np.full((40, 40), 0.5), np.full((40, 40), 0.7)
    c1 = 0.01**2
    expected = (2 * 0.5 * 0.7 + c1) / (0.5**2 + 0.7**2 + c1)
    assert ssim_where(one, other, np.ones((40, 40), bool), 1.0) == pytest.approx(expected, abs=1e-9)


def test_gmsd_is_nothing_for_the_same_image_and_for_another_offset(
    random: np.random.Generator,
) -> None:
    image = random.uniform(0, 200, (64, 64))
    everywhere = np.ones((64, 64), bool)
    assert gmsd_where(image, image, everywhere, 255) == pytest.approx(0, abs=1e-12)
    assert gmsd_where(image + 40, image, everywhere, 255) == pytest.approx(0, abs=1e-12)


def test_gmsd_of_a_lost_ramp_beside_a_kept_one_is_half_of_the_loss() -> None:
    slope = 0.02  # of the peak, for each pixel
    ramp = np.tile(np.arange(64) * slope, (64, 1))
    result = ramp.copy()
    result[32:] = ramp[32:].mean()
    judged = np.ones((64, 64), bool)
    judged[[0, 1, 30, 31, 32, 33, 62, 63]] = False  # where the two meet, and at the edge
    judged[:, [0, 1, 62, 63]] = False
    gradient = 2 * (
        2 * slope
    )  # Prewitt's of the image reduced 2 × 2: the difference over two of its pixels
    constant = 170 / 255**2
    lost = 1 - constant / (gradient**2 + constant)
    assert gmsd_where(result, ramp, judged, 1.0) == pytest.approx(lost / 2, rel=1e-6)


@pytest.mark.parametrize("share", [0.8, 0.5, 0.2])
def test_ring_correlation_of_two_noisy_exposures_is_the_share_of_signal(
    share: float, random: np.random.Generator
) -> None:
    signal, one, other = random.normal(size=(3, 256, 256))
    first, second = (share**0.5 * signal + (1 - share) ** 0.5 * noise for noise in (one, other))
    rings = ring_correlation(first, second, EVERYWHERE)
    assert rings is not None
    assert rings.shape == (MEASURED_TILE // 2,)
    assert rings[4:].mean() == pytest.approx(share, abs=0.03)


def test_ring_correlation_does_not_mind_blur_but_noise_that_covers_it(
    random: np.random.Generator,
) -> None:
    truth = random.normal(size=(256, 256))
    soft = gaussian_filter(truth, 1.0, mode="wrap")
    rings = ring_correlation(soft, truth, EVERYWHERE)
    assert rings is not None
    assert rings[:20].min() > 0.98
    noisy = ring_correlation(soft + 0.1 * random.normal(size=(256, 256)), truth, EVERYWHERE)
    assert noisy is not None
    frequency = np.arange(1, 33) / MEASURED_TILE
    passed = np.exp(-2 * (np.pi * frequency) ** 2)  # of the Gaussian
    expected = passed / np.sqrt(passed**2 + 0.1**2)
    assert np.abs(noisy - expected)[3:].max() < 0.08


def test_ring_correlation_looks_only_at_tiles_that_are_judged(random: np.random.Generator) -> None:
    truth, result = random.normal(size=(2, 256, 256))
    result[:, :128] = truth[:, :128]
    judged = EVERYWHERE.copy()
    judged[:, 128:] = False
    judged[:, 96:128] = False
    rings = ring_correlation(result, truth, judged)
    assert rings is not None
    assert rings.min() > 0.9
    assert ring_correlation(result, truth, np.zeros_like(judged)) is None
    assert ring_correlation(result[:50], truth[:50], judged[:50]) is None


def test_ring_limit_is_where_the_correlation_falls_below_a_seventh() -> None:
    rings = np.linspace(1, 0, 11)[1:]  # 0.9 … 0 at 0.1 … 1 of the limit
    assert ring_limit(rings) == pytest.approx(1 - THRESHOLD)
    assert ring_limit(np.ones(32)) == 1
    assert ring_limit(np.zeros(32)) == 0
