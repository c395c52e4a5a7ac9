"""A focus stack that was looked at: how its planes lie and how bright they are, and tile by tile what is sharp where."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.focus.checking import check_planes
from napari_mdeblurgan.focus.choice import (
    REACH,
    UNKNOWN_DEPTH,
    aligned_steps,
    depth,
    filled,
    heights,
    shares_steps,
)
from napari_mdeblurgan.focus.energy import SCALES, energies
from napari_mdeblurgan.focus.fusing import fused_steps
from napari_mdeblurgan.focus.looking import WHOLE, contrast, details_steps, gains, grey, overviews_steps
from napari_mdeblurgan.focus.ordering import depth_order
from napari_mdeblurgan.focus.registering import resampled, series_steps, shown
from napari_mdeblurgan.focus.side_by_side import side_by_side
from napari_mdeblurgan.pairs.geometry import corners, moved
from napari_mdeblurgan.restoration.measuring import finished

TILE = 1024  # pixels of an edge, at most
AT_ONCE = 16_000_000  # pixels of all planes of a tile and of what is around it: some 40 bytes of memory each
SMALLEST_TILE, TILE_STEP = 128, 64
STILL = 0.05  # pixels: what moves by less at every corner is taken as it is
AROUND = 8  # pixels that resampling looks at beyond a tile
PART = 128  # pixels of an edge of the parts in which it is looked how many planes show the same detail
PARTS = 9
Steps = Generator[None, None, Any]


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
    depth : float
        As in `AllInFocus`.
    """

    stack: Any
    transforms: tuple[np.ndarray | None, ...]
    reference: int
    gains: tuple[float, ...]
    variances: tuple[float, ...]
    order: tuple[int, ...]
    contrast: float = 1.0
    depth: float = UNKNOWN_DEPTH

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
        looked_at = cls(stack, tuple(transforms), reference, bright, tuple(variances), tuple(order), edges)
        return replace(looked_at, depth=(yield from looked_at._depth_steps()))

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
        planes, seen, greys, share, belief = yield from self._shares_steps(outer)
        sharpest = np.take_along_axis(greys, share.argmax(axis=0)[None], axis=0)[0]
        share = yield from aligned_steps(share, sharpest, self.contrast)
        share[~seen] = 0
        rank, confidence = heights(share, belief)
        rank = filled(rank, confidence, self.order.index(self.reference))
        inner = _within(part, outer)
        image = (yield from fused_steps(planes, rank, confidence, self.depth))[inner]
        return _as_type(image, self.stack[self.reference].dtype), rank[inner], confidence[inner]

    def _shares_steps(self, outer: tuple[slice, slice], scales: int = SCALES) -> Steps:
        """The planes of a part, where they show anything, as greys, and how their detail is divided: two steps for each plane."""
        planes, seen = yield from self._planes_steps(outer)
        edges = [-(span.stop - span.start) % WHOLE for span in outer]
        greys = planes if planes.ndim == 3 else np.stack([grey(plane) for plane in planes])

        def measured_in(row: int) -> list[tuple[np.ndarray, float]]:
            padding = [(0, edge) for edge in edges]
            found = energies(np.pad(greys[row], padding, mode="edge"), self.variances[self.order[row]], scales)
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
        return planes, seen, greys, share, belief

    def _depth_steps(self) -> Steps:
        """How many planes show the same detail, by parts spread over the field."""
        shares, beliefs = [], []
        for part in _spread(self.shape):
            _, _, _, share, belief = finished(self._shares_steps(part, scales=1))
            yield
            shares.append(share.reshape(len(share), -1))
            beliefs.append(belief.reshape(-1))
        return depth(np.concatenate(shares, axis=1), np.concatenate(beliefs))

    def followed_steps(self, part: tuple[slice, slice], height: Any, confidence: Any = None) -> Steps:
        """The image of a part by heights that are known, (y, x) of the whole, numpy or lazy; two steps for each plane."""
        outer = self._around(part)
        planes, _ = yield from self._planes_steps(outer)
        sure = 1.0 if confidence is None else np.asarray(confidence[outer])
        image = (yield from fused_steps(planes, np.asarray(height[outer]), sure, self.depth))[_within(part, outer)]
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


def _spread(shape: Sequence[int]) -> Iterator[tuple[slice, slice]]:
    """Nine small parts, or fewer of a small image."""
    rows, columns = (
        [slice(at // WHOLE * WHOLE, min(at // WHOLE * WHOLE + PART, length)) for at in _starts(length)]
        for length in shape[:2]
    )
    for y in rows:
        for x in columns:
            yield y, x


def _starts(length: int) -> list[int]:
    if length <= 3 * PART:
        return list(range(0, length, PART))
    return [round(place * length - PART / 2) for place in (1 / 6, 1 / 2, 5 / 6)]


def share_of_looking(shape: Sequence[int], planes: int) -> float:
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
