"""One job at a time, on a worker thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.qt.threading import GeneratorWorker, create_worker

from napari_mdeblurgan.widgets.job import Failed, Job, Restored, run_job

if TYPE_CHECKING:
    from napari_mdeblurgan.restoration.engine import Progress


class JobWorker(GeneratorWorker):
    """Closes its generator at the end: napari keeps workers, and with a cancelled one its half-made result."""

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
        Called with a sentence or a `Progress`.
    on_end : callable
        Called once a job has ended and another can start: with what it made, why it failed, or None if cancelled.
    """

    def __init__(self, on_step: Callable[[str | Progress], None], on_end: Callable[[Restored | Failed | None], None]):
        self._on_step = on_step
        self._on_end = on_end
        self._worker: JobWorker | None = None
        self._outcome: Restored | Failed | None = None

    @property
    def running(self) -> bool:
        """Whether a job has not ended yet; a cancelled one ends with its tile."""
        return self._worker is not None

    def start(self, job: Job) -> None:
        """Start `job`; only one runs at a time."""
        if self.running:
            raise RuntimeError("a job is running already")
        self._outcome = None
        self._worker = create_worker(run_job, job, _start_thread=False, _worker_class=JobWorker)
        self._worker.yielded.connect(self._step)
        self._worker.returned.connect(self._keep)
        self._worker.finished.connect(self._end)
        self._worker.start()

    def cancel(self) -> None:
        """Ask the job to stop after its tile."""
        if self._worker is not None:
            self._worker.quit()

    def abandon(self) -> None:
        """Cancel, and hear nothing more of it."""
        worker, self._worker = self._worker, None
        if worker is not None:
            for signal, slot in (
                (worker.yielded, self._step),
                (worker.returned, self._keep),
                (worker.finished, self._end),
            ):
                signal.disconnect(slot)
            worker.quit()

    def _step(self, step: str | Progress) -> None:
        if self._worker is not None and not self._worker.abort_requested:
            self._on_step(step)

    def _keep(self, outcome: Restored | Failed) -> None:
        self._outcome = outcome

    def _end(self) -> None:
        outcome, self._outcome, self._worker = self._outcome, None, None
        self._on_end(outcome)
