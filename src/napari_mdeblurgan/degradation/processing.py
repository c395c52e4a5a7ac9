"""What cameras and scanners do to a picture after it was taken: colour filters, curves, sharpening,
compression.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from napari_mdeblurgan.degradation.gaussian_blur import gaussian_blur


def through_mosaic(image: Tensor) -> Tensor:
    """A colour image as a camera with one colour filter on every pixel has it, interpolated.

    The pattern is Bayer's: red and green in even rows, green and blue in odd ones. Every pixel
    keeps the colour of its own filter; the others are means of the nearest pixels that have them
    (bilinear interpolation). Edges are mirrored.

    Parameters
    ----------
    image : Tensor
        (3, y, x), any range, at least 2 × 2 pixels.

    Returns
    -------
    Tensor
        Of the same shape.
    """
    masks = _bayer(*image.shape[-2:]).to(image)
    kernel = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]).to(image)
    kernel = kernel.expand(3, 1, 3, 3)
    padded = functional.pad((image * masks)[None], (1, 1, 1, 1), mode="reflect")
    weights = functional.pad(masks[None], (1, 1, 1, 1), mode="reflect")
    near = functional.conv2d(padded, kernel, groups=3) / functional.conv2d(
        weights, kernel, groups=3
    )
    return torch.where(masks > 0, image, near[0])


@lru_cache(maxsize=8)
def _bayer(height: int, width: int) -> Tensor:
    """(3, height, width): 1 where a pixel has that colour's filter."""
    masks = torch.zeros(3, height, width)
    masks[0, ::2, ::2] = 1
    masks[1, ::2, 1::2] = 1
    masks[1, 1::2, ::2] = 1
    masks[2, 1::2, 1::2] = 1
    return masks


def sharpened(image: Tensor, amount: float, sigma: float) -> Tensor:
    """Unsharp masking, which overshoots at edges: image + amount · (image − blurred image).

    Parameters
    ----------
    image : Tensor
        (channels, y, x), any range.
    amount : float
        0 leaves the image as it is.
    sigma : float
        Standard deviation of the Gaussian blur in pixels.
    """
    return image + amount * (image - gaussian_blur(image[None], torch.tensor([sigma]))[0])


def compressed(image: Tensor, quality: int) -> Tensor:
    """After a JPEG file of 8 bits, (channels, y, x) in [0, 1]; three channels are colours, others
    stand alone.

    Colours are stored with halved chroma (4:2:0), as cameras and scanners do.
    """
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    if len(pixels) == 3:
        result = np.moveaxis(after_jpeg(np.moveaxis(pixels, 0, -1), quality), -1, 0)
    else:
        result = np.stack([after_jpeg(picture, quality) for picture in pixels])
    return torch.from_numpy(result.astype(np.float32)) / 255


def after_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """What a JPEG file gives back of a picture, (y, x) or (y, x, 3), uint8; colours with halved
    chroma (4:2:0).
    """
    file = io.BytesIO()
    chroma = {"subsampling": 2} if picture.ndim == 3 else {}
    plain = Image.fromarray(np.ascontiguousarray(picture))
    plain.save(file, format="JPEG", quality=quality, **chroma)
    return np.asarray(Image.open(file))
