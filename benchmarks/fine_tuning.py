"""How much better does a model get on a microscope that it was not trained for, in ten minutes on two processor cores?

    OMP_NUM_THREADS=2 python benchmarks/fine_tuning.py DATA OUTPUT [--specimen blood] [--minutes 10]

Twelve fields of 512 × 512 pixels of one specimen are the in-focus images of the stronger objective: eight to learn from, of
which `fine-tune` itself holds some out, and four that it never sees. The weaker objective's images are made of them by optics
that no bundled model was trained on: a pupil with defocus, coma and astigmatism, which gives a skewed blur; vignetting; a camera
with shot and read noise. The table tells PSNR and SSIM on the four for bicubic enlargement, the base model and the tuned one.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.metrics import cropped, psnr, ssim
from napari_mdeblurgan.model import Model, load_model
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.training.dataset import read_sharp
from napari_mdeblurgan.training.degradation.gaussian import downsample

FIELD, SCALE, TRAINING, TEST = 512, 2, 8, 4
MARGIN = 24  # high-resolution pixels around a field that only its blur needs
BORDER = 16
DEFOCUS, COMA, ASTIGMATISM = 3.2, 1.8, 0.8  # radians at the edge of the pupil
PUPIL = 0.16  # cycles per high-resolution pixel: the weaker objective's cut-off for the amplitude
VIGNETTING = 0.25
ELECTRONS, READ_NOISE = 6000.0, 6.0


@dataclass(frozen=True, slots=True)
class Field:
    """One field as both objectives see it: float32, (y, x, colours) or (y, x), in [0, 1]."""

    name: str
    low: np.ndarray
    high: np.ndarray  # under the weaker objective's illumination


def skewed_psf(radius: int = MARGIN) -> np.ndarray:
    """Of a pupil with defocus, coma and astigmatism: (2 · radius + 1) squared, sum 1."""
    size = 8 * radius
    frequencies = np.fft.fftfreq(size)
    y, x = np.meshgrid(frequencies, frequencies, indexing="ij")
    r, angle = np.hypot(y, x) / PUPIL, np.arctan2(y, x)
    phase = DEFOCUS * r**2 + COMA * (3 * r**3 - 2 * r) * np.cos(angle - 0.7) + ASTIGMATISM * r**2 * np.cos(2 * angle)
    pupil = (r <= 1) * np.exp(1j * phase)
    psf = np.fft.fftshift(np.abs(np.fft.ifft2(pupil)) ** 2)
    middle = size // 2
    psf = psf[middle - radius : middle + radius + 1, middle - radius : middle + radius + 1]
    return psf / psf.sum()


def illumination(edge: int) -> np.ndarray:
    """Of the weaker objective, falling towards the corners: (edge, edge)."""
    at = (np.arange(edge) - (edge - 1) / 2) / (edge / 2)
    return (1 - VIGNETTING * (at[:, None] ** 2 + at[None, :] ** 2) / 2).astype(np.float32)


def fields(data: Path, specimen: str, count: int) -> list[Field]:
    """The first fields of so many images of a specimen, one of each."""
    found = []
    patterns = (f"train/*/{specimen}*", f"validation/*/{specimen}*", f"samples/{specimen}*")
    for path in sorted(path for pattern in patterns for path in data.glob(pattern)):
        sharp = read_sharp(path)
        if min(sharp.shape[:2]) >= FIELD:
            found.append(degraded(path.stem, sharp, len(found)))
        if len(found) == count:
            return found
    raise SystemExit(f"{data} has {len(found)} images of {specimen} that are large enough; {count} are needed.")


def degraded(name: str, sharp: np.ndarray, number: int) -> Field:
    """What the weaker objective and its camera make of the middle of a sharp image."""
    from scipy.signal import fftconvolve

    random = np.random.default_rng(number)
    sharp = np.pad(np.atleast_3d(sharp), [(MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)], mode="reflect")
    edge = FIELD + 2 * MARGIN
    y, x = ((length - edge) // 2 for length in sharp.shape[:2])
    sharp = sharp[y : y + edge, x : x + edge].astype(np.float32)
    blurred = fftconvolve(sharp, skewed_psf()[..., None], mode="same", axes=(0, 1))
    inner = slice(MARGIN, -MARGIN)
    planes = torch.from_numpy(blurred[inner, inner].transpose(2, 0, 1).astype(np.float32).copy())[None]
    low = downsample(planes, SCALE)[0].numpy().transpose(1, 2, 0) * illumination(FIELD // SCALE)[..., None]
    electrons = random.poisson(low.clip(0) * ELECTRONS) + random.normal(0, READ_NOISE, low.shape)
    low = (np.rint(electrons / ELECTRONS * 255).clip(0, 255) / 255).astype(np.float32)
    return Field(name, low, sharp[inner, inner])


def evaluated(model: Model | None, field: Field) -> tuple[float, float]:
    """PSNR and SSIM of bicubic enlargement or of a model, against the sharp image under the weaker objective's light."""
    low = field.low if field.low.shape[-1] == 3 else field.low[..., 0]
    restored = bicubic(low, SCALE) if model is None else np.asarray(restore(low, model))
    truth = (field.high * illumination(FIELD)[..., None]).reshape(restored.shape)
    pair = cropped(np.clip(restored, 0, 1), BORDER), cropped(truth, BORDER)
    return psnr(*pair), ssim(*pair)
