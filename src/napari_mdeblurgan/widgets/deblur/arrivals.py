"""What comes back from a run of **Deblur + SR**: shown as layers while it is made, told in words,
remembered with its source.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning

from napari_mdeblurgan.widgets.deblur.controls import Controls, show_life, show_progress
from napari_mdeblurgan.widgets.layers import adding
from napari_mdeblurgan.widgets.layers.appearance import looking_like
from napari_mdeblurgan.widgets.layers.placement import Placement, moved_along, placement_of
from napari_mdeblurgan.widgets.layers.view import image_shape
from napari_mdeblurgan.widgets.runs import trust
from napari_mdeblurgan.widgets.runs.job import Job, JobFailed, Noted, Restored
from napari_mdeblurgan.widgets.runs.to_disk import Opened, Saved
from napari_mdeblurgan.widgets.shared import wording
from napari_mdeblurgan.widgets.shared.run_times import RunTimes

if TYPE_CHECKING:
    from pathlib import Path

    from napari import Viewer
    from napari.layers import Image

    from napari_mdeblurgan.restoration.progress import Progress
    from napari_mdeblurgan.widgets.deblur.scan_layers import ScanLayers
    from napari_mdeblurgan.widgets.deblur.sharpness import Sharpness
    from napari_mdeblurgan.widgets.deblur.verdicts import Verdicts
    from napari_mdeblurgan.widgets.layers.result_pairs import Pairs
    from napari_mdeblurgan.widgets.runs.runner import Runner


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of the dock that what comes back is handed to.

    Attributes
    ----------
    viewer, controls, pairs, verdicts, scans, sharpness
        As in `DeblurWidget`.
    say : callable
        Shows what is going on.
    fail : callable
        Shows, in one sentence, what went wrong.
    refresh : callable
        Offers the layers that there are now.
    """

    viewer: Viewer
    controls: Controls
    pairs: Pairs
    verdicts: Verdicts
    scans: ScanLayers
    sharpness: Sharpness
    say: Callable[[str], None]
    fail: Callable[[str], None]
    refresh: Callable[[], None]


class Arrivals:
    """Takes what comes back from the jobs of one run after the other; lives on the main thread.

    Parameters
    ----------
    parts : Parts
        Of the dock.
    on_end : callable
        Called with all that is to be said when a job has ended.
    """

    def __init__(self, parts: Parts, on_end: Callable[[str], None]) -> None:
        self._parts, self._tell_end = parts, on_end
        self.run_times, self._went_on = RunTimes(), False
        self.runner: Runner | None = None  # which needs what is here to be made
        self._sources: list[weakref.ref[Image]] = []  # of the running jobs
        self._places: list[tuple[Placement, tuple[int, ...]]] = []  # of these, and their shapes
        self._told: list[str] = []  # how those that have ended came to their end
        self._note = ""  # what the user should know of its result
        self._noted: Noted | None = None  # and of its image, while it is restored
        self._doing = ""
        self._whole: Callable[[], Image | None] | None = (
            None  # a result on disk that is being assessed
        )
        self._tell_made: Callable[[], None] = lambda: (
            None
        )  # anew, with the time that has passed since

    def begin(self, images: Sequence[Image], jobs: Sequence[Job], note: str) -> None:
        """Note what is being restored, one image for each job, and what is to be said of the
        results as well.
        """
        self.run_times.begin(jobs)
        self._went_on = False
        self._sources = [weakref.ref(image) for image in images]
        self._places = [(placement_of(image), image_shape(image)) for image in images]
        self._told, self._note = [], note

    @property
    def _source(self) -> Image | None:
        """What is being restored, if it is still there."""
        return self._sources[self._number]()

    @property
    def _number(self) -> int:
        return 0 if self.runner is None else self.runner.position

    def at_work(self) -> str:
        """What is said where the dock is closed: nothing unless something is being restored."""
        if self.runner is None or not self.runner.running:
            return ""
        kept, press = wording.NOTHING_KEPT, wording.RUN
        if self._whole:
            kept = "the result is whole, but how far it can be trusted is not known"
            press = wording.RESUME
        elif self._parts.scans.open_path is not None or self._goes_on:
            kept, press = "what is done is kept on disk", wording.RESUME
        return wording.closed_at_work(wording.RUN, self.runner.doing, kept, f"press {press}")

    @property
    def _goes_on(self) -> bool:
        """Whether it is a scan that lies on disk in part, which it has not opened yet."""
        return self._source is not None and self._parts.scans.can_resume(self._source)

    def on_step(self, step: str | Noted | Progress | Opened | Saved) -> None:
        """Show what a job has come to."""
        scans, controls = self._parts.scans, self._parts.controls
        if isinstance(step, str):
            what = "image" if len(set(self._sources)) == len(self._sources) else "region"
            restoring = wording.restoring_text(self._number + 1, len(self._sources), what)
            self._doing = step if step == trust.CHECKING else restoring
            if step == trust.CHECKING:
                show_life(controls)
            self._parts.say(step)
        elif isinstance(step, Noted):
            self._noted = step
            self._say_what_is_done()
        elif isinstance(step, Opened):
            self._went_on = step.done > 0
            self._pair(scans.open(step, self._source), preview=False)
            self._say_what_is_done()
        elif isinstance(step, Saved):
            was_open = scans.open_path is not None
            result = self._show(step, scans.saved(step, self._source), was_open=was_open)
            self._whole = (lambda: None) if result is None else weakref.ref(result)
            show_life(controls)
        else:
            scans.touch()
            self._say_what_is_done()
            if step.done > step.before:
                show_progress(controls, step.fraction, wording.time_left(step.remaining_s))

    def _say_what_is_done(self) -> None:
        noted = self._noted.sentence if self._noted and self._noted.at_once else ""
        self._parts.say(f"{self._doing} {noted}".strip())

    def on_end(self, outcome: Restored | Saved | JobFailed | None) -> None:
        """Show what a job has made, or say why there is nothing."""
        scans, whole = self._parts.scans, self._whole
        was_open = scans.open_path is not None
        self._whole = None
        shown = scans.end(
            outcome if isinstance(outcome, JobFailed | Saved) and not whole else None, self._source
        )
        if isinstance(outcome, Restored | Saved):
            self._keep_time(outcome)
        if outcome is None:
            self._told.append(
                wording.NOT_ASSESSED
                if whole
                else wording.KEPT_ON_DISK
                if was_open
                else "Cancelled; nothing was added."
            )
        elif isinstance(outcome, JobFailed):
            source = self._source
            there = was_open and source is not None and scans.can_resume(source)
            kept = wording.WHOLE if whole else wording.STILL_THERE if there else ""
            self._parts.fail(f"{outcome.sentence} {kept}".strip())
            self._told.append(outcome.sentence)
        elif whole:
            scans.assessed(self._source)
            self._show_trust(outcome.trusted, whole())
            self._tell_made()
        else:
            self._show(outcome, shown, was_open=was_open)
            self._tell_made()
        self._noted = None
        show_life(self._parts.controls)
        self._tell_end(" ".join(self._told))

    def _show(
        self, made: Restored | Saved, result: Image | None, *, was_open: bool
    ) -> Image | None:
        """Show a result, and what is known of it; returns its layer, if there is one."""
        viewer, pairs, source = self._parts.viewer, self._parts.pairs, self._source
        if isinstance(made, Restored):
            earlier = [] if source is None else pairs.results_of(source)
            if source is not None:
                adding.remove_layers(viewer, pairs.previews_of(source))
            arguments = self._where_it_is_now(looking_like(made.arguments, source))
            result = adding.add_layer(viewer, made.data, arguments, source, earlier)
        if result is not None and not was_open:
            self._pair(result, preview=isinstance(made, Restored) and made.preview)
        if result is not None:
            if self._noted is not None:
                self._parts.verdicts.note(result, self._noted)
            self._parts.sharpness.adopt(
                result, made.soft, () if isinstance(made, Restored) else made.levels
            )
        name = result.name if result is not None else made.arguments["name"]
        path = made.path if isinstance(made, Saved) else None
        at = len(self._told)  # told by words alone, so that the result is held by its layer alone
        self._tell_made = partial(self._tell_time, at, name, made.seconds, made.device, path)
        self._told.append("")
        self._tell_made()
        self._told += filter(None, [self._note, *made.warnings])
        self._note = ""
        self._show_trust(made.trusted, result)
        for warning in made.warnings:
            show_warning(warning)
        return result

    def _where_it_is_now(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Arguments of a result's layer, which lies on its image also where that was moved, or
        given its scale, in the meantime.
        """
        source, (place, shape) = self._source, self._places[self._number]
        if source is None or image_shape(source) != shape:
            return arguments
        now = placement_of(source)
        return arguments if now.told() == place.told() else moved_along(arguments, place, now)

    def _keep_time(self, made: Restored | Saved) -> None:
        """Keep how long a result took that was made from its beginning to its end."""
        if self.runner is not None and made.seconds and not self._went_on:
            self.run_times.end(self._number, made.device, self.runner.elapsed)
        self._went_on = False

    def _tell_time(
        self, number: int, name: str, seconds: float, device: str, path: Path | None
    ) -> None:
        """Say how long a result took, from the click or the end of the one before: loading, looking
        and checking as well.
        """
        elapsed = 0.0 if self.runner is None else self.runner.elapsed
        place: Any = path
        if path is not None and len(self._sources) > 1:  # each path of several would be too much
            place = str(path.parent) if self._number == 0 else "the same folder"
        self._told[number] = wording.made(name, elapsed if seconds else 0.0, device, place)

    def _show_trust(self, trusted: trust.Trusted | None, result: Image | None) -> None:
        """Say how far a result can be trusted; its maps are shown when they are asked for."""
        if trusted is not None and result is not None and result in self._parts.viewer.layers:
            self._parts.verdicts.remember(result, trusted)
        elif trusted is not None:
            self._told.append(trusted.assessment.sentence)
        self._parts.refresh()

    def _pair(self, result: Image, *, preview: bool) -> None:
        """Note what `result` was made from, and show it."""
        source, pairs = self._source, self._parts.pairs
        if source is not None:
            pairs.remember(source, result, preview=preview)
            if source in self._parts.viewer.layers:
                pairs.show_after(source)
        self._parts.refresh()
