"""The formula of structural similarity (Wang et al. 2004), for arrays as for tensors.

Each has Gaussian windows of its own: a training needs gradients, on any device; an evaluation
needs float64 on the CPU, which scipy filters five times as fast as torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

WINDOW: Final = 11  # pixels, along y and x
SIGMA: Final = 1.5  # pixels, of the Gaussian weights in it


def similarity_terms(means: Iterable[Any], data_range: float = 1.0) -> tuple[Any, Any]:
    """Luminance, and contrast with structure, whose product is the similarity; K1 = 0.01,
    K2 = 0.03.

    Parameters
    ----------
    means : iterable of five ndarray or Tensor
        Weighted means, over the same windows, of the image, the truth, their squares and their
        product.
    data_range : float
        Largest value minus smallest that an image can have.

    Returns
    -------
    tuple of two ndarray or Tensor
        Of the same shape, each at most 1.
    """
    mean, mean_truth, square, square_truth, cross = means
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    variances = square - mean * mean + square_truth - mean_truth * mean_truth
    covariance = cross - mean * mean_truth
    luminance = (2 * mean * mean_truth + c1) / (mean * mean + mean_truth * mean_truth + c1)
    return luminance, (2 * covariance + c2) / (variances + c2)
