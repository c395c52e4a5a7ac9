"""How exactly pairs are registered, and whether what is no pair is refused.

    python benchmarks/registration.py DATA [--trials 200] [--unrelated 200] [--seed 0] [--ratio 2]
    [--csv FILE]

DATA is a folder of sharp images. From each a pair is made whose transform is known. The field of
the stronger objective is a crop at full resolution, a quarter of the image's area, anywhere in it,
turned by up to ±3°, enlarged by ±2 %, sheared by ±0.5 %. The image of the weaker one is the whole:
blurred by a Gaussian or a disk (defocus) of σ up to 2.5 of its pixels, reduced twofold, vignetted,
with a gain and an offset for each channel. Both have noise.

Unrelated are, in turn, another image of the same kind (another blood smear, say), another place of
the same image, and any other image; channels of one field, which some collections have as files of
their own, are not taken for different places. Images of all kinds have the same share of the
trials. A related pair that is refused counts as a failure; crops that show too little are not taken
out. Prints a line for each failure, then the table.
"""

from __future__ import annotations

import argparse
import csv
import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage, signal

from napari_mdeblurgan.pairs import (
    ImagePair,
    PairError,
    RegisteredPair,
    Registration,
    register_images,
)
from napari_mdeblurgan.pairs.affine import affine, corners, moved, turned
from napari_mdeblurgan.storage import Micrograph
from napari_mdeblurgan.storage.listing import image_files
from napari_mdeblurgan.training.data.sharp_folder import read_sharp

SMALLEST = 400  # pixels: of a smaller image a quarter is too little
EDGE = 0.5  # of the image: the edge of the stronger objective's field
CHANNELS = 0.2  # correlation from which two files show one field
BAR = 0.25  # low-resolution pixels


@dataclass(frozen=True)
class Trial:
    """A pair whose transform is known."""

    name: str
    low: np.ndarray  # (channels, y, x)
    high: np.ndarray
    truth: np.ndarray
    blur: float
    detail: str


def make(
    name: str, source: np.ndarray, random: np.random.Generator, ratio: int = 2, blur: float = 2.5
) -> Trial:
    """Make a pair from a sharp image, (channels, y, x) in [0, 1]."""
    shape = np.array(source.shape[1:])
    size = np.floor(EDGE * shape).astype(int)
    shear = random.uniform(-0.005, 0.005, (2, 2)) * [[1, 1], [0, 1]]
    enlarged = 1 + random.uniform(-0.02, 0.02)
    linear = (
        turned(random.uniform(-3, 3)) @ (np.eye(2) + shear) * enlarged
    )  # source pixels of one high-resolution pixel
    reach = np.abs(corners(tuple(size)) - (size - 1) / 2) @ np.abs(linear).T
    reach = reach.max(axis=0)
    centre = np.array([random.uniform(r, n - 1 - r) for r, n in zip(reach, shape, strict=True)])
    to_source = affine(linear, centre, (size - 1) / 2)
    high = np.stack(
        [
            ndimage.affine_transform(
                plane, linear, to_source[:2, 2], tuple(size), order=3, mode="mirror"
            )
            for plane in source
        ]
    )
    from_low = np.diag([ratio, ratio, 1.0])
    from_low[:2, 2] = (ratio - 1) / 2
    sigma = random.uniform(0, blur)
    disk = random.random() < 0.5
    blurred = np.stack([_blurred(plane, sigma * ratio, disk) for plane in source])
    y, x = shape // ratio
    low = (
        blurred[:, : y * ratio, : x * ratio]
        .reshape(len(source), y, ratio, x, ratio)
        .mean(axis=(2, 4))
    )
    low = low * _vignette((y, x), random)
    noise = random.uniform(0.003, 0.02)
    spread = np.percentile(low, 99.5) - np.percentile(low, 0.5)
    gain, offset = random.uniform(0.6, 1.4, len(low)), random.uniform(-0.1, 0.2, len(low)) * spread
    low = low * gain[:, None, None] + offset[:, None, None]
    low = low + random.normal(0, noise * spread, low.shape)
    high = high + random.normal(0, 0.01 * (high.max() - high.min()), high.shape)
    detail = f"σ {sigma:.1f}{' disk' if disk else ''}, noise {noise:.3f}"
    return Trial(
        name,
        low.astype(np.float32),
        high.astype(np.float32),
        np.linalg.inv(to_source) @ from_low,
        sigma,
        detail,
    )


def _blurred(plane: np.ndarray, sigma: float, disk: bool) -> np.ndarray:
    if not disk:
        return ndimage.gaussian_filter(plane, sigma, mode="reflect")
    radius = 2 * sigma  # the standard deviation of a disk along an axis is half its radius
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius - np.hypot(y, x) + 0.5, 0, 1)
    kernel /= kernel.sum()
    return signal.oaconvolve(np.pad(plane, reach, mode="reflect"), kernel, mode="valid")


def _vignette(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Even in the middle, up to 40 % darker in the corners; the middle of the light is not that of
    the image.
    """
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    a, b = random.uniform(-0.3, 0.3, 2)
    return 1 - random.uniform(0, 0.4) * ((y - a) ** 2 + (x - b) ** 2) / 2


def error(found: np.ndarray, trial: Trial) -> float:
    """Root mean square over the corners of the high-resolution field, in low-resolution pixels."""
    points = moved(np.linalg.inv(trial.truth), corners(trial.high.shape[1:]))
    there = moved(np.linalg.inv(found), corners(trial.high.shape[1:]))
    return float(np.sqrt(((points - there) ** 2).sum(axis=1).mean()))


def kind(path: Path) -> str:
    """What an image shows."""
    words = path.stem.split("-")
    return "-".join(words[:2]) if words[0] in ("cp", "neubias", "plant") else words[0]


def planes(path: Path) -> np.ndarray:
    """(channels, y, x) in [0, 1]."""
    image = read_sharp(path)
    return image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)


def kinds(folder: Path) -> dict[str, list[Path]]:
    """The images that are large enough, by what they show."""
    found: dict[str, list[Path]] = {}
    for path in image_files(folder):
        if "pairs" not in path.parts and min(planes(path).shape[1:]) >= SMALLEST:
            found.setdefault(kind(path), []).append(path)
    return found


@functools.cache
def one_field(path: Path, other: Path) -> bool:
    """Whether two files are channels of one field: what is small in them correlates at the same
    place.
    """
    first, second = (
        grey - ndimage.gaussian_filter(grey, 8)
        for grey in (planes(p).mean(axis=0) for p in (path, other))
    )
    if first.shape != second.shape:
        return False
    same = np.corrcoef(first.ravel(), second.ravel())[0, 1] > CHANNELS
    if same:
        print(
            f"{path.stem} and {other.stem} are channels of one field, so they are not counted as "
            "different places"
        )
    return bool(same)


def image_pair(name: str, low: np.ndarray, high: np.ndarray) -> ImagePair:
    """The images as files would give them: 8 bits for colours, 16 for grey."""

    def micrograph(values: np.ndarray) -> Micrograph:
        bits, kind = (8, np.uint8) if len(values) == 3 else (12, np.uint16)
        bottom, top = np.percentile(values, (0.02, 99.98))
        levels = np.clip((values - bottom) / max(top - bottom, 1e-6), 0, 1) * 0.9 + 0.05
        levels = (levels * (2**bits - 1)).round().astype(kind)
        return (
            Micrograph(np.moveaxis(levels, 0, -1), "YXS")
            if len(values) == 3
            else Micrograph(levels[0], "YX")
        )

    return ImagePair(name, micrograph(low), micrograph(high))


def related(
    images: dict[str, list[Path]], count: int, random: np.random.Generator, ratio: int
) -> Iterator[tuple[Trial, RegisteredPair | str, float]]:
    """Pairs of the same place, what became of each, and the processor seconds that it took."""
    for number in range(count):
        paths = images[sorted(images)[number % len(images)]]
        path = paths[random.integers(len(paths))]
        trial = make(path.stem, planes(path), random, ratio)
        yield trial, *registered(image_pair(trial.name, trial.low, trial.high), ratio)


def unrelated(
    images: dict[str, list[Path]], count: int, random: np.random.Generator, ratio: int
) -> Iterator[tuple[str, RegisteredPair | str, float]]:
    """Pairs of different places, what became of each, and the processor seconds that it took."""
    every = [path for paths in images.values() for path in paths]
    for number in range(count):
        paths = images[sorted(images)[number % len(images)]]
        path = paths[random.integers(len(paths))]
        source = planes(path)
        others = [other for other in (paths if number % 3 else every) if other != path]
        others = [
            other
            for other in others
            if len(planes(other)) == len(source) and not one_field(path, other)
        ]
        if number % 3 == 2 or not others:
            middle = source.shape[2] // 2
            name, first, second = (
                f"{path.stem}, another place",
                source[..., :middle],
                source[..., middle:],
            )
            if random.random() < 0.5:
                first, second = second, first
        else:
            other = others[random.integers(len(others))]
            name, first, second = f"{path.stem} and {other.stem}", source, planes(other)
        low, high = (make(name, each, random, ratio) for each in (first, second))
        yield name, *registered(image_pair(name, low.low, high.high), ratio)


def registered(pair: ImagePair, ratio: int) -> tuple[RegisteredPair | str, float]:
    """The pair or why there is none, and processor seconds."""
    start = time.process_time()
    try:
        found: RegisteredPair | str = register_images(pair, scale=2, ratio=ratio)
    except PairError as error:
        found = str(error)
    return found, time.process_time() - start


def main() -> None:
    """Run the trials and print what they come to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--unrelated", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ratio", type=int, default=2)
    parser.add_argument("--csv", type=Path, help="write every trial there")
    wishes = parser.parse_args()
    images = kinds(wishes.data)
    random = np.random.default_rng(wishes.seed)
    rows: list[tuple] = []
    errors, estimates, seconds, refused, good = [], [], [], 0, 0
    for trial, found, took in related(images, wishes.trials, random, wishes.ratio):
        seconds.append(took)
        if isinstance(found, str):
            refused += 1
            print(f"no pair: {found} ({trial.detail})", flush=True)
            rows.append(("same", trial.name, trial.detail, "", "", "", "", "", found))
            continue
        at = found.registration
        off = error(at.transform, trial)
        errors.append(off)
        estimates.append(at.residual_px)
        good += at.accepted and off <= BAR
        if not at.accepted:
            refused += 1
        if off > BAR or not at.accepted:
            print(
                f"{trial.name} ({trial.detail}): off by {off:.3f} px, "
                f"{'; '.join(at.reasons) or 'accepted'}",
                flush=True,
            )
        rows.append(("same", trial.name, trial.detail, f"{off:.4f}", *figures(at)))
    taken_by_mistake, other_seconds = 0, []
    for name, found, took in unrelated(images, wishes.unrelated, random, wishes.ratio):
        other_seconds.append(took)
        if isinstance(found, str):
            rows.append(("other", name, "", "", "", "", "", "", found))
            continue
        at = found.registration
        taken_by_mistake += at.accepted
        if at.accepted:
            print(
                f"{name}: taken for a pair, agreement {at.agreement:.2f}, uncertain by "
                f"{at.residual_px:.2f} px",
                flush=True,
            )
        rows.append(("other", name, "", "", *figures(at)))
    if wishes.csv:
        with wishes.csv.open("w", newline="") as file:
            heading = (
                "place",
                "name",
                "degradation",
                "error_px",
                "agreement",
                "score",
                "residual_px",
                "uniqueness",
                "reasons",
            )
            csv.writer(file).writerows([heading, *rows])
    print()
    if wishes.trials:
        every = np.array(errors or [np.nan])
        print(f"same place, {wishes.trials} pairs of {len(images)} kinds of image")
        print(f"  accepted and within {BAR} px   {good / wishes.trials:.1%}")
        print(f"  refused                    {refused}")
        print(f"  error, median              {np.median(every):.3f} px")
        print(f"  error, 95th percentile     {np.percentile(every, 95):.3f} px")
        print(f"  error, largest             {every.max():.3f} px")
        print(
            "  error / its estimate       "
            f"{np.median(every / np.maximum(estimates or [1], 1e-6)):.2f} (median)"
        )
        print(
            f"  processor time, median     {np.median(seconds):.2f} s, largest {max(seconds):.2f} s"
        )
    if wishes.unrelated:
        print(f"different places, {wishes.unrelated} pairs")
        print(f"  refused                    {1 - taken_by_mistake / wishes.unrelated:.1%}")
        print(
            f"  processor time, median     {np.median(other_seconds):.2f} s, largest "
            f"{max(other_seconds):.2f} s"
        )


def figures(at: Registration) -> tuple[str, str, str, str, str]:
    """What is written of a registration."""
    found = (at.agreement, at.score, at.residual_px, at.uniqueness)
    first, second, third, fourth = (f"{value:.3f}" for value in found)
    return first, second, third, fourth, "; ".join(at.reasons)


if __name__ == "__main__":
    main()
