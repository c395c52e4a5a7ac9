"""Structural similarity that a training goes by: differentiable, and nothing but torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_mdeblurgan.training.losses.structural import SIGMA, WINDOW, similarity_terms


def batch_ssim(image: Tensor, truth: Tensor, data_range: float = 1.0) -> Tensor:
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
    if image.shape != truth.shape or image.ndim != 4:
        raise ValueError(
            f"expected two batches of one shape (batch, channels, y, x), got {tuple(image.shape)} "
            f"and {tuple(truth.shape)}"
        )
    if min(image.shape[-2:]) < WINDOW:
        raise ValueError(f"y and x must be at least {WINDOW}, got {tuple(image.shape[-2:])}")
    products = torch.stack([image, truth, image * image, truth * truth, image * truth])
    luminance, structure = similarity_terms(_gaussian_means(products), data_range)
    return (luminance * structure).mean(dim=(1, 2, 3))


def ssim_loss(image: Tensor, truth: Tensor) -> Tensor:
    """One minus the mean structural similarity of a batch; 0 for equal images, at most 2. See
    `batch_ssim`.
    """
    return 1 - batch_ssim(image, truth).mean()


def _gaussian_means(images: Tensor) -> Tensor:
    """Gaussian means of the windows within the image: the last two axes become 10 shorter."""
    offsets = torch.arange(WINDOW, dtype=images.dtype, device=images.device) - WINDOW // 2
    kernel = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    kernel = (kernel / kernel.sum())[None, None]
    planes = images.reshape(-1, 1, *images.shape[-2:])
    planes = functional.conv2d(functional.conv2d(planes, kernel[..., None]), kernel[..., None, :])
    return planes.reshape(*images.shape[:-2], *planes.shape[-2:])
