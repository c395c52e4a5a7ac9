"""How blurred an image is, from the image alone: the standard deviation of the Gaussian blur that would look like it, in pixels.

Two families of features: how the energy of the steepest edges falls when the image is smoothed more and more (Zhuo & Sim 2011),
and how the power spectrum falls from band to band; the share of the noise is taken off both. A quadratic form of them, fitted to
micrographs whose blur is known, gives the blur. `benchmarks/blur.py` fits and judges it.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

SCALES_PX = (0.7, 1.0, 1.5, 2.0, 3.0, 4.0)
EDGE_SCALE_PX, STEEPEST = 1.5, 0.05
BANDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)  # cycles per pixel
BORDER = 8
PIXEL_SIGMA = 0.5  # added in quadrature, so that no blur at all is not far from a little
LARGEST_PX = 6.0
LEAST = 1e-9
FITTED = Path(__file__).with_name("blur.json")


@dataclass(frozen=True, slots=True)
class BlurFit:
    """Coefficients of the quadratic form.

    Attributes
    ----------
    mean, spread : tuple of float
        Of each feature over the images that it was fitted to.
    coefficients : tuple of float
        Of `quadratic`.
    error_px : float
        Median absolute error on images that it was not fitted to.
    """

    mean: tuple[float, ...]
    spread: tuple[float, ...]
    coefficients: tuple[float, ...]
    error_px: float

    def sigma_px(self, values: np.ndarray) -> float:
        """Blur from features, between 0 and `LARGEST_PX`."""
        standard = np.clip((values - np.array(self.mean)) / np.array(self.spread), -4, 4)
        whole = float(quadratic(standard[None])[0] @ np.array(self.coefficients))
        return min(math.sqrt(max(whole**2 - PIXEL_SIGMA**2, 0.0)), LARGEST_PX) if whole > 0 else 0.0


@functools.cache
def blur_fit() -> BlurFit:
    """The coefficients that come with the package."""
    fields = json.loads(FITTED.read_text(encoding="utf-8"))
    mean, spread, coefficients = (tuple(float(v) for v in fields[name]) for name in ("mean", "spread", "coefficients"))
    return BlurFit(mean, spread, coefficients, float(fields["error_px"]))


def measure_blur(parts: Sequence[np.ndarray], noise_sigma: float) -> float | None:
    """Gaussian-equivalent standard deviation of the blur in pixels; None if there is nothing in the parts to see it by.

    Parameters
    ----------
    parts : sequence of ndarray
        (y, x) float32 in windows, 32 pixels and more, without NaN: of each the middle of all estimates is what counts.
    noise_sigma : float
        Standard deviation of the noise in windows.
    """
    found = [blur_features(part, noise_sigma) for part in parts if min(part.shape) >= 4 * BORDER]
    sigmas = [blur_fit().sigma_px(values) for values in found if values is not None]
    return float(np.median(sigmas)) if sigmas else None


def blur_features(plane: np.ndarray, noise_sigma: float) -> np.ndarray | None:
    """Logarithms of the ratios of neighbouring scales and bands; None if there is no edge above the noise."""
    variance = noise_sigma**2
    inner = (slice(BORDER, -BORDER),) * 2
    energies = {scale: _edge_energy(plane, scale)[inner] for scale in SCALES_PX}
    chosen = energies[EDGE_SCALE_PX]
    steep = chosen >= np.quantile(chosen, 1 - STEEPEST)
    of_noise = {scale: variance / (4 * math.pi * scale**4) for scale in SCALES_PX}
    if chosen[steep].mean() < 4 * of_noise[EDGE_SCALE_PX] + LEAST:
        return None
    edges = [max(float(energies[scale][steep].mean()) - of_noise[scale], LEAST) for scale in SCALES_PX]
    spectrum, frequency = _spectrum(plane)
    bands = []
    for low, high in itertools.pairwise(BANDS):
        power = float(spectrum[(frequency >= low) & (frequency < high)].mean()) - variance
        bands.append(max(power, 0.05 * variance + LEAST))
    return np.concatenate([np.diff(np.log(edges)), np.diff(np.log(bands))])


def quadratic(standard: np.ndarray) -> np.ndarray:
    """1, all features and all products of two: (n, features) to (n, terms)."""
    rows, columns = np.triu_indices(standard.shape[1])
    return np.concatenate([np.ones((len(standard), 1)), standard, standard[:, rows] * standard[:, columns]], axis=1)


def _edge_energy(plane: np.ndarray, scale: float) -> np.ndarray:
    energy: np.ndarray = np.zeros_like(plane)
    for order in ((0, 1), (1, 0)):
        energy += ndimage.gaussian_filter(plane, scale, order=order, mode="nearest") ** 2
    return energy


def _spectrum(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power per pixel under a Hann window, and the frequency of each entry in cycles per pixel."""
    height, width = plane.shape
    taper = np.hanning(height)[:, None] * np.hanning(width)[None, :]
    power = np.abs(np.fft.fft2((plane - plane.mean()) * taper)) ** 2 / (taper**2).sum()
    return power, np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
