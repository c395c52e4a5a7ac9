"""Where in the low-magnification image the high-magnification one lies, to within a few pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from napari_mdeblurgan.pairs.affine import affine, reduction, turned
from napari_mdeblurgan.pairs.structure import HighPass, blurred, even
from napari_mdeblurgan.stopping import look_up

TURN_DEGREES, _STRETCH = 5.0, 0.04  # how far the two may be turned and off the ratio that was said
# pixels of the search along the shorter edge of the high-magnification image, at most so many
FIELD = 128
_BAND = 4.0  # coarsest to finest structure
NEARBY = 2.0  # even() looks so much farther than the coarsest structure
DEFOCUS = 1.2  # low-resolution pixels: a blur between sharp and strongly defocused
OVERLAP = 0.3  # of the high-magnification image, at least
PEAKS = 6
_APART = 0.12  # of the high-magnification image's edge: nearer peaks are one


@dataclass(frozen=True, slots=True, eq=False)
class CandidatePlace:
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
    """Means over blocks of factor × factor pixels; the last rows and columns that make no whole
    block are left out.
    """
    if factor == 1:
        return image
    y, x = image.shape[0] // factor, image.shape[1] // factor
    blocks = image[: y * factor, : x * factor].reshape(y, factor, x, factor)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def places(low: np.ndarray, high: np.ndarray, ratio: float) -> tuple[list[CandidatePlace], float]:
    """The likeliest places, the best first, and by how many standard deviations of all places it
    exceeds the second.

    For some rotations and ratios the high-magnification image is brought to the pixels of the
    low-magnification one, and the two are correlated at every offset (normalised, masked
    cross-correlation by FFT; after Padfield 2012). Both are band-passed and locally normalised
    before, so that neither illumination nor the strongest structure decides.

    Parameters
    ----------
    low, high : ndarray
        (y, x) float32, see `structure.plane`.
    ratio : float
        High-resolution pixels for one low-resolution pixel, to within 4 %.
    """
    factor = 1
    while (
        min(high.shape) / (ratio * factor * 2) >= FIELD / 2
        and min(high.shape) / (ratio * factor) > FIELD
    ):
        factor *= 2
    fine = max(1.5 / factor, 1.0)
    field = reduced(low, factor)
    everywhere = np.ones(field.shape, bool)
    structure = _structure(blurred(field, fine), everywhere, fine)
    templates = _templates(high, ratio * factor, fine, DEFOCUS / factor)

    shape = [
        fft.next_fast_len(a + b, real=True)
        for a, b in zip(field.shape, templates.size, strict=True)
    ]

    def correlated(spectrum: np.ndarray, template: np.ndarray) -> np.ndarray:
        # sum over X of field(X + offset) · template(X), for offsets from 1 − size to field − 1,
        # negative ones at the end
        return fft.irfft2(spectrum * np.conj(fft.rfft2(template.astype(np.float32), shape)), shape)

    plain, mask, _ = templates.made(0, 1)
    inside = fft.rfft2(everywhere.astype(np.float32), shape)
    overlap = correlated(inside, mask) / mask.sum()
    usable = overlap >= OVERLAP
    if not usable.any():
        return [], 0.0
    energies = correlated(fft.rfft2(structure**2, shape), mask), correlated(inside, plain**2)
    norm = np.sqrt(np.maximum(energies[0], 1e-3) * np.maximum(energies[1], 1e-3))
    weight = np.where(usable, np.sqrt(np.clip(overlap, 0, 1)) / norm, 0)

    spectrum = fft.rfft2(structure, shape)
    apart = [max(3, round(_APART * length)) for length in templates.size]
    found: list[tuple[float, np.ndarray, np.ndarray]] = []
    spread = 0.0
    for degrees, stretch in templates.tried():
        look_up()
        image, _, linear = templates.made(degrees, stretch)
        correlations = correlated(spectrum, image) * weight
        spread = max(spread, float(correlations[usable].std()))
        for peak, offset in _peaks(correlations, apart, field.shape):
            found.append((peak, offset + templates.middle, linear))
    kept: list[tuple[float, np.ndarray, np.ndarray]] = []
    for each in sorted(found, key=lambda each: -each[0]):
        if len(kept) < PEAKS and all(np.any(np.abs(each[1] - other[1]) > apart) for other in kept):
            kept.append(each)
    ahead = kept[0][0] - (kept[1][0] if len(kept) > 1 else 0.0)
    to_search = reduction(factor)
    return [
        CandidatePlace(affine(linear, templates.centre, at) @ to_search, peak)
        for peak, at, linear in kept
    ], ahead / max(spread, 1e-6)


@dataclass(frozen=True, slots=True, eq=False)
class _Templates:
    """The high-magnification image on the pixels of the search, turned and enlarged."""

    coefficients: np.ndarray  # of the cubic spline, blurred
    step: float  # its pixels for one of the search
    fine: float  # finest structure in pixels of the search

    @property
    def size(self) -> tuple[int, int]:
        y, x = (
            math.ceil(length / self.step * (1 + _STRETCH)) + 2 for length in self.coefficients.shape
        )
        return y, x

    @property
    def middle(self) -> np.ndarray:
        return (np.array(self.size) - 1) / 2

    @property
    def centre(self) -> np.ndarray:
        return (np.array(self.coefficients.shape) - 1) / 2

    def tried(self) -> Iterator[tuple[float, float]]:
        """Degrees and factors so close that the corners of the field move by 3 pixels of the search
        from one to the next.
        """
        radius = math.hypot(*self.coefficients.shape) / self.step / 2
        turns = max(1, math.ceil(math.radians(TURN_DEGREES) * radius / 3))
        stretches = max(1, math.ceil(_STRETCH * radius / 3))
        for degrees in np.linspace(-TURN_DEGREES, TURN_DEGREES, 2 * turns + 1):
            for exponent in np.linspace(-1, 1, 2 * stretches + 1):
                yield float(degrees), (1 + _STRETCH) ** float(exponent)

    def made(self, degrees: float, stretch: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The structure, where it is known, and the linear part of the way to the
        high-magnification image.
        """
        linear = turned(degrees) * self.step * stretch
        offset = self.centre - linear @ self.middle
        image = ndimage.affine_transform(
            self.coefficients, linear, offset, self.size, order=3, mode="mirror", prefilter=False
        )
        there = np.tensordot(linear, np.indices(self.size), 1) + offset[:, None, None]
        last = np.array(self.coefficients.shape)[:, None, None] - 1
        mask = np.all((there >= 0) & (there <= last), axis=0)
        return _structure(image, mask, self.fine), mask, linear


def _templates(high: np.ndarray, step: float, fine: float, defocus: float) -> _Templates:
    smooth = blurred(high, step * math.hypot(fine, defocus))
    return _Templates(ndimage.spline_filter(smooth, order=3, mode="mirror"), step, fine)


def _peaks(
    correlations: np.ndarray, apart: list[int], field: tuple[int, ...]
) -> Iterator[tuple[float, np.ndarray]]:
    """The highest peaks and their offsets; what is near a peak is wiped out."""
    for _ in range(PEAKS):
        at = np.unravel_index(int(correlations.argmax()), correlations.shape)
        yield (
            float(correlations[at]),
            np.array(
                [
                    i if i < f else i - n
                    for i, f, n in zip(at, field, correlations.shape, strict=True)
                ]
            ),
        )
        around = [
            np.arange(i - a, i + a + 1) % n
            for i, a, n in zip(at, apart, correlations.shape, strict=True)
        ]
        correlations[np.ix_(*around)] = -1


def _structure(image: np.ndarray, mask: np.ndarray, fine: float) -> np.ndarray:
    coarse = _BAND * fine
    return even(HighPass(mask, coarse)(image), mask, NEARBY * coarse)
