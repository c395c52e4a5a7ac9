"""How close a restored image is to the truth: PSNR and SSIM, as the paper reports them, and
MS-SSIM.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d

from napari_mdeblurgan.training.losses.structural import SIGMA, WINDOW, similarity_terms

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM, finest scale first
MS_SSIM_EDGE = WINDOW * 2 ** (len(SCALE_WEIGHTS) - 1)


def cropped(image: np.ndarray, border: int) -> np.ndarray:
    """Without `border` pixels on every side; (y, x) or (y, x, colours)."""
    return image[border : image.shape[0] - border, border : image.shape[1] - border]


def psnr(restored: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB for a peak of 1; both images in [0, 1], of one shape."""
    error = float(np.mean((restored.astype(np.float64) - truth) ** 2))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def ssim(restored: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004): Gaussian weights of 1.5 pixels, range 1, mean over
    the colours.
    """
    return similarities(restored, truth)[0]


def ms_ssim(restored: np.ndarray, truth: np.ndarray) -> float | None:
    """Multi-scale structural similarity (Wang, Simoncelli & Bovik 2003): five scales, range 1, mean
    over the colours.

    None for images of fewer than 176 pixels along y or x: with fewer scales it would be another
    measure, which cannot be averaged with this one.
    """
    return similarities(restored, truth)[1]


def similarities(restored: np.ndarray, truth: np.ndarray) -> tuple[float, float | None]:
    """SSIM and MS-SSIM at once, for the finest scale of the second is the first.

    Parameters
    ----------
    restored, truth : ndarray
        (y, x) or (y, x, colours) in [0, 1], at least 11 pixels along y and x.
    """
    pair = np.stack([np.atleast_3d(image) for image in (restored, truth)]).astype(np.float64)
    full, structure = _compared(pair)
    single = float(full.mean())
    if min(truth.shape[:2]) < MS_SSIM_EDGE:
        return single, None
    product = np.ones(pair.shape[-1])
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale:
            pair = _halved(pair)
            full, structure = _compared(pair)
        last = scale == len(SCALE_WEIGHTS) - 1
        product *= np.maximum(full if last else structure, 0) ** weight
    return single, float(product.mean())


def _halved(pair: np.ndarray) -> np.ndarray:
    """Means of 2 × 2 pixels; a last odd row or column is left out."""
    height, width = (length // 2 * 2 for length in pair.shape[1:3])
    whole = pair[:, :height, :width]
    return (
        whole[:, ::2, ::2] + whole[:, 1::2, ::2] + whole[:, ::2, 1::2] + whole[:, 1::2, 1::2]
    ) / 4


def _compared(pair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean similarity, and mean of its contrast and structure alone, of every colour, over all
    windows within the image.
    """
    one, other = pair
    products = (one, other, one * one, other * other, one * other)
    luminance, structure = similarity_terms(_window_means(values) for values in products)
    return (luminance * structure).mean(axis=(0, 1)), structure.mean(axis=(0, 1))


def _window_means(values: np.ndarray) -> np.ndarray:
    radius = WINDOW // 2
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / SIGMA) ** 2)
    kernel /= kernel.sum()
    return cropped(correlate1d(correlate1d(values, kernel, axis=0), kernel, axis=1), radius)
