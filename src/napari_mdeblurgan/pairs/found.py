"""Found or not: whether two images show the same place, and where they do not, what may be the
matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from napari_mdeblurgan.pairs.affine import reduction
from napari_mdeblurgan.pairs.align import Alignment, align
from napari_mdeblurgan.pairs.refine import Fit, HighMagnification
from napari_mdeblurgan.pairs.same_place import Evidence, judge_overlap
from napari_mdeblurgan.pairs.search import places, reduced

AGREEMENT = 0.6  # of the parts
# probability that a part of unrelated images fits, once the best place for the whole was sought
BY_CHANCE = 0.3
CHANCE = 2e-3  # that so many parts fit by chance: more is too little evidence
CORRELATION = 0.3
RESIDUAL = 0.5  # low-resolution pixels
# low-resolution pixels along the shorter edge of the field: twice as many or more are averaged
# before
_ENOUGH = 384
# high-resolution pixels for one low-resolution pixel: twice as many or more are averaged before
_FINE = 2.0
WORTH_A_LOOK = 3.0  # uniqueness of a place that may be the right one
UNBLURRED, SHARPER = (
    0.5,
    0.25,
)  # pixels: σ of a blur that may be none, and by how much one tells the sharper image
SWAPPED = (
    "Low and high are swapped: the image given as low is the one of the stronger objective; "
    "exchange them."
)
SHARPER_IS_LOW = (
    "Low and high are swapped: the image given as low is the sharper one; exchange them."
)
TOO_LITTLE = (
    "The images show too little to be laid on each other; take a place with more to see in it."
)


@dataclass(frozen=True, slots=True, eq=False)
class PlaceVerdict:
    """The best place, and what is to be thought of it.

    Attributes
    ----------
    alignment : Alignment
        The place.
    evidence : Evidence
        What speaks for it.
    reasons : tuple of str
        Why it is not to be trusted, a sentence each; empty if it is.
    """

    alignment: Alignment
    evidence: Evidence
    reasons: tuple[str, ...]


def look(low: np.ndarray, high: np.ndarray, ratio: float) -> PlaceVerdict | None:
    """Find the high-magnification image in the low-magnification one, and judge the place.

    Parameters
    ----------
    low, high : ndarray
        (y, x) float32, see `structure.plane`.
    ratio : float
        High-resolution pixels for one low-resolution pixel, to within 4 %.

    Returns
    -------
    PlaceVerdict or None
        None where there is nothing to hold on to.
    """
    coarser = 1
    while min(high.shape) / (2 * coarser * ratio) >= _ENOUGH:
        coarser *= 2
    factor = coarser * max(1, int(ratio / _FINE))
    fewer, sharp = (
        reduced(low, coarser),
        HighMagnification(reduced(high, factor), ratio * coarser / factor),
    )
    alignment = align(fewer, sharp)
    if alignment is None:
        return None
    evidence = judge_overlap(fewer, sharp, alignment.fit)
    whole = Fit(
        np.linalg.inv(reduction(factor)) @ alignment.fit.transform @ reduction(coarser),
        alignment.fit.blur * coarser,
        alignment.fit.correlation,
        alignment.fit.residual * coarser,
    )
    alignment = replace(alignment, fit=whole)
    return PlaceVerdict(alignment, evidence, _reasons(alignment, evidence))


def misplaced(low: np.ndarray, high: np.ndarray, ratio: float) -> str:
    """What is the matter with two images that do not fit as they are: swapped, turned or mirrored;
    empty if none of these.
    """
    if _fits(high, low, ratio):
        return SWAPPED
    for mirrored in (False, True):
        for quarters in range(4):
            turned = np.ascontiguousarray(np.rot90(high[:, ::-1] if mirrored else high, quarters))
            if (mirrored or quarters) and _fits(low, turned, ratio):
                ways = ["mirrored left to right"] * mirrored + [
                    f"turned anticlockwise by {90 * quarters}°"
                ] * bool(quarters)
                return (
                    f"The two fit if the high-magnification image is {' and '.join(ways)}; "
                    "save it so."
                )
    return ""


def sharper_one_is_low(low: np.ndarray, high: np.ndarray, found: PlaceVerdict) -> bool:
    """Whether of two images with pixels of the same size the one given as blurred is the sharper
    one.

    Parameters
    ----------
    low, high : ndarray
        As in `look`.
    found : PlaceVerdict
        What that has found.
    """
    blur = found.alignment.fit.blur
    if blur > UNBLURRED:
        return False
    other = look(high, low, 1.0)
    return other is not None and not other.reasons and other.alignment.fit.blur > blur + SHARPER


def look_at_the_same_size(low: np.ndarray, high: np.ndarray) -> PlaceVerdict | None:
    """The place of one image in the other if their pixels are of the same size; None where they do
    not fit so.
    """
    if places(low, high, 1.0)[1] < WORTH_A_LOOK:
        return None
    found = look(low, high, 1.0)
    return found if found is not None and not found.reasons else None


def _fits(low: np.ndarray, high: np.ndarray, ratio: float) -> bool:
    if places(low, high, ratio)[1] < WORTH_A_LOOK:
        return False
    found = look(low, high, ratio)
    return found is not None and not found.reasons


def _reasons(alignment: Alignment, evidence: Evidence) -> tuple[str, ...]:
    from scipy.stats import binom  # takes half a second to import

    fitting = round(evidence.agreement * evidence.parts)
    by_chance = binom.sf(fitting - 1, evidence.parts, BY_CHANCE)
    reasons = []
    if evidence.parts and (evidence.agreement < AGREEMENT or evidence.correlation < CORRELATION):
        reasons.append(
            f"The images do not seem to show the same place: {fitting} of the {evidence.parts} "
            "parts of the overlap that have any structure fit each other."
        )
    elif by_chance > CHANCE:
        reasons.append(
            f"There is too little to see in the overlap to be sure of the place: {evidence.parts} "
            f"of its parts have any structure, and {fitting} fit."
        )
    elif alignment.fit.residual > RESIDUAL:
        reasons.append(
            f"The place is uncertain by {alignment.fit.residual:.2g} low-resolution pixels; take "
            "one with more to see in it."
        )
    return tuple(reasons)
