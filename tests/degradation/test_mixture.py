"""What training draws: reproducible, aligned, of the kinds and shares that were asked for."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_mdeblurgan.degradation import Mixture, OpticsError, downsample, gaussian_blur

SHARP = torch.rand(4, 3, 64, 80, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", [2, 4])
def test_sizes_and_types(scale: int) -> None:
    sharp = torch.rand(3, 1, 32 * scale, 40 * scale)
    degraded = Mixture(jpeg=0.5).draw(sharp, np.random.default_rng(0), scale)
    assert degraded.blurred.shape == degraded.sharp_low.shape == (3, 1, 32, 40)
    assert degraded.sharp.shape == sharp.shape
    assert {image.dtype for image in degraded} == {torch.float32}
    assert degraded.softness is not None
    assert degraded.softness.tolist() == [0, 0, 0]


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
    return Mixture(
        **{"gaussian": 0, "gaussian_noisy": 0, "physical": 0, "rounded": 0, "jpeg": 0} | changes
    )


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
    """In focus, a bright dot is about as wide as the Gaussian of that width and
    a pixel together.
    """
    dot = torch.zeros(1, 1, 41 * scale, 41 * scale)
    dot[..., 20 * scale : 21 * scale, 20 * scale : 21 * scale] = 1
    mixture = only(
        physical=1, airy_sigma=(0.8, 0.8), defocus_radius=(0, 0), noiseless=1, offset=(0, 0)
    )
    peak = mixture.draw(dot, np.random.default_rng(0), scale).blurred.max().item()
    assert peak == pytest.approx(1 / (2 * np.pi * (0.8**2 + 1 / 6)), rel=0.1)


def test_physical_patches_have_their_truth_in_the_same_units() -> None:
    flat = torch.full((6, 1, 64, 64), 0.3)
    blurred, sharp_low, sharp = only(physical=1, offset=(0.01, 0.2), noiseless=1).draw(
        flat, np.random.default_rng(0)
    )[:3]
    torch.testing.assert_close(blurred, sharp_low)
    levels = sharp.mean(dim=(1, 2, 3))
    assert len(levels.unique()) == 6
    assert levels.min() > 0.3
    torch.testing.assert_close(sharp_low.mean(dim=(1, 2, 3)), levels)


def test_fewer_photons_make_more_noise() -> None:
    flat = torch.full((4, 1, 64, 64), 0.5)
    noise = []
    for photons in (200.0, 5000.0):
        mixture = only(
            physical=1, noiseless=0, photons=(photons, photons), read_noise_e=(0, 0), offset=(0, 0)
        )
        noise.append((mixture.draw(flat, np.random.default_rng(0)).blurred - 0.5).std().item())
    assert noise == pytest.approx([(0.5 / 200) ** 0.5, (0.5 / 5000) ** 0.5], rel=0.05)


def test_the_kinds_come_in_their_shares() -> None:
    flat = torch.full((600, 1, 24, 24), 0.5)
    mixture = Mixture(
        sigma=(0.2, 0.2), defocus_radius=(0, 0), airy_sigma=(0.3, 0.3), offset=(0.01, 0.05), jpeg=0
    )
    blurred, _, sharp = mixture.draw(flat, np.random.default_rng(0))[:3]
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
    blurred, sharp_low, _ = mixture.draw(smooth, np.random.default_rng(0))[:3]
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
    degraded = only(gaussian=1, sigma=(0, 0), soft=1.0, softness=(1.5, 1.5)).draw(
        SHARP, np.random.default_rng(0)
    )
    torch.testing.assert_close(degraded.sharp, gaussian_blur(SHARP, torch.full((len(SHARP),), 1.5)))
    torch.testing.assert_close(degraded.sharp_low, downsample(degraded.sharp, 2))


def test_only_the_share_asked_for_is_softened() -> None:
    sharp = torch.rand(64, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    degraded = only(gaussian=1, sigma=(0, 0), soft=0.25, softness=(1, 1)).draw(
        sharp, np.random.default_rng(0)
    )
    untouched = [
        torch.equal(truth, image) for truth, image in zip(degraded.sharp, sharp, strict=True)
    ]
    assert 8 <= untouched.count(False) <= 24


EVERYTHING = Mixture(
    sigma=(0, 6), defocus_radius=(0, 12), bias=2, soft=0.5, told=0.5, depth=0.5,
    spherical_waves=(-0.3, 0.3), colour_focus=(0, 2), haze=0.5, curved=0.5, mosaic=0.5,
    processed=0.5, jpeg=0.5, padding=0.3, shapes=0.3,
    gaussian=0.2, gaussian_noisy=0.2, physical=0.6,
)  # fmt: skip


@pytest.mark.parametrize("channels", [1, 3])
def test_all_kinds_together_give_finite_images(channels: int) -> None:
    sharp = torch.rand(16, channels, 96, 96, generator=torch.Generator().manual_seed(1))
    degraded = EVERYTHING.draw(sharp, np.random.default_rng(0))
    assert all(torch.isfinite(image).all() for image in degraded)
    assert degraded.blurred.min() >= 0
    assert degraded.blurred.max() <= 1


def test_softness_is_that_of_the_truth_where_it_is_told() -> None:
    known = only(gaussian=1, sigma=(0, 0), soft=1, softness=(1.5, 1.5), told=1)
    degraded = known.draw(SHARP, np.random.default_rng(0))
    assert degraded.softness is not None
    assert degraded.softness.tolist() == [1.5] * len(SHARP)
    torch.testing.assert_close(degraded.sharp, gaussian_blur(SHARP, degraded.softness))
    half = Mixture(soft=1, told=0.5).draw(SHARP.repeat(25, 1, 1, 1), np.random.default_rng(0))
    assert half.softness is not None
    assert 0.3 < (half.softness > 0).float().mean() < 0.7


def test_weak_blur_is_drawn_more_often_where_that_is_asked_for() -> None:
    random = np.random.default_rng(0)
    strengths = Mixture(bias=2)._strength((1, 7), random, 20_000)
    assert (strengths.min() >= 1, strengths.max() <= 7) == (True, True)
    assert strengths.mean() == pytest.approx(1 + 6 / 3, rel=0.02)


def test_light_of_far_layers_is_in_the_truth_as_well() -> None:
    sharp = torch.rand(1, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    hazy = only(physical=1, noiseless=1, offset=(0, 0), haze=1, haze_share=(0.5, 0.5))
    degraded = hazy.draw(sharp, np.random.default_rng(0))
    assert degraded.sharp.std().item() == pytest.approx(0.5 * sharp.std().item(), rel=0.05)
    assert degraded.blurred.mean().item() == pytest.approx(degraded.sharp.mean().item(), rel=0.02)


def test_a_curve_changes_what_is_blurred_and_not_the_truth() -> None:
    edge = (torch.arange(96) >= 48).float().expand(1, 1, 96, 96)
    curved = only(
        physical=1,
        noiseless=1,
        offset=(0, 0),
        curved=1,
        gamma=(2, 2),
        airy_sigma=(0.9, 0.9),
        defocus_radius=(0, 0),
    )
    degraded = curved.draw(edge, np.random.default_rng(0))
    torch.testing.assert_close(degraded.sharp, edge)
    straight = replace(curved, curved=0).draw(edge, np.random.default_rng(0))
    middle = degraded.blurred[0, 0, 24, 20:28]
    torch.testing.assert_close(middle, straight.blurred[0, 0, 24, 20:28].sqrt(), atol=0.03, rtol=0)


def test_colours_out_of_focus_by_different_amounts_differ() -> None:
    grey = (
        torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(0))
        .expand(1, 3, 96, 96)
        .contiguous()
    )
    shifted = only(physical=1, noiseless=1, colour_focus=(4, 4), defocus_radius=(3, 3))
    spread = shifted.draw(grey, np.random.default_rng(0)).blurred.std(dim=(2, 3))[0]
    assert spread.max() > 1.2 * spread.min()


def test_a_field_with_depth_is_sharper_in_one_place_than_in_another() -> None:
    noise = torch.rand(1, 1, 192, 192, generator=torch.Generator().manual_seed(0))
    deep = only(physical=1, noiseless=1, depth=1, depth_radius=(8, 8), defocus_radius=(4, 4))
    plain = only(physical=1, noiseless=1, defocus_radius=(4, 4))

    def unevenness(mixture: Mixture) -> float:
        image = mixture.draw(noise, np.random.default_rng(8)).blurred
        tiles = image.unfold(2, 24, 24).unfold(3, 24, 24).std(dim=(-2, -1))
        return (tiles.max() / tiles.min()).item()

    assert unevenness(deep) > 1.5 * unevenness(plain)


def test_patches_are_drawn_with_room_for_the_widest_blur() -> None:
    assert Mixture().margin == 12
    assert Mixture(sigma=(0, 6), physical=0).margin == 18
    assert Mixture(defocus_radius=(0, 20), gaussian=0, gaussian_noisy=0).margin == 21
    assert Mixture(defocus_radius=(0, 20), physical=0).margin == 12


@pytest.mark.parametrize(
    "change", [{"bias": 0}, {"told": 1.5}, {"depth": -1}, {"spherical_waves": (0, 9)}]
)
def test_what_cannot_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(OpticsError, match=next(iter(change))):
        Mixture(**change)
