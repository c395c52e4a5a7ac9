"""The kernel that leads from a restored image to its blurred one is found from the two."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_mdeblurgan.degradation import Optics, defocus_psf
from napari_mdeblurgan.trust.psf import PointSpread, estimate_psf, gaussian_equivalent


def gaussian(sigma: float, radius: int = 18) -> np.ndarray:
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.outer(line, line) / line.sum() ** 2


def disk() -> np.ndarray:
    return defocus_psf(Optics(0.15, 0.53, 0.65), 15, 18)


def test_functions_can_be_compared_and_be_keys() -> None:
    one, other = (PointSpread(gaussian(1.0), 2) for _ in range(2))
    assert one == one
    assert {one: 1, other: 2}[one] == 1


def estimated(
    sharp: np.ndarray, kernel: np.ndarray, noise: float = 0.003, flaw: float = 0.0
) -> PointSpread:
    low = PointSpread(kernel, 2).applied(sharp[..., None])[..., 0]
    low += noise * np.random.default_rng(0).standard_normal(low.shape).astype(np.float32)
    restored = sharp.copy()
    restored[100:116, 100:116] += flaw
    return estimate_psf([restored], [low], [np.full(low.shape, noise, np.float32)], 2)


@pytest.mark.parametrize(
    "kernel", [gaussian(1.5), gaussian(3.5), disk()], ids=["narrow", "wide", "defocus"]
)
def test_the_kernel_is_found(scene, kernel: np.ndarray) -> None:
    found = estimated(scene(256), kernel)
    assert found.kernel.sum() == pytest.approx(1)
    assert found.sigma_px == pytest.approx(PointSpread(kernel, 2).sigma_px, rel=0.08)


def test_what_was_painted_in_does_not_shape_it(scene) -> None:
    kernel = gaussian(2.5)
    honest, flawed = (estimated(scene(256), kernel, flaw=flaw) for flaw in (0.0, 0.4))
    assert flawed.sigma_px == pytest.approx(honest.sigma_px, rel=0.05)


def test_a_strong_blur_that_is_told_has_a_kernel_wide_enough_for_its_light(scene) -> None:
    kernel = gaussian(10.0, 36)  # of σ = 5 pixels of the input
    sharp = scene(512)
    low = PointSpread(kernel, 2).applied(sharp[..., None])[..., 0]
    spread = [np.full(low.shape, 1e-3, np.float32)]
    told, untold = (
        estimate_psf([sharp], [low], spread, 2, blur_sigma_px) for blur_sigma_px in (5.0, None)
    )
    assert (told.radius, untold.radius) == (2 * 15, 2 * 9)
    assert told.sigma_px == pytest.approx(5.0, rel=0.05)
    off = [np.abs(found.applied(sharp[..., None])[..., 0] - low).max() for found in (told, untold)]
    assert off[0] < 0.4 * off[1]


def test_its_width_is_that_of_the_gaussian_that_blurs_as_much() -> None:
    assert gaussian_equivalent(gaussian(3.0), 2) == pytest.approx(1.5, rel=0.01)
    assert gaussian_equivalent(gaussian(3.0), 1) == pytest.approx(3.0, rel=0.01)


@pytest.mark.parametrize("edge", [4, 10, 32])
def test_small_images_have_small_kernels(scene, edge: int) -> None:
    found = estimated(scene(edge), np.ones((1, 1)))
    assert found.radius < edge
    assert np.isfinite(found.kernel).all()


def test_a_kernel_on_the_images_own_pixels_is_found() -> None:
    random = np.random.default_rng(0)
    sharp = ndimage.gaussian_filter(random.normal(size=(160, 160)), 0.6).astype(np.float32)
    blurred = ndimage.gaussian_filter(sharp, 1.5).astype(np.float32)
    sigma = np.full(blurred.shape, 1e-3, np.float32)
    found = estimate_psf([sharp], [blurred], [sigma], 1)
    assert np.isfinite(found.kernel).all()
    assert found.kernel.sum() == pytest.approx(1)
    assert found.sigma_px == pytest.approx(1.5, rel=0.1)


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize(
    "area", [(0, 20, 0, 160), (24, 160, 0, 136), (40, 90, 36, 92), (0, 160, 0, 160)]
)
def test_what_is_seen_of_a_rectangle_is_what_the_kernel_makes_of_it(
    factor: int, area: tuple[int, ...]
) -> None:
    kernel = PointSpread(disk(), factor)
    known = np.zeros((160, 160), bool)
    known[area[0] : area[1], area[2] : area[3]] = True
    expected = kernel.applied(known[..., None].astype(np.float32))[..., 0]
    np.testing.assert_allclose(kernel.seen(known), expected, atol=1e-5)


def test_what_is_seen_around_a_gap_is_what_the_kernel_makes_of_it() -> None:
    kernel = PointSpread(disk(), 2)
    known = np.ones((80, 80), bool)
    known[40:50, 30:34] = False
    expected = kernel.applied(known[..., None].astype(np.float32))[..., 0]
    np.testing.assert_array_equal(kernel.seen(known), expected)
    assert not kernel.seen(np.zeros((80, 80), bool)).any()
