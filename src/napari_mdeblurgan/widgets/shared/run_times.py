"""How long a run will take, told before it is begun: by what finished runs on this computer took,
which is kept.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.widgets.shared import wording
from napari_mdeblurgan.widgets.shared.choices import choices_path

if TYPE_CHECKING:
    from pathlib import Path

    from napari_mdeblurgan.widgets.runs.job import Job

RUNS, KINDS = 5, 200  # that are kept: of one kind, and kinds
# times as many values, up to which runs are alike: of a small one, most of the time goes into
# getting ready
_ALIKE = 4
_ENOUGH = 250_000  # values of a run by which the time of a much larger one is judged
_APART = 2  # times as many values, from which on two runs tell what getting ready takes
_ORIENTATIONS, ASSESSED = 8, 2  # times as long, where no run tells

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """What the time of a run depends on: nothing of the image but how much there is of it.

    Attributes
    ----------
    values : int
        Of the image as it goes through the network, colours counted one by one.
    model, device, precision : str
        As in `Job`.
    output_scale : int or None
        As in `Job`.
    ensemble, trust, on_disk : bool
        Whether the mean of eight orientations is made, the result is assessed, and it is made on
        disk.
    """

    values: int
    model: str
    device: str
    precision: str
    output_scale: int | None
    ensemble: bool
    trust: bool
    on_disk: bool

    @classmethod
    def of(cls, job: Job) -> Work:
        """What a job is."""
        values, on_disk = job.values // job.binning**2, job.folder is not None
        named = job.model, job.device, job.precision, job.output_scale
        return cls(values, *named, job.ensemble, job.trust, on_disk)

    @property
    def kind(self) -> str:
        """What runs that take equally long for a value have in common."""
        boxes = [name for name in ("ensemble", "trust", "on_disk") if getattr(self, name)]
        return " ".join(
            [self.model, self.device, self.precision, str(self.output_scale or "model"), *boxes]
        )


class RunTimes:
    """Tells how long jobs will take, and takes note of how long they took; lives on the main
    thread.
    """

    def __init__(self) -> None:
        self.read()
        self._begun: list[Work] = []

    def read(self) -> None:
        """Learn what is kept by now."""
        self._runs, self._devices = _read(_path())

    def begin(self, jobs: Sequence[Job]) -> None:
        """Note what is begun."""
        self._begun = [Work.of(job) for job in jobs]

    def end(self, number: int, device: str, seconds: float) -> None:
        """Keep how long a job of those that were begun took from its begin to its end, on the
        device that was chosen for it.
        """
        self.keep(self._begun[number], device, seconds)

    def keep(self, work: Work, device: str, seconds: float) -> None:
        """Keep how long work took on the device that was chosen for it, beside what others have
        kept meanwhile.
        """
        if seconds <= 0 or work.values <= 0:
            return
        self.read()
        self._devices[work.device] = device
        kind = replace(work, device=device).kind
        runs = self._runs.pop(kind, [])
        self._runs[kind] = [*runs, (work.values, seconds)][-RUNS:]
        self._runs = dict(list(self._runs.items())[-KINDS:])
        _write(_path(), self._runs, self._devices)

    def told(self, jobs: Sequence[Job]) -> str:
        """How long the jobs will take, in words; that nobody knows, where no run on this computer
        tells.
        """
        return self.told_of([Work.of(job) for job in jobs])

    def told_of(self, works: Sequence[Work], share: float = 1.0) -> str:
        """The same of work, where all there is is `share` times as much."""
        found = [self.seconds(work) for work in works]
        known = [each for each in found if each is not None]
        if not works:
            return ""
        if len(known) < len(found):
            all_ran = {self._placed(work).kind for work in works} <= self._runs.keys()
            return wording.TIME_OF_LARGER_UNKNOWN if all_ran else wording.TIME_UNKNOWN
        return wording.expected(
            share * sum(known), self._devices.get(works[0].device, works[0].device)
        )

    def seconds(self, work: Work) -> float | None:
        """How long a job will take; None if no run tells."""
        work = self._placed(work)
        own = self._took(work)
        if own is not None:
            return own
        for times, like_it in (
            (1, replace(work, on_disk=not work.on_disk)),
            (ASSESSED, replace(work, trust=False)),
            (_ORIENTATIONS, replace(work, ensemble=False)),
            (_ORIENTATIONS * ASSESSED, replace(work, ensemble=False, trust=False)),
        ):
            took = self._took(like_it) if like_it != work else None
            if took is not None:
                return times * took
        return None

    def _placed(self, work: Work) -> Work:
        """The same on the device that it came to run on, where that is known."""
        return replace(work, device=self._devices.get(work.device, work.device))

    def _took(self, work: Work) -> float | None:
        """Seconds, by runs of about as many values, else of more, else by smaller ones without what
        getting ready takes.
        """
        runs = self._runs.get(work.kind, [])
        if not runs:
            return None
        more = [run for run in runs if run[0] * _ALIKE >= work.values]
        alike = [run for run in more if run[0] <= work.values * _ALIKE] or more
        if alike:
            return (
                work.values
                * sum(seconds for _, seconds in alike)
                / sum(values for values, _ in alike)
            )
        (few, short), (many, long) = min(runs), max(runs)
        if (
            many >= _APART * few and long > short
        ):  # the rest of the time passes before the first value
            return long + (long - short) / (many - few) * (work.values - many)
        return work.values * long / many if many >= _ENOUGH else None


Runs = dict[str, list[tuple[int, float]]]


def _path() -> Path:
    return choices_path().with_name("run-times.json")


def _read(path: Path) -> tuple[Runs, dict[str, str]]:
    """What was kept; nothing where it is missing or spoilt."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        runs = {str(kind): [_run(*run) for run in found] for kind, found in kept["runs"].items()}
        return runs, {str(wish): str(device) for wish, device in kept["devices"].items()}
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ):
        return {}, {}


def _run(values: Any, seconds: Any) -> tuple[int, float]:
    run = int(values), float(seconds)
    if run[0] <= 0 or not 0 < run[1] < math.inf:
        raise ValueError("no run of that kind can have been")
    return run


def _write(path: Path, runs: Runs, devices: dict[str, str]) -> None:
    try:
        with replacing(path, make_folders=True) as file:
            file.write(json.dumps({"runs": runs, "devices": devices}, indent=1).encode())
    except FileError as error:
        log.info("how long a run took was not kept: %s", error)
