"""Whether two images that were laid on each other do show the same place."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from napari_mdeblurgan.training.pairs.geometry import box
from napari_mdeblurgan.training.pairs.refine import COARSE, Fit, Sharp, seen
from napari_mdeblurgan.training.pairs.structure import HighPass, blurred, correlation

BLOCK = 20  # low-resolution pixels along an edge, about
BLOCKS = (3, 10)  # along either edge: fewest and most
ALIKE = 0.5  # correlation of a block that agrees
TEXTURED = 0.25  # of the median block's strength: where there is less there is nothing to compare


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a place.

    Attributes
    ----------
    correlation : float
        Of the structures.
    agreement : float
        Share of the parts that on their own are found there, too.
    parts : int
        How many parts have enough structure to tell.
    """

    correlation: float
    agreement: float
    parts: int


def evidence(low: np.ndarray, sharp: Sharp, found: Fit) -> Evidence:
    """Look at the parts of the overlap one by one."""
    smooth = float(np.clip(found.blur, 0.7, 2.0))
    where = box(found.transform, sharp.image.shape, low.shape)
    mask = seen(found.transform, where, sharp.image.shape, sharp.ratio)
    high_pass = HighPass(mask, COARSE)
    one = high_pass(blurred(low, smooth)[where])
    other = high_pass(sharp.at(math.hypot(found.blur, smooth), found.transform, where))
    whole = correlation(one, other)

    reach = math.ceil(2 * smooth + 2)
    counts = [int(np.clip(length // BLOCK, *BLOCKS)) for length in mask.shape]
    edges = [
        np.linspace(0, length, count + 1).astype(int)[:-1] for length, count in zip(mask.shape, counts, strict=True)
    ]

    def sums(image: np.ndarray) -> np.ndarray:
        return np.add.reduceat(np.add.reduceat(image, edges[0], axis=0), edges[1], axis=1)

    covered = sums(mask.astype(np.float32)) / sums(np.ones(mask.shape, np.float32))
    strength = sums(one**2)
    best = np.full(strength.shape, -1.0)
    distance = np.full(strength.shape, np.inf)
    for y in range(-reach, reach + 1):
        for x in range(-reach, reach + 1):
            shifted = np.roll(other, (y, x), axis=(0, 1))
            here = sums(one * shifted) / np.sqrt(np.maximum(strength * sums(shifted**2), 1e-20))
            better = here > best
            best[better], distance[better] = here[better], math.hypot(y, x)
    own = strength / np.maximum(covered, 1e-3)
    textured = (covered > 0.5) & (own > TEXTURED * np.median(own[covered > 0.5]) if (covered > 0.5).any() else False)
    agree = textured & (best > ALIKE) & (distance <= max(1.0, 0.5 * smooth))
    parts = int(textured.sum())
    return Evidence(whole, float(agree.sum()) / parts if parts else 0.0, parts)
