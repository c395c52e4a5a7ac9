"""A focus stack that was looked at: how its planes lie and how bright they are, and what is sharp
where in a part of it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.focus.energy import SCALES, energies
from napari_mdeblurgan.focus.in_threads import in_parallel
from napari_mdeblurgan.focus.levels import StackPlane, as_planes
from napari_mdeblurgan.focus.looking import (
    TILE_MULTIPLE,
    brightness_gains,
    contrast,
    details_steps,
    grey_plane,
    overviews_steps,
)
from napari_mdeblurgan.focus.ordering import depth_order
from napari_mdeblurgan.focus.plane_checks import check_planes
from napari_mdeblurgan.focus.plane_registration import resampled, series_steps, shown_pixels
from napari_mdeblurgan.focus.sharpest_plane import FOCUS_REACH, UNKNOWN_DEPTH, depth, shares_steps
from napari_mdeblurgan.pairs.affine import corners, moved
from napari_mdeblurgan.restoration.label_maps import refuse_label_map
from napari_mdeblurgan.restoration.tiling import Tile, TileGrid
from napari_mdeblurgan.steps import finished

FOCUS_TILE = 1024  # pixels of an edge, at most
# pixels of all planes of a tile and of what is around it: some 40 bytes of memory each
_AT_ONCE = 16_000_000
_SMALLEST_TILE, _TILE_STEP = 128, 64
_STILL = 0.05  # pixels: what moves by less at every corner is taken as it is
_AROUND = 8  # pixels that resampling looks at beyond a tile
_PART = (
    128  # pixels of an edge of the parts in which it is looked how many planes show the same detail
)
PARTS = 9
FocusSteps = Generator[None, None, Any]
PlanePart = tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class Focusing:
    """A stack that was looked at: all that is the same for its tiles.

    Attributes
    ----------
    stack : sequence of StackPlane
        That of `all_in_focus`, as `as_planes` gives it.
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

    stack: Sequence[StackPlane]
    transforms: tuple[np.ndarray | None, ...]
    reference: int
    gains: tuple[float, ...]
    variances: tuple[float, ...]
    order: tuple[int, ...]
    contrast: float = 1.0
    depth: float = UNKNOWN_DEPTH

    @classmethod
    def of(
        cls,
        stack: Any,
        *,
        registered: bool = False,
        ordered: bool = True,
        reference: int | None = None,
    ) -> Focusing:
        """Look at a stack; see `all_in_focus`."""
        return finished(
            cls.steps(stack, registered=registered, ordered=ordered, reference=reference)
        )

    @classmethod
    def steps(
        cls,
        stack: Any,
        *,
        registered: bool = False,
        ordered: bool = True,
        reference: int | None = None,
    ) -> Generator[None, None, Focusing]:
        """The same, step by step: two for each plane, four where they are registered."""
        check_planes(stack, reference, registered=registered)
        stack = as_planes(stack)
        middle = stack[len(stack) // 2].plane  # of which all stages read what they need once
        if middle.ndim == 2:
            refuse_label_map(middle)
        strengths, known = yield from details_steps(stack)
        if not any(strengths):
            raise ImageError(
                "No plane of this stack shows anything; check that it was read rightly."
            )
        if reference is None:
            reference = int(np.argmax(strengths))
        if registered:
            transforms: list[np.ndarray | None] = [np.eye(3) for _ in strengths]
        else:
            transforms = yield from series_steps(list(stack), strengths, reference)
        order = [index for index, transform in enumerate(transforms) if transform is not None]
        if len(order) < 2:
            raise ImageError(
                "No two planes of this stack show the same place, so they cannot be registered; "
                "if they lie on each other already, leave them where they are."
            )
        looked = yield from overviews_steps(stack, transforms, reference)
        bright = brightness_gains(looked, reference)
        variances = [variance * gain**2 for variance, gain in zip(known, bright, strict=True)]
        if not ordered:
            order = [order[at] for at in depth_order([looked[index] for index in order])]
        edges = contrast(stack[reference])
        looked_at = cls(
            stack, tuple(transforms), reference, bright, tuple(variances), tuple(order), edges
        )
        return replace(looked_at, depth=(yield from looked_at._depth_steps()))

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) of the result."""
        height, width = self.stack[self.reference].shape[:2]
        return int(height), int(width)

    @property
    def dtype(self) -> np.dtype:
        """Of the result."""
        return self.stack[self.reference].dtype

    def as_read(self, image: np.ndarray) -> np.ndarray:
        """What was made, in the stack's own grey values and type."""
        image = self.stack[self.reference].levels.back(image)
        if self.dtype.kind == "f":
            return image.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        return np.rint(image).clip(limits.min, limits.max).astype(self.dtype)

    @property
    def numbers(self) -> tuple[int, ...]:
        """What heights are at each plane of `order`: the number of that plane where the planes come
        in the order of their depth, for one that was left out is a step as well; else its place.
        """
        return self.order if sorted(self.order) == [*self.order] else (*range(len(self.order)),)

    def heights_of(self, ranks: np.ndarray) -> np.ndarray:
        """Heights as in `AllInFocus`, float32, of places in `order`."""
        return _carried(ranks, range(len(self.order)), self.numbers)

    def ranks_of(self, heights: np.ndarray) -> np.ndarray:
        """The way back."""
        return _carried(heights, self.numbers, range(len(self.order)))

    @property
    def grid(self) -> TileGrid:
        """The tiles that the result is made in."""
        return _grid(self.shape, len(self.order))

    @property
    def device(self) -> str:
        """What it is made on."""
        return "cpu"

    def around(self, tile: Tile) -> PlanePart:
        """A tile with all that it depends on, as far as the image goes."""
        height, width = self.shape
        rows, columns = tile.y, tile.x
        return (
            slice(max(0, rows.read_start), min(rows.read_stop, height)),
            slice(max(0, columns.read_start), min(columns.read_stop, width)),
        )

    def shares_steps(
        self, planes: np.ndarray, seen: np.ndarray, scales: int = SCALES
    ) -> FocusSteps:
        """How the detail of a part is divided among the planes, how far there is any, and the
        planes as greys.

        A step for each plane and each scale.
        """
        height, width = planes.shape[1:3]
        edges = (-height % TILE_MULTIPLE, -width % TILE_MULTIPLE)
        greys = planes if planes.ndim == 3 else np.stack([grey_plane(plane) for plane in planes])

        def measured_in(row: int) -> list[tuple[np.ndarray, float]]:
            padding = [(0, edge) for edge in edges]
            found = energies(
                np.pad(greys[row], padding, mode="edge"), self.variances[self.order[row]], scales
            )
            if not seen[row].all():
                hidden = np.pad(~seen[row], padding, mode="edge")
                for scale, (energy, _) in enumerate(found):
                    energy[hidden[:: 2**scale, :: 2**scale]] = 0
            return found

        measured = []
        with closing(in_parallel(measured_in, range(len(self.order)))) as found:
            for each in found:
                measured.append(each)
                yield
        share, belief = yield from shares_steps(measured)
        share, belief = share[:, :height, :width], belief[:height, :width]
        share[~seen] = 0
        return share, belief, greys

    def _depth_steps(self) -> FocusSteps:
        """How many planes show the same detail, by parts spread over the field."""
        shares, beliefs = [], []
        for part in _spread(self.shape):
            share, belief, _ = finished(self.shares_steps(*self.planes(part), scales=1))
            yield
            shares.append(share.reshape(len(share), -1))
            beliefs.append(belief.reshape(-1))
        return depth(np.concatenate(shares, axis=1), np.concatenate(beliefs))

    def planes(self, part: PlanePart) -> tuple[np.ndarray, np.ndarray]:
        """The usable planes on the reference's pixels, equally bright, float32; and where each
        shows anything.
        """
        return finished(self.planes_steps(part))

    def planes_steps(self, part: PlanePart) -> FocusSteps:
        """The same, step by step: one for each plane."""
        shape = tuple(span.stop - span.start for span in part)
        whole = np.empty(
            (len(self.order), *shape, *self.stack[self.reference].shape[2:]), np.float32
        )
        there = np.ones((len(self.order), *shape), bool)

        def fill(row: int) -> None:
            index = self.order[row]
            plane, transform = self.stack[index], self.transforms[index]
            assert transform is not None
            back, points = np.linalg.inv(transform), corners(self.shape)
            if (
                plane.shape[:2] == self.shape
                and np.abs(moved(back, points) - points).max() < _STILL
            ):
                whole[row] = plane[part]
            else:
                whole[row], there[row] = _moved(plane, back, part)
            whole[row] *= np.float32(self.gains[index])

        with closing(in_parallel(fill, range(len(self.order)))) as filling:
            for _ in filling:
                yield
        known = whole[self.order.index(self.reference)]
        for plane, of_plane in zip(whole, there, strict=True):
            plane[~of_plane] = known[~of_plane]
        return whole, there


def _carried(values: np.ndarray, start: Sequence[int], end: Sequence[int]) -> np.ndarray:
    """From one scale to another, both of which rise, in straight lines from mark to mark."""
    if tuple(start) == tuple(end):
        return values
    return np.interp(values, start, end).astype(np.float32)


def _moved(plane: Any, back: np.ndarray, part: PlanePart) -> tuple[np.ndarray, np.ndarray]:
    """A plane on the pixels of a part of the reference, and where it shows anything; `back` leads
    to its own pixels.
    """
    start = np.eye(3)
    start[:2, 2] = part[0].start, part[1].start
    shape = part[0].stop - part[0].start, part[1].stop - part[1].start
    place = back @ start  # from the pixels of the part to those of the plane
    points = moved(place, corners(shape))
    first = np.maximum(np.floor(points.min(axis=0)) - _AROUND, 0).astype(int)
    stop = np.minimum(np.ceil(points.max(axis=0)) + _AROUND + 1, plane.shape[:2]).astype(int)
    if (stop - first < _AROUND).any():
        return np.zeros((*shape, *plane.shape[2:]), np.float32), np.zeros(shape, bool)
    own = np.asarray(plane[first[0] : stop[0], first[1] : stop[1]])
    offset = np.eye(3)
    offset[:2, 2] = -first
    seen = shown_pixels(offset @ place, shape, (own.shape[0], own.shape[1]))
    return resampled(own, offset @ place, shape), seen


def _tile_edge(planes: int) -> int:
    """Of tiles that so many planes are put together in: the more planes, the smaller, so that all
    of them fit into memory.
    """
    edge = int((_AT_ONCE / planes) ** 0.5) - 2 * FOCUS_REACH
    return min(FOCUS_TILE, max(_SMALLEST_TILE, edge // _TILE_STEP * _TILE_STEP))


def _grid(shape: tuple[int, int], planes: int) -> TileGrid:
    """The tiles of an image of so many planes."""
    edge, (height, width) = _tile_edge(planes), shape
    return TileGrid(
        shape,
        ((0, height), (0, width)),
        edge,
        -(-FOCUS_REACH // TILE_MULTIPLE) * TILE_MULTIPLE,
        TILE_MULTIPLE,
        step=edge,
    )


def _spread(shape: Sequence[int]) -> Iterator[PlanePart]:
    """Nine small parts, or fewer of a small image."""
    rows, columns = (
        [
            slice(
                at // TILE_MULTIPLE * TILE_MULTIPLE,
                min(at // TILE_MULTIPLE * TILE_MULTIPLE + _PART, length),
            )
            for at in _starts(length)
        ]
        for length in shape[:2]
    )
    for y in rows:
        for x in columns:
            yield y, x


def _starts(length: int) -> list[int]:
    if length <= 3 * _PART:
        return list(range(0, length, _PART))
    return [round(place * length - _PART / 2) for place in (1 / 6, 1 / 2, 5 / 6)]


def share_of_looking(shape: Sequence[int], planes: int) -> float:
    """Of all the work: about as long as a tile."""
    return 1 / (1 + len(_grid((shape[0], shape[1]), planes)))
