"""One job after another, on a worker thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from napari.qt.threading import GeneratorWorker

from napari_mdeblurgan.widgets.runs.job import JobFailed, Noted, Restored
from napari_mdeblurgan.widgets.runs.run_job import run_job
from napari_mdeblurgan.widgets.runs.to_disk import Opened, Saved
from napari_mdeblurgan.widgets.shared.closing import InWords, unheard, worker_of

if TYPE_CHECKING:
    from napari import Viewer

    from napari_mdeblurgan.restoration.progress import Progress

    _Step = str | Noted | Progress | Opened | Saved
    _Outcome = Restored | Saved | JobFailed | None


class JobWorker(GeneratorWorker):
    """Closes its generator at the end: napari keeps workers, and with a cancelled one its half-made
    result.
    """

    def work(self) -> Any:
        """See superqt."""
        try:
            return super().work()
        finally:
            self._gen.close()


class Runner:
    """Starts jobs and tells how they go; all callbacks come on the main thread.

    Parameters
    ----------
    on_step : callable
        Called with a sentence, a `Progress`, a scan that was opened, or a result that is whole and
        still to be assessed; that one even if the work is being cancelled.
    on_end : callable
        Called once for every job that has ended: with what it made, why it failed, or None if
        cancelled; with the last one, others can be started.
    work : callable
        What is done with a job: a generator function.
    words : str
        What that is called, before "of" and the job's source.
    viewer : napari.Viewer, optional
        Whose window tells of the work when it is closed, and ends it then.
    """

    def __init__(
        self,
        on_step: Callable[[_Step], None],
        on_end: Callable[[_Outcome], None],
        work: Callable[[Any], Generator[Any, None, Any]] = run_job,
        words: str = "the restoration",
        viewer: Viewer | None = None,
    ):
        self._on_step = on_step
        self._on_end = on_end
        self._work, self._words, self._viewer = work, words, viewer
        self._jobs: list[
            Any
        ] = []  # None for those that have ended, whose images nothing is to keep
        self.position = 0  # of the job that runs, or has just ended
        self.doing = ""  # what is done in that, in words
        self._worker: JobWorker | None = None
        self._outcome: _Outcome = None
        self._began = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds that have passed since the job was begun that runs, or has just ended."""
        return time.monotonic() - self._began

    @property
    def running(self) -> bool:
        """Whether there are jobs that have not ended yet; a cancelled one ends within a second or
        two.
        """
        return self._worker is not None or self.waiting > 0

    @property
    def waiting(self) -> int:
        """How many jobs have not begun yet."""
        return max(len(self._jobs) - self.position - 1, 0)

    def start(self, *jobs: Any) -> None:
        """Start the jobs, one after another."""
        if self.running:
            raise RuntimeError("a job is running already")
        self._jobs = list(jobs)
        self._begin(0)

    def _begin(self, position: int) -> None:
        self.position, self._outcome, job = position, None, self._jobs[position]
        self._jobs[position] = None
        assert job is not None
        self._began = time.monotonic()
        self.doing = f"{self._words} of {job.source!r}"
        work = InWords(self._work, self.doing)
        worker = worker_of(self._viewer, work, job, _worker_class=JobWorker)
        worker.yielded.connect(self._step)
        worker.returned.connect(self._keep)
        worker.finished.connect(self._end)
        self._worker = worker
        worker.start()

    def cancel(self) -> None:
        """Ask the job to stop; those that have not begun never will."""
        self._forget_waiting()
        if self._worker is not None:
            self._worker.quit()

    def abandon(self) -> None:
        """Cancel, and hear nothing more of it."""
        self._forget_waiting()
        worker, self._worker = self._worker, None
        unheard(worker, yielded=self._step, returned=self._keep, finished=self._end)
        if worker is not None:
            worker.quit()

    def _forget_waiting(self) -> None:
        del self._jobs[self.position + 1 :]

    def _step(self, step: _Step) -> None:
        if self._worker is not None and (
            isinstance(step, Saved) or not self._worker.abort_requested
        ):
            self._on_step(step)

    def _keep(self, outcome: _Outcome) -> None:
        self._outcome = outcome

    def _end(self) -> None:
        outcome, self._outcome, self._worker = self._outcome, None, None
        another = self.waiting > 0
        self._on_end(outcome)
        if another and self.waiting:
            self._begin(self.position + 1)
