"""The fixed conditions: the paper's as it was, the physical one as its optics and camera say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, gaussian_filter

from napari_mdeblurgan.degradation import (
    GAUSSIAN,
    PHYSICAL,
    STRONG,
    Camera,
    Condition,
    Mixture,
    Optics,
    OpticsError,
    defocus_psf,
    downsample,
    gaussian_protocol,
    protocols,
)
from napari_mdeblurgan.errors import ImageError

SHARP = torch.rand(2, 1, 96, 80, generator=torch.Generator().manual_seed(0))
QUIET = [
    replace(condition, camera=replace(condition.camera, photons=1e12, read_noise_e=0))
    for condition in PHYSICAL
]


def test_the_conditions_are_three_blurs_and_three_distances_from_focus() -> None:
    assert [condition.label for condition in GAUSSIAN] == ["σ = 0.7 px", "σ = 1.2 px", "σ = 2.0 px"]
    assert [condition.label for condition in PHYSICAL] == [
        "defocus 0 µm",
        "defocus 15 µm",
        "defocus 30 µm",
    ]
    strong = ["σ = 3.0 px", "σ = 4.5 px", "defocus 60 µm", "defocus 90 µm"]
    assert [condition.label for condition in STRONG] == strong


@pytest.mark.parametrize("condition", GAUSSIAN, ids=str)
def test_the_gaussian_conditions_are_the_gaussian_protocol(condition: Condition) -> None:
    degraded = condition.degrade(SHARP, seed=3)
    assert torch.equal(degraded.blurred, gaussian_protocol(SHARP, condition.sigma))
    assert torch.equal(degraded.sharp_low, downsample(SHARP, 2))
    assert torch.equal(degraded.sharp, SHARP)


@pytest.mark.parametrize("condition", [*GAUSSIAN, *PHYSICAL], ids=lambda condition: condition.label)
@pytest.mark.parametrize("scale", [2, 4])
def test_sizes_ranges_and_levels(condition: Condition, scale: int) -> None:
    sharp = torch.rand(1, 3, 40 * scale, 32 * scale)
    blurred, sharp_low, same = condition.degrade(sharp, 0, scale)[:3]
    assert blurred.shape == sharp_low.shape == (1, 3, 40, 32)
    assert same.shape == sharp.shape
    assert blurred.min() >= 0
    assert blurred.max() <= 1
    torch.testing.assert_close(blurred * 255, (blurred * 255).round())


def test_noise_depends_on_the_seed_and_the_condition_alone() -> None:
    first = PHYSICAL[1].degrade(SHARP, seed=5).blurred
    torch.manual_seed(9)
    assert torch.equal(PHYSICAL[1].degrade(SHARP, seed=5).blurred, first)
    assert not torch.equal(PHYSICAL[1].degrade(SHARP, seed=6).blurred, first)
    flat = torch.full_like(SHARP, 0.5)
    one, other = (condition.degrade(flat, seed=5).blurred - 0.51 for condition in PHYSICAL[:2])
    assert abs(np.corrcoef(one.flatten(), other.flatten())[0, 1]) < 0.1


def test_the_truth_has_the_offset_and_the_gain_of_the_picture() -> None:
    flat = torch.full_like(SHARP, 0.25)
    blurred, sharp_low, sharp = PHYSICAL[2].degrade(flat)[:3]
    expected = 0.02 + 0.98 * 0.25
    for truth in (sharp_low, sharp):
        torch.testing.assert_close(truth, torch.full_like(truth, expected))
    assert blurred.mean().item() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("condition", QUIET, ids=lambda condition: condition.label)
@pytest.mark.parametrize("scale", [2, 4])
def test_deconvolution_is_told_the_function_that_blurred_the_image(
    condition: Condition, scale: int
) -> None:
    """A spot in the middle of a low-resolution pixel looks like the point-spread function."""
    edge = 41
    sharp = torch.zeros(1, 1, edge * scale, edge * scale)
    spot = slice(edge // 2 * scale, edge // 2 * scale + scale)
    sharp[..., spot, spot] = 1
    deep = replace(condition, camera=replace(condition.camera, offset=0, bits=16))
    seen = deep.degrade(sharp, 0, scale).blurred[0, 0].double().numpy()
    delta = np.zeros((edge, edge))
    delta[edge // 2, edge // 2] = 1
    told = convolve(delta, condition.psf(scale), mode="constant")
    assert np.abs(seen - told).sum() < 0.25
    assert np.abs(seen - told).max() < 0.25 * told.max()
    assert seen.sum() == pytest.approx(1, abs=0.01)


def test_the_gaussian_conditions_tell_their_gaussian() -> None:
    delta = np.zeros((31, 31))
    delta[15, 15] = 1
    for condition in GAUSSIAN:
        psf = condition.psf()
        assert psf.sum() == pytest.approx(1)
        expected = gaussian_filter(delta, condition.sigma, radius=len(psf) // 2)
        np.testing.assert_allclose(convolve(delta, psf, mode="constant"), expected, atol=1e-12)


def test_the_pixel_of_the_camera_stays_when_the_scale_changes() -> None:
    smooth = torch.from_numpy(
        gaussian_filter(np.random.default_rng(0).random((64, 64)), 4, mode="wrap")
    ).float()
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    double = smooth.repeat_interleave(2, 0).repeat_interleave(2, 1)[None, None]
    fourfold = smooth.repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None]
    two, four = QUIET[2].degrade(double, 0, 2).blurred, QUIET[2].degrade(fourfold, 0, 4).blurred
    inside = (..., slice(8, -8), slice(8, -8))  # mirrored edges lie elsewhere on another grid
    torch.testing.assert_close(two[inside], four[inside], atol=1.5 / 255, rtol=0)


def test_more_defocus_blurs_more() -> None:
    contrasts = [condition.degrade(SHARP).blurred.std().item() for condition in QUIET]
    assert contrasts == sorted(contrasts, reverse=True)
    peaks = [condition.psf().max() for condition in PHYSICAL]
    assert peaks == sorted(peaks, reverse=True)


def test_the_function_that_is_told_holds_nearly_all_light() -> None:
    for condition in PHYSICAL:
        psf = condition.psf()
        wide = defocus_psf(condition.optics, condition.defocus_um, 60)
        middle = slice(60 - len(psf) // 2, 61 + len(psf) // 2)
        assert wide[middle, middle].sum() > 0.96


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"protocol": "gaussian"}, "standard deviation"),
        ({"protocol": "gaussian", "sigma": 1e300}, "standard deviation of 0 to 1,000 pixels"),
        (
            {
                "protocol": "physical",
                "optics": Optics(0.15, 0.53, 1.3),
                "camera": Camera(9),
                "defocus_um": math.inf,
            },
            "is inf",
        ),
        ({"protocol": "physical"}, "objective and a camera"),
        ({"protocol": "physical", "optics": "20x", "camera": Camera(9)}, "objective and a camera"),
        ({"protocol": "gaussian", "sigma": "1"}, "the standard deviation is '1'; give a number"),
        ({"protocol": "lunar"}, "no protocol 'lunar'"),
    ],
)
def test_an_incomplete_or_impossible_condition_is_refused(
    fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(OpticsError, match=words):
        Condition(label="a", **fields)


@pytest.mark.parametrize(
    ("optics", "defocus_um"),
    [
        (Optics(0.15, 0.53, 1.3), 1e5),
        (Optics(1e-6, 0.53, 1.3), 0),
        (Optics(0.15, 1e-6, 1.3), 15),
        (Optics(0.15, 0.53, 1e-5), 15),
        (Optics(0.15, 0.53, 1e5), 15),
    ],
    ids=["defocus", "aperture", "wavelength", "small pixels", "large pixels"],
)
def test_a_blur_that_nobody_can_wait_for_is_refused_before_it_is_computed(
    optics: Optics, defocus_um: float
) -> None:
    condition = replace(PHYSICAL[0], optics=optics, defocus_um=defocus_um)
    for attempt in (condition.psf, lambda: condition.degrade(SHARP)):
        with pytest.raises(OpticsError, match="give a smaller defocus, or check the aperture"):
            attempt()


def test_an_image_smaller_than_the_blur_is_refused_before_that_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocols, "defocus_psf", lambda *_: pytest.fail("was computed"))
    with pytest.raises(ImageError, match="96 × 80 pixels is too small for a blur that reaches"):
        replace(PHYSICAL[0], defocus_um=500).degrade(SHARP)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Optics("0.3", 0.5, 1), "the numerical aperture is '0.3'; give a number"),
        (lambda: Optics(0.3, None, 1), "the wavelength is None; give a number"),
        (lambda: Optics(0.3, 0.5, np.ones(2)), r"the pixel size is array\(.*give a number"),
        (lambda: Camera([9]), r"the number of photons is \[9\]; give a number"),
        (lambda: Camera(9, bits=2.5), "the number of bits is 2.5; give a whole number, 1 or more"),
        (lambda: defocus_psf("20x", 1, 3), "This str is no objective"),
        (lambda: defocus_psf(Optics(0.3, 0.5, 1), None, 3), "the defocus is None; give a number"),
        (lambda: defocus_psf(Optics(0.3, 0.5, 1), 1, -1), "the radius is -1; give a whole number"),
        (lambda: defocus_psf(Optics(0.3, 0.5, 1), 1e30, 3), "give a smaller defocus"),
        (lambda: GAUSSIAN[0].psf(None), "the scale is None; give a whole number"),
        (lambda: GAUSSIAN[0].degrade(SHARP, -1), "the seed is -1; give a whole number, 0 or more"),
        (lambda: Mixture().degrade(SHARP, 1.5), "the seed is 1.5; give a whole number"),
        (lambda: PHYSICAL[0].degrade(SHARP, scale=0), "the scale is 0; give a whole number"),
        (lambda: Mixture(jpeg="some"), "jpeg is 'some'; give a number"),
        (lambda: Mixture(sigma=2), "sigma is 2; give the two numbers that it is drawn between"),
        (lambda: Mixture(sigma=(1, "2")), "sigma is '2'; give a number"),
    ],
)
def test_what_is_no_such_number_is_refused_in_words(make: Callable[[], object], words: str) -> None:
    with pytest.raises(OpticsError, match=words):
        make()


@pytest.mark.parametrize("degradation", [GAUSSIAN[0], PHYSICAL[0], Mixture()], ids=str)
@pytest.mark.parametrize(
    ("sharp", "words"),
    [
        (None, "This NoneType cannot be degraded; give a tensor"),
        (SHARP.numpy(), r"This ndarray of the shape \(2, 1, 96, 80\) cannot be degraded"),
        (SHARP[0], r"This Tensor of the shape \(1, 96, 80\) cannot be degraded"),
        (SHARP[:0], "cannot be degraded"),
        (SHARP.half(), "Images of type torch.float16 cannot be degraded; convert them to float32"),
        ((255 * SHARP).byte(), "Images of type torch.uint8 cannot be degraded"),
        (255 * SHARP, r"lie in \[0, 1\], but these reach from .* to 25"),
        (SHARP * math.nan, "reach from nan to nan; scale them, and replace NaN"),
        (SHARP[..., :79], "96 × 79 pixels has no whole pixels of 2 × 2; crop it"),
    ],
)
def test_what_is_no_image_to_degrade_is_refused_in_words(
    degradation: Condition | Mixture, sharp: Any, words: str
) -> None:
    with pytest.raises(ImageError, match=words):
        degradation.degrade(sharp)


def test_numbers_of_numpy_give_the_noise_of_plain_ones() -> None:
    plain, numpy = (replace(PHYSICAL[1], defocus_um=kind(15)) for kind in (float, np.float64))
    assert repr(numpy) == repr(plain)
    assert torch.equal(numpy.degrade(SHARP, 3).blurred, plain.degrade(SHARP, 3).blurred)


def test_images_that_a_gradient_is_followed_through_can_be_degraded() -> None:
    sharp = SHARP.clone().requires_grad_()
    assert torch.equal(PHYSICAL[1].degrade(sharp, 3).blurred, PHYSICAL[1].degrade(SHARP, 3).blurred)
