"""A focus stack made one image: how its planes lie, how bright they are, and then tile by tile what is sharp where."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.focus.checking import check_follows, check_planes
from napari_mdeblurgan.focus.choice import REACH, aligned_steps, filled, heights, shares_steps
from napari_mdeblurgan.focus.energy import SCALES, energies
from napari_mdeblurgan.focus.fusing import fused_steps
from napari_mdeblurgan.focus.looking import WHOLE, contrast, details_steps, gains, grey, overviews_steps
from napari_mdeblurgan.focus.ordering import depth_order
from napari_mdeblurgan.focus.progress import FocusProgress, counted
from napari_mdeblurgan.focus.registering import resampled, series_steps, shown
from napari_mdeblurgan.focus.side_by_side import side_by_side
from napari_mdeblurgan.pairs.geometry import corners, moved
from napari_mdeblurgan.restoration.measuring import finished

TILE = 1024  # pixels of an edge, at most
AT_ONCE = 16_000_000  # pixels of all planes of a tile and of what is around it: some 40 bytes of memory each
SMALLEST_TILE, TILE_STEP = 128, 64
STILL = 0.05  # pixels: what moves by less at every corner is taken as it is
AROUND = 8  # pixels that resampling looks at beyond a tile
SURE = 0.5  # confidence above which a height is that of its place
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
    focusing = yield from looked_at_steps(stack, registered=registered, ordered=ordered, reference=reference)
    kept = stack[focusing.reference]
    image = np.empty(kept.shape, kept.dtype)
    height, confidence = (np.empty(focusing.shape, np.float32) for _ in range(2))
    yield from put_together_steps(focusing, image, height, confidence)
    return AllInFocus(image, height, confidence, focusing.transforms, focusing.reference, focusing.order)


def looked_at_steps(
    stack: Any, *, registered: bool = False, ordered: bool = True, reference: int | None = None
) -> Generator[FocusProgress, None, Focusing]:
    """The first part of it: how the planes lie, and all else that is the same for every tile."""
    looking = Focusing.steps(stack, registered=registered, ordered=ordered, reference=reference)
    of_looking = len(stack) * (2 if registered else 4)
    return (yield from counted(looking, LOOKING, of_looking, 0, _share_of_looking(stack[0].shape, len(stack))))


def put_together_steps(
    focusing: Focusing,
    image: Any,
    height: Any,
    confidence: Any,
    index: tuple[int, ...] = (),
    place: tuple[int, ...] = (),
) -> Generator[FocusProgress, None, float]:
    """The rest of it, tile by tile.

    Parameters
    ----------
    focusing : Focusing
        The stack.
    image, height, confidence : array
        What is filled, whole tiles at a time: (..., y, x) or (..., y, x, 3), and (..., y, x); numpy, or anything that can be
        assigned to like it.
    index, place : tuple of int
        Where along the axes before y: of the image, and of the others.

    Returns
    -------
    float
        The share of the field whose height is sure.
    """
    parts, sure = list(focusing.tiles()), 0
    share = _share_of_looking(focusing.shape, len(focusing.order))
    for number, part in enumerate(parts):
        begin, end = (share + (1 - share) * at / len(parts) for at in (number, number + 1))
        making = focusing.made_steps(part)
        made = yield from counted(making, FUSING, 4 * len(focusing.order) + SCALES, begin, end)
        image[(*index, *part)], height[(*place, *part)], confidence[(*place, *part)] = made
        sure += int((made[2] > SURE).sum())
    return sure / (focusing.shape[0] * focusing.shape[1])


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
    check_follows(found, stack)
    kept = stack[found.reference]
    image = np.empty(kept.shape, kept.dtype)
    yield from follow_steps(found, stack, image)
    return image


def follow_steps(
    found: AllInFocus | FocusChoice, stack: Any, image: Any, index: tuple[int, ...] = ()
) -> Generator[FocusProgress, None, None]:
    """The same, filled into an array as `put_together_steps` does.

    Raises
    ------
    ImageError
        If the planes are others.
    """
    check_follows(found, stack)
    share = _share_of_looking(found.height.shape, len(found.order))
    looking = overviews_steps(stack, found.transforms, found.reference)
    overviews = yield from counted(looking, FUSING, len(stack), 0, share)
    bright = gains(overviews, found.reference)
    focusing = Focusing(stack, found.transforms, found.reference, bright, (0.0,) * len(stack), found.order)
    parts = list(focusing.tiles())
    for number, part in enumerate(parts):
        begin, end = (share + (1 - share) * at / len(parts) for at in (number, number + 1))
        making = focusing.followed_steps(part, found.height)
        image[(*index, *part)] = yield from counted(making, FUSING, 2 * len(focusing.order), begin, end)


def most_detailed(stacks: Sequence[Any]) -> int:
    """Which of several channels shows most detail above its noise, in the middle of its planes."""
    return finished(most_detailed_steps(stacks))


def most_detailed_steps(stacks: Sequence[Any]) -> Generator[FocusProgress, None, int]:
    """The same, step by step; closing it cancels it."""
    merits = []
    for number, stack in enumerate(stacks):
        looking = details_steps(stack)
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
    contrast : float
        Of the reference plane: what counts as an edge.
    """

    stack: Any
    transforms: tuple[np.ndarray | None, ...]
    reference: int
    gains: tuple[float, ...]
    variances: tuple[float, ...]
    order: tuple[int, ...]
    contrast: float = 1.0

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
        strengths, known = yield from details_steps(stack)
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
        looked = yield from overviews_steps(stack, transforms, reference)
        bright = gains(looked, reference)
        variances = [variance * gain**2 for variance, gain in zip(known, bright, strict=True)]
        if not ordered:
            order = [order[at] for at in depth_order([looked[index] for index in order])]
        edges = contrast(stack[reference])
        return cls(stack, tuple(transforms), reference, bright, tuple(variances), tuple(order), edges)

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) of the result."""
        height, width = self.stack[self.reference].shape[:2]
        return int(height), int(width)

    def tiles(self) -> Iterator[tuple[slice, slice]]:
        """The parts of the result, row by row."""
        return _tiles(self.shape, self.tile_edge)

    @property
    def tile_edge(self) -> int:
        """Pixels along an edge of a part."""
        return _tile_edge(len(self.order))

    def made(self, part: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image, height and confidence of a part; see `AllInFocus`."""
        return finished(self.made_steps(part))

    def made_steps(self, part: tuple[slice, slice]) -> Steps:
        """The same, step by step: four for each plane, and one for each scale."""
        outer = self._around(part)
        planes, seen = yield from self._planes_steps(outer)
        edges = [-(span.stop - span.start) % WHOLE for span in outer]
        greys = planes if planes.ndim == 3 else np.stack([grey(plane) for plane in planes])

        def measured_in(row: int) -> list[tuple[np.ndarray, float]]:
            padding = [(0, edge) for edge in edges]
            found = energies(np.pad(greys[row], padding, mode="edge"), self.variances[self.order[row]])
            if not seen[row].all():
                hidden = np.pad(~seen[row], padding, mode="edge")
                for scale, (energy, _) in enumerate(found):
                    energy[hidden[:: 2**scale, :: 2**scale]] = 0
            return found

        measured = []
        with closing(side_by_side(measured_in, range(len(self.order)))) as found:
            for each in found:
                measured.append(each)
                yield
        share, belief = yield from shares_steps(measured)
        cut = tuple(slice(0, span.stop - span.start) for span in outer)
        share, belief = share[(slice(None), *cut)], belief[cut]
        share[~seen] = 0
        sharpest = np.take_along_axis(greys, share.argmax(axis=0)[None], axis=0)[0]
        share = yield from aligned_steps(share, sharpest, self.contrast)
        share[~seen] = 0
        rank, confidence = heights(share, belief)
        rank = filled(rank, confidence, self.order.index(self.reference))
        inner = _within(part, outer)
        image = (yield from fused_steps(planes, rank))[inner]
        return _as_type(image, self.stack[self.reference].dtype), rank[inner], confidence[inner]

    def followed_steps(self, part: tuple[slice, slice], height: Any) -> Steps:
        """The image of a part by heights that are known, (y, x) of the whole, numpy or lazy; two steps for each plane."""
        outer = self._around(part)
        planes, _ = yield from self._planes_steps(outer)
        image = (yield from fused_steps(planes, np.asarray(height[outer])))[_within(part, outer)]
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
        whole = np.empty((len(self.order), *shape, *self.stack[self.reference].shape[2:]), np.float32)
        there = np.ones((len(self.order), *shape), bool)

        def fill(row: int) -> None:
            index = self.order[row]
            plane, transform = self.stack[index], self.transforms[index]
            assert transform is not None
            back, points = np.linalg.inv(transform), corners(self.shape)
            if plane.shape[:2] == self.shape and np.abs(moved(back, points) - points).max() < STILL:
                whole[row] = plane[part]
            else:
                whole[row], there[row] = _moved(plane, back, part)
            whole[row] *= np.float32(self.gains[index])

        with closing(side_by_side(fill, range(len(self.order)))) as filling:
            for _ in filling:
                yield
        known = whole[self.order.index(self.reference)]
        for plane, of_plane in zip(whole, there, strict=True):
            plane[~of_plane] = known[~of_plane]
        return whole, there


def _moved(plane: Any, back: np.ndarray, part: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """A plane on the pixels of a part of the reference, and where it shows anything; `back` leads to its own pixels."""
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
    seen = shown(offset @ place, shape, (own.shape[0], own.shape[1]))
    return resampled(own, offset @ place, shape), seen


def _tile_edge(planes: int) -> int:
    """Of tiles that so many planes are put together in: the more planes, the smaller, so that all of them fit into memory."""
    edge = int((AT_ONCE / planes) ** 0.5) - 2 * REACH
    return min(TILE, max(SMALLEST_TILE, edge // TILE_STEP * TILE_STEP))


def _tiles(shape: Sequence[int], edge: int) -> Iterator[tuple[slice, slice]]:
    """The parts of an image, row by row."""
    height, width = shape[:2]
    for y in range(0, height, edge):
        for x in range(0, width, edge):
            yield slice(y, min(y + edge, height)), slice(x, min(x + edge, width))


def _share_of_looking(shape: Sequence[int], planes: int) -> float:
    """Of all the work: about as long as a tile."""
    return 1 / (1 + sum(1 for _ in _tiles(shape, _tile_edge(planes))))


def _within(part: tuple[slice, slice], outer: tuple[slice, slice]) -> tuple[slice, slice]:
    """Where a part lies in what surrounds it."""
    rows, columns = (slice(s.start - o.start, s.stop - o.start) for s, o in zip(part, outer, strict=True))
    return rows, columns


def _as_type(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return image.astype(dtype)
    limits = np.iinfo(dtype)
    return np.rint(image).clip(limits.min, limits.max).astype(dtype)
