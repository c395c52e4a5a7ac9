"""What a network is tuned on: planes of registered pairs, with as many channels as the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from napari_mdeblurgan.degradation.gaussian_blur import downsample
from napari_mdeblurgan.errors import ImageError, ModelError, TrainingError
from napari_mdeblurgan.fine_tuning.illumination import under_the_light_of
from napari_mdeblurgan.model_card import ModelCard
from napari_mdeblurgan.pairs import RegisteredPair
from napari_mdeblurgan.pairs.pair import mixed

_TILES = 0.5  # of a field: tiles of a mosaic share less


@dataclass(frozen=True, slots=True, eq=False)
class TuningPair:
    """A blurred image and the truth, exactly on the network's output grid.

    Attributes
    ----------
    name : str
        For the user.
    low : ndarray
        float32, (channels, y, x), normalised by its window; y and x are multiples of 8.
    high : ndarray
        float32, (channels, scale · y, scale · x), intensities matched to `low`; `scale` is 1 where
        both have the same pixels.
    valid : ndarray
        bool, (scale · y, scale · x): where `high` can be learned from.
    stack : str
        Name of the focus stack whose plane `low` is, all planes of which show one field; empty for
        an image of a pair.
    same_truth : str
        Name of the first pair that shows the same field: with the same sharp image, as in a series
        through focus, or at the same place of one blurred image. Mostly its own.
    """

    name: str
    low: np.ndarray
    high: np.ndarray
    valid: np.ndarray
    stack: str = ""
    same_truth: str = ""

    @property
    def field(self) -> str:
        """What it shows: the same for all colours of an image, all planes of a stack or of two
        layers, and all pairs of one place, see `same_truth`.
        """
        return self.stack or (self.same_truth or self.name).partition(" [")[0]

    @property
    def scale(self) -> int:
        """Pixels of `high` for one of `low`, along an edge."""
        return int(self.high.shape[-1] // self.low.shape[-1])

    def valid_low(self) -> np.ndarray:
        """bool, (y, x): pixels of `low` on whose area all of `high` can be learned from."""
        y, x = self.low.shape[1:]
        return np.asarray(self.valid.reshape(y, self.scale, x, self.scale).all(axis=(1, 3)))


def reduced_truth(high: np.ndarray, scale: int) -> np.ndarray:
    """The truth on the low-resolution grid, reduced as for the training of the base models.

    Parameters
    ----------
    high : ndarray
        float32, (channels, scale · y, scale · x).
    """
    return np.asarray(
        downsample(torch.from_numpy(np.ascontiguousarray(high))[None], scale)[0].numpy()
    )


def tuning_pairs(
    pairs: Sequence[RegisteredPair], card: ModelCard, *, trust: bool = False
) -> list[TuningPair]:
    """Planes of pairs for a model: a colour pair for a colour model; for a grey one each channel,
    or colour, on its own.

    Parameters
    ----------
    pairs : sequence of RegisteredPair
        On the grid of a model of `card.scale`, or all on their own pixels (`scale` 1).
    card : ModelCard
        The base model's.
    trust : bool
        The user has said that pairs whose registration was not accepted may be learned from.

    Raises
    ------
    TrainingError
        If there is no pair, one was not accepted and `trust` is not given, or some are of the same
        pixels and others are not.
    ImageError
        If a pair does not fit the model.
    """
    if not pairs:
        raise TrainingError(
            "There is no pair to learn from; name at least one low and one high magnification "
            "image."
        )
    if sentence := mixed(pairs):
        raise TrainingError(sentence)
    planes: list[TuningPair] = []
    for pair, same_truth in zip(pairs, _first_of_field(pairs), strict=True):
        if not pair.accepted and not trust:
            raise TrainingError(
                f"{pair.name} was not registered "
                f"({'; '.join(pair.registration.reasons) or 'no reason given'}): leave it out, or "
                "say that it is to be trusted all the same."
            )
        if pair.scale not in (card.scale, 1):
            raise ImageError(
                f"{pair.name} was laid out for a model of ×{pair.scale}, but {card.name} is of "
                f"×{card.scale}; register it anew."
            )
        if card.channels == 3 and not pair.rgb:
            raise ImageError(
                f"{pair.name} is grey, but {card.name} is for colour images; choose a grey model."
            )
        planes += (replace(plane, same_truth=same_truth) for plane in _planes(pair, card.channels))
    return planes


def _first_of_field(pairs: Sequence[RegisteredPair]) -> list[str]:
    """For each pair the name of the first one that shows the same field, mostly its own."""
    from scipy.sparse.csgraph import connected_components

    alike = np.array([[_of_one_field(a, b) for b in pairs] for a in pairs])
    _, fields = connected_components(alike)
    first: dict[int, str] = {}
    return [first.setdefault(at, pair.name) for at, pair in zip(fields, pairs, strict=True)]


def _of_one_field(one: RegisteredPair, other: RegisteredPair) -> bool:
    """Whether two pairs have one sharp image, or share more of one blurred image than tiles that
    overlap at their edges.
    """
    if one.truth and one.truth == other.truth:
        return True
    if not one.source or one.source != other.source:
        return False
    shared, smaller = 1, min(one.low[0].size, other.low[0].size)
    for a, b in zip(one.low_crop, other.low_crop, strict=True):
        shared *= max(0, min(a.stop, b.stop) - max(a.start, b.start))
    return shared > _TILES * smaller


def output_scale(pairs: Sequence[TuningPair], card: ModelCard) -> int | None:
    """Pixels of a result for one of the image that a model learns from pairs, where these are not
    `card.scale`.

    Raises
    ------
    ModelError
        If a pair does not fit the model.
    """
    for pair in pairs:
        if pair.low.shape[0] != card.channels or pair.scale not in (card.scale, 1):
            raise ModelError(
                f"{pair.name} has {pair.low.shape[0]} channels and ×{pair.scale}, but {card.name} "
                f"takes {card.channels} and makes ×{card.scale}; choose a model that fits."
            )
    return pairs[0].scale if pairs[0].scale != card.scale else None


def _planes(pair: RegisteredPair, channels: int) -> list[TuningPair]:
    finite = np.isfinite(pair.low).all(axis=0).repeat(pair.scale, axis=0).repeat(pair.scale, axis=1)
    valid = pair.valid & finite & np.isfinite(pair.high).all(axis=0)
    low, high = (
        np.nan_to_num(each, nan=0, posinf=0, neginf=0).astype(np.float32)
        for each in (pair.low, pair.high)
    )
    lit = TuningPair(pair.name, low, high, valid).valid_low() | bool(
        pair.stack
    )  # a truth out of the planes is lit alike
    black = np.array([-window.low / ((window.high - window.low) or 1) for window in pair.windows])
    high = under_the_light_of(low, reduced_truth(high, pair.scale), high, lit, black)
    if channels == pair.channels:
        return [TuningPair(pair.name, low, high, valid, pair.stack)]
    return [
        TuningPair(
            f"{pair.name} [{'RGB'[n] if pair.rgb else n}]",
            low[n : n + 1],
            high[n : n + 1],
            valid,
            pair.stack,
        )
        for n in range(1 if pair.colourless else pair.channels)
    ]
