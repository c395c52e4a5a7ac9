"""Which part of the pairs is learned from and which is held out to judge by; the two are apart in
space.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.fine_tuning.pairs import TuningPair

_SHARE = 0.2
WHOLE_PAIRS = 4  # from so many pairs on, whole ones are held out
SMALLEST_PATCH = 24
PARTLY, MOSTLY = (
    0.25,
    0.5,
)  # of a patch, and of a square that is scored, must be valid in a focus stack's plane
_SQUARES = (64, 48, 32, 24, 16)  # edges of what is scored, in low-resolution pixels
_ENOUGH = 12
# low-resolution pixels of a held-out box that are not scored: there the network lacks its
# surroundings
_BORDER = 4


@dataclass(frozen=True, slots=True)
class Box:
    """Rows y0 to y1 and columns x0 to x1 of one pair's low-resolution image, half-open."""

    pair: int
    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def spans(self) -> tuple[slice, slice]:
        """As an index."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def contains(self, other: Box) -> bool:
        """Whether all of the other lies within this one."""
        same = self.pair == other.pair
        return (
            same
            and self.y0 <= other.y0
            and other.y1 <= self.y1
            and self.x0 <= other.x0
            and other.x1 <= self.x1
        )

    def enlarged(self, scale: int) -> tuple[slice, slice]:
        """As an index of the high-resolution image."""
        return slice(self.y0 * scale, self.y1 * scale), slice(self.x0 * scale, self.x1 * scale)


@dataclass(frozen=True, slots=True)
class Split:
    """Which parts are learned from and which are held out.

    Attributes
    ----------
    training : tuple of Box
        Patches are drawn from these.
    held_out : tuple of Box
        Restored as a whole, each on its own: nothing of them is ever seen in training.
    choosing, judging : tuple of Box
        Squares of the held-out boxes that are scored: the first to choose the best weights by while
        training goes on, the others for the comparison at the end. They are the same where there is
        only one square.
    gap : int or None
        Low-resolution pixels between a training and a held-out box of one pair; None where whole
        pairs are held out.
    """

    training: tuple[Box, ...]
    held_out: tuple[Box, ...]
    choosing: tuple[Box, ...]
    judging: tuple[Box, ...]
    gap: int | None

    def box_of(self, square: Box) -> Box:
        """The held-out box that a square lies in."""
        return next(box for box in self.held_out if box.contains(square))

    def notes(self, halo: int) -> list[str]:
        """What the user should know of it where the network looks `halo` pixels around."""
        if self.gap is None or self.gap >= halo:
            return []
        return [
            f"the pairs are small: {self.gap} pixels lie between what is learned from and what is "
            f"held out, fewer than the {halo} that the network looks around"
        ]


def split(pairs: Sequence[TuningPair], halo: int) -> Split:
    """Hold out about a fifth: whole pairs where there are at least four, else a strip at the end of
    each pair.

    Between the strip and what is learned from lies a gap of the network's reach, or of what a small
    image has room for: a third of its length.

    Parameters
    ----------
    pairs : sequence of TuningPair
        Those of one field (`TuningPair.field`), as the colours of an image and the planes of a
        stack are, are held out together, or their strips lie at the same end.
    halo : int
        Of the network.

    Raises
    ------
    ImageError
        If no pair is large enough to be learned from and judged by.
    """
    fields = list(dict.fromkeys(pair.field for pair in pairs))
    if len(fields) >= WHOLE_PAIRS:
        count = max(1, round(_SHARE * len(fields)))
        chosen = {fields[round(at)] for at in np.linspace(0, len(fields) - 1, count + 2)[1:-1]}
        boxes = [
            Box(number, 0, pair.low.shape[1], 0, pair.low.shape[2])
            for number, pair in enumerate(pairs)
            if min(pair.low.shape[1:]) >= SMALLEST_PATCH
        ]
        training = [
            box
            for box in boxes
            if pairs[box.pair].field not in chosen and _room(pairs[box.pair], box)
        ]
        held_out = [box for box in boxes if pairs[box.pair].field in chosen]
        found = _with_squares(pairs, training, held_out, None)
        if found is not None:
            return found
    training, held_out, gaps = [], [], []
    along_y: dict[str, bool] = {}
    for number, pair in enumerate(pairs):
        parts = _strip(pair, _shown(pairs, pair), number, halo, along_y)
        if parts is not None:
            training.append(parts[0])
            held_out.append(parts[1])
            gaps.append(parts[2])
    found = _with_squares(pairs, training, held_out, min(gaps, default=0))
    if found is None and all(pair.stack for pair in pairs):
        raise ImageError(
            "Too little of the stack's field is sharp in one plane and blurred in another to "
            "learn from one end and judge by the other; take a larger field, or more planes."
        )
    if found is None:
        raise ImageError(
            "The parts that both images of a pair show are too small to learn from one end and "
            f"judge by the other: at least {3 * SMALLEST_PATCH} low-magnification pixels are "
            "needed along an edge."
        )
    return found


def _shown(pairs: Sequence[TuningPair], pair: TuningPair) -> np.ndarray:
    """bool, (y, x): where any plane of the same stack is valid, so that the same strip of all of
    them is held out.
    """
    same = [each for each in pairs if each is pair or (pair.stack and each.stack == pair.stack)]
    return np.asarray(np.any([each.valid_low() for each in same], axis=0))


def _strip(
    pair: TuningPair, valid: np.ndarray, number: int, halo: int, ways: dict[str, bool]
) -> tuple[Box, Box, int] | None:
    """The part to learn from, the strip that is held out, and the gap between them; None where
    there is no room. `ways` has for each field whether they follow each other along y, and learns
    it.
    """
    rows, columns = (np.flatnonzero(valid.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    (y0, y1), (x0, x1) = ((int(each[0]), int(each[-1]) + 1) for each in (rows, columns))
    along_y = ways.setdefault(pair.field, y1 - y0 > x1 - x0)
    start, stop = (y0, y1) if along_y else (x0, x1)
    length = stop - start
    strip = max(SMALLEST_PATCH + 2 * _BORDER, round(_SHARE * length)) // 8 * 8
    gap = min(halo, length // 3, length - strip - SMALLEST_PATCH)
    if gap < 8:
        return None
    cut, begin = stop - strip - gap, stop - strip
    if along_y:
        training, held = Box(number, start, cut, x0, x1), Box(number, begin, stop, x0, x1)
    else:
        training, held = Box(number, y0, y1, start, cut), Box(number, y0, y1, begin, stop)
    held = _of_eights(held)
    return (training, held, gap) if _room(pair, training) else None


def _of_eights(box: Box) -> Box:
    """The box made smaller, at its start, until its edges are multiples of 8."""
    return Box(
        box.pair, box.y0 + (box.y1 - box.y0) % 8, box.y1, box.x0 + (box.x1 - box.x0) % 8, box.x1
    )


def _room(pair: TuningPair, box: Box) -> bool:
    """Whether the smallest patch finds a place."""
    return bool(patch_places(pair, box, SMALLEST_PATCH).any())


def patch_places(pair: TuningPair, box: Box, edge: int) -> np.ndarray:
    """Where a patch can begin: all of it is valid, or a quarter in a plane of a focus stack; see
    `_places`.
    """
    return _places(pair.valid_low(), box, edge, PARTLY if pair.stack else 1.0)


def _places(valid: np.ndarray, box: Box, edge: int, share: float = 1.0) -> np.ndarray:
    """Where a square of valid pixels can begin.

    Parameters
    ----------
    valid : ndarray
        bool, (y, x).
    box : Box
        The square must lie within it.
    edge : int
        Of the square.
    share : float
        Of its pixels that must be valid.

    Returns
    -------
    ndarray
        bool, (box height − edge + 1, box width − edge + 1); empty where the box is too small.
    """
    part = valid[box.spans]
    if min(part.shape) < edge:
        return np.zeros((0, 0), bool)
    sums = np.pad(part.astype(np.int64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    whole = sums[edge:, edge:] - sums[:-edge, edge:] - sums[edge:, :-edge] + sums[:-edge, :-edge]
    return np.asarray(whole >= share * edge * edge)


def _with_squares(
    pairs: Sequence[TuningPair], training: list[Box], held_out: list[Box], gap: int | None
) -> Split | None:
    if not training or not held_out:
        return None
    best: list[Box] = []
    planes = {
        box.pair
        for box in held_out
        if pairs[box.pair].stack and _squares(pairs[box.pair], box, _SQUARES[-1])
    }
    for edge in _SQUARES:
        found = _even(
            pairs, [square for box in held_out for square in _squares(pairs[box.pair], box, edge)]
        )
        if len(found) > len(best):
            best = found
        if len(best) >= _ENOUGH and planes <= {square.pair for square in found}:
            break
    if not best:
        return None
    if len(best) == 1:
        return Split(tuple(training), tuple(held_out), tuple(best), tuple(best), gap)
    return Split(tuple(training), tuple(held_out), tuple(best[1::2]), tuple(best[::2]), gap)


def _even(pairs: Sequence[TuningPair], squares: list[Box]) -> list[Box]:
    """The squares, but of each plane of a stack no more than the median of its planes has, so that
    none decides alone.
    """
    kept: list[Box] = []
    counts = Counter(square.pair for square in squares)
    for number, count in counts.items():
        own = [square for square in squares if square.pair == number]
        stack = pairs[number].stack
        if stack:
            most = median_low(
                count for other, count in counts.items() if pairs[other].stack == stack
            )
            own = [own[round(at)] for at in np.linspace(0, count - 1, min(count, most))]
        kept += own
    return kept


def _squares(pair: TuningPair, box: Box, edge: int) -> list[Box]:
    """Squares of valid pixels side by side within a held-out box, `_BORDER` away from its edge."""
    valid, least = pair.valid_low(), MOSTLY if pair.stack else 1.0
    squares = []
    ys, xs = (
        range(start + _BORDER, stop - _BORDER - edge + 1, edge)
        for start, stop in ((box.y0, box.y1), (box.x0, box.x1))
    )
    for row, y in enumerate(ys):
        line = [
            Box(box.pair, y, y + edge, x, x + edge)
            for x in xs
            if valid[y : y + edge, x : x + edge].mean() >= least
        ]
        squares += (
            line[::-1] if row % 2 else line
        )  # so that every second one makes a checkerboard, or nearly so
    return squares
