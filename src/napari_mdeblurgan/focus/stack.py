"""A focus stack made one image: how its planes lie, how bright they are, and then tile by tile what is sharp where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.focus.choice import REACH, aligned, filled, heights, shares
from napari_mdeblurgan.focus.energy import energies
from napari_mdeblurgan.focus.fusing import fused
from napari_mdeblurgan.focus.ordering import depth_order
from napari_mdeblurgan.focus.registering import resampled, series, shown
from napari_mdeblurgan.training.pairs.geometry import corners, moved, reduction
from napari_mdeblurgan.training.pairs.search import reduced
from napari_mdeblurgan.trust.noise import measure_noise

SMALLEST = 64  # pixels along y and x
TILE = 768
WHOLE = 8  # tiles begin at multiples of it: the pixels of the coarsest scale
STILL = 0.05  # pixels: what moves by less at every corner is taken as it is
AROUND = 8  # pixels that resampling looks at beyond a tile
OVERVIEW = 200  # pixels of the shorter edge at which the order of the planes is looked for
LOOKED_AT = 1024  # pixels of an edge of the part that noise and brightness are measured in
BRIGHTER = 2.0  # times: planes that differ by more in brightness are no planes of one stack


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
    focusing = Focusing.of(stack, registered=registered, ordered=ordered, reference=reference)
    shape = focusing.shape
    kept = stack[focusing.reference]
    image = np.empty(kept.shape, kept.dtype)
    height, confidence = (np.empty(shape, np.float32) for _ in range(2))
    for part in focusing.tiles():
        image[part], height[part], confidence[part] = focusing.made(part)
    return AllInFocus(image, height, confidence, focusing.transforms, focusing.reference, focusing.order)


def followed(found: AllInFocus, stack: Any) -> np.ndarray:
    """What was chosen for one channel, for another one of the same planes.

    Parameters
    ----------
    found : AllInFocus
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
    if len(stack) != len(found.transforms) or stack[found.reference].shape[:2] != found.height.shape:
        raise ImageError("The other stack has other planes; it must have as many, of the same sizes.")
    gains = _gains(_overviews(stack, found.transforms, found.reference), found.reference)
    focusing = Focusing(stack, found.transforms, found.reference, gains, (0.0,) * len(stack), found.order)
    kept = stack[found.reference]
    image = np.empty(kept.shape, kept.dtype)
    for part in focusing.tiles():
        image[part] = focusing.followed(part, found.height)
    return image


def most_detailed(stacks: Sequence[Any]) -> int:
    """Which of several channels shows most detail above its noise, in the middle of its planes."""
    found = [tuple(zip(*map(_detail, stack), strict=True)) for stack in stacks]
    return int(np.argmax([max(strengths) / max(*variances, 1e-12) for strengths, variances in found]))


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
        _check(stack, reference, registered=registered)
        strengths, known = zip(*map(_detail, stack), strict=True)
        if not any(strengths):
            raise ImageError("No plane of this stack shows anything; check that it was read rightly.")
        if reference is None:
            reference = int(np.argmax(strengths))
        if registered:
            transforms: list[np.ndarray | None] = [np.eye(3) for _ in strengths]
        else:
            transforms = series(list(stack), strengths, reference)
        looked = _overviews(stack, transforms, reference)
        gains = _gains(looked, reference)
        variances = [variance * gain**2 for variance, gain in zip(known, gains, strict=True)]
        order = [index for index, transform in enumerate(transforms) if transform is not None]
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
        height, width = self.shape
        for y in range(0, height, TILE):
            for x in range(0, width, TILE):
                yield slice(y, min(y + TILE, height)), slice(x, min(x + TILE, width))

    def made(self, part: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image, height and confidence of a part; see `AllInFocus`."""
        outer = self._around(part)
        planes, seen = self.planes(outer)
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
        share, belief = shares(measured)
        cut = tuple(slice(0, span.stop - span.start) for span in outer)
        share, belief = share[(slice(None), *cut)], belief[cut]
        share[~seen] = 0
        sharpest = np.take_along_axis(greys, share.argmax(axis=0)[None], axis=0)[0]
        share = aligned(share, sharpest)
        share[~seen] = 0
        rank, confidence = heights(share, belief)
        rank = filled(rank, confidence)
        inner = _within(part, outer)
        image = fused(planes, rank)[inner]
        return _as_type(image, self.stack[self.reference].dtype), rank[inner], confidence[inner]

    def followed(self, part: tuple[slice, slice], height: np.ndarray) -> np.ndarray:
        """The image of a part by heights that are known, (y, x) of the whole."""
        outer = self._around(part)
        image = fused(self.planes(outer)[0], height[outer])[_within(part, outer)]
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


def _check(stack: Any, reference: int | None, *, registered: bool) -> None:
    """Refuse what is no focus stack, in words."""
    if len(stack) < 2:
        raise ImageError("A focus stack has at least two planes; this one has one.")
    for plane in stack:
        if plane.ndim not in (2, 3) or (plane.ndim == 3 and plane.shape[-1] != 3):
            raise ImageError(
                "A focus stack has the axes (planes, y, x), or with three colours at the end; a plane of this one has the shape "
                f"{' × '.join(map(str, plane.shape))}."
            )
        if plane.ndim != stack[0].ndim:
            raise ImageError("Some planes of this stack are in colour and others are not; convert them to one kind.")
        if min(plane.shape[:2]) < SMALLEST:
            size = " × ".join(map(str, plane.shape[:2]))
            raise ImageError(f"Planes of {size} pixels are too small; {SMALLEST} × {SMALLEST} are needed.")
        if plane.dtype.kind not in "uif":
            raise ImageError(
                f"A focus stack of the type {plane.dtype} cannot be used; convert it to whole or real numbers."
            )
        if registered and plane.shape != stack[0].shape:
            raise ImageError(
                "The planes of this stack differ in size, so they cannot lie on each other yet; register them."
            )
    if reference is not None and not 0 <= reference < len(stack):
        raise ImageError(f"There is no plane {reference}; the planes are 0 to {len(stack) - 1}.")


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


def _overviews(stack: Any, transforms: Sequence[np.ndarray | None], reference: int) -> list[np.ndarray]:
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


def _detail(plane: Any) -> tuple[float, float]:
    """Of the middle of a plane: energy of the fine detail beyond what may be noise, and the variance of the noise."""
    grey = _grey(np.asarray(plane[_middle(plane.shape)]).astype(np.float32))
    variance = _variance(grey)
    height, width = (length // WHOLE * WHOLE for length in grey.shape)
    energy, doubt = energies(grey[:height, :width], variance)[0]
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
