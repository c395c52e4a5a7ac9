"""Where in the low-magnification image the high-magnification one lies, to within a few pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from napari_mdeblurgan.training.pairs.geometry import affine, reduction, turned
from napari_mdeblurgan.training.pairs.structure import HighPass, blurred, even

TURN_DEGREES, STRETCH = 5.0, 0.04  # how far the two may be turned and off the ratio that was said
FIELD = 128  # pixels of the search along the shorter edge of the high-magnification image, at most so many
BAND = 4.0  # coarsest to finest structure
NEARBY = 2.0  # even() looks so much farther than the coarsest structure
DEFOCUS = 1.2  # low-resolution pixels: a blur between sharp and strongly defocused
OVERLAP = 0.3  # of the high-magnification image, at least
PEAKS = 6
APART = 0.12  # of the high-magnification image's edge: nearer peaks are one


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where the high-magnification image may lie.

    Attributes
    ----------
    transform : ndarray
        (3, 3), from the low-magnification image to the high-magnification one.
    correlation : float
        Of the structures there.
    """

    transform: np.ndarray
    correlation: float


def reduced(image: np.ndarray, factor: int) -> np.ndarray:
    """Means over blocks of factor × factor pixels; the last rows and columns that make no whole block are left out."""
    if factor == 1:
        return image
    y, x = image.shape[0] // factor, image.shape[1] // factor
    blocks = image[: y * factor, : x * factor].reshape(y, factor, x, factor)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def places(low: np.ndarray, high: np.ndarray, ratio: float) -> tuple[list[Place], float]:
    """The likeliest places, the best first, and by how many standard deviations of all places it exceeds the second.

    For some rotations and ratios the high-magnification image is brought to the pixels of the low-magnification one, and the two
    are correlated at every offset (normalised, masked cross-correlation by FFT; after Padfield 2012). Both are band-passed and
    locally normalised before, so that neither illumination nor the strongest structure decides.

    Parameters
    ----------
    low, high : ndarray
        (y, x) float32, see `structure.plane`.
    ratio : float
        High-resolution pixels for one low-resolution pixel, to within 4 %.
    """
    factor = 1
    while min(high.shape) / (ratio * factor * 2) >= FIELD / 2 and min(high.shape) / (ratio * factor) > FIELD:
        factor *= 2
    step = ratio * factor  # high-resolution pixels for one of the search
    fine = max(1.5 / factor, 1.0)
    field = reduced(low, factor)
    everywhere = np.ones(field.shape, bool)
    structure = _structure(blurred(field, fine), everywhere, fine)
    source = ndimage.spline_filter(blurred(high, step * math.hypot(fine, DEFOCUS / factor)), order=3, mode="mirror")

    size = [math.ceil(length / step * (1 + STRETCH)) + 2 for length in high.shape]
    shape = [fft.next_fast_len(a + b, real=True) for a, b in zip(field.shape, size, strict=True)]
    spectrum = np.conj(fft.rfft2(structure, shape))

    def correlated(spectrum_of: np.ndarray, template: np.ndarray) -> np.ndarray:
        # sum over X of field(X + offset) · template(X), for offsets from 1 − size to field − 1, negative ones at the end
        return fft.irfft2(np.conj(spectrum_of * fft.rfft2(template.astype(np.float32), shape)), shape)

    middle = (np.array(size) - 1) / 2
    centre = (np.array(high.shape) - 1) / 2
    radius = math.hypot(*(length / step for length in high.shape)) / 2
    turn = max(1, math.ceil(math.radians(TURN_DEGREES) / (3 / radius)))
    stretch = max(1, math.ceil(STRETCH / (3 / radius)))

    def template(degrees: float, factor_: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        linear = turned(degrees) * step * factor_
        offset = centre - linear @ middle
        image = ndimage.affine_transform(source, linear, offset, tuple(size), order=3, mode="mirror", prefilter=False)
        grid = np.indices(size)
        there = np.tensordot(linear, grid, 1) + offset[:, None, None]
        mask = np.all((there >= 0) & (there <= np.array(high.shape)[:, None, None] - 1), axis=0)
        return _structure(image, mask, fine), mask, linear

    plain, mask, _ = template(0, 1)
    energy = correlated(np.conj(fft.rfft2(structure**2, shape)), mask)
    inside = np.conj(fft.rfft2(everywhere.astype(np.float32), shape))
    own = correlated(inside, plain**2)
    overlap = correlated(inside, mask) / mask.sum()
    norm = np.sqrt(np.maximum(energy, 1e-3) * np.maximum(own, 1e-3))
    usable = overlap >= OVERLAP
    weight = np.where(usable, np.sqrt(np.clip(overlap, 0, 1)) / norm, 0)

    found: list[tuple[float, np.ndarray, np.ndarray]] = []
    spread = 0.0
    edge = [max(3, round(APART * length)) for length in size]
    for degrees in np.linspace(-TURN_DEGREES, TURN_DEGREES, 2 * turn + 1):
        for exponent in np.linspace(-1, 1, 2 * stretch + 1):
            image, _, linear = template(float(degrees), (1 + STRETCH) ** float(exponent))
            ncc = correlated(spectrum, image) * weight
            spread = max(spread, float(ncc[usable].std()))
            for _ in range(PEAKS):
                at = np.unravel_index(int(ncc.argmax()), ncc.shape)
                peak = float(ncc[at])
                offset = np.array([i if i < f else i - n for i, f, n in zip(at, field.shape, ncc.shape, strict=True)])
                found.append((peak, offset + middle, linear))
                rows = np.arange(at[0] - edge[0], at[0] + edge[0] + 1) % ncc.shape[0]
                columns = np.arange(at[1] - edge[1], at[1] + edge[1] + 1) % ncc.shape[1]
                ncc[np.ix_(rows, columns)] = -1
    found.sort(key=lambda each: -each[0])
    kept: list[tuple[float, np.ndarray, np.ndarray]] = []
    for each in found:
        if len(kept) == PEAKS:
            break
        if all(np.any(np.abs(each[1] - other[1]) > edge) for other in kept):
            kept.append(each)
    to_search = reduction(factor)
    ahead = kept[0][0] - (kept[1][0] if len(kept) > 1 else 0.0)
    return [Place(affine(linear, centre, at) @ to_search, peak) for peak, at, linear in kept], ahead / max(spread, 1e-6)


def _structure(image: np.ndarray, mask: np.ndarray, fine: float) -> np.ndarray:
    coarse = BAND * fine
    return even(HighPass(mask, coarse)(image), mask, NEARBY * coarse)
