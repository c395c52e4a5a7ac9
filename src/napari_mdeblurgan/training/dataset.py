"""Sharp micrographs in memory, and random training patches drawn from them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from napari_mdeblurgan.training.degradation import downsample, gaussian_blur, quantise

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")


def image_files(folder: Path) -> list[Path]:
    """The image files of a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def read_sharp(path: Path) -> np.ndarray:
    """Read a micrograph as float32 in [0, 1]: (y, x) or (y, x, 3).

    8-bit images are divided by 255; images of more bits are scaled from their minimum and maximum.
    """
    import tifffile

    image = tifffile.imread(path) if path.suffix.lower() in (".tif", ".tiff") else np.asarray(Image.open(path))
    if image.ndim == 3 and image.shape[-1] == 4:
        image = image[..., :3]
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[-1] != 3):
        raise ValueError(f"{path} is neither a grey nor an RGB image: its shape is {image.shape}")
    if image.dtype == np.uint8:
        return image.astype(np.float32) / 255
    image = image.astype(np.float32)
    low, high = float(image.min()), float(image.max())
    return (image - low) / max(high - low, 1e-6)


@dataclass(frozen=True, slots=True)
class Source:
    """Images of one kind and how often patches are drawn from them.

    Attributes
    ----------
    name : str
        What the images show.
    images : tuple of ndarray
        float32 in [0, 1], (channels, y, x).
    weight : float
        Share of the patches, relative to the other sources.
    """

    name: str
    images: tuple[np.ndarray, ...]
    weight: float


def read_sources(folder: Path, weights: dict[str, float] | None = None) -> list[Source]:
    """Read a folder of sharp images; the word before the first hyphen of a file's name is its source."""
    grouped: dict[str, list[np.ndarray]] = {}
    for path in image_files(folder):
        image = read_sharp(path)
        planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
        grouped.setdefault(path.name.split("-")[0], []).append(np.ascontiguousarray(planes))
    if not grouped:
        raise ValueError(f"no image files in {folder}")
    return [Source(name, tuple(images), (weights or {}).get(name, 1.0)) for name, images in grouped.items()]


def as_grey(sources: Sequence[Source], share: float = 1.0) -> list[Source]:
    """Every channel of colour images as a grey image of its own; `share` multiplies the weights."""
    return [
        Source(source.name, tuple(plane[None] for image in source.images for plane in image), source.weight * share)
        for source in sources
    ]


class Patches(NamedTuple):
    """One batch: blurred low-resolution images, sharp low-resolution images, sharp high-resolution images; float32."""

    blurred: Tensor
    sharp_low: Tensor
    sharp: Tensor


@dataclass(frozen=True, slots=True)
class PatchSampler:
    """Draws batches without end; iterate `batches`.

    Attributes
    ----------
    sources : tuple of Source
        Where patches come from.
    size : int
        Edge of a low-resolution patch in pixels.
    batch : int
        Patches in a batch.
    scale : int
        Reduction along y and x.
    sigma : (float, float)
        Range of the blur's standard deviation in low-resolution pixels.
    noisy : float
        Share of patches that get Gaussian noise of a standard deviation up to 0.03.
    seed : int
        Start of the random sequence.
    """

    sources: tuple[Source, ...]
    size: int = 64
    batch: int = 8
    scale: int = 2
    sigma: tuple[float, float] = (0.2, 2.4)
    noisy: float = 0.25
    seed: int = 0

    def batches(self, start: int = 0) -> Iterator[Patches]:
        """Batch number `start` and all that follow; each depends on the seed and its number alone."""
        for number in itertools.count(start):
            yield self._batch(np.random.default_rng((self.seed, number)))

    def _batch(self, random: np.random.Generator) -> Patches:
        margin = 12 * self.scale
        edge = self.size * self.scale + 2 * margin
        sharp = torch.from_numpy(np.stack([self._crop(random, edge) for _ in range(self.batch)]))
        sharp_low = downsample(sharp, self.scale)
        sigma = torch.from_numpy(random.uniform(*self.sigma, self.batch).astype(np.float32))
        blurred = gaussian_blur(sharp_low, sigma)
        noise = np.where(random.random(self.batch) < self.noisy, random.uniform(0, 0.03, self.batch), 0)
        grain = random.standard_normal(blurred.shape, dtype=np.float32) * noise[:, None, None, None].astype(np.float32)
        blurred = blurred + torch.from_numpy(grain)
        rounded = torch.from_numpy(random.random(self.batch) < 0.8)[:, None, None, None]
        blurred = torch.where(rounded, quantise(blurred), blurred.clamp(0, 1))
        low = slice(margin // self.scale, -(margin // self.scale))
        high = slice(margin, -margin)
        return Patches(blurred[..., low, low], sharp_low[..., low, low], sharp[..., high, high])

    def _crop(self, random: np.random.Generator, edge: int) -> np.ndarray:
        """A square of one image: of several draws the richest, flipped and turned at random."""
        shares = np.array([source.weight for source in self.sources])
        source = self.sources[random.choice(len(shares), p=shares / shares.sum())]
        image = source.images[random.integers(len(source.images))]
        reduce = 2 if random.random() < 0.2 and min(image.shape[1:]) >= 2 * edge else 1
        draws = [self._square(image, edge * reduce, random) for _ in range(int(random.choice((1, 2, 4))))]
        crop = max(draws, key=lambda draw: draw[:, ::4, ::4].std())
        if reduce == 2:
            crop = crop.reshape(len(crop), edge, 2, edge, 2).mean(axis=(2, 4))
        crop = np.rot90(crop, int(random.integers(4)), axes=(1, 2))
        if random.random() < 0.5:
            crop = crop[:, :, ::-1]
        return np.ascontiguousarray(self._recoloured(crop, random))

    @staticmethod
    def _square(image: np.ndarray, edge: int, random: np.random.Generator) -> np.ndarray:
        short = [max(0, edge - length) for length in image.shape[1:]]
        if any(short):
            image = np.pad(image, [(0, 0), *((gap // 2, gap - gap // 2) for gap in short)], mode="symmetric")
        y, x = (random.integers(length - edge + 1) for length in image.shape[1:])
        return image[:, y : y + edge, x : x + edge]

    @staticmethod
    def _recoloured(crop: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Channels shuffled, contrast lowered, sometimes inverted: so that no brightness or colour is taken for granted."""
        if len(crop) == 3 and random.random() < 0.5:
            crop = crop[random.permutation(3)]
        if random.random() < 0.1:
            crop = 1 - crop
        if random.random() < 0.5:
            gain = random.uniform(0.1, 1)
            crop = crop * gain + random.uniform(0, 1 - gain)
        return crop.astype(np.float32)
