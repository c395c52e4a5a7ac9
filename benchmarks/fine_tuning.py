"""How much better does a model get on a microscope that it was not trained for, in ten minutes on
two processor cores?

    OMP_NUM_THREADS=2 python benchmarks/fine_tuning.py DATA OUTPUT [--minutes 10] [--registered]

Twelve fields of 512 × 512 pixels of one specimen are the in-focus images of the stronger objective:
eight to learn from, of which `fine-tune` itself holds some out, and four that it never sees. The
weaker objective's images are made of them by optics that no bundled model was trained on: a pupil
with defocus, coma and astigmatism, which gives a skewed blur; vignetting; a camera with shot and
read noise. The table tells PSNR and SSIM on the four for bicubic enlargement, the base model and
the tuned one, all against the sharp image under the weaker objective's light. The pairs lie on each
other exactly; with `--registered` the stronger objective's images are of a part of the field,
turned and enlarged a little, and are found by registration.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import affine_transform, shift
from scipy.signal import fftconvolve
from skimage.registration import phase_cross_correlation

from napari_mdeblurgan.degradation.gaussian_blur import downsample, gaussian_protocol
from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.metrics import cropped, psnr, ssim
from napari_mdeblurgan.fine_tuning.folder import begin
from napari_mdeblurgan.fine_tuning.outcome import conclude
from napari_mdeblurgan.fine_tuning.pairs import tuning_pairs
from napari_mdeblurgan.fine_tuning.settings import FineTuneSettings
from napari_mdeblurgan.fine_tuning.tuning import open_fine_tuning
from napari_mdeblurgan.model import Model, load_model
from napari_mdeblurgan.pairs import ImagePair, RegisteredPair, Registration, register_images
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.storage import Micrograph
from napari_mdeblurgan.training.data.dataset import read_sharp

FIELD, SCALE, TRAINING, TEST = 512, 2, 8, 4
MARGIN = 24  # high-resolution pixels around a field that only its blur needs
BORDER = 16
DEFOCUS, COMA, ASTIGMATISM = 3.2, 1.8, 0.8  # radians at the edge of the pupil
PUPIL = 0.16  # cycles per high-resolution pixel: the weaker objective's cut-off for the amplitude
# standard deviation of the smoothing that tells where the bulk of the point-spread function is
BULK = 4.0
VIGNETTING = 0.25
ELECTRONS, READ_NOISE = 6000.0, 6.0


@dataclass(frozen=True, slots=True)
class Field:
    """One field as both objectives see it: float32, (y, x, colours) or (y, x), in [0, 1]."""

    name: str
    low: np.ndarray
    high: np.ndarray  # under the weaker objective's illumination


def skewed_psf(radius: int = MARGIN) -> np.ndarray:
    """Of a pupil with defocus, coma and astigmatism, its bulk in the middle: (2 · radius + 1)
    squared, sum 1.

    The bulk is where the function, smoothed, is highest, and what a registration takes for the
    place of a point. Away from the middle it would be a shift of the whole image, which costs the
    base model decibels and is none of blur.
    """
    size = 8 * radius
    frequencies = np.fft.fftfreq(size)
    y, x = np.meshgrid(frequencies, frequencies, indexing="ij")
    r, angle = np.hypot(y, x) / PUPIL, np.arctan2(y, x)
    phase = (
        DEFOCUS * r**2
        + COMA * (3 * r**3 - 2 * r) * np.cos(angle - 0.7)
        + ASTIGMATISM * r**2 * np.cos(2 * angle)
    )
    shift, middle = np.zeros(2), size // 2
    part, steps = slice(middle - radius, middle + radius + 1), np.arange(-radius, radius + 1)
    near = np.exp(-0.5 * (steps / BULK) ** 2)
    for _ in range(100):
        ramp = np.exp(2j * np.pi * (y * shift[0] + x * shift[1]))
        psf = np.fft.fftshift(np.abs(np.fft.ifft2((r <= 1) * np.exp(1j * phase) * ramp)) ** 2)[
            part, part
        ]
        psf /= psf.sum()
        bulk = psf * near[:, None] * near
        shift += np.array([bulk.sum(1) @ steps, bulk.sum(0) @ steps]) / bulk.sum()
    return psf


def illumination(height: int, width: int) -> np.ndarray:
    """Of the weaker objective, falling towards the corners: (height, width)."""
    y, x = ((np.arange(length) - (length - 1) / 2) / (length / 2) for length in (height, width))
    return (1 - VIGNETTING * (y[:, None] ** 2 + x[None, :] ** 2) / 2).astype(np.float32)


def images(data: Path, specimen: str, count: int) -> dict[str, np.ndarray]:
    """The first so many sharp images of a specimen that are large enough: (y, x, colours)."""
    found: dict[str, np.ndarray] = {}
    patterns = (f"train/*/{specimen}*", f"validation/*/{specimen}*", f"samples/{specimen}*")
    for path in sorted(path for pattern in patterns for path in data.glob(pattern)):
        sharp = np.atleast_3d(read_sharp(path)).astype(np.float32)
        if min(sharp.shape[:2]) >= FIELD and len(found) < count:
            found[path.stem] = sharp
    if len(found) < count:
        raise SystemExit(
            f"{data} has {len(found)} images of {specimen} that are large enough; {count} are "
            "needed."
        )
    return found


def degraded(sharp: np.ndarray, number: int) -> np.ndarray:
    """What the weaker objective and its camera make of a sharp image of even sizes."""
    random = np.random.default_rng(number)
    padded = np.pad(sharp, [(MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)], mode="reflect")
    blurred = fftconvolve(padded, skewed_psf()[..., None], mode="valid", axes=(0, 1))
    planes = torch.from_numpy(blurred.transpose(2, 0, 1).astype(np.float32).copy())[None]
    low = downsample(planes, SCALE)[0].numpy().transpose(1, 2, 0)
    low = low * illumination(*low.shape[:2])[..., None]
    electrons = random.poisson(low.clip(0) * ELECTRONS) + random.normal(0, READ_NOISE, low.shape)
    return (np.rint(electrons / ELECTRONS * 255).clip(0, 255) / 255).astype(np.float32)


def field(name: str, sharp: np.ndarray, number: int) -> Field:
    """The middle of an image by both objectives, laid on each other exactly."""
    y, x = ((length - FIELD) // 2 for length in sharp.shape[:2])
    high = sharp[y : y + FIELD, x : x + FIELD]
    return Field(name, degraded(high, number), high)


def found_pair(name: str, sharp: np.ndarray, number: int) -> RegisteredPair:
    """The whole image by the weaker objective, its middle by the stronger one, turned and enlarged
    a little; registered.
    """
    random = np.random.default_rng((1, number))
    height, width = (length // SCALE * SCALE for length in sharp.shape[:2])
    angle, size = np.deg2rad(random.uniform(-2, 2)), random.uniform(0.99, 1.01)
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array(sharp.shape[:2]) / 2 + random.uniform(-10, 10, 2)
    offset = middle - turn @ np.full(2, (FIELD - 1) / 2)
    planes = [
        affine_transform(plane, turn, offset, (FIELD, FIELD), order=3, mode="reflect")
        for plane in np.moveaxis(sharp, -1, 0)
    ]
    axes = "YXS" if len(planes) == 3 else "YX"
    low, high = (
        Micrograph(np.squeeze((image.clip(0, 1) * 255).round().astype(np.uint8)), axes, name=name)
        for image in (degraded(sharp[:height, :width], number), np.stack(planes, axis=-1))
    )
    pair = register_images(ImagePair(name, low, high), scale=SCALE, objectives=(5.0, 10.0))
    print(
        f"{name}: {'accepted' if pair.accepted else 'refused'}, "
        f"{' '.join(pair.registration.problems)}",
        flush=True,
    )
    return pair


def evaluated(model: Model | None, seen: Field) -> tuple[float, float]:
    """PSNR and SSIM of bicubic enlargement or of a model, against the sharp image under the weaker
    objective's light.
    """
    low = seen.low if seen.low.shape[-1] == 3 else seen.low[..., 0]
    restored = bicubic(low, SCALE) if model is None else np.asarray(restore(low, model))
    truth = (seen.high * illumination(FIELD, FIELD)[..., None]).reshape(restored.shape)
    pair = cropped(np.clip(restored, 0, 1), BORDER), cropped(truth, BORDER)
    return psnr(*pair), ssim(*pair)


def aligned_pair(seen: Field) -> RegisteredPair:
    """As registration would give it if it were perfect."""
    low, high = (np.ascontiguousarray(each.transpose(2, 0, 1)) for each in (seen.low, seen.high))
    whole, channels = (slice(0, FIELD // SCALE),) * 2, len(low)
    registration = Registration(
        transform=np.array(
            [[SCALE, 0, (SCALE - 1) / 2], [0, SCALE, (SCALE - 1) / 2], [0, 0, 1]], float
        ),
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
        name=seen.name,
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--specimen", default="leaf")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument(
        "--registered", action="store_true", help="learn from pairs that registration has found"
    )
    parser.add_argument(
        "--set", nargs="*", default=[], help="fields of the settings, such as learning_rate=0.001"
    )
    wishes = parser.parse_args()
    sharp = list(images(wishes.data, wishes.specimen, TRAINING + TEST).items())
    test = [
        field(name, image, number)
        for number, (name, image) in enumerate(sharp[TRAINING:], TRAINING)
    ]
    make = found_pair if wishes.registered else lambda *given: aligned_pair(field(*given))
    pairs = [make(name, image, number) for number, (name, image) in enumerate(sharp[:TRAINING])]
    base = load_model("rgb-x2" if test[0].low.shape[-1] == 3 else "gray-x2")
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
    folder = begin(
        settings, tuning_pairs([pair for pair in pairs if pair.accepted], base.card), overwrite=True
    )
    tuning = open_fine_tuning(folder)
    for progress in tuning.steps():
        if progress.validation is not None:
            print(
                f"{progress.seconds:6.0f} s, step {progress.step:5}, rate "
                f"{progress.record.rate:.1e}, held out {progress.validation.psnr_db:.3f} dB",
                flush=True,
            )
    for note in tuning.notes:
        print(note)
    outcome = conclude(tuning)
    print(outcome.verdict.sentence)
    tuned = load_model(outcome.path)
    print_table("by the skewed blur that it was tuned on", test, base, tuned)
    shifts = [shift_px(tuned, each) for each in test]
    print("shift of the truth against the fine-tuned result, high-resolution pixels along y and x:")
    for each, (y, x) in zip(test, shifts, strict=True):
        print(f"{each.name:14} {y:+.2f} {x:+.2f}")
    mean = np.mean(shifts, axis=0)
    moved = [replace(each, high=moved_by(each.high, -mean)) for each in test]
    print_table(
        f"the same, the truth moved by {-mean[0]:+.2f}, {-mean[1]:+.2f} pixels", moved, base, tuned
    )
    others = [replace(each, low=other_blur(each)) for each in test]
    print_table("by another blur, Gaussian of σ = 1.2 px: what was forgotten", others, base, tuned)


def shift_px(model: Model, seen: Field) -> np.ndarray:
    """How far the truth lies from what a model makes of a field: (y, x)."""
    restored = np.atleast_3d(
        np.asarray(restore(seen.low if seen.low.shape[-1] == 3 else seen.low[..., 0], model))
    )
    truth = seen.high * illumination(FIELD, FIELD)[..., None]
    inner = (slice(BORDER, -BORDER),) * 2
    found, _, _ = phase_cross_correlation(
        truth.mean(-1)[inner], restored.mean(-1)[inner], upsample_factor=100, normalization=None
    )
    return np.asarray(found)


def moved_by(image: np.ndarray, by: np.ndarray) -> np.ndarray:
    """An image, (y, x, colours), moved by a fraction of a pixel."""
    planes = [shift(plane, by, order=5, mode="reflect") for plane in np.moveaxis(image, -1, 0)]
    return np.stack(planes, axis=-1).astype(np.float32)


def other_blur(seen: Field) -> np.ndarray:
    """The same field by an objective that the model was not tuned on."""
    planes = torch.from_numpy(
        (seen.high * illumination(FIELD, FIELD)[..., None]).transpose(2, 0, 1).copy()
    )[None]
    return gaussian_protocol(planes, 1.2, SCALE)[0].numpy().transpose(1, 2, 0)


def print_table(title: str, test: list[Field], base: Model, tuned: Model) -> None:
    """PSNR and SSIM of every field, and their means."""
    print(
        f"\n{title}\n{'field':14} {'bicubic':>17} {'base model':>17} {'fine-tuned':>17}      gain"
    )
    rows = [[evaluated(model, each) for model in (None, base, tuned)] for each in test]
    for name, scores in (
        *zip((each.name for each in test), rows, strict=True),
        ("mean", np.mean(rows, axis=0)),
    ):
        cells = " ".join(f"{psnr_db:8.2f} dB {similarity:.3f}" for psnr_db, similarity in scores)
        print(f"{name:14} {cells} {scores[2][0] - scores[1][0]:+6.2f} dB", flush=True)


if __name__ == "__main__":
    main()
