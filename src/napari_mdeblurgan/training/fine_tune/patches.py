"""Patches of registered pairs, drawn so that any batch can be drawn again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.training.dataset import Patches
from napari_mdeblurgan.training.fine_tune.held_out import SMALLEST_PATCH, Box, places
from napari_mdeblurgan.training.fine_tune.pairs import TuningPair, reduced

GAIN = (0.8, 1.25)
OFFSET = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where patches of one edge can be drawn from in one pair."""

    pair: TuningPair
    sharp_low: np.ndarray
    starts: np.ndarray  # (places, 2), low-resolution rows and columns


class PairSampler:
    """Draws batches; batch number n is the same whenever it is drawn.

    Parameters
    ----------
    pairs : sequence of TuningPair
        Planes.
    boxes : sequence of Box
        The parts to learn from. Every pixel of a patch is valid.
    batch, patch : int
        Patches in a batch, and their edge in low-resolution pixels. Where no pair has room for it, a smaller one that is a
        multiple of 8; see `patch`.
    turns : bool
        Turn by quarters and flip.
    seed : int
        Of the random sequence.

    Attributes
    ----------
    patch : int
        Edge that is drawn.
    """

    def __init__(
        self, pairs: Sequence[TuningPair], boxes: Sequence[Box], *, batch: int, patch: int, turns: bool, seed: int
    ) -> None:
        self.batch, self.turns, self.seed = batch, turns, seed
        self.places: list[_Place] = []
        for edge in range(patch, SMALLEST_PATCH - 1, -8):
            self.patch = edge
            self.places = [place for box in boxes if (place := _place(pairs[box.pair], box, edge)) is not None]
            if self.places:
                break
        if not self.places:
            raise ImageError(
                f"No pair has room for a patch of {SMALLEST_PATCH} low-magnification pixels; add pairs that share more."
            )
        areas = np.array([np.sqrt(len(place.starts)) for place in self.places])
        self.shares = areas / areas.sum()

    def batches(self, start: int) -> Iterator[Patches]:
        """Batch number `start` and all that follow."""
        while True:
            yield self.draw(start)
            start += 1

    def draw(self, number: int) -> Patches:
        """One batch."""
        drawn = [self._patch(np.random.default_rng((self.seed, number, at))) for at in range(self.batch)]
        return Patches(*(torch.from_numpy(np.stack(images)) for images in zip(*drawn, strict=True)))

    def _patch(self, random: np.random.Generator) -> tuple[np.ndarray, ...]:
        """A place of one pair, the richest of one, two or four, its intensities changed a little."""
        place = self.places[int(random.choice(len(self.places), p=self.shares))]
        edge, scale = self.patch, place.pair.scale
        starts = place.starts[random.integers(len(place.starts), size=int(random.choice((1, 2, 4))))]
        low = place.pair.low
        y, x = max(starts.tolist(), key=lambda at: low[:, at[0] : at[0] + edge : 2, at[1] : at[1] + edge : 2].std())
        at, fine = (
            (slice(y, y + edge), slice(x, x + edge)),
            (
                slice(y * scale, (y + edge) * scale),
                slice(x * scale, (x + edge) * scale),
            ),
        )
        images = (low[:, *at], place.sharp_low[:, *at], place.pair.high[:, *fine])
        gain, offset = np.float32(random.uniform(*GAIN)), np.float32(random.uniform(-OFFSET, OFFSET))
        turns, flip = (int(random.integers(4)), random.random() < 0.5) if self.turns else (0, False)
        return tuple(_changed(image, gain, offset, turns, flip) for image in images)


def _place(pair: TuningPair, box: Box, edge: int) -> _Place | None:
    starts = np.argwhere(places(pair.valid_low(), box, edge)) + np.array([box.y0, box.x0])
    return _Place(pair, reduced(pair.high, pair.scale), starts) if len(starts) else None


def _changed(image: np.ndarray, gain: np.float32, offset: np.float32, turns: int, flip: bool) -> np.ndarray:
    image = np.rot90(image, turns, axes=(1, 2))
    image = image[:, :, ::-1] if flip else image
    return np.ascontiguousarray(image * gain + offset, dtype=np.float32)
