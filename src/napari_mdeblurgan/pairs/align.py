"""Lays the structure of one image on that of another: search, then least squares from coarse to
fine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from napari_mdeblurgan.pairs.affine import box
from napari_mdeblurgan.pairs.refine import (
    BLURS,
    Fit,
    HighMagnification,
    enough,
    fit,
    likeness,
    seen,
)
from napari_mdeblurgan.pairs.search import CandidatePlace, places

RIVALS = 3  # places that are looked at more closely where the best does not stand out
OUTSTANDING = 1.3  # times the next best: no doubt
MIDDLING = 1.2  # low-resolution pixels: the blur that the first look assumes
SETTLED = 0.15  # relative change of the blur that asks for another round


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """The best that was found.

    Attributes
    ----------
    fit : Fit
        With an affine transform.
    kind : {"similarity", "affine"}
        Of its transform.
    uniqueness : float
        By how many standard deviations the best place of the search exceeds the second.
    """

    fit: Fit
    kind: str
    uniqueness: float


def align(low: np.ndarray, sharp: HighMagnification, *, stretch: bool = True) -> Alignment | None:
    """Find the high-magnification image in the low-magnification one.

    Parameters
    ----------
    low : ndarray
        (y, x) float32, see `structure.plane`.
    sharp : HighMagnification
        The high-magnification image.
    stretch : bool
        Whether the transform may shear and stretch (affine); else it moves, turns and enlarges
        evenly (similarity).

    Returns
    -------
    Alignment or None
        None where there is nothing to hold on to.
    """
    found, uniqueness = places(low, sharp.image, sharp.ratio)
    best = _closer(low, sharp, found)
    if best is None:
        return None
    best = _with_blur(low, sharp, best)
    for smooth, fine in ((1.0, False), (0.7, True), (0.4, True), (0.4, True)):
        finer = fit(low, sharp, best.transform, best.blur, smooth, stretch=stretch and fine)
        if finer is None:
            return None
        settled = smooth < 0.7 and abs(finer.blur - best.blur) <= SETTLED * finer.blur
        best = finer
        if settled:
            break
    where = box(best.transform, sharp.image.shape, low.shape)
    if not enough(seen(best.transform, where, sharp.image.shape)):
        return None
    return Alignment(best, "affine" if stretch else "similarity", uniqueness)


def _closer(low: np.ndarray, sharp: HighMagnification, found: list[CandidatePlace]) -> Fit | None:
    """The place that correlates best once it is adjusted."""
    if not found:
        return None
    clear = len(found) == 1 or found[0].correlation > OUTSTANDING * max(found[1].correlation, 0)
    best: Fit | None = None
    for place in found[: 1 if clear else RIVALS]:
        looked = fit(low, sharp, place.transform, MIDDLING, 2.0, stretch=False)
        if looked is not None and (best is None or looked.correlation > best.correlation):
            best = looked
    return best


def _with_blur(low: np.ndarray, sharp: HighMagnification, start: Fit) -> Fit:
    """The same place, with the blur under which the two are most alike."""
    alike = [likeness(low, sharp, start.transform, blur) for blur in BLURS]
    best = max(range(len(BLURS)), key=lambda number: alike[number])
    return replace(start, blur=BLURS[best], correlation=alike[best])
