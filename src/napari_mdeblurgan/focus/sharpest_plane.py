"""Which plane is sharpest where: the height of every place between the planes,
and how sure it is.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.focus.energy import SURE, doubled, spread
from napari_mdeblurgan.focus.in_threads import in_parallel

RADIUS = 5  # pixels: of the squares in which heights are brought in line with edges
_EDGE = 0.02  # of the contrast: smaller differences are no edge
_COARSER = (
    1.0,
    0.6,
    0.3,
)  # how much a scale is believed: what has coarse detail only may be out of focus everywhere
_FILLED = (
    3.0,
    9.0,
    27.0,
)  # pixels: σ of the Gaussians by which heights are carried into places without detail
DOUBTED, BELIEVED = (
    0.25,
    0.75,
)  # confidence from which, and above which wholly, a height counts for what is near
_ENOUGH = 0.05  # of the weight there: where there is less, a wider one is asked
_LEAST = 1e-3
_ALIKE = 8.0  # pixels of a scale: σ of the Gaussian that what all planes have is averaged by
UNKNOWN_DEPTH = 0.5  # planes
SURE_BELIEF = 0.5
FOCUS_REACH = 3 * 27 + 4 * RADIUS + 24  # pixels around a place that its height depends on


def shares_steps(
    of_planes: Sequence[Sequence[tuple[np.ndarray, float]]],
) -> Generator[None, None, tuple[np.ndarray, np.ndarray]]:
    """How the detail of a place is divided among the planes, and how far there is any; a step for
    each scale.

    At each place the finest scale that shows detail counts; coarser ones fill what it leaves open.

    Parameters
    ----------
    of_planes : sequence
        What `energies` gives for each plane.

    Returns
    -------
    tuple of ndarray
        (planes, y, x) float32 with a sum of at most 1; (y, x) float32 from 0 (no detail) to 1.
    """
    finest = of_planes[0][0][0].shape
    total = np.zeros((len(of_planes), *finest), np.float32)
    belief = np.zeros(finest, np.float32)
    left = np.ones(finest, np.float32)
    for scale, trusted in enumerate(_COARSER[: len(of_planes[0])]):
        values = np.stack([plane[scale][0] for plane in of_planes])
        least = values.min(
            axis=0
            # what no defocus takes away is none of the specimen: noise, compression, dirt on the
            # camera
        )
        common = ndimage.gaussian_filter(least, _ALIKE, mode="nearest", truncate=3.0)
        doubt = np.maximum(
            max(plane[scale][1] for plane in of_planes), SURE * spread() * common
        ).astype(np.float32)
        values = np.maximum(values - least - doubt, 0)
        highest = values.max(axis=0)
        sure = highest / (highest + doubt + np.float32(1e-12))
        share = values / np.maximum(values.sum(axis=0), np.float32(1e-12))
        sure, share = doubled(sure, scale), doubled(share, scale)
        weight = left * sure
        total += weight * share
        belief += np.float32(trusted) * weight
        left = left - weight
        yield
    return total, belief


def aligned_steps(
    share: np.ndarray, guide: np.ndarray, contrast: float
) -> Generator[None, None, np.ndarray]:
    """Shares brought in line with the edges of an image: a guided filter (He et al. 2013), plane by
    plane.

    Parameters
    ----------
    share : ndarray
        (planes, y, x) float32.
    guide : ndarray
        (y, x) float32.
    contrast : float
        Of the whole image that the guide is a part of: what counts as an edge is the same in all of
        its parts.
    """
    size = 2 * RADIUS + 1

    def mean(image: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(image, size, mode="nearest")

    # the offset of all greys plays no part, but squares of large greys would leave no differences
    guide = (guide - guide.mean()) / np.float32(contrast)
    of_guide = mean(guide)
    variance = np.maximum(mean(guide * guide) - of_guide**2, 0) + np.float32(_EDGE**2)

    def aligned(plane: np.ndarray) -> np.ndarray:
        of_plane = mean(plane)
        slope = (mean(guide * plane) - of_guide * of_plane) / variance
        return (mean(slope) * guide + mean(of_plane - slope * of_guide)).clip(0, 1)

    found = np.empty_like(share)
    with closing(in_parallel(aligned, share)) as planes:
        for index, plane in enumerate(planes):
            found[index] = plane
            yield
    return found


def heights(
    share: np.ndarray, belief: np.ndarray, numbers: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Where the peak of the shares lies, and how sure it is.

    Parameters
    ----------
    share : ndarray
        (planes, y, x).
    belief : ndarray
        (y, x): how far there is detail at all.
    numbers : sequence of int
        At what height each plane is; steps are larger where planes are missing.

    Returns
    -------
    tuple of ndarray
        (y, x) float32: the place among the planes, from 0 to planes − 1, between planes by a
        parabola through the logarithms of the peak and its neighbours; and the confidence, 0 to 1:
        the belief, times how far the peak stands out of the flattest plane.
    """
    best = share.argmax(axis=0)
    last = len(share) - 1

    def at(index: np.ndarray) -> np.ndarray:
        return np.take_along_axis(share, index[None], axis=0)[0]

    peak = at(best)
    logs = [
        np.log(at(np.clip(best + offset, 0, last)) + np.float32(_LEAST)) for offset in (-1, 0, 1)
    ]
    steps = np.pad(np.diff(numbers), 1, constant_values=1).astype(np.float32)
    before, after = steps[best], steps[best + 1]
    fall, rise = logs[1] - logs[0], logs[1] - logs[2]
    bend = fall * after + rise * before
    offset = np.where(
        bend > 1e-6,
        (fall * after**2 - rise * before**2) / (2 * np.maximum(bend, 1e-6)),
        0,
    )
    offset = (offset / np.where(offset > 0, after, before)).clip(-0.5, 0.5)
    offset[(best == 0) | (best == last)] = 0
    stands_out = (
        1 - share.min(axis=0) / np.maximum(peak, np.float32(_LEAST))
        if last
        else np.zeros_like(peak)
    )
    return (best + offset).astype(np.float32), (belief * stands_out.clip(0, 1)).astype(np.float32)


def depth(share: np.ndarray, belief: np.ndarray) -> float:
    """How many planes from its peak detail falls to 1/√e, in planes: the median over places that
    show some.

    Parameters
    ----------
    share, belief : ndarray
        As for `heights`.

    Returns
    -------
    float
        Of the Gaussian through the shares of the peak and its neighbours; `UNKNOWN_DEPTH` where no
        place tells.
    """
    best, last = share.argmax(axis=0), len(share) - 1
    inside = (best > 0) & (best < last) & (belief > SURE_BELIEF)
    if not inside.any():
        return UNKNOWN_DEPTH
    seen, peak = share[:, inside], best[inside]
    logs = [
        np.log(seen[peak + offset, np.arange(len(peak))] + np.float32(_LEAST))
        for offset in (-1, 0, 1)
    ]
    bend = np.maximum(2 * logs[1] - logs[0] - logs[2], np.float32(1e-3))
    return float(np.median(1 / np.sqrt(bend)))


def filled(height: np.ndarray, confidence: np.ndarray, far: float) -> np.ndarray:
    """Heights in which places without detail have those of what is near and has some; (y, x)
    float32.

    Where nothing near has any, it is `far`: what noise says would be seen as blocks in the image.
    """
    weight = np.clip((confidence - DOUBTED) / (BELIEVED - DOUBTED), 0, 1) ** 2
    found = np.zeros_like(height)
    left = np.ones_like(height)
    for sigma in _FILLED:
        near = ndimage.gaussian_filter(weight, sigma, mode="nearest", truncate=3.0)
        mean = ndimage.gaussian_filter(
            weight * height, sigma, mode="nearest", truncate=3.0
        ) / np.maximum(near, 1e-9)
        share = left * np.minimum(near / _ENOUGH, 1)
        found += share * mean
        left -= share
    return found + left * np.float32(far)
