"""Peak signal-to-noise ratio and structural similarity, as the paper reports them."""

from __future__ import annotations

import numpy as np
from skimage.metrics import structural_similarity


def cropped(image: np.ndarray, border: int) -> np.ndarray:
    """Without `border` pixels on every side; (y, x) or (y, x, colours)."""
    return image[border : image.shape[0] - border, border : image.shape[1] - border]


def psnr(restored: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB for a peak of 1; both images in [0, 1], of one shape."""
    error = float(np.mean((restored.astype(np.float64) - truth) ** 2))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def ssim(restored: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004): Gaussian weights of 1.5 pixels, range 1, mean over the colours."""
    return float(
        structural_similarity(
            restored.astype(np.float64),
            truth.astype(np.float64),
            data_range=1.0,
            gaussian_weights=True,
            use_sample_covariance=False,
            channel_axis=-1 if truth.ndim == 3 else None,
        )
    )
