"""Structural similarity of images, at one scale and at several: differentiable, and nothing but
torch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

WINDOW = 11
SIGMA = 1.5
SCALE_WEIGHTS = (
    0.0448,
    0.2856,
    0.3001,
    0.2363,
    0.1333,
)  # Wang, Simoncelli & Bovik 2003, finest scale first


def ssim(image: Tensor, truth: Tensor, data_range: float = 1.0) -> Tensor:
    """Structural similarity of every image of a batch (Wang et al. 2004).

    Gaussian window of 11 pixels and standard deviation 1.5, K1 = 0.01, K2 = 0.03, mean over the
    pixels whose window lies within the image and over the channels: what scikit-image computes with
    ``gaussian_weights=True, use_sample_covariance=False``.

    Parameters
    ----------
    image, truth : Tensor
        (batch, channels, y, x), floating point, y and x at least 11.
    data_range : float
        Largest value minus smallest that an image can have.

    Returns
    -------
    Tensor
        (batch,): at most 1, which equal images have.

    Raises
    ------
    ValueError
        If the shapes differ or the images are smaller than the window.
    """
    _check(image, truth, scales=1)
    luminance, structure = _comparisons(image, truth, data_range)
    return (luminance * structure).mean(dim=(1, 2, 3))


def ms_ssim(
    image: Tensor, truth: Tensor, data_range: float = 1.0, scales: int = len(SCALE_WEIGHTS)
) -> Tensor:
    """Multi-scale structural similarity of every image of a batch (Wang, Simoncelli & Bovik 2003).

    Contrast and structure are compared at each of the scales, which 2 × 2 means make, and luminance
    at the coarsest. Every scale's mean over the pixels, not below 0, is raised to the scale's
    weight. The mean over the channels is taken at the end.

    Parameters
    ----------
    image, truth : Tensor
        (batch, channels, y, x), floating point, y and x at least 11 · 2^(scales - 1): 176 for all
        five scales.
    data_range : float
        Largest value minus smallest that an image can have.
    scales : int
        How many scales, 1 to 5; the weights of the finest so many are made to sum to what all five
        do.

    Returns
    -------
    Tensor
        (batch,): from 0 to 1, which equal images have.

    Raises
    ------
    ValueError
        If the shapes differ, the images are too small for so many scales, or there are no so many.
    """
    if not 1 <= scales <= len(SCALE_WEIGHTS):
        raise ValueError(f"scales must be 1 to {len(SCALE_WEIGHTS)}, not {scales}")
    _check(image, truth, scales)
    total = sum(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS)
    product = image.new_ones(image.shape[:2])
    for scale, weight in enumerate(SCALE_WEIGHTS[:scales]):
        if scale:
            image, truth = functional.avg_pool2d(image, 2), functional.avg_pool2d(truth, 2)
        luminance, structure = _comparisons(image, truth, data_range)
        compared = luminance * structure if scale == scales - 1 else structure
        mean = compared.mean(dim=(2, 3))
        power = mean.clamp_min(1e-6) ** (weight / total)  # whose slope at 0 would be infinite
        product = product * torch.where(mean > 0, power, torch.zeros_like(power))
    return product.mean(dim=1)


def ssim_loss(image: Tensor, truth: Tensor) -> Tensor:
    """One minus the mean structural similarity of a batch; 0 for equal images, at most 2. See
    `ssim`.
    """
    return 1 - ssim(image, truth).mean()


def _check(image: Tensor, truth: Tensor, scales: int) -> None:
    if image.shape != truth.shape or image.ndim != 4:
        raise ValueError(
            f"expected two batches of one shape (batch, channels, y, x), got {tuple(image.shape)} "
            f"and {tuple(truth.shape)}"
        )
    smallest = WINDOW * 2 ** (scales - 1)
    if min(image.shape[-2:]) < smallest:
        raise ValueError(
            f"y and x must be at least {smallest} for {scales} scale(s), got "
            f"{tuple(image.shape[-2:])}"
        )


def _comparisons(image: Tensor, truth: Tensor, data_range: float) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast with structure, at every pixel whose window lies within the image."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    products = torch.stack([image, truth, image * image, truth * truth, image * truth])
    mean, mean_truth, square, square_truth, cross = _gaussian_means(products)
    variances = square - mean * mean + square_truth - mean_truth * mean_truth
    covariance = cross - mean * mean_truth
    luminance = (2 * mean * mean_truth + c1) / (mean * mean + mean_truth * mean_truth + c1)
    return luminance, (2 * covariance + c2) / (variances + c2)


def _gaussian_means(images: Tensor) -> Tensor:
    """Gaussian means of the windows within the image: the last two axes become 10 shorter."""
    offsets = torch.arange(WINDOW, dtype=images.dtype, device=images.device) - WINDOW // 2
    kernel = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    kernel = (kernel / kernel.sum())[None, None]
    planes = images.reshape(-1, 1, *images.shape[-2:])
    planes = functional.conv2d(functional.conv2d(planes, kernel[..., None]), kernel[..., None, :])
    return planes.reshape(*images.shape[:-2], *planes.shape[-2:])
