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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.metrics import cropped, psnr, ssim
from napari_mdeblurgan.model import Model, load_model
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.training.dataset import read_sharp
from napari_mdeblurgan.training.degradation.gaussian import downsample
from napari_mdeblurgan.training.fine_tune.folder import begin
from napari_mdeblurgan.training.fine_tune.pairs import tuning_pairs
from napari_mdeblurgan.training.fine_tune.settings import FineTuneSettings
from napari_mdeblurgan.training.fine_tune.tuning import open_fine_tuning
from napari_mdeblurgan.training.pairs import RegisteredPair, Registration

FIELD, SCALE, TRAINING, TEST = 512, 2, 8, 4
MARGIN = 24  # high-resolution pixels around a field that only its blur needs
BORDER = 16
DEFOCUS, COMA, ASTIGMATISM = 3.2, 1.8, 0.8  # radians at the edge of the pupil
PUPIL = 0.16  # cycles per high-resolution pixel: the weaker objective's cut-off for the amplitude
BULK = 4.0  # standard deviation of the smoothing that tells where the bulk of the point-spread function is
VIGNETTING = 0.25
ELECTRONS, READ_NOISE = 6000.0, 6.0


@dataclass(frozen=True, slots=True)
class Field:
    """One field as both objectives see it: float32, (y, x, colours) or (y, x), in [0, 1]."""

    name: str
    low: np.ndarray
    high: np.ndarray  # under the weaker objective's illumination


def skewed_psf(radius: int = MARGIN) -> np.ndarray:
    """Of a pupil with defocus, coma and astigmatism, its bulk in the middle: (2 · radius + 1) squared, sum 1.

    The bulk is where the function, smoothed, is highest, and what a registration takes for the place of a point. Away from the
    middle it would be a shift of the whole image, which costs the base model decibels and is none of blur.
    """
    size = 8 * radius
    frequencies = np.fft.fftfreq(size)
    y, x = np.meshgrid(frequencies, frequencies, indexing="ij")
    r, angle = np.hypot(y, x) / PUPIL, np.arctan2(y, x)
    phase = DEFOCUS * r**2 + COMA * (3 * r**3 - 2 * r) * np.cos(angle - 0.7) + ASTIGMATISM * r**2 * np.cos(2 * angle)
    shift, middle = np.zeros(2), size // 2
    part, steps = slice(middle - radius, middle + radius + 1), np.arange(-radius, radius + 1)
    near = np.exp(-0.5 * (steps / BULK) ** 2)
    for _ in range(100):
        ramp = np.exp(2j * np.pi * (y * shift[0] + x * shift[1]))
        psf = np.fft.fftshift(np.abs(np.fft.ifft2((r <= 1) * np.exp(1j * phase) * ramp)) ** 2)[part, part]
        psf /= psf.sum()
        bulk = psf * near[:, None] * near
        shift += np.array([bulk.sum(1) @ steps, bulk.sum(0) @ steps]) / bulk.sum()
    return psf


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


def aligned_pair(field: Field) -> RegisteredPair:
    """As registration would give it if it were perfect."""
    low, high = (np.ascontiguousarray(each.transpose(2, 0, 1)) for each in (field.low, field.high))
    whole, channels = (slice(0, FIELD // SCALE),) * 2, len(low)
    registration = Registration(
        transform=np.array([[SCALE, 0, (SCALE - 1) / 2], [0, SCALE, (SCALE - 1) / 2], [0, 0, 1]], float),
        kind="similarity",
        accepted=True,
        score=1.0,
        agreement=1.0,
        uniqueness=np.inf,
        residual_px=0.0,
        blur_px=0.0,
        gain=(1.0,) * channels,
        offset=(0.0,) * channels,
        overlap=1.0,
    )
    return RegisteredPair(
        name=field.name,
        low=low,
        high=high,
        valid=np.ones(high.shape[1:], bool),
        scale=SCALE,
        rgb=channels == 3,
        windows=(Window(0.0, 1.0),) * channels,
        low_crop=whole,
        high_crop=(slice(0, FIELD),) * 2,
        low_shape=low.shape[1:],
        high_shape=high.shape[1:],
        registration=registration,
    )


def main() -> None:
    """Tune, evaluate, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--specimen", default="leaf")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--set", nargs="*", default=[], help="fields of the settings, such as learning_rate=0.001")
    wishes = parser.parse_args()
    all_fields = fields(wishes.data, wishes.specimen, TRAINING + TEST)
    training, test = all_fields[:TRAINING], all_fields[TRAINING:]
    base = load_model("rgb-x2" if training[0].low.shape[-1] == 3 else "gray-x2")
    others = {
        name: json.loads(value) if value[:1] in "0123456789tf" else value
        for name, value in (o.split("=") for o in wishes.set)
    }
    settings = FineTuneSettings(
        base=base.card.name,
        name="tuned",
        output=str(wishes.output / "tuned.safetensors"),
        minutes=wishes.minutes,
        **others,
    )
    folder = begin(settings, tuning_pairs([aligned_pair(each) for each in training], base.card), overwrite=True)
    tuning = open_fine_tuning(folder)
    for progress in tuning.steps():
        if progress.validation is not None:
            print(
                f"{progress.seconds:6.0f} s, step {progress.step:5}, rate {progress.record.rate:.1e}, "
                f"held out {progress.validation.psnr_db:.3f} dB",
                flush=True,
            )
    for note in tuning.notes:
        print(note)
    tuned = Model(base.card, tuning.best_network().eval())
    print(f"\n{'field':14} {'bicubic':>16} {'base':>16} {'tuned':>16}   gain")
    rows = []
    for each in test:
        scores = [evaluated(model, each) for model in (None, base, tuned)]
        rows.append(scores)
        cells = " ".join(f"{a:8.2f} dB {b:.3f}" for a, b in scores)
        print(f"{each.name:14} {cells} {scores[2][0] - scores[1][0]:+6.2f} dB")
    mean = np.mean(rows, axis=0)
    print(f"{'mean':14} " + " ".join(f"{a:8.2f} dB {b:.3f}" for a, b in mean) + f" {mean[2][0] - mean[1][0]:+6.2f} dB")


if __name__ == "__main__":
    main()
