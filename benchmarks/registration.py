"""How exactly pairs are registered, and whether what is no pair is refused.

    python benchmarks/registration.py DATA [--trials 200] [--unrelated 200] [--seed 0] [--list]

DATA is a folder of sharp images. From each a pair is made whose transform is known. The field of the stronger objective is a
crop at full resolution, a quarter of the image's area, anywhere in it, turned by up to ±3°, enlarged by ±2 %, sheared by ±0.5 %.
The image of the weaker one is the whole: blurred by a Gaussian or a disk (defocus) of σ up to 2.5 of its pixels, reduced twofold,
vignetted, with a gain and an offset for each channel. Both have noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage, signal

from napari_mdeblurgan.training.folder import image_files, read_sharp
from napari_mdeblurgan.training.pairs.geometry import affine, corners, moved, turned

SMALLEST = 400  # pixels: of a smaller image a quarter is too little
EDGE = 0.5


@dataclass(frozen=True)
class Trial:
    """A pair whose transform is known."""

    name: str
    low: np.ndarray  # (channels, y, x)
    high: np.ndarray
    truth: np.ndarray
    blur: float
    detail: str


def make(name: str, source: np.ndarray, random: np.random.Generator, ratio: int = 2, blur: float = 2.5) -> Trial:
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
            ndimage.affine_transform(plane, linear, to_source[:2, 2], tuple(size), order=3, mode="mirror")
            for plane in source
        ]
    )
    from_low = np.diag([ratio, ratio, 1.0])
    from_low[:2, 2] = (ratio - 1) / 2
    sigma = random.uniform(0, blur)
    disk = random.random() < 0.5
    blurred = np.stack([_blurred(plane, sigma * ratio, disk) for plane in source])
    y, x = shape // ratio
    low = blurred[:, : y * ratio, : x * ratio].reshape(len(source), y, ratio, x, ratio).mean(axis=(2, 4))
    low = low * _vignette((y, x), random)
    noise = random.uniform(0.003, 0.02)
    spread = np.percentile(low, 99.5) - np.percentile(low, 0.5)
    gain, offset = random.uniform(0.6, 1.4, len(low)), random.uniform(-0.1, 0.2, len(low)) * spread
    low = low * gain[:, None, None] + offset[:, None, None]
    low = low + random.normal(0, noise * spread, low.shape)
    high = high + random.normal(0, 0.01 * (high.max() - high.min()), high.shape)
    detail = f"σ {sigma:.1f}{' disk' if disk else ''}, noise {noise:.3f}"
    return Trial(
        name, low.astype(np.float32), high.astype(np.float32), np.linalg.inv(to_source) @ from_low, sigma, detail
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
    """Even in the middle, up to 40 % darker in the corners; the middle of the light is not that of the image."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    a, b = random.uniform(-0.3, 0.3, 2)
    return 1 - random.uniform(0, 0.4) * ((y - a) ** 2 + (x - b) ** 2) / 2


def error(found: np.ndarray, trial: Trial) -> float:
    """Root mean square over the corners of the high-resolution field, in low-resolution pixels."""
    points = moved(np.linalg.inv(trial.truth), corners(trial.high.shape[1:]))
    there = moved(np.linalg.inv(found), corners(trial.high.shape[1:]))
    return float(np.sqrt(((points - there) ** 2).sum(axis=1).mean()))


def sources(folder: Path) -> list[tuple[str, Path]]:
    """The images that are large enough."""
    return [(path.stem, path) for path in image_files(folder) if min(_planes(path).shape[1:]) >= SMALLEST]


def _planes(path: Path) -> np.ndarray:
    image = read_sharp(path)
    return image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
