"""Random training patches of sharp micrographs, and what a microscope would have made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from napari_mdeblurgan.degradation import Mixture
from napari_mdeblurgan.errors import ImageError, TrainingError
from napari_mdeblurgan.storage.listing import image_files
from napari_mdeblurgan.training.data.content import rich_place
from napari_mdeblurgan.training.data.sharp_folder import (
    SharpFolder,
    WeightedImages,
    open_folder,
    read_sharp,
)
from napari_mdeblurgan.training.data.sharp_image import Sharp, SharpImage

__all__ = [
    "Batches",
    "PatchSampler",
    "Patches",
    "SharpFolder",
    "SharpImage",
    "WeightedImages",
    "image_files",
    "open_folder",
    "read_sharp",
]

_BLANK = 1e-3
REDRAWS = 2
HALVED = 0.2


class Patches(NamedTuple):
    """One batch: blurred low-resolution images, sharp low-resolution images, sharp high-resolution
    images.

    float32, contiguous, (batch, channels, y, x), in [0, 1]. `softness`, float32 (batch,), is the
    standard deviation, in pixels of `sharp`, of the Gaussian blur that a restored image is to have
    before it is compared; None stands for 0. `known`, float32 (batch, 1, y, x) of `sharp`, is 1
    where that is the truth and 0 where it says nothing; None stands for 1 everywhere.
    """

    blurred: Tensor
    sharp_low: Tensor
    sharp: Tensor
    softness: Tensor | None = None
    known: Tensor | None = None

    def to(self, device: torch.device) -> Patches:
        """The same on a device."""
        softness, known = (
            None if each is None else each.to(device, non_blocking=True) for each in self[3:]
        )
        blurred, sharp_low, sharp = (each.to(device, non_blocking=True) for each in self[:3])
        return Patches(blurred, sharp_low, sharp, softness, known)


@dataclass(frozen=True, slots=True)
class PatchSampler:
    """Draws batches without end; iterate `batches`.

    A patch depends on the seed, the number of its batch and its place in the batch, and on nothing
    else: not on what was drawn before, on what is held in memory, or on how many processes share
    the work.

    Attributes
    ----------
    sources : tuple of WeightedImages
        Where patches come from.
    size : int
        Edge of a low-resolution patch in pixels.
    batch : int
        Patches in a batch, over all processes.
    scale : int
        Reduction along y and x.
    mixture : Mixture
        What is done to the sharp patches.
    seed : int
        Start of the random sequence.
    shard : (int, int)
        Number of this process and how many there are: it draws its part of every batch. The parts,
        in the order of the processes, make up the batch that one process would draw.

    Raises
    ------
    ImageError
        If there are no images.
    TrainingError
        If a batch cannot be divided evenly among the processes.
    """

    sources: tuple[WeightedImages, ...]
    size: int = 64
    batch: int = 8
    scale: int = 2
    mixture: Mixture = field(default_factory=Mixture)
    seed: int = 0
    shard: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        if not any(source.images and source.weight > 0 for source in self.sources):
            raise ImageError(
                "There are no images to draw patches from; name a folder of sharp images."
            )
        rank, world = self.shard
        if not 0 <= rank < world or self.batch % world:
            raise TrainingError(
                f"A batch of {self.batch} cannot be shared evenly by {world} processes; choose a "
                f"multiple of {world}."
            )

    def batches(self, start: int = 0) -> Batches:
        """Batch number `start` and all that follow."""
        return Batches(self, start)

    def draw(self, number: int) -> Patches:
        """This process's part of one batch."""
        rank, world = self.shard
        share = self.batch // world
        patches = [self._patch(number, place) for place in range(rank * share, (rank + 1) * share)]
        blurred, sharp_low, sharp = map(
            torch.cat, zip(*(patch[:3] for patch in patches), strict=True)
        )
        softness = [patch.softness for patch in patches if patch.softness is not None]
        return Patches(blurred, sharp_low, sharp, torch.cat(softness) if softness else None)

    def _patch(self, number: int, place: int) -> Patches:
        random = np.random.default_rng((self.seed, number, place))
        narrow = self.mixture.margin
        margin = narrow * self.scale
        sharp = torch.from_numpy(self._crop(random, self.size * self.scale + 2 * margin))[None]
        degraded = self.mixture.draw(sharp, random, self.scale)
        low, high = slice(narrow, -narrow), slice(margin, -margin)
        return Patches(
            degraded.blurred[..., low, low],
            degraded.sharp_low[..., low, low],
            degraded.sharp[..., high, high],
            degraded.softness,
        )

    def _crop(self, random: np.random.Generator, edge: int) -> np.ndarray:
        """A square of one image: the richest of several draws, flipped, turned and recoloured at
        random.

        One that shows nothing at all is drawn again, twice at most.
        """
        crop = self._rich(random, edge)
        for _ in range(REDRAWS):
            if crop[:, ::4, ::4].std() >= _BLANK:
                break
            crop = self._rich(random, edge)
        crop = np.rot90(crop, int(random.integers(4)), axes=(1, 2))
        if random.random() < 0.5:
            crop = crop[:, :, ::-1]
        return np.ascontiguousarray(_recoloured(crop, random), dtype=np.float32)

    def _rich(self, random: np.random.Generator, edge: int) -> np.ndarray:
        """The square with the highest contrast of one, two or four of an image; of a large image,
        one from where its map says.

        Some are averaged 2 × 2 from a larger one.
        """
        shares = np.array([source.weight if source.images else 0.0 for source in self.sources])
        images = self.sources[random.choice(len(shares), p=shares / shares.sum())].images
        image = images[random.integers(len(images))]
        halved = random.random() < HALVED and min(image.shape[1:]) >= 2 * edge
        read = 2 * edge if halved else edge
        if isinstance(image, SharpImage) and image.lazy and min(image.shape[1:]) >= read:
            y, x = rich_place(image.contrasts(), image.shape[1:], read, random)
        else:
            places = [_place(image, read, random) for _ in range(int(random.choice((1, 2, 4))))]
            y, x = max(
                places,
                key=lambda at: image[:, at[0] : at[0] + read : 4, at[1] : at[1] + read : 4].std(),
            )
        crop = _square(image, y, x, read)
        return _halved(crop) if halved else crop


class Batches(Iterator[Patches]):
    """Batches of a sampler, one after another, each drawn when it is asked for.

    Attributes
    ----------
    sampler : PatchSampler
        Draws them.
    number : int
        Of the next batch.
    """

    def __init__(self, sampler: PatchSampler, number: int = 0) -> None:
        self.sampler = sampler
        self.number = number

    def __next__(self) -> Patches:
        self.number += 1
        return self.draw(self.number - 1)

    def draw(self, number: int) -> Patches:
        """Any one batch, wherever the iteration is."""
        return self.sampler.draw(number)


def _place(image: Sharp, edge: int, random: np.random.Generator) -> tuple[int, int]:
    """First row and column of a square anywhere in an image; 0 along an axis that is too short for
    it.
    """
    y, x = (int(random.integers(max(0, length - edge) + 1)) for length in image.shape[1:])
    return y, x


def _square(image: Sharp, y: int, x: int, edge: int) -> np.ndarray:
    """(channels, edge, edge); the image is mirrored at its ends where it is too short."""
    crop = image[:, y : y + edge, x : x + edge]
    short = [edge - length for length in crop.shape[1:]]
    if any(short):
        crop = np.pad(
            crop, [(0, 0), *((gap // 2, gap - gap // 2) for gap in short)], mode="symmetric"
        )
    return crop


def _halved(crop: np.ndarray) -> np.ndarray:
    """Means of 2 × 2 pixels; faster than NumPy's mean over two axes."""
    rows = crop[:, ::2] + crop[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) * np.float32(0.25)


def _recoloured(crop: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Channels shuffled, contrast lowered, sometimes inverted: so that no brightness or colour is
    taken for granted.
    """
    if len(crop) == 3 and random.random() < 0.5:
        crop = crop[random.permutation(3)]
    if random.random() < 0.1:
        crop = 1 - crop
    if random.random() < 0.5:
        gain = np.float32(random.uniform(0.1, 1))
        crop = crop * gain + np.float32(random.uniform(0, 1 - gain))
    return crop
