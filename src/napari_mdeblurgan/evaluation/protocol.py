"""The Gaussian protocol: sharp images made blurred and small, restored, and compared with what they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from napari_mdeblurgan.evaluation.metrics import cropped, psnr, ssim
from napari_mdeblurgan.training.dataset import image_files, read_sharp
from napari_mdeblurgan.training.degradation import gaussian_protocol

SIGMAS = (0.7, 1.2, 2.0)
BORDER = 8

Method = Callable[[np.ndarray, float], np.ndarray]


@dataclass(frozen=True, slots=True)
class Score:
    """One method on one image at one blur.

    Attributes
    ----------
    image, method : str
        Names.
    sigma : float
        Standard deviation of the blur in low-resolution pixels.
    psnr_db, ssim : float
        Of the result clipped to [0, 1], 8 pixels left out on every side.
    """

    image: str
    method: str
    sigma: float
    psnr_db: float
    ssim: float


def evaluate(
    folder: Path, methods: Mapping[str, Method], sigmas: tuple[float, ...] = SIGMAS, scale: int = 2
) -> Iterator[Score]:
    """Score methods on every sharp image of a folder.

    Parameters
    ----------
    folder : Path
        PNG, JPEG or TIFF files.
    methods : mapping of str to callable
        From (blurred float32 image in [0, 1], sigma) to the restored image; only a baseline may look at sigma.
    sigmas : tuple of float
        Blurs in low-resolution pixels.
    scale : int
        Pixels of the sharp image for one of the blurred one.

    Yields
    ------
    Score
        For every image, blur and method.
    """
    for path in image_files(folder):
        sharp = whole_blocks(read_sharp(path), scale)
        for sigma in sigmas:
            blurred = degraded(sharp, sigma, scale)
            for name, method in methods.items():
                restored = cropped(np.clip(method(blurred, sigma), 0, 1), BORDER)
                truth = cropped(sharp, BORDER)
                yield Score(path.name, name, sigma, psnr(restored, truth), ssim(restored, truth))


def whole_blocks(image: np.ndarray, scale: int) -> np.ndarray:
    """Without the last pixels along y and x that make no whole block of `scale`."""
    height, width = (length // scale * scale for length in image.shape[:2])
    return image[:height, :width]


def degraded(sharp: np.ndarray, sigma: float, scale: int = 2) -> np.ndarray:
    """What the Gaussian protocol makes of an image: (y, x) or (y, x, colours), float32 in [0, 1]."""
    planes = torch.from_numpy(np.atleast_3d(sharp).transpose(2, 0, 1).copy())[None]
    low = gaussian_protocol(planes, sigma, scale)[0].numpy().transpose(1, 2, 0)
    return np.ascontiguousarray(low.reshape(*low.shape[:2], *sharp.shape[2:]))
