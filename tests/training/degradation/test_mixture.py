"""What training draws: reproducible, aligned, of the kinds and shares that were asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_mdeblurgan.training.degradation import Mixture, OpticsError

SHARP = torch.rand(4, 3, 64, 80, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", [2, 4])
def test_sizes_and_types(scale: int) -> None:
    sharp = torch.rand(3, 1, 32 * scale, 40 * scale)
    degraded = Mixture(jpeg=0.5).draw(sharp, np.random.default_rng(0), scale)
    assert degraded.blurred.shape == degraded.sharp_low.shape == (3, 1, 32, 40)
    assert degraded.sharp.shape == sharp.shape
    assert {image.dtype for image in degraded} == {torch.float32}


def test_the_generator_alone_decides() -> None:
    first = Mixture(jpeg=0.5).draw(SHARP, np.random.default_rng(1))
    torch.manual_seed(3)
    again = Mixture(jpeg=0.5).draw(SHARP, np.random.default_rng(1))
    other = Mixture(jpeg=0.5).draw(SHARP, np.random.default_rng(2))
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(first.blurred, other.blurred)


def test_the_images_given_stay_as_they_are() -> None:
    before = SHARP.clone()
    Mixture(gaussian=0, gaussian_noisy=0).draw(SHARP, np.random.default_rng(1))
    assert torch.equal(SHARP, before)


def test_shares_below_zero_are_refused() -> None:
    with pytest.raises(OpticsError, match="shares of the degradations"):
        Mixture(gaussian=-1)
