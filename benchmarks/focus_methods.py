"""Published ways to put a focus stack together, as what `benchmarks/focus.py` compares with.

Each takes planes, (planes, y, x) or (planes, y, x, colours) float32, and gives (y, x) or (y, x,
colours).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

LEVELS = 5


def by_variance(stack: np.ndarray) -> np.ndarray:
    """The plane with the largest variance in 9 × 9 pixels, at every place."""
    grey = _grey(stack)
    mean = ndimage.uniform_filter(grey, (0, 9, 9))
    best = (ndimage.uniform_filter(grey**2, (0, 9, 9)) - mean**2).argmax(axis=0)
    return _taken(stack, best)


def by_pyramid(stack: np.ndarray) -> np.ndarray:
    """Laplacian pyramids (Burt and Kolczynski 1993): of each band the plane with most energy in 5 ×
    5.

    What is coarser than the last band is the mean of the planes.
    """
    if stack.ndim == 4:
        return _colours(stack, by_pyramid)
    size = stack.shape[1:]
    whole = 2**LEVELS
    pad = [(0, 0), *((0, -n % whole) for n in size)]
    level, bands = np.pad(stack, pad, mode="reflect"), []
    for _ in range(LEVELS):
        small = ndimage.gaussian_filter(level, (0, 1, 1), mode="mirror")[:, ::2, ::2]
        bands.append(level - _enlarged(small))
        level = small
    found = level.mean(axis=0)
    for band in reversed(bands):
        best = ndimage.uniform_filter(band**2, (0, 5, 5)).argmax(axis=0)
        found = _enlarged(found[None])[0] + _taken(band, best)
    return found[: size[0], : size[1]]


def by_wavelets(stack: np.ndarray) -> np.ndarray:
    """Complex Daubechies wavelets with six taps (Forster et al. 2004), and the value of a plane at
    each place.

    Of every coefficient the plane with the largest modulus, agreed on by the three bands of a level
    and by the neighbours. The grey image decides; each place then gets the value of the plane whose
    grey is closest.
    """
    grey = _grey(stack)
    size = grey.shape[1:]
    whole = 2**LEVELS
    pad = [(0, 0), *((0, -n % whole) for n in size)]
    level: np.ndarray = np.pad(grey, pad, mode="reflect").astype(complex)
    bands = []
    for _ in range(LEVELS):
        low, high = (_filtered(level, taps, 1) for taps in (LOW, HIGH))
        bands.append([_filtered(low, HIGH, 2), _filtered(high, LOW, 2), _filtered(high, HIGH, 2)])
        level = _filtered(low, LOW, 2)
    found = level.mean(axis=0)
    for three in reversed(bands):
        votes = np.stack([np.abs(band).argmax(axis=0) for band in three])
        # two of three bands agree, or the band with the largest coefficient decides
        largest = np.stack([np.abs(band).max(axis=0) for band in three]).argmax(axis=0)
        best = np.take_along_axis(votes, largest[None], axis=0)[0]
        best = np.where(
            votes[0] == votes[1], votes[0], np.where(votes[1] == votes[2], votes[1], best)
        )
        best = _agreed(best, len(stack))
        across, down, both = (_taken(band, best) for band in three)
        low = _spread(found, LOW, 1) + _spread(across, HIGH, 1)
        high = _spread(down, LOW, 1) + _spread(both, HIGH, 1)
        found = _spread(low, LOW, 0) + _spread(high, HIGH, 0)
    sharp = found.real[: size[0], : size[1]]
    return _taken(stack, np.abs(grey - sharp).argmin(axis=0))


def by_guided_filter(stack: np.ndarray) -> np.ndarray:
    """Guided filtering (Li, Kang and Hu 2013), with the radii and constants of the paper."""
    grey = _grey(stack)
    saliency = ndimage.gaussian_filter(np.abs(ndimage.laplace(grey, axes=(1, 2))), (0, 5, 5))
    best = saliency.argmax(axis=0)
    coarse = ndimage.uniform_filter(stack, (0, 31, 31, 0)[: stack.ndim])
    found = np.zeros(stack.shape[1:], np.float32)
    for part, radius, epsilon in ((coarse, 45, 0.3), (stack - coarse, 7, 1e-6)):
        weights = np.stack(
            [
                _guided(g, (best == i).astype(np.float32), radius, epsilon)
                for i, g in enumerate(grey)
            ]
        )
        weights = weights.clip(0) + 1e-6
        weights /= weights.sum(axis=0)
        found += (part * (weights if stack.ndim == 3 else weights[..., None])).sum(axis=0)
    return found


WAYS = {
    "variance": by_variance,
    "pyramid": by_pyramid,
    "wavelets": by_wavelets,
    "guided": by_guided_filter,
}

_R = np.sqrt(15) * 1j
LOW = np.array([-3 - _R, 5 - _R, 30 + 2 * _R, 30 + 2 * _R, 5 - _R, -3 - _R]) / (32 * np.sqrt(2))
HIGH = np.array([(-1) ** n for n in range(6)]) * np.conj(LOW[::-1])


def _grey(stack: np.ndarray) -> np.ndarray:
    return stack.mean(axis=-1) if stack.ndim == 4 else stack


def _colours(stack: np.ndarray, way) -> np.ndarray:
    return np.stack([way(stack[..., c]) for c in range(stack.shape[-1])], axis=-1)


def _taken(stack: np.ndarray, best: np.ndarray) -> np.ndarray:
    index = best[None, ..., None] if stack.ndim == 4 else best[None]
    return np.take_along_axis(stack, index, axis=0)[0]


def _enlarged(planes: np.ndarray) -> np.ndarray:
    """(planes, 2 y, 2 x): between the pixels, by the filter that made them fewer."""
    spread = np.zeros((len(planes), 2 * planes.shape[1], 2 * planes.shape[2]), planes.dtype)
    spread[:, ::2, ::2] = 4 * planes
    return ndimage.gaussian_filter(spread, (0, 1, 1), mode="mirror")


def _filtered(planes: np.ndarray, taps: np.ndarray, axis: int) -> np.ndarray:
    """Every second product of the taps with what lies there, around the edge."""
    found = sum(np.conj(tap) * np.roll(planes, -n, axis) for n, tap in enumerate(taps))
    return np.take(found, np.arange(0, planes.shape[axis], 2), axis)


def _spread(planes: np.ndarray, taps: np.ndarray, axis: int) -> np.ndarray:
    """The way back of `_filtered`."""
    shape = list(planes.shape)
    shape[axis] *= 2
    spread = np.zeros(shape, complex)
    spread[(slice(None),) * axis + (slice(None, None, 2),)] = planes
    return sum(tap * np.roll(spread, n, axis) for n, tap in enumerate(taps))


def _agreed(best: np.ndarray, planes: int) -> np.ndarray:
    """The plane that most of 3 × 3 neighbours name."""
    votes = np.stack(
        [ndimage.uniform_filter((best == i).astype(np.float32), 3) for i in range(planes)]
    )
    most = votes.argmax(axis=0)
    return np.where(votes.max(axis=0) > 0.5, most, best)


def _guided(guide: np.ndarray, image: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """(y, x): `image` brought in line with the edges of `guide` (He et al. 2013)."""

    def mean(values: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(values, 2 * radius + 1)

    centre, level = mean(guide), mean(image)
    slope = (mean(guide * image) - centre * level) / (mean(guide**2) - centre**2 + epsilon)
    return mean(slope) * guide + mean(level - slope * centre)
