"""The point-spread function against what is known analytically."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from scipy.special import j1, jn_zeros
from torch.nn.functional import avg_pool2d

from napari_mdeblurgan.degradation import Optics, OpticsError, blur, defocus_psf
from napari_mdeblurgan.degradation.optics import blur_in_blocks, blurs_in_turn
from napari_mdeblurgan.errors import ImageError

FINE = Optics(numerical_aperture=0.25, wavelength_um=0.5, pixel_size_um=0.02)


def test_in_focus_it_is_the_airy_pattern() -> None:
    psf = defocus_psf(FINE, 0, 150)
    distances = np.abs(np.arange(-150, 151)) * FINE.pixel_size_um
    argument = (
        2
        * np.pi
        * FINE.numerical_aperture
        / FINE.wavelength_um
        * np.hypot(distances[:, None], distances)
    )
    argument[150, 150] = 1
    airy = (2 * j1(argument) / argument) ** 2
    airy[150, 150] = 1
    np.testing.assert_allclose(psf / psf.max(), airy, atol=6e-4)


def test_its_first_zero_is_at_0_61_wavelengths_over_the_aperture() -> None:
    line = defocus_psf(FINE, 0, 80)[80, 80:]
    zero_um = np.argmin(line[:80]) * FINE.pixel_size_um
    assert zero_um == pytest.approx(0.61 * 0.5 / 0.25, abs=FINE.pixel_size_um)
    assert line[np.argmin(line)] < 1e-4 * line[0]
    assert jn_zeros(1, 1)[0] / (2 * np.pi) == pytest.approx(0.61, abs=1e-3)


@pytest.mark.parametrize("defocus_um", [-40.0, 0.0, 3.0, 25.0])
def test_no_light_is_lost_or_made(defocus_um: float) -> None:
    psf = defocus_psf(Optics(0.15, 0.53, 0.65), defocus_um, 30)
    assert psf.shape == (61, 61)
    assert psf.sum() == pytest.approx(1)
    assert psf.min() >= 0


def test_both_sides_of_focus_look_the_same_and_every_way_round() -> None:
    psf = defocus_psf(Optics(0.15, 0.53, 0.65), 20, 15)
    np.testing.assert_array_equal(psf, defocus_psf(Optics(0.15, 0.53, 0.65), -20, 15))
    for turned in (psf.T, psf[::-1], psf[:, ::-1]):
        np.testing.assert_allclose(psf, turned, atol=1e-12)


def test_far_out_of_focus_it_is_as_wide_as_the_cone_of_light() -> None:
    optics = Optics(0.2, 0.5, 0.5)
    psf = defocus_psf(optics, 200, 130)
    edge = 200 * math.tan(math.asin(0.2)) / optics.pixel_size_um
    distance = np.hypot(*np.mgrid[-130:131, -130:131])
    assert psf[distance < 1.1 * edge].sum() > 0.95
    assert psf[distance < edge / 2].sum() == pytest.approx(0.25, abs=0.03)


def test_blurring_agrees_with_direct_convolution() -> None:
    image = np.random.default_rng(0).random((40, 53))
    psf = np.random.default_rng(1).random((19, 19))
    direct = convolve(image, psf, mode="mirror")
    np.testing.assert_allclose(
        blur(torch.from_numpy(image)[None, None], psf)[0, 0], direct, atol=1e-10
    )


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_larger_pixels_hold_the_mean_of_the_blurred_image(scale: int) -> None:
    image = torch.rand(
        1,
        2,
        12 * scale,
        15 * scale,
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(0),
    )
    psf = np.random.default_rng(0).random((15, 15))
    expected = avg_pool2d(blur(image, psf), scale)
    torch.testing.assert_close(blur(image, psf, scale), expected)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((1.2, 0.5, 0.1), "numerical aperture of 1.2"),
        ((0.0, 0.5, 0.1), "numerical aperture of 0"),
        ((0.5, -0.5, 0.1), "wavelength is -0.5"),
        ((0.5, 0.5, math.nan), "pixel size is nan"),
        ((0.5, 0.5, 0.1, 0.0), "refractive index is 0"),
    ],
)
def test_an_impossible_objective_is_refused(values: tuple[float, ...], words: str) -> None:
    with pytest.raises(OpticsError, match=words):
        Optics(*values)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("size", [(40, 44), (512, 514), (516, 1300), (1032, 90)])
def test_in_blocks_it_is_the_same(size: tuple[int, int], scale: int) -> None:
    psf = defocus_psf(Optics(0.15, 0.53, 0.65), 15, 18)
    planes = np.random.default_rng(0).random((3, *size), dtype=np.float32)
    spectra: dict[tuple[int, ...], np.ndarray] = {}
    for _ in range(2):  # the second time with what was kept
        found = blur_in_blocks(planes, psf, scale, spectra)
        assert found.dtype == np.float32
        expected = blur(torch.from_numpy(planes)[None], psf, scale)[0].numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
    assert len(spectra) == 1
    with pytest.raises(OpticsError, match="whole pixels of 2 × 2; crop it"):
        blur_in_blocks(planes[..., :-1], psf, 2)


@pytest.mark.parametrize("scale", [1, 2])
def test_in_turn_they_are_the_same(scale: int) -> None:
    psfs = [defocus_psf(Optics(0.15, 0.53, 0.65), far, 9) for far in (0, 15)]
    planes = np.random.default_rng(0).random((3, 40, 64), dtype=np.float32)
    found = list(blurs_in_turn(planes, psfs, scale))
    assert len(found) == 2
    for each, psf in zip(found, psfs, strict=True):
        expected = blur(torch.from_numpy(planes)[None], psf, scale)[0].numpy()
        np.testing.assert_allclose(each, expected, rtol=0, atol=2e-6)


def test_an_image_smaller_than_the_blur_is_refused() -> None:
    with pytest.raises(ImageError, match="too small for a blur that reaches 9 pixels"):
        blur(torch.zeros(1, 1, 9, 20), defocus_psf(FINE, 0, 9))


@pytest.mark.parametrize("waves", [-0.06, 0.03, 0.06])
def test_spherical_aberration_takes_from_the_peak_what_strehl_says(waves: float) -> None:
    psf, ideal = defocus_psf(FINE, 0, 400, waves), defocus_psf(FINE, 0, 400)
    expected = math.exp(-((2 * math.pi * waves) ** 2))
    assert psf.max() / ideal.max() == pytest.approx(expected, rel=0.015)


def test_with_spherical_aberration_the_two_sides_of_the_focus_differ() -> None:
    above, below = (defocus_psf(FINE, z, 80, 0.2) for z in (4.0, -4.0))
    assert np.abs(above - below).max() > 0.1 * above.max()
    np.testing.assert_allclose(defocus_psf(FINE, -4.0, 80, -0.2), above, atol=1e-12)


def test_an_impossible_spherical_aberration_is_refused() -> None:
    with pytest.raises(OpticsError, match="spherical"):
        defocus_psf(FINE, 0, 10, math.nan)
