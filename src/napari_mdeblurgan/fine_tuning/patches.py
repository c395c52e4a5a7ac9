"""Patches of registered pairs, drawn so that any batch can be drawn again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.fine_tuning.held_out import SMALLEST_PATCH, Box, patch_places
from napari_mdeblurgan.fine_tuning.pairs import TuningPair, reduced_truth
from napari_mdeblurgan.training.data.dataset import Patches

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
        The parts to learn from. Every pixel of a patch is valid, or a quarter of them in a plane of
        a focus stack.
    batch, patch : int
        Patches in a batch, and their edge in low-resolution pixels. Where no pair has room for it,
        a smaller one that is a multiple of 8; see `patch`.
    turns : bool
        Turn by quarters and flip. Those of focus stacks always are: one field is little to learn
        from.
    seed : int
        Of the random sequence.

    Attributes
    ----------
    patch : int
        Edge that is drawn.
    """

    def __init__(
        self,
        pairs: Sequence[TuningPair],
        boxes: Sequence[Box],
        *,
        batch: int,
        patch: int,
        turns: bool,
        seed: int,
    ) -> None:
        self.batch, self.turns, self.seed = batch, turns, seed
        self.places: list[_Place] = []
        for edge in range(patch, SMALLEST_PATCH - 1, -8):
            self.patch = edge
            self.places = [
                place for box in boxes if (place := _place(pairs[box.pair], box, edge)) is not None
            ]
            if self.places:
                break
        if not self.places:
            raise ImageError(
                f"No pair has room for a patch of {SMALLEST_PATCH} low-magnification pixels; add "
                "pairs that share more."
            )
        self.partly_known = any(place.pair.stack for place in self.places)
        weights = _weights(self.places)
        self.shares = weights / weights.sum()

    def batches(self, start: int) -> Iterator[Patches]:
        """Batch number `start` and all that follow."""
        while True:
            yield self.draw(start)
            start += 1

    def draw(self, number: int) -> Patches:
        """One batch."""
        drawn = [
            self._patch(np.random.default_rng((self.seed, number, at))) for at in range(self.batch)
        ]
        blurred, sharp_low, sharp, known = (
            torch.from_numpy(np.stack(images)) for images in zip(*drawn, strict=True)
        )
        return Patches(blurred, sharp_low, sharp, known=known if self.partly_known else None)

    def _patch(self, random: np.random.Generator) -> tuple[np.ndarray, ...]:
        """A place of one pair, the richest of one, two or four, its intensities
        changed a little.
        """
        place = self.places[int(random.choice(len(self.places), p=self.shares))]
        edge, scale = self.patch, place.pair.scale
        starts = place.starts[
            random.integers(len(place.starts), size=int(random.choice((1, 2, 4))))
        ]
        low = place.pair.low
        y, x = max(
            starts.tolist(),
            key=lambda at: low[:, at[0] : at[0] + edge : 2, at[1] : at[1] + edge : 2].std(),
        )
        at, fine = (
            (slice(y, y + edge), slice(x, x + edge)),
            (
                slice(y * scale, (y + edge) * scale),
                slice(x * scale, (x + edge) * scale),
            ),
        )
        images = (low[:, *at], place.sharp_low[:, *at], place.pair.high[:, *fine])
        known = place.pair.valid[None, *fine].astype(np.float32)
        gain, offset = (
            np.float32(random.uniform(*GAIN)),
            np.float32(random.uniform(-OFFSET, OFFSET)),
        )
        turns, flip = (
            (int(random.integers(4)), random.random() < 0.5)
            if self.turns or place.pair.stack
            else (0, False)
        )
        changed = [_changed(image, gain, offset, turns, flip) for image in images]
        return *changed, _changed(known, np.float32(1), np.float32(0), turns, flip)


def _weights(places: Sequence[_Place]) -> np.ndarray:
    """How often each is drawn from: the more room it has, the more often, but all planes of a stack
    as often as each other.

    Else the plane farthest from focus, which is blurred everywhere, would decide how the others are
    restored.
    """
    room = [float(np.sqrt(len(place.starts))) for place in places]
    of_stack: dict[str, list[float]] = {}
    for place, each in zip(places, room, strict=True):
        of_stack.setdefault(place.pair.stack, []).append(each)
    return np.array(
        [
            np.mean(of_stack[place.pair.stack]) if place.pair.stack else each
            for place, each in zip(places, room, strict=True)
        ]
    )


def _place(pair: TuningPair, box: Box, edge: int) -> _Place | None:
    starts = np.argwhere(patch_places(pair, box, edge)) + np.array([box.y0, box.x0])
    return _Place(pair, reduced_truth(pair.high, pair.scale), starts) if len(starts) else None


def _changed(
    image: np.ndarray, gain: np.float32, offset: np.float32, turns: int, flip: bool
) -> np.ndarray:
    image = np.rot90(image, turns, axes=(1, 2))
    image = image[:, :, ::-1] if flip else image
    return np.ascontiguousarray(image * gain + offset, dtype=np.float32)
