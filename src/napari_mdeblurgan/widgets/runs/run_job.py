"""The work on a job, in memory or on disk, of which an error is a sentence. No Qt in here."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from napari_mdeblurgan.widgets.runs.halving import averaged_job
from napari_mdeblurgan.widgets.runs.in_memory import restore_in_memory
from napari_mdeblurgan.widgets.runs.job import Job, JobFailed, Noted, Restored
from napari_mdeblurgan.widgets.shared.low_priority import at_low_priority
from napari_mdeblurgan.widgets.shared.unexpected import in_one_sentence

if TYPE_CHECKING:
    from napari_mdeblurgan.restoration.progress import Progress
    from napari_mdeblurgan.widgets.runs.to_disk import Opened, Saved

    _Steps = Generator[str | Noted | Progress | Opened | Saved, None, Restored | Saved | JobFailed]

_NO_MEMORY = (
    "There is not enough memory for the result; close other programs, or restore a part of the "
    "image."
)


def run_job(job: Job) -> _Steps:
    """Do the job, step by step; `close()` cancels it.

    Yields
    ------
    str, Noted, Progress, Opened or Saved
        What is being prepared, what is to be known of the image, and after every tile how far the
        work is; of a job on disk, the scan once it is open, and the result once it is whole, if
        more is to be found out about it.

    Returns
    -------
    Restored, Saved or JobFailed
        No exception leaves this generator: an error becomes a sentence, and an unexpected one is
        logged as well.
    """
    try:
        from napari_mdeblurgan.widgets.runs.to_disk import restore_to_disk

        job = averaged_job(job)
        steps: _Steps = restore_to_disk(job) if job.folder else restore_in_memory(job)
        return (yield from at_low_priority(steps))
    except Exception as error:
        return JobFailed(in_one_sentence(error, f"Restoring {job.source!r}", _NO_MEMORY))
