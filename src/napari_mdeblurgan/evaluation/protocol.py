"""The Gaussian protocol: sharp images made blurred and small, restored, and compared with what they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from napari_mdeblurgan.evaluation.metrics import cropped, psnr, ssim
from napari_mdeblurgan.training.dataset import SUFFIXES, read_sharp
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
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES):
        sharp = read_sharp(path)
        height, width = (length // scale * scale for length in sharp.shape[:2])
        sharp = sharp[:height, :width]
        planes = torch.from_numpy(np.atleast_3d(sharp).transpose(2, 0, 1).copy())[None]
        for sigma in sigmas:
            low = gaussian_protocol(planes, sigma, scale)[0].numpy().transpose(1, 2, 0)
            blurred = np.ascontiguousarray(low.reshape(*low.shape[:2], *sharp.shape[2:]))
            for name, method in methods.items():
                restored = cropped(np.clip(method(blurred, sigma), 0, 1), BORDER)
                truth = cropped(sharp, BORDER)
                yield Score(path.name, name, sigma, psnr(restored, truth), ssim(restored, truth))
