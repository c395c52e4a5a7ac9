"""A fine-tuning in a process of its own: `python -m napari_mdeblurgan.fine_tuning.worker FOLDER`.

It writes one JSON object a line. It stops at once, with a checkpoint and the best so far as a
model, when a line comes in or the process that started it ends. A process of its own keeps a viewer
responsive: Python's lock is not shared, and it runs at a lower priority. Whatever ends it, no more
than the last half minute of work is lost.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from napari_mdeblurgan.errors import MdeblurganError, need_torch
from napari_mdeblurgan.fine_tuning.folder import FineTuneFolder

TELL_EVERY_S = 0.5

log = logging.getLogger(__name__)


def tell(kind: str, **values: Any) -> None:
    """One event: a line of JSON; nobody hears it any more when the process that started it has
    ended.
    """
    try:
        print(json.dumps({"kind": kind, **values}), flush=True)
    except OSError:  # a broken pipe, by another name on Windows
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(folder: Path) -> int:
    """Work in the folder; 0 if all went well, 1 if a sentence says why not."""
    try:
        _work(FineTuneFolder(folder))
    except MdeblurganError as error:
        tell("failed", sentence=str(error))
        return 1
    except Exception as error:
        log.exception("the fine-tuning failed")
        tell(
            "failed",
            sentence=f"The fine-tuning failed unexpectedly ({type(error).__name__}: {error}); see "
            "the log.",
        )
        return 1
    return 0


def _work(folder: FineTuneFolder) -> None:
    need_torch()
    from napari_mdeblurgan.fine_tuning.estimate import estimate
    from napari_mdeblurgan.fine_tuning.folder import owned
    from napari_mdeblurgan.fine_tuning.outcome import conclude
    from napari_mdeblurgan.fine_tuning.scores import plain_name
    from napari_mdeblurgan.fine_tuning.tuning import open_fine_tuning
    from napari_mdeblurgan.stopping import Stopped, stoppable

    stopping = threading.Event()
    with owned(folder) as lock:
        tuning = open_fine_tuning(folder)
        tuning.notes += [lock.note] if lock.note else []
        _listen(stopping, tuning.stop)
        losses, validations = tuning.history()
        tell("history", losses=losses, validations=validations)
        try:
            with stoppable(stopping.is_set):
                sentence = estimate(tuning).sentence
        except Stopped:
            return
        tell("estimate", sentence=sentence, resumed=tuning.resumed)
        told, notes = 0.0, 0
        if stopping.is_set():
            return
        for progress in tuning.steps():
            if stopping.is_set():
                tuning.stop()
            if not told:
                tell(
                    "begun",
                    base_db=tuning.base_psnr_db,
                    bicubic_db=tuning.bicubic_judged.choosing.mean_psnr_db,
                    plain=plain_name(tuning.pairs),
                )
                tell("preview", path=str(folder.preview))
            for note in tuning.notes[notes:]:
                tell("note", sentence=note)
            notes = len(tuning.notes)
            if progress.validation is not None or time.monotonic() - told >= TELL_EVERY_S:
                told = time.monotonic()
                validation = progress.validation
                tell(
                    "step",
                    step=progress.step,
                    loss=progress.record.terms.get("output", progress.record.loss),
                    seconds=progress.seconds,
                    budget_s=progress.budget_s,
                    way=tuning.way,
                    best_step=tuning.best_step,
                    validation=dataclasses.asdict(validation) if validation else None,
                )
                if validation is not None:
                    tell("preview", path=str(folder.preview))
        if not (tuning.training.step or tuning.finished):  # stopped before anything was learned
            return
        tell("preview", path=str(folder.preview))
        tell("judging")
        outcome = conclude(tuning)
        tell("done", finished=tuning.finished, way=tuning.way, outcome=dataclasses.asdict(outcome))


def _listen(stopping: threading.Event, stop: Any) -> None:
    """Stop when a line comes in, or when there will be none any more."""

    def wait() -> None:
        sys.stdin.readline()
        stopping.set()
        stop()

    threading.Thread(target=wait, daemon=True).start()


def give_way() -> None:
    """Let whatever the user does go first."""
    process = psutil.Process()
    process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if psutil.WINDOWS else 5)


if __name__ == "__main__":
    give_way()
    code = main(Path(sys.argv[1]))
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # all is written; torch would take a second to be taken apart
