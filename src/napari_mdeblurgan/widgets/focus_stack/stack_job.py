"""One run of the widget **Focus stack**: what was chosen, and the work on it. No Qt in here."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.widgets.focus_stack.kept import kept_choices
from napari_mdeblurgan.widgets.runs.job import JobFailed
from napari_mdeblurgan.widgets.shared import wording
from napari_mdeblurgan.widgets.shared.low_priority import at_low_priority
from napari_mdeblurgan.widgets.shared.unexpected import in_one_sentence

if TYPE_CHECKING:
    from napari_mdeblurgan.focus import FocusChoice
    from napari_mdeblurgan.focus.focus_progress import FocusProgress
    from napari_mdeblurgan.widgets.focus_stack.source import StackSource

_SHARE_OF_MEMORY = 0.8
_SURE = 0.5  # confidence above which a height is that of its place
BYTES_OF_MAPS = 8  # for each pixel: height and confidence

_NO_MEMORY = (
    "There is not enough memory for this stack; close other programs, or take a part of it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusJob:
    """What to put together.

    Attributes
    ----------
    stack : StackSource
        The planes.
    registered : bool
        Whether they lie on each other already.
    ordered : bool
        Whether they come in the order of their depth.
    channel : int or None
        The channel that decides; None for the one with most detail.
    step_um : float
        How far planes are apart; 0 where nobody knows.
    preview : bool
        Whether the result is a passing look.
    choices : callable, optional
        Gives what was chosen for another stack, to be followed; by default it is found.
    """

    stack: StackSource
    registered: bool = False
    ordered: bool = True
    channel: int | None = None
    step_um: float = 0.0
    preview: bool = False
    choices: Callable[[], tuple[FocusChoice, ...]] | None = None

    @property
    def source(self) -> str:
        """The name of the stack."""
        return self.stack.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Focused:
    """What was made: arguments of the layers, "data" among them, as `add_layer` takes them.

    Attributes
    ----------
    image : dict
        Of the image.
    maps : tuple of dict
        Of the height map and the confidence map.
    preview : bool
        As in `FocusJob`.
    reference : int
        The plane on whose pixels it lies.
    notes : tuple of str
        What is to be known of it, in a sentence each.
    """

    image: dict[str, Any]
    maps: tuple[dict[str, Any], ...] = ()
    preview: bool = False
    reference: int = 0
    notes: tuple[str, ...] = ()


def run_focus(job: FocusJob) -> Generator[FocusProgress, None, Focused | JobFailed]:
    """Do the job, step by step; `close()` cancels it.

    Returns
    -------
    Focused or JobFailed
        No exception leaves this generator: an error becomes a sentence, and an unexpected one is
        logged as well.
    """
    try:
        return (yield from at_low_priority(_made(job)))
    except Exception as error:
        return JobFailed(in_one_sentence(error, f"Putting {job.source!r} together", _NO_MEMORY))


def _made(job: FocusJob) -> Generator[FocusProgress, None, Focused]:
    from napari_mdeblurgan.focus import many_followed_steps, many_in_focus_steps

    stack = job.stack
    _check_memory(stack)
    if job.choices is not None:
        choices = job.choices()
        image = yield from many_followed_steps(
            choices, stack.planes, stack.further, stack.channel_axis
        )
        return Focused(image=_image(job, image, choices[0].reference))
    found = yield from many_in_focus_steps(
        stack.planes,
        stack.further,
        channel_axis=stack.channel_axis,
        channel=job.channel,
        registered=job.registered,
        ordered=job.ordered,
    )
    reference = found.choices[0].reference
    notes = [note[:1].upper() + note[1:] for note in found.notes]
    if found.channel is not None and job.channel is None:
        notes.insert(0, f"Channel {found.channel} has most detail and decided.")
    if job.preview:
        shown = _image(job, found.image, reference)
        return Focused(image=shown, preview=True, reference=reference, notes=tuple(notes))
    unit = "µm" if job.step_um else "planes"
    height = found.height * np.float32(job.step_um) if job.step_um else found.height
    limits = _limits(height, found.confidence, job.step_um or 1.0)
    kept = kept_choices(found.choices, stack, job.step_um)
    maps = (
        _map(job, height, reference, "height", unit, limits, "viridis", kept),
        _map(job, found.confidence, reference, "confidence", "", (0, 1), "cividis", {}),
    )
    shown = _image(job, found.image, reference)
    return Focused(image=shown, maps=maps, reference=reference, notes=tuple(notes))


def _check_memory(stack: StackSource) -> None:
    plane = stack.planes[0]
    needed = plane.size * (plane.dtype.itemsize + BYTES_OF_MAPS)
    free = psutil.virtual_memory().available
    if needed > _SHARE_OF_MEMORY * free:
        raise ImageError(
            f"The result of {stack.name!r} needs {wording.disk_amount(needed)} of memory, and "
            f"{wording.disk_amount(free)} are free: close other programs, or crop the stack."
        )


def _limits(height: np.ndarray, confidence: np.ndarray, step: float) -> tuple[float, float]:
    """Between which heights nearly all places lie whose height is sure; at least a step."""
    sure = height[confidence > _SURE]
    low, high = (float(each) for each in np.percentile(sure if sure.size else height, (0.5, 99.5)))
    lacking = max(0.0, step - (high - low))
    return low - lacking / 2, high + lacking / 2


def _image(job: FocusJob, data: np.ndarray, reference: int) -> dict[str, Any]:
    stack = job.stack
    shown, place = stack.placed(data, reference, channels=True)
    focus = {
        "source": job.source,
        "restored": stack.restored,
        "preview": job.preview,
        "file": stack.file,
    }
    return {
        "data": shown,
        "name": f"{job.source} [{'focus preview' if job.preview else 'all in focus'}]",
        "metadata": {"mdeblurgan": {"focus": focus}},
        **place.layer_arguments(),
        **stack.look(reference),
    }


def _map(
    job: FocusJob,
    data: np.ndarray,
    reference: int,
    name: str,
    unit: str,
    limits: tuple[float, float],
    colormap: str,
    kept: dict[str, Any],
) -> dict[str, Any]:
    shown, place = job.stack.placed(data, reference, channels=False)
    about = {"map": name, "unit": unit, "source": job.source, "file": ""}
    return {
        "data": shown,
        "name": f"{job.source} [{f'{name}, {unit}' if unit else name}]",
        "metadata": {"mdeblurgan": about | ({"focus": kept} if kept else {})},
        "colormap": colormap,
        "contrast_limits": limits,
        "visible": False,
        **place.layer_arguments(),
    }
