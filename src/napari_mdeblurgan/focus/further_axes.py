"""Focus stacks with channels and further axes: each image of them in focus,
channels by one choice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.focus.focus_progress import FocusProgress
from napari_mdeblurgan.focus.stack import (
    FocusChoice,
    follow_steps,
    looked_at_steps,
    most_detailed_steps,
    put_together_steps,
)
from napari_mdeblurgan.steps import map_steps

_FEW = 0.05  # share of the field: where less is sure, it is said
_FEWEST = 0.005  # below it would be told as 0 %
Tell = Callable[[FocusProgress], FocusProgress]
Make = Callable[[str, tuple[int, ...], np.dtype, int], Any]
FOLLOWING = 0.4  # of the time of finding a choice: that of following it


@dataclass(frozen=True, slots=True, eq=False)
class ManyInFocus:
    """What focus stacks with further axes hold.

    Attributes
    ----------
    image : array
        (..., y, x) or (..., y, x, 3) in the type of the stack, the further axes as they were;
        numpy, or what `make` gave.
    height, confidence : array
        (..., y, x) float32, without the axis of the channels; see `AllInFocus`.
    choices : tuple of FocusChoice
        One for each place along the further axes but the channels, the last axis fastest; their
        heights are parts of `height`.
    channel : int or None
        The channel that decided at the first of these places; None without channels.
    notes : tuple of str
        What is to be known of it, in a sentence each.
    """

    image: Any
    height: Any
    confidence: Any
    choices: tuple[FocusChoice, ...]
    channel: int | None
    notes: tuple[str, ...]


def many_in_focus_steps(
    planes: Sequence[Any],
    further: Sequence[int] = (),
    *,
    channel_axis: int | None = None,
    channel: int | None = None,
    registered: bool = False,
    ordered: bool = True,
    reference: int | None = None,
    make: Make | None = None,
) -> Generator[FocusProgress, None, ManyInFocus]:
    """Every image of focus stacks with further axes in focus; see `all_in_focus`. Closing it
    cancels it.

    Parameters
    ----------
    planes : sequence of array
        One for each distance from focus: (..., y, x) or (..., y, x, 3), numpy or dask.
    further : sequence of int
        The lengths of their axes before y and x.
    channel_axis : int or None
        Which of these axes is that of the channels, all of which follow one of them.
    channel : int or None
        The channel that decides; None for the one with most detail, found at each place along the
        other axes.
    registered, ordered, reference
        As in `all_in_focus`.
    make : callable or None
        Gives the array for "image", "height" or "confidence" by its shape, its type and the edge of
        the tiles in which it is filled, such as one on disk. It is assigned to like a numpy array,
        and of all but the image what was assigned is read. By default they are numpy arrays.

    Raises
    ------
    ImageError
        In one sentence, if this is no focus stack that can be used.
    """
    if len(planes) < 2:
        raise ImageError("A focus stack has at least two planes; this one has one.")
    parts = _Parts.of(further, channel_axis)
    options: dict[str, Any] = {"registered": registered, "ordered": ordered, "reference": reference}
    choices: list[FocusChoice] = []
    notes: list[str] = []
    make = make or _in_memory
    image = height = confidence = None
    first_channel: int | None = None
    for number, index in enumerate(parts.places):
        stacks = [[plane[each] for plane in planes] for each in parts.of_channels(index)]
        decides = yield from _deciding(stacks, channel, parts.share(number, 0))
        tell, places = parts.share(number, 1), parts.of_channels(index)
        focusing = yield from map_steps(looked_at_steps(stacks[decides], **options), tell)
        if image is None:
            kept, edge = stacks[decides][focusing.reference], focusing.grid.tile
            image = make("image", (*further, *kept.shape), kept.dtype, edge)
            height, confidence = (
                make(name, (*parts.other, *focusing.shape), np.dtype(np.float32), edge)
                for name in ("height", "confidence")
            )
            first_channel = decides if channel_axis is not None else None
        making = put_together_steps(focusing, image, height, confidence, places[decides], index)
        sure = yield from map_steps(making, tell)
        of_place = height[index], focusing.transforms, focusing.reference, focusing.order  # type: ignore[index]
        choices.append(FocusChoice(*of_place, focusing.depth, confidence[index]))  # type: ignore[index]
        others = [nth for nth in range(len(stacks)) if nth != decides]
        for stage, nth in enumerate(others, 2):
            following = follow_steps(choices[-1], stacks[nth], image, places[nth])
            yield from map_steps(following, parts.share(number, stage))
        notes += _notes(focusing.transforms, sure)
    return ManyInFocus(
        image, height, confidence, tuple(choices), first_channel, tuple(dict.fromkeys(notes))
    )


def many_followed_steps(
    choices: Sequence[FocusChoice],
    planes: Sequence[Any],
    further: Sequence[int] = (),
    channel_axis: int | None = None,
) -> Generator[FocusProgress, None, np.ndarray]:
    """What was chosen for some stacks, for others of the same planes; see `followed`. Closing it
    cancels it.

    Parameters
    ----------
    choices : sequence of FocusChoice
        Of `ManyInFocus`.
    planes, further, channel_axis
        As in `many_in_focus_steps`; further axes but the channels as long as those of the stacks
        that were chosen from.

    Returns
    -------
    ndarray
        (..., y, x) or (..., y, x, 3) in the type of those stacks.

    Raises
    ------
    ImageError
        If the planes are others.
    """
    parts = _Parts.of(further, channel_axis)
    if len(parts.places) != len(choices) or len(planes) != len(choices[0].transforms):
        raise ImageError(
            "The other stack has other planes; it must have as many, of the same sizes."
        )
    kept = planes[choices[0].reference]
    image = np.empty((*further, *kept.shape[len(further) :]), kept.dtype)
    for number, index in enumerate(parts.places):
        for nth, place in enumerate(parts.of_channels(index)):
            following = follow_steps(
                choices[number], [plane[place] for plane in planes], image, place
            )
            begin, end = (
                (number + at / parts.channels) / len(parts.places) for at in (nth, nth + 1)
            )
            yield from map_steps(following, _within(begin, end))
    return image


def _in_memory(_: str, shape: tuple[int, ...], dtype: np.dtype, __: int) -> np.ndarray:
    return np.empty(shape, dtype)


def _deciding(
    stacks: Sequence[Any], channel: int | None, tell: Tell
) -> Generator[FocusProgress, None, int]:
    if channel is not None or len(stacks) == 1:
        return channel or 0
    return (yield from map_steps(most_detailed_steps(stacks), tell))


@dataclass(frozen=True, slots=True)
class _Parts:
    """How further axes are gone through.

    Attributes
    ----------
    other : tuple of int
        Lengths of the axes but that of the channels.
    channels : int
    axis : int or None
        Of the channels.
    """

    other: tuple[int, ...]
    channels: int
    axis: int | None

    @classmethod
    def of(cls, further: Sequence[int], axis: int | None) -> _Parts:
        other = tuple(length for number, length in enumerate(further) if number != axis)
        return cls(other, 1 if axis is None else further[axis], axis)

    @property
    def places(self) -> list[tuple[int, ...]]:
        """Along the axes but that of the channels."""
        return list(np.ndindex(*self.other))

    def of_channels(self, index: tuple[int, ...]) -> list[tuple[int, ...]]:
        """The index of every channel at such a place."""
        if self.axis is None:
            return [index]
        return [
            (*index[: self.axis], channel, *index[self.axis :]) for channel in range(self.channels)
        ]

    def share(self, number: int, stage: int) -> Tell:
        """How the progress of a stage (deciding, finding, and then following by each channel) is
        told of the whole.
        """
        deciding = FOLLOWING / 2 if self.channels > 1 else 0.0
        before = (0.0, deciding, *(deciding + 1 + FOLLOWING * nth for nth in range(self.channels)))
        begin, end = (
            (number + at / before[-1]) / len(self.places) for at in before[stage : stage + 2]
        )
        return _within(begin, end)


def _within(begin: float, end: float) -> Tell:
    return lambda step: step.within(begin, end)


def _notes(transforms: Sequence[np.ndarray | None], share: float) -> list[str]:
    """What is to be known of a result; `share` of its field is sure."""
    lost = [str(index) for index, transform in enumerate(transforms) if transform is None]
    notes = []
    if lost:
        notes.append(f"plane {', '.join(lost)} shows no place of the others and was left out.")
    if share < _FEW:
        part = f"only {100 * share:.0f} %" if share >= _FEWEST else "hardly any"
        notes.append(
            f"{part} of the field is clearly sharper in one plane than in the others; heights "
            "elsewhere are guesses. This happens where nothing is in focus, and where the planes "
            "run through time instead of focus."
        )
    return notes
