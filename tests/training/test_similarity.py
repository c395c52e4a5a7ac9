"""Structural similarity against scikit-image's, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity
from torch import Tensor

from napari_mdeblurgan.training.losses.similarity import batch_ssim, ssim_loss


def pair(*shape: int, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """A smooth image in [0, 1], and the same with noise."""
    random = np.random.default_rng(0)
    truth = gaussian_filter(random.random(shape), (*[0] * (len(shape) - 2), 2, 2))
    truth = (truth - truth.min()) / np.ptp(truth)
    return truth + noise * random.standard_normal(shape), truth


def library_ssim(image: np.ndarray, truth: np.ndarray) -> float:
    return float(
        structural_similarity(
            image, truth, data_range=1.0, gaussian_weights=True, use_sample_covariance=False
        )
    )


@pytest.mark.parametrize("noise", [0.005, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(11, 11), (40, 33)])
def test_it_equals_scikit_image_also_in_float32(noise: float, shape: tuple[int, int]) -> None:
    image, truth = pair(*shape, noise=noise)
    expected = library_ssim(image, truth)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        ours = batch_ssim(
            torch.tensor(image, dtype=dtype)[None, None],
            torch.tensor(truth, dtype=dtype)[None, None],
        )
        assert ours.item() == pytest.approx(expected, abs=tolerance)


def test_channels_are_averaged_and_images_are_not() -> None:
    image, truth = pair(2, 3, 20, 24)
    ours = batch_ssim(torch.from_numpy(image), torch.from_numpy(truth))
    expected = [
        np.mean([library_ssim(a, b) for a, b in zip(*both, strict=True)])
        for both in zip(image, truth, strict=True)
    ]
    assert ours.tolist() == pytest.approx(expected)


def test_equal_images_have_similarity_one_and_loss_zero() -> None:
    image = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(batch_ssim(image, image), torch.ones(2))
    assert ssim_loss(image, image).item() == pytest.approx(0, abs=1e-6)


def test_a_change_of_level_costs_what_the_luminance_term_says() -> None:
    low, high, c1 = 0.2, 0.6, 0.01**2
    flat = [torch.full((1, 1, 11, 11), level, dtype=torch.float64) for level in (low, high)]
    assert batch_ssim(*flat).item() == pytest.approx(
        (2 * low * high + c1) / (low**2 + high**2 + c1)
    )


def test_the_gradient_is_that_of_finite_differences() -> None:
    image, truth = pair(1, 1, 12, 13)
    given = torch.from_numpy(image).requires_grad_()
    assert torch.autograd.gradcheck(lambda image: ssim_loss(image, torch.from_numpy(truth)), given)


def test_going_down_its_gradient_brings_an_image_closer() -> None:
    start, truth = (torch.from_numpy(each).float()[None, None] for each in pair(24, 24, noise=0.3))
    image = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([image], lr=0.02)
    for _ in range(30):
        optimizer.zero_grad()
        ssim_loss(image, truth).backward()
        optimizer.step()
    assert batch_ssim(image, truth).item() > batch_ssim(start, truth).item() + 0.3


def shapes(image: tuple[int, ...], truth: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return torch.zeros(image), torch.zeros(truth)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="of one shape"):
        batch_ssim(*shapes((1, 1, 20, 20), (1, 1, 20, 21)))
    with pytest.raises(ValueError, match="at least 11"):
        batch_ssim(*shapes((1, 1, 10, 20), (1, 1, 10, 20)))
