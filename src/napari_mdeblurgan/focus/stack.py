"""A focus stack made one image: how its planes lie, how bright they are, and then tile by tile what is sharp where."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.focus.checking import check_planes
from napari_mdeblurgan.focus.choice import REACH, aligned_steps, filled, heights, shares_steps
from napari_mdeblurgan.focus.energy import SCALES, energies
from napari_mdeblurgan.focus.fusing import fused_steps
from napari_mdeblurgan.focus.ordering import depth_order
from napari_mdeblurgan.focus.progress import FocusProgress, counted
from napari_mdeblurgan.focus.registering import resampled, series_steps, shown
from napari_mdeblurgan.restoration.measuring import finished
from napari_mdeblurgan.training.pairs.geometry import corners, moved, reduction
from napari_mdeblurgan.training.pairs.search import reduced
from napari_mdeblurgan.trust.noise import measure_noise

TILE = 768
WHOLE = 8  # tiles begin at multiples of it: the pixels of the coarsest scale
STILL = 0.05  # pixels: what moves by less at every corner is taken as it is
AROUND = 8  # pixels that resampling looks at beyond a tile
OVERVIEW = 200  # pixels of the shorter edge at which the order of the planes is looked for
LOOKED_AT = 1024  # pixels of an edge of the part that noise and brightness are measured in
ROUNDING = 5e-7  # of the largest value: noise that comes of calculating
BRIGHTER = 2.0  # times: planes that differ by more in brightness are no planes of one stack
LOOKING, FUSING = "Looking at the planes…", "Putting the planes together…"
Steps = Generator[None, None, Any]


@dataclass(frozen=True, slots=True, eq=False)
class AllInFocus:
    """What a focus stack holds.

    Attributes
    ----------
    image : ndarray
        (y, x) or (y, x, 3) in the type of the stack, on the pixels of the reference plane.
    height : ndarray
        (y, x) float32: in planes, from 0 (the first of `order`) to planes − 1, between planes as well.
    confidence : ndarray
        (y, x) float32, 0 to 1: low where no plane shows fine detail, so that the height is that of what is near.
    transforms : tuple of (ndarray or None)
        (3, 3) each, from the (y, x, 1) of a plane's pixel to that of the reference plane; None for a plane that shows no place of
        the others and was left out.
    reference : int
        Which plane that is.
    order : tuple of int
        The planes that were used, in the order in depth that heights count along.
    """

    image: np.ndarray
    height: np.ndarray
    confidence: np.ndarray
    transforms: tuple[np.ndarray | None, ...]
    reference: int
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FocusChoice:
    """What was chosen of a stack, without its image: enough for `followed`; the attributes are those of `AllInFocus`."""

    height: np.ndarray
    transforms: tuple[np.ndarray | None, ...]
    reference: int
    order: tuple[int, ...]


def all_in_focus(
    stack: Any, *, registered: bool = False, ordered: bool = True, reference: int | None = None
) -> AllInFocus:
    """One image that is sharp wherever one of the planes of a stack is.

    Parameters
    ----------
    stack : array or sequence of array
        (planes, y, x) or (planes, y, x, 3), any integer or floating-point type; numpy or dask, read part by part. Planes
        that differ in size come as a list.
    registered : bool
        Whether the planes lie on each other already; otherwise they are moved, turned and enlarged evenly until they do.
    ordered : bool
        Whether they come in the order of their depth; otherwise that is looked for.
    reference : int or None
        The plane that the others are laid on; None takes the one with most detail.

    Raises
    ------
    ImageError
        In one sentence, if this is no focus stack that can be used.
    """
    return finished(all_in_focus_steps(stack, registered=registered, ordered=ordered, reference=reference))


def all_in_focus_steps(
    stack: Any, *, registered: bool = False, ordered: bool = True, reference: int | None = None
) -> Generator[FocusProgress, None, AllInFocus]:
    """The same, step by step; closing it cancels it."""
    looking = Focusing.steps(stack, registered=registered, ordered=ordered, reference=reference)
    of_looking = len(stack) * (2 if registered else 4)
    share = 1 / (1 + sum(1 for _ in _tiles(stack[0].shape[:2])))  # looking takes about as long as a tile
    focusing = yield from counted(looking, LOOKING, of_looking, 0, share)
    kept = stack[focusing.reference]
    image = np.empty(kept.shape, kept.dtype)
    height, confidence = (np.empty(focusing.shape, np.float32) for _ in range(2))
    parts = list(focusing.tiles())
    for number, part in enumerate(parts):
        begin, end = (share + (1 - share) * at / len(parts) for at in (number, number + 1))
        making = focusing.made_steps(part)
        made = yield from counted(making, FUSING, 4 * len(focusing.order) + SCALES, begin, end)
        image[part], height[part], confidence[part] = made
    return AllInFocus(image, height, confidence, focusing.transforms, focusing.reference, focusing.order)


def followed(found: AllInFocus | FocusChoice, stack: Any) -> np.ndarray:
    """What was chosen for one channel, for another one of the same planes.

    Parameters
    ----------
    found : AllInFocus or FocusChoice
        Of the channel that decides.
    stack : array or sequence of array
        The other one: as many planes, of the same sizes.

    Returns
    -------
    ndarray
        (y, x) or (y, x, 3) in the type of that stack.

    Raises
    ------
    ImageError
        If the planes are others.
    """
    return finished(followed_steps(found, stack))


def followed_steps(found: AllInFocus | FocusChoice, stack: Any) -> Generator[FocusProgress, None, np.ndarray]:
    """The same, step by step; closing it cancels it."""
    if len(stack) != len(found.transforms) or stack[found.reference].shape[:2] != found.height.shape:
        raise ImageError("The other stack has other planes; it must have as many, of the same sizes.")
    parts = list(_tiles(found.height.shape))
    share = 1 / (1 + len(parts))
    looking = _overviews_steps(stack, found.transforms, found.reference)
    overviews = yield from counted(looking, FUSING, len(stack), 0, share)
    gains = _gains(overviews, found.reference)
    focusing = Focusing(stack, found.transforms, found.reference, gains, (0.0,) * len(stack), found.order)
    kept = stack[found.reference]
    image = np.empty(kept.shape, kept.dtype)
    for number, part in enumerate(parts):
        begin, end = (share + (1 - share) * at / len(parts) for at in (number, number + 1))
        making = focusing.followed_steps(part, found.height)
        image[part] = yield from counted(making, FUSING, 2 * len(focusing.order), begin, end)
    return image


def most_detailed(stacks: Sequence[Any]) -> int:
    """Which of several channels shows most detail above its noise, in the middle of its planes."""
    return finished(most_detailed_steps(stacks))


def most_detailed_steps(stacks: Sequence[Any]) -> Generator[FocusProgress, None, int]:
    """The same, step by step; closing it cancels it."""
    merits = []
    for number, stack in enumerate(stacks):
        looking = _details_steps(stack)
        begin, end = (at / len(stacks) for at in (number, number + 1))
        strengths, variances = yield from counted(looking, LOOKING, len(stack), begin, end)
        merits.append(max(strengths) / max(*variances, 1e-12))
    return int(np.argmax(merits))


@dataclass(frozen=True, slots=True, eq=False)
class Focusing:
    """A stack that was looked at: all that is the same for its tiles.

    Attributes
    ----------
    stack : array or sequence of array
        As in `all_in_focus`.
    transforms : tuple of (ndarray or None)
        As in `AllInFocus`.
    reference : int
        As in `AllInFocus`.
    gains : tuple of float
        What each plane is multiplied with to be as bright as the reference.
    variances : tuple of float
        Of the noise of each plane, grey, after that.
    order : tuple of int
        As in `AllInFocus`.
    """

    stack: Any
    transforms: tuple[np.ndarray | None, ...]
    reference: int
    gains: tuple[float, ...]
    variances: tuple[float, ...]
    order: tuple[int, ...]

    @classmethod
    def of(
        cls, stack: Any, *, registered: bool = False, ordered: bool = True, reference: int | None = None
    ) -> Focusing:
        """Look at a stack; see `all_in_focus`."""
        return finished(cls.steps(stack, registered=registered, ordered=ordered, reference=reference))

    @classmethod
    def steps(
        cls, stack: Any, *, registered: bool = False, ordered: bool = True, reference: int | None = None
    ) -> Generator[None, None, Focusing]:
        """The same, step by step: two for each plane, four where they are registered."""
        check_planes(stack, reference, registered=registered)
        strengths, known = yield from _details_steps(stack)
        if not any(strengths):
            raise ImageError("No plane of this stack shows anything; check that it was read rightly.")
        if reference is None:
            reference = int(np.argmax(strengths))
        if registered:
            transforms: list[np.ndarray | None] = [np.eye(3) for _ in strengths]
        else:
            transforms = yield from series_steps(list(stack), strengths, reference)
        order = [index for index, transform in enumerate(transforms) if transform is not None]
        if len(order) < 2:
            raise ImageError(
                "No two planes of this stack show the same place, so they cannot be registered; if they lie on each other "
                "already, leave them where they are."
            )
        looked = yield from _overviews_steps(stack, transforms, reference)
        gains = _gains(looked, reference)
        variances = [variance * gain**2 for variance, gain in zip(known, gains, strict=True)]
        if not ordered:
            order = [order[at] for at in depth_order([looked[index] for index in order])]
        return cls(stack, tuple(transforms), reference, gains, tuple(variances), tuple(order))

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) of the result."""
        height, width = self.stack[self.reference].shape[:2]
        return int(height), int(width)

    def tiles(self) -> Iterator[tuple[slice, slice]]:
        """The parts of the result, row by row."""
        return _tiles(self.shape)

    def made(self, part: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image, height and confidence of a part; see `AllInFocus`."""
        return finished(self.made_steps(part))

    def made_steps(self, part: tuple[slice, slice]) -> Steps:
        """The same, step by step: four for each plane, and one for each scale."""
        outer = self._around(part)
        planes, seen = yield from self._planes_steps(outer)
        edges = [-(span.stop - span.start) % WHOLE for span in outer]
        greys = np.stack([_grey(plane) for plane in planes])
        measured = []
        for row, index in enumerate(self.order):
            grey = np.pad(greys[row], [(0, edge) for edge in edges], mode="edge")
            found = energies(grey, self.variances[index])
            if not seen[row].all():
                hidden = np.pad(~seen[row], [(0, edge) for edge in edges], mode="edge")
                for scale, (energy, _) in enumerate(found):
                    energy[hidden[:: 2**scale, :: 2**scale]] = 0
            measured.append(found)
            yield
        share, belief = yield from shares_steps(measured)
        cut = tuple(slice(0, span.stop - span.start) for span in outer)
        share, belief = share[(slice(None), *cut)], belief[cut]
        share[~seen] = 0
        sharpest = np.take_along_axis(greys, share.argmax(axis=0)[None], axis=0)[0]
        share = yield from aligned_steps(share, sharpest)
        share[~seen] = 0
        rank, confidence = heights(share, belief)
        rank = filled(rank, confidence, self.order.index(self.reference))
        inner = _within(part, outer)
        image = (yield from fused_steps(planes, rank))[inner]
        return _as_type(image, self.stack[self.reference].dtype), rank[inner], confidence[inner]

    def followed_steps(self, part: tuple[slice, slice], height: np.ndarray) -> Steps:
        """The image of a part by heights that are known, (y, x) of the whole; two steps for each plane."""
        outer = self._around(part)
        planes, _ = yield from self._planes_steps(outer)
        image = (yield from fused_steps(planes, height[outer]))[_within(part, outer)]
        return _as_type(image, self.stack[self.reference].dtype)

    def _around(self, part: tuple[slice, slice]) -> tuple[slice, slice]:
        """A part with all that it depends on."""
        rows, columns = (
            slice(max(0, (span.start - REACH) // WHOLE * WHOLE), min(length, span.stop + REACH))
            for span, length in zip(part, self.shape, strict=True)
        )
        return rows, columns

    def planes(self, part: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        """The usable planes on the reference's pixels, equally bright, float32; and where each shows anything."""
        return finished(self._planes_steps(part))

    def _planes_steps(self, part: tuple[slice, slice]) -> Steps:
        shape = tuple(span.stop - span.start for span in part)
        planes, seen = [], []
        for index in self.order:
            plane, transform, gain = self.stack[index], self.transforms[index], self.gains[index]
            assert transform is not None
            back = np.linalg.inv(transform)
            same = plane.shape[:2] == self.shape
            if same and np.abs(moved(back, corners(self.shape)) - corners(self.shape)).max() < STILL:
                found, there = np.asarray(plane[part]).astype(np.float32), np.ones(shape, bool)
            else:
                found, there = self._moved(plane, back, part)
            planes.append(found * np.float32(gain))
            seen.append(there)
            yield
        whole, there = np.stack(planes), np.stack(seen)
        known = whole[self.order.index(self.reference)]
        for plane, of_plane in zip(whole, there, strict=True):
            plane[~of_plane] = known[~of_plane]
        return whole, there

    def _moved(self, plane: Any, back: np.ndarray, part: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        start = np.eye(3)
        start[:2, 2] = part[0].start, part[1].start
        shape = part[0].stop - part[0].start, part[1].stop - part[1].start
        place = back @ start  # from the pixels of the part to those of the plane
        points = moved(place, corners(shape))
        first = np.maximum(np.floor(points.min(axis=0)) - AROUND, 0).astype(int)
        stop = np.minimum(np.ceil(points.max(axis=0)) + AROUND + 1, plane.shape[:2]).astype(int)
        if (stop - first < AROUND).any():
            return np.zeros((*shape, *plane.shape[2:]), np.float32), np.zeros(shape, bool)
        own = np.asarray(plane[first[0] : stop[0], first[1] : stop[1]])
        offset = np.eye(3)
        offset[:2, 2] = -first
        found = resampled(own, offset @ place, shape)
        return found.astype(np.float32), shown(offset @ place, shape, (own.shape[0], own.shape[1]))


def _tiles(shape: Sequence[int]) -> Iterator[tuple[slice, slice]]:
    """The parts of an image, row by row."""
    height, width = shape
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            yield slice(y, min(y + TILE, height)), slice(x, min(x + TILE, width))


def _within(part: tuple[slice, slice], outer: tuple[slice, slice]) -> tuple[slice, slice]:
    """Where a part lies in what surrounds it."""
    rows, columns = (slice(s.start - o.start, s.stop - o.start) for s, o in zip(part, outer, strict=True))
    return rows, columns


def _middle(shape: Sequence[int]) -> tuple[slice, slice]:
    first = [max(0, (length - LOOKED_AT) // 2) for length in shape]
    return slice(first[0], first[0] + LOOKED_AT), slice(first[1], first[1] + LOOKED_AT)


def _grey(image: np.ndarray) -> np.ndarray:
    """(y, x) float32: of colours the mean."""
    return image.mean(axis=-1, dtype=np.float32) if image.ndim == 3 else image


def _overviews_steps(
    stack: Any, transforms: Sequence[np.ndarray | None], reference: int
) -> Generator[None, None, list[np.ndarray]]:
    """Small grey images of the planes, laid on each other; NaN where a plane shows nothing, all of one that was left out."""
    height, width = stack[reference].shape[:2]
    factor = max(1, min(height, width) // OVERVIEW)
    down, shape = reduction(factor), (height // factor, width // factor)
    found = []
    for plane, transform in zip(stack, transforms, strict=True):
        if transform is None:
            found.append(np.full(shape, np.nan, np.float32))
            continue
        small = reduced(_grey(np.asarray(plane).astype(np.float32)), factor)
        place = down @ np.linalg.inv(transform) @ np.linalg.inv(down)
        laid = resampled(small, place, shape)
        laid[~shown(place, shape, (small.shape[0], small.shape[1]))] = np.nan
        found.append(laid)
        yield
    return found


def _gains(overviews: Sequence[np.ndarray], reference: int) -> tuple[float, ...]:
    """By which planes are made as bright as the reference: by least squares, so that what is bright decides."""
    known, gains = overviews[reference], []
    for each in overviews:
        both = np.isfinite(known) & np.isfinite(each)
        power = float((each[both].astype(np.float64) ** 2).sum())
        gain = float((each[both].astype(np.float64) * known[both]).sum()) / power if power > 0 else 1.0
        gains.append(gain if 1 / BRIGHTER < gain < BRIGHTER else 1.0)
    return tuple(gains)


def _details_steps(stack: Any) -> Generator[None, None, tuple[list[float], list[float]]]:
    """How strong the detail of every plane is, and the variance of its noise."""
    strengths, variances = [], []
    for plane in stack:
        strength, variance = _detail(plane)
        strengths.append(strength)
        variances.append(variance)
        yield
    return strengths, variances


def _detail(plane: Any) -> tuple[float, float]:
    """Of the middle of a plane: energy of the fine detail beyond what may be noise, and the variance of the noise."""
    grey = _grey(np.asarray(plane[_middle(plane.shape)]).astype(np.float32))
    variance = max(_variance(grey), (ROUNDING * float(np.abs(grey).max(initial=0))) ** 2)
    height, width = (length // WHOLE * WHOLE for length in grey.shape)
    level = grey.mean()  # which the Laplacian, cut off as it is, does not take away wholly
    energy, doubt = energies(grey[:height, :width] - level, variance)[0]
    return float(np.maximum(energy - doubt, 0).mean()), variance


def _variance(grey: np.ndarray) -> float:
    low, high = float(grey.min()), float(grey.max())
    if high <= low:
        return 0.0
    sigma = measure_noise([((grey - low) / (high - low))[..., None]]).typical * (high - low)
    return sigma**2


def _as_type(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return image.astype(dtype)
    limits = np.iinfo(dtype)
    return np.rint(image).clip(limits.min, limits.max).astype(dtype)
