"""Noise is measured where the image is smooth, and grows with the light."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.optimize import nnls

from napari_mdeblurgan.trust.noise import FLOOR, Noise, _least_squares, measure_noise

SMOOTH = ndimage.gaussian_filter(np.random.default_rng(0).random((160, 160)), 6)
SMOOTH = ((SMOOTH - SMOOTH.min()) / np.ptp(SMOOTH)).astype(np.float32)


def noisy(constant: float, slope: float) -> np.ndarray:
    sigma = np.sqrt(constant + slope * SMOOTH)
    return (SMOOTH + sigma * np.random.default_rng(1).standard_normal(SMOOTH.shape)).astype(
        np.float32
    )[..., None]


@pytest.mark.parametrize("sigma", [0.01, 0.05])
def test_the_same_noise_everywhere_is_found(sigma: float) -> None:
    assert measure_noise([noisy(sigma**2, 0)]).typical == pytest.approx(sigma, rel=0.1)


def test_photon_noise_is_larger_where_there_is_more_light() -> None:
    noise = measure_noise([noisy(1e-4, 0.004)])
    dark, bright = noise.sigma(np.float32([[0.1], [0.9]]))[:, 0]
    assert dark == pytest.approx(np.sqrt(1e-4 + 0.0004), rel=0.2)
    assert bright == pytest.approx(np.sqrt(1e-4 + 0.0036), rel=0.2)


def test_structure_is_not_taken_for_noise(scene, blurred) -> None:
    image = blurred(scene(320), noise=0.01)[..., None]
    assert measure_noise([image]).typical == pytest.approx(0.01, rel=0.35)


def test_an_image_without_noise_has_that_of_rounding() -> None:
    levels = (np.rint(SMOOTH * 50) / 50)[..., None]
    assert 0.02**2 / 12 <= measure_noise([levels], step=0.02).constant[0] < 0.02**2
    assert measure_noise([np.full((64, 64, 1), 0.5, np.float32)]) == Noise((FLOOR,), (0.0,))


def test_gaps_and_saturated_areas_are_left_out() -> None:
    image = noisy(0.02**2, 0)
    image[:40] = np.nan
    image[80:120] = image.max(where=np.isfinite(image), initial=0)
    assert measure_noise([image]).typical == pytest.approx(0.02, rel=0.1)


def test_each_colour_has_its_own() -> None:
    image = np.concatenate([noisy(0.01**2, 0), noisy(0.04**2, 0)], axis=-1)
    constant = measure_noise([image]).constant
    assert constant[1] > 8 * constant[0]


def test_the_line_is_that_of_non_negative_least_squares() -> None:
    random, seen = np.random.default_rng(0), set()
    for _ in range(300):
        first = 1 / random.uniform(1e-4, 1e-2, random.integers(1, 9))
        second = first * np.maximum(random.uniform(-0.1, 1, len(first)), 0)
        system = np.stack([first, second], axis=1)
        _, expected = nnls(system, np.ones(len(first)))
        found = np.array(_least_squares(first, second))
        assert (found >= 0).all()
        assert np.linalg.norm(system @ found - 1) <= expected + 1e-9
        seen.add(tuple(found == 0))
    assert seen == {(False, False), (True, False), (False, True)}
