"""A training in its folder, whatever it learns from: steps, metrics, checkpoints, working time, and
how it is stopped.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, cast

from torch import Tensor

from napari_mdeblurgan.errors import FileError, MdeblurganError
from napari_mdeblurgan.stopping import Stopped, stoppable
from napari_mdeblurgan.training.checkpoint import (
    latest,
    load_checkpoint,
    save_checkpoint,
    went_back_to,
)
from napari_mdeblurgan.training.data.dataset import Patches
from napari_mdeblurgan.training.data.loader import prefetched
from napari_mdeblurgan.training.metrics_table import Metrics
from napari_mdeblurgan.training.trainer import Record, Training
from napari_mdeblurgan.training.validation import Validation
from napari_mdeblurgan.training.work_folder import WorkFolder


class WorkingClock:
    """Seconds of work, over all sittings.

    Parameters
    ----------
    seconds : float
        What earlier sittings worked.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._before = seconds
        self._started: float | None = None

    @property
    def seconds(self) -> float:
        """Worked so far."""
        return self._before + (
            time.monotonic() - self._started if self._started is not None else 0.0
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time counts as work inside."""
        self._started = time.monotonic()
        try:
            yield
        finally:
            self._before, self._started = self.seconds, None


class Sitting:
    """What every training does between its first step and its last, or until it is stopped.

    Attributes
    ----------
    folder : WorkFolder
        Where all is written.
    training : Training
        What takes the steps.
    metrics : Metrics
        The table of them.
    notes : list of str
        What the user should know, one sentence each.
    last_validation : Validation or None
        The latest.
    resumed : int
        Steps that earlier sittings had taken.
    clock : WorkingClock
        Tells how long it has worked.
    writes : bool
        Whether it is this process that writes.
    """

    folder: WorkFolder
    training: Training
    metrics: Metrics
    resumed: int

    def __init__(self, notes: Iterable[str] = (), *, writes: bool = True) -> None:
        self.notes: list[str] = list(notes)
        self.writes, self.clock = writes, WorkingClock()
        self.last_validation: Validation | None = None
        self._stopped, self._saved, self._wrote = False, -1, 0.0

    @property
    def finished(self) -> bool:
        """Whether all steps were taken, or all the time is over."""
        raise NotImplementedError

    def stop(self) -> None:
        """Let `steps` end after the step that is being taken, with a checkpoint; may be called from
        another thread.
        """
        self._stopped = True

    def _ends(self) -> bool:
        """Whether it ends after this step, though it is not `finished`."""
        return self._stopped

    def _gives_up(self) -> bool:
        """Whether the step that is being taken is left, as if it had not been begun. Several
        processes only take whole ones.
        """
        return False

    def _records(
        self, batches: Iterable[Patches], workers: int = 1
    ) -> Generator[Record, None, None]:
        """Take steps until the end. However they end, what was learned by whole steps is in a
        checkpoint then.
        """
        ahead = cast("Generator[Patches, None, None]", prefetched(batches, workers=workers))
        whole = True  # whether the state is that between two steps
        try:
            with (
                closing(ahead),
                closing(self.training.run(ahead)) as records,
            ):  # so that threads end
                while not self.finished:
                    whole = False
                    try:
                        with stoppable(self._gives_up):
                            record = next(records)
                    except Stopped:  # nothing of the step is left
                        whole = True
                        break
                    whole = True
                    if self.writes:
                        self.metrics.take(record)
                    yield record
                    if self._ends():
                        break
        finally:
            if whole and self._saved != self.training.step:
                self.save()

    def _unsaved_s(self) -> float:
        """Seconds since the last checkpoint."""
        return time.monotonic() - self._wrote

    def _resume(self) -> None:
        """Go on from the latest checkpoint, if there is one."""
        path = latest(self.folder.checkpoint)
        if path is not None:
            try:
                self._take_up(*load_checkpoint(path))
            except MdeblurganError:
                raise
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise FileError(
                    f"{path} is of another version of the plugin ({error} is amiss); go on with "
                    "that one, or begin anew."
                ) from error
            if path == self.folder.checkpoint:
                self._saved = self.training.step
            else:
                self.notes.append(went_back_to(path))
        self.resumed = self.training.step

    def _take_up(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Take over what a checkpoint holds."""
        self.training.restore(tensors, values["training"])
        if self.writes:
            self.metrics.restore(values["metrics"], self.training.step)
        if values["validation"]:
            self.last_validation = Validation(**values["validation"])

    def _more(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What a checkpoint holds beside the training, its metrics and its validation."""
        return {}, {}

    def save(self) -> None:
        """Write a checkpoint; the one before stays where the weights are not finite.

        Raises
        ------
        FileError
            If it cannot be written.
        Diverged
            If the weights are not finite.
        """
        if self.writes:
            tensors, values = self.training.sound_state()
            more_tensors, more = self._more()
            scores = self.last_validation
            everything = {
                "training": values,
                "metrics": self.metrics.state(),
                "validation": dataclasses.asdict(scores) if scores else None,
            }
            save_checkpoint(self.folder.checkpoint, tensors | more_tensors, everything | more)
        self._saved, self._wrote = self.training.step, time.monotonic()
