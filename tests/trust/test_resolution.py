"""Decorrelation analysis finds a cut-off that is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_mdeblurgan.trust.resolution import resolution_px

EDGE = 192
FREQUENCY = np.hypot(np.fft.fftfreq(EDGE)[:, None], np.fft.fftfreq(EDGE)[None, :]) * 2


def band_limited(cut_off: float, noise: float) -> np.ndarray:
    """Random detail up to a share of the highest frequency, and white noise."""
    random = np.random.default_rng(0)
    spectrum = np.fft.fft2(random.standard_normal((EDGE, EDGE))) * (cut_off > FREQUENCY)
    image = np.fft.ifft2(spectrum).real
    return image / image.std() + noise * random.standard_normal((EDGE, EDGE))


@pytest.mark.parametrize("noise", [0.02, 0.2])
@pytest.mark.parametrize("cut_off", [0.2, 0.4, 0.7])
def test_a_known_cut_off_is_found(cut_off: float, noise: float) -> None:
    assert resolution_px([band_limited(cut_off, noise)]) == pytest.approx(2 / cut_off, rel=0.1)


def test_the_cut_off_of_an_objective_is_found_from_below() -> None:
    share = np.clip(FREQUENCY / 0.5, 0, 1)
    transfer = 2 / np.pi * (np.arccos(share) - share * np.sqrt(1 - share**2))
    points = (np.random.default_rng(0).random((EDGE, EDGE)) > 0.97).astype(float)
    image = np.fft.ifft2(np.fft.fft2(points) * transfer).real
    image += 0.02 * image.max() * np.random.default_rng(1).standard_normal(image.shape)
    assert 2 / 0.5 <= resolution_px([image]) < 1.3 * 2 / 0.5


def test_blur_makes_it_coarser(scene) -> None:
    noise = 0.005 * np.random.default_rng(0).standard_normal((256, 256))
    fine, coarse = (
        resolution_px([ndimage.gaussian_filter(scene(256), sigma) + noise]) for sigma in (1, 3)
    )
    assert coarse > 1.5 * fine


def test_nothing_is_said_of_flat_or_tiny_images() -> None:
    assert resolution_px([np.zeros((128, 128))]) is None
    assert resolution_px([np.random.default_rng(0).random((30, 200))]) is None
    assert resolution_px([]) is None
