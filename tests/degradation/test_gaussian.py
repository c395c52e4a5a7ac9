"""The Gaussian protocol's steps against cases whose result is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_mdeblurgan.degradation import downsample, gaussian_blur, gaussian_protocol, quantise


def test_blur_keeps_the_mean_and_adds_its_variance() -> None:
    image = torch.zeros(2, 1, 65, 65, dtype=torch.float64)
    image[:, :, 32, 32] = 1
    blurred = gaussian_blur(image, torch.tensor([1.0, 2.5], dtype=torch.float64))
    offsets = torch.arange(65, dtype=torch.float64) - 32
    for spot, sigma in zip(blurred[:, 0], (1.0, 2.5), strict=True):
        assert spot.sum().item() == pytest.approx(1)
        assert (spot.sum(0) * offsets**2).sum().item() == pytest.approx(sigma**2, rel=0.02)


def test_blur_agrees_with_scipy() -> None:
    image = np.random.default_rng(0).random((40, 50))
    ours = gaussian_blur(
        torch.from_numpy(image)[None, None], torch.tensor([1.5], dtype=torch.float64)
    )
    np.testing.assert_allclose(
        ours[0, 0], gaussian_filter(image, 1.5, mode="mirror", truncate=4), atol=1e-10
    )


def test_a_blur_of_zero_leaves_an_image_as_it_is() -> None:
    image = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(gaussian_blur(image, torch.tensor([0.0])), image)


def test_an_image_smaller_than_the_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="too small for a blur"):
        gaussian_blur(torch.zeros(1, 1, 5, 5), torch.tensor([2.0]))


def test_reduction_keeps_levels_and_refuses_odd_sizes() -> None:
    torch.testing.assert_close(
        downsample(torch.full((1, 1, 16, 16), 0.3), 2), torch.full((1, 1, 8, 8), 0.3)
    )
    with pytest.raises(ValueError, match="multiples of 2"):
        downsample(torch.zeros(1, 1, 15, 16), 2)


def test_quantised_values_are_levels_of_8_bits() -> None:
    levels = quantise(torch.tensor([-0.2, 0.5, 0.501, 1.3])) * 255
    assert levels.tolist() == pytest.approx([0, 128, 128, 255])


def test_the_protocol_halves_the_size_and_rounds() -> None:
    sharp = torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    low = gaussian_protocol(sharp, 1.2)
    assert low.shape == (1, 3, 32, 24)
    torch.testing.assert_close(low * 255, (low * 255).round())
