"""A focus stack made one image; and what was chosen of it, for others to follow."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_mdeblurgan.focus.focus_operations import CONFIDENCE, HEIGHT, IMAGE, Choose, Follow
from napari_mdeblurgan.focus.focus_progress import FocusProgress, counted_steps
from napari_mdeblurgan.focus.focusing import PARTS, Focusing, share_of_looking
from napari_mdeblurgan.focus.levels import as_planes
from napari_mdeblurgan.focus.looking import brightness_gains, details_steps, overviews_steps
from napari_mdeblurgan.focus.plane_checks import check_channels, check_follows, check_planes
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.restoration.walk import Operation, Spot, TileArrays, Todo, walk
from napari_mdeblurgan.steps import finished

_SURE = 0.5  # confidence above which a height is that of its place
_LOOKING, FUSING = "Looking at the planes…", "Putting the planes together…"


@dataclass(frozen=True, slots=True, eq=False)
class AllInFocus:
    """What a focus stack holds.

    Attributes
    ----------
    image : ndarray
        (y, x) or (y, x, 3) in the type of the stack, on the pixels of the reference plane.
    height : ndarray
        (y, x) float32: in planes, from 0 (the first of the stack) to planes − 1, between planes as
        well. Of planes that were not in the order of their depth, from the first of `order`.
    confidence : ndarray
        (y, x) float32, 0 to 1: low where no plane shows fine detail, so that the height is that of
        what is near.
    transforms : tuple of (ndarray or None)
        (3, 3) each, from the (y, x, 1) of a plane's pixel to that of the reference plane; None for
        a plane that shows no place of the others and was left out.
    reference : int
        Which plane that is.
    order : tuple of int
        The planes that were used, in the order in depth that heights count along.
    depth : float
        How many planes show the same detail: what is in focus loses so much by so many planes, see
        `choice.depth`.
    """

    image: np.ndarray = field(repr=False)
    height: np.ndarray = field(repr=False)
    confidence: np.ndarray = field(repr=False)
    transforms: tuple[np.ndarray | None, ...] = field(repr=False)
    reference: int
    order: tuple[int, ...]
    depth: float


@dataclass(frozen=True, slots=True, eq=False)
class FocusChoice:
    """What was chosen of a stack, without its image: enough for `followed`; the attributes are
    those of `AllInFocus`.

    Where the confidence is not known, every height counts as sure.
    """

    height: np.ndarray
    transforms: tuple[np.ndarray | None, ...]
    reference: int
    order: tuple[int, ...]
    depth: float
    confidence: Any = None


def all_in_focus(
    stack: Any, *, registered: bool = False, ordered: bool = True, reference: int | None = None
) -> AllInFocus:
    """One image that is sharp wherever one of the planes of a stack is.

    Parameters
    ----------
    stack : array or sequence of array
        (planes, y, x) or (planes, y, x, 3), any integer or floating-point type; numpy or dask, read
        part by part. Planes that differ in size come as a list.
    registered : bool
        Whether the planes lie on each other already; otherwise they are moved, turned and enlarged
        evenly until they do.
    ordered : bool
        Whether they come in the order of their depth; otherwise that is looked for.
    reference : int or None
        The plane that the others are laid on; None takes the one with most detail.

    Raises
    ------
    ImageError
        In one sentence, if this is no focus stack that can be used.
    """
    return finished(
        all_in_focus_steps(stack, registered=registered, ordered=ordered, reference=reference)
    )


def all_in_focus_steps(
    stack: Any, *, registered: bool = False, ordered: bool = True, reference: int | None = None
) -> Generator[FocusProgress, None, AllInFocus]:
    """The same, step by step; closing it cancels it."""
    focusing = yield from looked_at_steps(
        stack, registered=registered, ordered=ordered, reference=reference
    )
    kept = stack[focusing.reference]
    image = np.empty(kept.shape, kept.dtype)
    height, confidence = (np.empty(focusing.shape, np.float32) for _ in range(2))
    yield from put_together_steps(focusing, image, height, confidence)
    return AllInFocus(
        image,
        height,
        confidence,
        focusing.transforms,
        focusing.reference,
        focusing.order,
        focusing.depth,
    )


def looked_at_steps(
    stack: Any, *, registered: bool = False, ordered: bool = True, reference: int | None = None
) -> Generator[FocusProgress, None, Focusing]:
    """The first part of it: how the planes lie, and all else that is the same for every tile."""
    check_planes(stack, reference, registered=registered)
    looking = Focusing.steps(stack, registered=registered, ordered=ordered, reference=reference)
    of_looking = len(stack) * (2 if registered else 4) + PARTS
    return (
        yield from counted_steps(
            looking, _LOOKING, of_looking, 0, share_of_looking(stack[0].shape, len(stack))
        )
    )


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
        What is filled, whole tiles at a time: (..., y, x) or (..., y, x, 3), and (..., y, x);
        numpy, or anything that can be assigned to like it.
    index, place : tuple of int
        Where along the axes before y: of the image, and of the others.

    Returns
    -------
    float
        The share of the field whose height is sure.
    """
    sure = 0

    def write(at: Spot, piece: TileArrays) -> None:
        nonlocal sure
        part = _part(at.tile)
        image[(*index, *part)], height[(*place, *part)] = piece[IMAGE], piece[HEIGHT]
        confidence[(*place, *part)] = piece[CONFIDENCE]
        sure += int((piece[CONFIDENCE] > _SURE).sum())

    yield from _walked(focusing, Choose(focusing), write)
    return sure / (focusing.shape[0] * focusing.shape[1])


def _walked(
    focusing: Focusing, operation: Operation, write: Callable[[Spot, TileArrays], None]
) -> Generator[FocusProgress, None, None]:
    """Walk over all tiles, after what was looked at."""
    begin = share_of_looking(focusing.shape, len(focusing.order))
    todo = Todo([Spot((), tile) for tile in focusing.grid])
    done, pixels = 0, focusing.shape[0] * focusing.shape[1]
    with closing(walk(todo, focusing, operation, write)) as turns:
        for places in turns:
            done += sum(place.tile.pixels for place in places)
            yield FocusProgress(FUSING, begin + (1 - begin) * (done + todo.begun) / pixels)


def _part(tile: Tile) -> tuple[slice, slice]:
    """What a tile covers."""
    return slice(tile.y.start, tile.y.stop), slice(tile.x.start, tile.x.stop)


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


def followed_steps(
    found: AllInFocus | FocusChoice, stack: Any
) -> Generator[FocusProgress, None, np.ndarray]:
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
    share = share_of_looking(found.height.shape, len(found.order))
    planes = as_planes(stack)
    looking = overviews_steps(planes, found.transforms, found.reference)
    overviews = yield from counted_steps(looking, FUSING, len(stack), 0, share)
    bright = brightness_gains(overviews, found.reference)
    focusing = Focusing(
        planes,
        found.transforms,
        found.reference,
        bright,
        (0.0,) * len(stack),
        found.order,
        depth=found.depth,
    )

    def write(at: Spot, piece: TileArrays) -> None:
        image[(*index, *_part(at.tile))] = piece[IMAGE]

    yield from _walked(focusing, Follow(focusing, found.height, found.confidence), write)


def most_detailed(stacks: Sequence[Any]) -> int:
    """Which of several channels shows most detail above its noise, in the middle of its planes.

    Raises
    ------
    ImageError
        If there is none, or one is no focus stack.
    """
    return finished(most_detailed_steps(stacks))


def most_detailed_steps(stacks: Sequence[Any]) -> Generator[FocusProgress, None, int]:
    """The same, step by step; closing it cancels it."""
    merits = []
    check_channels(stacks)
    for number, stack in enumerate(stacks):
        looking = details_steps(as_planes(stack))
        begin, end = (at / len(stacks) for at in (number, number + 1))
        strengths, variances = yield from counted_steps(looking, _LOOKING, len(stack), begin, end)
        merits.append(max(strengths) / max(*variances, 1e-12))
    return int(np.argmax(merits))
