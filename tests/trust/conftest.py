"""A scene of round cells, as a microscope out of focus would show it, and its
perfect restoration.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage


@pytest.fixture
def scene() -> Callable[[int], np.ndarray]:
    """``scene(edge)``: sharp, (edge, edge) float32 in [0.1, 0.9]: cells with grainy insides."""

    def make(edge: int, seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        y, x = np.mgrid[:edge, :edge]
        image = np.full((edge, edge), 0.1)
        for cy, cx, radius in zip(
            *random.uniform(0, edge, (2, edge // 8)), random.uniform(5, 14, edge // 8), strict=True
        ):
            image[np.hypot(y - cy, x - cx) < radius] = random.uniform(0.3, 0.7)
        grain = ndimage.gaussian_filter(random.standard_normal((edge, edge)), 1.2)
        image += 0.08 * grain / grain.std() * (image > 0.2)
        return ndimage.gaussian_filter(image, 0.6).clip(0.1, 0.9).astype(np.float32)

    return make


@pytest.fixture
def blurred() -> Callable[..., np.ndarray]:
    """``blurred(sharp, sigma, noise)``: half as many pixels along y and x; sigma in pixels of the
    result.
    """

    def make(
        sharp: np.ndarray, sigma: float = 1.2, noise: float = 0.01, seed: int = 1
    ) -> np.ndarray:
        low = ndimage.gaussian_filter(sharp, 2 * sigma, mode="reflect")
        low = low.reshape(low.shape[0] // 2, 2, low.shape[1] // 2, 2).mean(axis=(1, 3))
        return (low + noise * np.random.default_rng(seed).standard_normal(low.shape)).astype(
            np.float32
        )

    return make
