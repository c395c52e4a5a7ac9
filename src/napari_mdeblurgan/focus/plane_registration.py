"""Lays images of one place on each other: pairs, and the planes of a focus series with their
changing magnification.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from scipy import fft, ndimage

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.focus.in_threads import in_parallel
from napari_mdeblurgan.focus.plane_parts import reduced_plane
from napari_mdeblurgan.pairs.affine import corners, moved, reduction
from napari_mdeblurgan.pairs.align import align
from napari_mdeblurgan.pairs.refine import Fit, HighMagnification, fit, likeness, seen, warped
from napari_mdeblurgan.pairs.search import reduced
from napari_mdeblurgan.pairs.structure import blurred
from napari_mdeblurgan.pairs.structure import plane as structure
from napari_mdeblurgan.steps import finished

LEAST_ALIKE = 0.3  # correlation of the two structures below which a place is not believed
DOUBTFUL = 0.7  # correlation below which another place is looked for
_ALIKE = 0.9  # correlation above which a plane is adjusted to the reference itself
MOST_TURNED, MOST_MAGNIFIED = 1.0, 0.08  # degrees, share: planes that differ by more were not found
SMALL = 128  # pixels of the shorter edge, at which planes are first compared
LARGE = (448, 900, 1350)  # pixels of the shorter edge from which 2, 3, 4 pixels are taken for one
_LARGEST = 1024  # pixels of the shorter edge after that; of larger planes more are taken for one
BLUR = 1.5  # pixels: of one plane against another, to begin with
_STEPS = (
    (4, 0.5),
    (2, 0.5),
    (1, 0.4),
)  # pixels for one that are looked at together, and σ of what is smoothed there
_ROUNDS, _POINTS = 6, 40_000  # of adjusting at such a step, and pixels that are compared
_TOLERANCE = 1e-3  # pixels there: smaller changes end it
LEAST_EDGE = 96  # pixels of the shorter edge at such a step
COLOURS_EDGE = 160  # pixels of the shorter edge at which colours are laid on each other, at least
COLOURS_APART = 3.0  # pixels at a corner, between the place of a colour and that of its plane
AT_MOST_APART = (
    2.0  # pixels at a corner, between a place found by way of others and one found directly
)
_BAND = (1.5, 6.0)  # pixels there: what is finer or coarser than it is not compared
FARTHEST = 0.2  # of an edge: by so much one plane may be moved against another
_COARSER = 1.1  # pixels of an image for one of the grid: from here on it is smoothed before
_MARGIN = 3.0  # pixels: a spline knows nothing good of what is nearer to the edge


def onto(image: np.ndarray, sharper: np.ndarray, *, ratio: float = 1.0) -> np.ndarray:
    """How a sharper image of the same place lies: moved, turned, and enlarged evenly.

    Parameters
    ----------
    image, sharper : ndarray
        (y, x) or (y, x, colours).
    ratio : float
        Pixels of the sharper image for one of the other, to within 4 %.

    Returns
    -------
    ndarray
        (3, 3): from the (y, x, 1) of a pixel's centre in `image` to that in `sharper`.

    Raises
    ------
    ImageError
        If they have no place in common that stands out.
    """
    low, high = (structure(channels_first(each)) for each in (image, sharper))
    if not low.any() or not high.any():
        raise ImageError("An image of one value cannot be laid on another one.")
    found = align(low, HighMagnification(high, ratio), stretch=False)
    if found is None or found.fit.correlation < LEAST_ALIKE:
        raise ImageError("The two images show no place in common that stands out.")
    return found.fit.transform


def series(
    planes: Sequence[np.ndarray], energies: Sequence[float], reference: int
) -> list[np.ndarray | None]:
    """How the planes of a focus series lie on one of them.

    Far from focus a thick specimen looks like another one, so each plane is laid on the one that is
    most alike among those whose place is known, beginning with the reference.

    Parameters
    ----------
    planes : sequence of ndarray
        (y, x) or (y, x, colours); they may differ in size.
    energies : sequence of float
        How sharp each plane is: of two the less sharp one is taken for a blurred image of the
        other.
    reference : int
        Which of them.

    Returns
    -------
    list of (ndarray or None)
        (3, 3), from the pixels of each plane to those of the reference; None where no place was
        found.
    """
    return finished(series_steps(planes, energies, reference))


def series_steps(
    planes: Sequence[Any], energies: Sequence[float], reference: int
) -> Generator[None, None, list[np.ndarray | None]]:
    """The same, step by step: about two for each plane."""
    factors = [_factor(plane) for plane in planes]
    structures = []

    def of_one(plane: Any) -> np.ndarray:
        return structure(channels_first(reduced_plane(plane, _factor(plane))))

    with closing(in_parallel(of_one, planes)) as made:
        for each in made:
            structures.append(each)
            yield
    known: dict[int, np.ndarray] = {reference: np.eye(3)}
    through: dict[int, int] = {}
    looked = {
        (one, reference): _compared(structures[one], structures[reference])
        for one in range(len(planes))
    }
    left = set(range(len(planes))) - {reference}
    lost: set[tuple[int, int]] = set()
    while left:
        pairs = [
            pair for pair in looked if pair[0] in left and pair[1] in known and pair not in lost
        ]
        if not pairs:
            break
        pair = max(pairs, key=lambda each: looked[each][0])
        one, other = pair
        found = _laid(
            structures[one],
            structures[other],
            looked[pair][1],
            sharper=energies[one] < energies[other],
        )
        yield
        if found is None:
            lost.add(pair)
            continue
        left.discard(one)
        known[one], through[one] = known[other] @ found, other
        looked |= {(each, one): _compared(structures[each], structures[one]) for each in left}
    places: list[np.ndarray | None] = []
    for index, factor in enumerate(factors):
        if index in known:
            place = known[index]
            if index != reference and through[index] != reference:
                place = _directly(structures, place, index, reference)
                yield
            places.append(np.linalg.inv(reduction(factors[reference])) @ place @ reduction(factor))
        else:
            places.append(None)
    return places


def by_colour(
    planes: Sequence[Any], places: Mapping[int, np.ndarray], image: np.ndarray
) -> dict[int, tuple[np.ndarray, ...]]:
    """How each colour of each plane lies on that of the image that is sharp everywhere.

    Glass moves colours differently where they are out of focus, so what is blurred does not lie as
    what is sharp does. Each colour is adjusted from where its plane lies as a whole; where one of
    them is too unlike, or moves too far, none is.

    Parameters
    ----------
    planes : sequence of array
        (y, x, 3) each.
    places : mapping of int to ndarray
        (3, 3), from the pixels of a plane to those of the image.
    image : ndarray
        (y, x, 3).

    Returns
    -------
    dict of int to tuple of ndarray
        The same for each of these planes, colour by colour.
    """
    factor = _factor(image, COLOURS_EDGE)
    sharp, up = _colours(image, factor), np.linalg.inv(reduction(factor))
    found = {}
    for index, place in places.items():
        plane, own = planes[index], _factor(planes[index], COLOURS_EDGE)
        begin = reduction(factor) @ place @ np.linalg.inv(reduction(own))
        adjusted = [
            _adjusted(*each, begin) for each in zip(_colours(plane, own), sharp, strict=True)
        ]
        whole = [up @ each @ reduction(own) for each in adjusted if each is not None]
        points = corners(plane.shape[:2])
        apart = max(
            (np.abs(moved(each, points) - moved(place, points)).max() for each in whole),
            default=np.inf,
        )
        believed = len(whole) == len(adjusted) and apart <= COLOURS_APART
        found[index] = tuple(whole) if believed else (place,) * len(adjusted)
    return found


def _colours(plane: Any, factor: int) -> list[np.ndarray]:
    """The structure of each colour of a plane, made smaller."""
    return [structure(each[None]) for each in channels_first(reduced_plane(plane, factor))]


def _adjusted(low: np.ndarray, sharp: np.ndarray, begin: np.ndarray) -> np.ndarray | None:
    """A place adjusted to two structures; None where they are too unlike."""
    best = _fitted(low, HighMagnification(sharp, 1.0), begin, BLUR, _STEPS[-1][1])
    return None if best is None or best.correlation < DOUBTFUL else best.transform


def _factor(plane: Any, enough: int = 0) -> int:
    """How many pixels are taken for one where a plane is laid on others; twice as many if `enough`
    are left along each edge.
    """
    edge = min(plane.shape[:2])
    factor = max(1 + sum(edge >= large for large in LARGE), -(-edge // _LARGEST))
    return 2 * factor if enough and edge // (2 * factor) >= enough else factor


def _directly(
    structures: Sequence[np.ndarray], place: np.ndarray, index: int, reference: int
) -> np.ndarray:
    """A place that was found by way of others, adjusted to the reference itself where the two are
    alike enough.
    """
    sharp, low = HighMagnification(structures[reference], 1.0), structures[index]
    if likeness(low, sharp, place, BLUR) < DOUBTFUL:
        return place
    best = _fitted(low, sharp, place, BLUR, _STEPS[-1][1])
    if best is None or best.correlation < _ALIKE or not _likely(best.transform):
        return place
    apart = np.abs(
        moved(best.transform, corners(low.shape)) - moved(place, corners(low.shape))
    ).max()
    return best.transform if apart <= AT_MOST_APART else place


def _compared(one: np.ndarray, other: np.ndarray) -> tuple[float, np.ndarray]:
    """How alike two structures are where they fit best if one is moved, and by how much: from the
    pixels of one to the other.
    """
    step = max(1, min(*one.shape, *other.shape) // SMALL)
    small = [_band(reduced(each, step)) for each in (one, other)]
    shape = [
        fft.next_fast_len(a + b, real=True)
        for a, b in zip(small[0].shape, small[1].shape, strict=True)
    ]
    product = fft.rfft2(small[1], shape) * np.conj(fft.rfft2(small[0], shape))
    alike = fft.irfft2(product, shape)
    offsets = [np.fft.fftfreq(length, 1 / length) for length in shape]
    near = [
        np.abs(offset) <= FARTHEST * length
        for offset, length in zip(offsets, small[0].shape, strict=True)
    ]
    alike = np.where(np.multiply.outer(*near), alike, -np.inf)
    at = np.unravel_index(int(alike.argmax()), alike.shape)
    move = np.eye(3)
    move[:2, 2] = [step * offset[i] for offset, i in zip(offsets, at, strict=True)]
    norm = math.sqrt(float((small[0] ** 2).sum() * (small[1] ** 2).sum()))
    return (float(alike[at]) / norm if norm > 0 else -1.0), move


def _band(image: np.ndarray) -> np.ndarray:
    return blurred(image, _BAND[0]) - blurred(image, _BAND[1])


def _laid(
    one: np.ndarray, other: np.ndarray, start: np.ndarray, *, sharper: bool
) -> np.ndarray | None:
    """How one structure lies on another, of which the second is `sharper` or else the first; None
    where it does not.
    """
    low, high, begin = (one, other, start) if sharper else (other, one, np.linalg.inv(start))
    best = _step_by_step(low, high, begin)
    if best is None or best.correlation < DOUBTFUL or not _likely(best.transform):
        searched = align(low, HighMagnification(high, 1.0), stretch=False)
        if searched is not None and _likely(searched.fit.transform):
            usable = best is not None and _likely(best.transform)
            if not usable or best is None or searched.fit.correlation > best.correlation:
                best = searched.fit
    if best is None or best.correlation < LEAST_ALIKE or not _likely(best.transform):
        return None
    return best.transform if sharper else np.linalg.inv(best.transform)


def _step_by_step(low: np.ndarray, high: np.ndarray, start: np.ndarray) -> Fit | None:
    """One structure laid on the other, first at a fraction of the pixels; None
    where a step fails.
    """
    best: Fit | None = None
    transform, blur = start, BLUR
    for factor, smooth in _STEPS:
        if factor > 1 and min(*low.shape, *high.shape) < factor * LEAST_EDGE:
            continue
        down = reduction(factor)
        small = [reduced(each, factor) for each in (low, high)]
        begin = down @ transform @ np.linalg.inv(down)
        best = _fitted(small[0], HighMagnification(small[1], 1.0), begin, blur / factor, smooth)
        if best is None:
            return None
        transform, blur = np.linalg.inv(down) @ best.transform @ down, best.blur * factor
    return best


def _fitted(
    low: np.ndarray, sharp: HighMagnification, place: np.ndarray, blur: float, smooth: float
) -> Fit | None:
    """One structure adjusted to another as exactly as planes need it; see `fit`."""
    return fit(
        low,
        sharp,
        place,
        blur,
        smooth,
        stretch=False,
        rounds=_ROUNDS,
        points=_POINTS,
        tolerance=_TOLERANCE,
    )


def _likely(transform: np.ndarray) -> bool:
    """Whether two planes of one series may lie on each other so."""
    (yy, yx), (xy, xx) = transform[:2, :2]
    turned = abs(math.degrees(math.atan2(xy - yx, yy + xx)))
    magnified = math.sqrt(abs(float(np.linalg.det(transform[:2, :2]))))
    return turned <= MOST_TURNED and abs(math.log(magnified)) <= MOST_MAGNIFIED


def channels_first(image: np.ndarray) -> np.ndarray:
    """(channels, y, x) float32."""
    return np.ascontiguousarray(np.moveaxis(np.atleast_3d(image), -1, 0), np.float32)


def resampled(image: np.ndarray, transform: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An image on the pixels of another, by cubic splines; (y, x) or (y, x, colours) float32.

    Where its own pixels are the finer ones, it is smoothed before, so that nothing is folded back.
    """
    where = slice(0, shape[0]), slice(0, shape[1])
    coarser = float(np.sqrt(abs(np.linalg.det(transform[:2, :2]))))
    smooth = 0.5 * float(np.sqrt(coarser**2 - 1)) if coarser > _COARSER else 0.0
    planes = []
    for each in channels_first(image):
        coefficients = ndimage.spline_filter(blurred(each, smooth), 3, np.float32, "mirror")
        planes.append(warped(coefficients, transform, where).clip(each.min(), each.max()))
    return np.stack(planes, axis=-1).reshape(*shape, *image.shape[2:])


def shown_pixels(
    transform: np.ndarray, shape: tuple[int, int], other: tuple[int, int]
) -> np.ndarray:
    """Which pixels of an image of `shape` the other one shows, not too near to its edge; (y, x)
    bool.
    """
    return seen(transform, (slice(0, shape[0]), slice(0, shape[1])), other, _MARGIN)
