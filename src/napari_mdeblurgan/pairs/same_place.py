"""Whether two images that were laid on each other do show the same place."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.pairs.affine import box
from napari_mdeblurgan.pairs.refine import COARSE, Fit, HighMagnification, enough, seen
from napari_mdeblurgan.pairs.structure import HighPass, blurred, correlation
from napari_mdeblurgan.stopping import look_up

_BLOCK = 20  # low-resolution pixels along an edge, about
BLOCKS = (3, 10)  # along either edge: fewest and most
_COVERED = 0.5  # of a block lies within both images
_ALIKE = 0.5  # correlation of a block that agrees
ABOVE_NOISE = (
    6.0  # times the noise's variance: where there is less structure there is nothing to compare
)
ABOVE_FAINT = 0.03  # of the structure in the strongest parts


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


def judge_overlap(low: np.ndarray, sharp: HighMagnification, found: Fit) -> Evidence:
    """Look at the parts of the overlap one by one."""
    smooth = float(np.clip(found.blur, 0.7, 2.0))
    where = box(found.transform, sharp.image.shape, low.shape)
    mask = seen(found.transform, where, sharp.image.shape, sharp.ratio)
    if not enough(mask):
        return Evidence(0.0, 0.0, 0)
    high_pass = HighPass(mask, COARSE)
    one = high_pass(blurred(low, smooth)[where])
    total = math.hypot(found.blur, smooth)
    other = high_pass(sharp.at(total, found.transform, where))
    whole = correlation(one, other)

    reach = math.ceil(2 * smooth + 2)
    counts = [int(np.clip(length // _BLOCK, *BLOCKS)) for length in mask.shape]
    edges = [
        np.linspace(0, length, count + 1).astype(int)[:-1]
        for length, count in zip(mask.shape, counts, strict=True)
    ]

    def sums(image: np.ndarray) -> np.ndarray:
        return np.add.reduceat(np.add.reduceat(image, edges[0], axis=0), edges[1], axis=1)

    covered = sums(mask.astype(np.float32)) / sums(np.ones(mask.shape, np.float32))
    strength = sums(one**2)
    best = np.full(strength.shape, -1.0)
    distance = np.full(strength.shape, np.inf)
    for y in range(-reach, reach + 1):
        look_up()
        for x in range(-reach, reach + 1):
            shifted = np.roll(other, (y, x), axis=(0, 1))
            here = sums(one * shifted) / np.sqrt(np.maximum(strength * sums(shifted**2), 1e-20))
            better = here > best
            best[better], distance[better] = here[better], math.hypot(y, x)
    pixels = np.maximum(sums(mask.astype(np.float32)), 1)
    gain = float((one * other).sum() / max((other**2).sum(), 1e-20))
    structure = np.maximum(strength, gain**2 * sums(other**2)) / pixels
    there = covered > _COVERED
    if not there.any():
        return Evidence(whole, 0.0, 0)
    grain = noise(low) ** 2 / smooth**2 + (gain * noise(sharp.image) / (total * sharp.ratio)) ** 2
    least = max(
        ABOVE_NOISE * grain / (4 * math.pi), ABOVE_FAINT * float(np.quantile(structure[there], 0.9))
    )
    textured = there & (structure > least)
    agree = textured & (best > _ALIKE) & (distance <= max(1.0, 0.5 * smooth))
    parts = int(textured.sum())
    return Evidence(whole, float(agree.sum()) / parts if parts else 0.0, parts)


def noise(image: np.ndarray) -> float:
    """Standard deviation of the noise of single pixels (Immerkær 1996, with the median in place of
    the mean).
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.median(np.abs(ndimage.convolve(image, kernel)))) / 0.6745 / 6
