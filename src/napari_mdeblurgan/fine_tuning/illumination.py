"""The truth under the light of the blurred image: two objectives light a field unevenly in
different ways.

What differs smoothly over many pixels is none of blur, and no network of this package changes it:
its corrections are made from the image less its local mean. Left in, it would hide what a
fine-tuning gains.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

_SIGMA = 24.0  # low-resolution pixels: far wider than any blur that can be undone
LARGEST_GAIN = 3.0
_TINY = 1e-3


def under_the_light_of(
    low: np.ndarray, sharp_low: np.ndarray, high: np.ndarray, valid: np.ndarray, black: np.ndarray
) -> np.ndarray:
    """`high` times a smooth field, so that its local means are those of `low`.

    Parameters
    ----------
    low, sharp_low : ndarray
        float32, (channels, y, x): the blurred image, and the truth on its grid.
    high : ndarray
        float32, (channels, scale · y, scale · x): the truth.
    valid : ndarray
        bool, (y, x): where `sharp_low` is the truth.
    black : ndarray
        (channels,): what no light at all is, in the units of the images.

    Returns
    -------
    ndarray
        float32, the shape of `high`.
    """
    scale = high.shape[-1] // low.shape[-1]
    weight = gaussian_filter(valid.astype(np.float32), _SIGMA, mode="constant")
    result = np.empty_like(high)
    for channel, dark in enumerate(black.astype(np.float32)):
        means = [
            gaussian_filter(np.where(valid, image[channel] - dark, 0), _SIGMA, mode="constant")
            / np.maximum(weight, _TINY)
            for image in (low, sharp_low)
        ]
        gain = np.where(
            weight > _TINY, means[0] / np.where(np.abs(means[1]) > _TINY, means[1], np.inf), 1
        )
        gain = np.where(np.isfinite(gain) & (gain > 0), gain, 1).clip(
            1 / LARGEST_GAIN, LARGEST_GAIN
        )
        result[channel] = dark + (high[channel] - dark) * _enlarged(gain, scale)
    return result


def _enlarged(field: np.ndarray, scale: int) -> np.ndarray:
    """Linear enlargement on the grid of a network's output."""
    return zoom(field, scale, order=1, mode="nearest", grid_mode=True).astype(np.float32)
