"""What training draws: reproducible, aligned, of the kinds and shares that were asked for."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from napari_mdeblurgan.training.degradation import Mixture, OpticsError, downsample, gaussian_blur

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


def only(**changes: object) -> Mixture:
    """A mixture of nothing but what is named, without rounding or compression."""
    return Mixture(**{"gaussian": 0, "gaussian_noisy": 0, "physical": 0, "rounded": 0, "jpeg": 0} | changes)


def test_gaussian_patches_are_gaussian_blurs_of_the_reduced_image() -> None:
    degraded = only(gaussian=1, sigma=(1.3, 1.3)).draw(SHARP, np.random.default_rng(0))
    expected = gaussian_blur(downsample(SHARP, 2), torch.full((len(SHARP),), 1.3)).clamp(0, 1)
    torch.testing.assert_close(degraded.blurred, expected)
    assert torch.equal(degraded.sharp, SHARP)


def test_noisy_patches_have_noise_of_the_strength_asked_for() -> None:
    flat = torch.full((4, 3, 96, 96), 0.5)
    degraded = only(gaussian_noisy=1, grain=(0.02, 0.02)).draw(flat, np.random.default_rng(0))
    assert (degraded.blurred - degraded.sharp_low).std().item() == pytest.approx(0.02, rel=0.03)


@pytest.mark.parametrize("scale", [2, 4])
def test_physical_patches_are_blurred_by_as_much_as_asked_for(scale: int) -> None:
    """In focus, a bright dot is about as wide as the Gaussian of that width and a pixel together."""
    dot = torch.zeros(1, 1, 41 * scale, 41 * scale)
    dot[..., 20 * scale : 21 * scale, 20 * scale : 21 * scale] = 1
    mixture = only(physical=1, airy_sigma=(0.8, 0.8), defocus_radius=(0, 0), noiseless=1, offset=(0, 0))
    peak = mixture.draw(dot, np.random.default_rng(0), scale).blurred.max().item()
    assert peak == pytest.approx(1 / (2 * np.pi * (0.8**2 + 1 / 6)), rel=0.1)


def test_physical_patches_have_their_truth_in_the_same_units() -> None:
    flat = torch.full((6, 1, 64, 64), 0.3)
    blurred, sharp_low, sharp = only(physical=1, offset=(0.01, 0.2), noiseless=1).draw(flat, np.random.default_rng(0))
    torch.testing.assert_close(blurred, sharp_low)
    levels = sharp.mean(dim=(1, 2, 3))
    assert len(levels.unique()) == 6
    assert levels.min() > 0.3
    torch.testing.assert_close(sharp_low.mean(dim=(1, 2, 3)), levels)


def test_fewer_photons_make_more_noise() -> None:
    flat = torch.full((4, 1, 64, 64), 0.5)
    noise = []
    for photons in (200.0, 5000.0):
        mixture = only(physical=1, noiseless=0, photons=(photons, photons), read_noise_e=(0, 0), offset=(0, 0))
        noise.append((mixture.draw(flat, np.random.default_rng(0)).blurred - 0.5).std().item())
    assert noise == pytest.approx([(0.5 / 200) ** 0.5, (0.5 / 5000) ** 0.5], rel=0.05)


def test_the_kinds_come_in_their_shares() -> None:
    flat = torch.full((600, 1, 24, 24), 0.5)
    mixture = Mixture(sigma=(0.2, 0.2), defocus_radius=(0, 0), airy_sigma=(0.3, 0.3), offset=(0.01, 0.05), jpeg=0)
    blurred, _, sharp = mixture.draw(flat, np.random.default_rng(0))
    physical = (sharp.mean(dim=(1, 2, 3)) > 0.501).numpy()
    noisy = blurred.std(dim=(1, 2, 3)).numpy() > 1e-4
    assert physical.mean() == pytest.approx(0.35, abs=0.05)
    assert noisy[~physical].mean() == pytest.approx(0.15 / 0.65, abs=0.05)
    assert noisy[physical].mean() == pytest.approx(0.8, abs=0.06)
    levels = blurred * 255
    rounded = (levels - levels.round()).abs().amax(dim=(1, 2, 3)) < 1e-3
    assert rounded.float().mean().item() == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_compression_changes_little_and_leaves_8_bits(channels: int) -> None:
    smooth = torch.linspace(0, 1, 64).expand(1, channels, 64, 64).contiguous()
    mixture = only(gaussian=1, sigma=(0.5, 0.5), jpeg=1)
    blurred, sharp_low, _ = mixture.draw(smooth, np.random.default_rng(0))
    assert 0 < (blurred - sharp_low).abs().mean() < 0.03
    torch.testing.assert_close(blurred * 255, (blurred * 255).round())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gaussian": -1}, "shares of the degradations"),
        ({"gaussian": 0, "gaussian_noisy": 0, "physical": 0}, "one of them above 0"),
        ({"jpeg": 1.5}, "jpeg is 1.5"),
        ({"sigma": (2.0, 1.0)}, "sigma is drawn from 2 to 1; give the smaller number first"),
        ({"sigma": (0.2, 9.0)}, "sigma is drawn from 0.2 to 9; give a range within 0 to 8"),
        ({"numerical_aperture": (0.1, 1.4)}, "numerical_aperture is drawn from 0.1 to 1.4"),
        ({"photons": (0, 100)}, "photons is drawn from 0"),
    ],
)
def test_impossible_shares_and_ranges_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(OpticsError, match=words):
        Mixture(**changes)


def test_a_batch_is_drawn_in_a_fraction_of_a_training_step() -> None:
    sharp = torch.rand(8, 1, 176, 176)
    seconds = []
    for seed in range(12):
        start = time.thread_time()
        Mixture().draw(sharp, np.random.default_rng(seed))
        seconds.append(time.thread_time() - start)
    assert np.median(seconds) < 0.1


def test_padding_is_as_sharp_in_the_blurred_image_as_in_the_truth() -> None:
    before = only(gaussian=1).draw(SHARP, np.random.default_rng(0))
    degraded = only(gaussian=1, padding=1).draw(SHARP, np.random.default_rng(0))
    for plain, image, sharp in zip(before.blurred, degraded.blurred, degraded.sharp, strict=True):
        area = (image != plain).all(dim=0)
        assert area.any()
        assert not area.all()
        assert len(image[:, area].unique()) == 1
        fine = area.repeat_interleave(2, 0).repeat_interleave(2, 1)
        assert torch.equal(sharp[:, fine].unique(), image[:, area].unique())


def test_shapes_are_areas_of_one_colour_that_are_blurred_like_the_rest() -> None:
    noise = torch.rand(6, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    degraded = only(gaussian=1, sigma=(2.0, 2.0), shapes=1).draw(noise, np.random.default_rng(0))
    assert all(image.unique().numel() < 64 * 64 for image in degraded.sharp)
    expected = gaussian_blur(downsample(degraded.sharp, 2), torch.full((6,), 2.0)).clamp(0, 1)
    torch.testing.assert_close(degraded.blurred, expected)


def test_soft_patches_have_a_soft_truth() -> None:
    """The truth is blurred before anything else, so that the reduced image follows from it."""
    degraded = only(gaussian=1, sigma=(0, 0), soft=1.0, softness=(1.5, 1.5)).draw(SHARP, np.random.default_rng(0))
    torch.testing.assert_close(degraded.sharp, gaussian_blur(SHARP, torch.full((len(SHARP),), 1.5)))
    torch.testing.assert_close(degraded.sharp_low, downsample(degraded.sharp, 2))


def test_only_the_share_asked_for_is_softened() -> None:
    sharp = torch.rand(64, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    degraded = only(gaussian=1, sigma=(0, 0), soft=0.25, softness=(1, 1)).draw(sharp, np.random.default_rng(0))
    untouched = [torch.equal(truth, image) for truth, image in zip(degraded.sharp, sharp, strict=True)]
    assert 8 <= untouched.count(False) <= 24
