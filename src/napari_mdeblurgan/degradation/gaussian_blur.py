"""From a sharp image to a blurred one of lower density: the Gaussian protocol of the paper."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.gaussian import gaussian_radius


def downsample(image: Tensor, factor: int) -> Tensor:
    """Bicubic reduction with antialiasing (Keys' kernel, a = -0.5).

    Parameters
    ----------
    image : Tensor
        (batch, channels, y, x), any range; y and x multiples of `factor`.
    factor : int
        Pixels of `image` for one of the result, along y and along x.
    """
    height, width = image.shape[-2:]
    if height % factor or width % factor:
        raise ValueError(f"y and x must be multiples of {factor}, got {height} × {width}")
    return functional.interpolate(
        image, size=(height // factor, width // factor), mode="bicubic", antialias=True
    )


def gaussian_blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Blur every image of a batch by its own Gaussian; edges are mirrored.

    Parameters
    ----------
    image : Tensor
        (batch, channels, y, x), larger than the kernel's radius of 4 standard deviations along y
        and x.
    sigma : Tensor
        (batch,): standard deviations in pixels; 0 leaves an image as it is.

    Raises
    ------
    ImageError
        If the image is too small.
    """
    batch, channels, height, width = image.shape
    radius = max(1, gaussian_radius(sigma.max().item()))
    if min(height, width) <= radius:
        raise ImageError(
            f"an image of {height} × {width} pixels is too small for a blur of "
            f"{float(sigma.max()):.2f} pixels; take a larger image or less blur."
        )
    offsets = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp_min(1e-3)[:, None]) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    kernel = kernel.repeat_interleave(channels, dim=0)
    planes = image.reshape(1, batch * channels, height, width)
    padded = functional.pad(planes, (0, 0, radius, radius), mode="reflect")
    planes = functional.conv2d(padded, kernel[:, None, :, None], groups=batch * channels)
    padded = functional.pad(planes, (radius, radius, 0, 0), mode="reflect")
    planes = functional.conv2d(padded, kernel[:, None, None, :], groups=batch * channels)
    return planes.reshape(batch, channels, height, width)


def softened(image: Tensor, softness: Tensor | None, scale: float = 1.0) -> Tensor:
    """Restored images as soft as their truths are known to be.

    Parameters
    ----------
    image : Tensor
        (batch, channels, y, x).
    softness : Tensor or None
        (batch,): see `Degraded`; None leaves the images as they are.
    scale : float
        Pixels of the truth along the edge of one pixel of `image`.
    """
    if softness is None or not softness.any():
        return image
    return gaussian_blur(image, softness.to(image) / scale)


def quantise(image: Tensor, bits: int = 8) -> Tensor:
    """Clip to [0, 1] and round to the levels of an unsigned integer of `bits` bits."""
    levels = 2**bits - 1
    return (image.clamp(0, 1) * levels).round() / levels


def gaussian_protocol(sharp: Tensor, sigma: float, scale: int = 2) -> Tensor:
    """The degradation that the bundled models are judged under: bicubic reduction, Gaussian blur,
    rounding to 8 bits.

    Parameters
    ----------
    sharp : Tensor
        (batch, channels, y, x) in [0, 1].
    sigma : float
        Standard deviation of the blur in pixels of the reduced image.
    scale : int
        Reduction along y and x.
    """
    low = downsample(sharp, scale)
    return quantise(
        gaussian_blur(low, torch.full((len(sharp),), sigma, dtype=sharp.dtype, device=sharp.device))
    )
