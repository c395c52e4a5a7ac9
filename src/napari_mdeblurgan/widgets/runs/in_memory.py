"""A job whose result is made in memory: planned, restored, softened, assessed. No Qt in here."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_mdeblurgan.stopping import Stopped
from napari_mdeblurgan.widgets.layers.axes import part_of
from napari_mdeblurgan.widgets.runs import cut, trust
from napari_mdeblurgan.widgets.runs.job import (
    Job,
    Noted,
    Restored,
    layer_arguments,
    measuring_in_words,
    timed,
)
from napari_mdeblurgan.widgets.runs.known_optics import ResultSoftness, result_softness
from napari_mdeblurgan.widgets.shared.unexpected import in_one_sentence
from napari_mdeblurgan.widgets.shared.wording import WHOLE

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.progress import Progress
    from napari_mdeblurgan.restoration.softened_result import WindowOf
    from napari_mdeblurgan.trust.domain import Examination
    from napari_mdeblurgan.widgets.runs.soft_results import SoftResult

SOFTENING = "Making it as sharp as its objective allows…"
_AT_ONCE = 2**21  # pixels of a result that are softened in one go, so that Cancel need not wait


def restore_in_memory(job: Job) -> Generator[str | Noted | Progress, None, Restored]:
    """Restore the image of a job into memory; yields and returns as `run_job` does, and raises as
    the engine does.
    """
    yield "Loading the model…"
    from napari_mdeblurgan.model import load_model
    from napari_mdeblurgan.pipeline import examining, restoring_to_memory
    from napari_mdeblurgan.restoration.plan import planning
    from napari_mdeblurgan.restoration.read_in_turn import read_in_turn
    from napari_mdeblurgan.restoration.softened_result import hot_windows
    from napari_mdeblurgan.steps import map_steps

    model = load_model(job.model)
    yield trust.LOOKING
    part, memory = part_of(job.data, job.planes), job.tile_memory_mb or None
    image = read_in_turn(part)  # by all stages: what is slow is read once
    known = result_softness(job, model.card, image)
    options = dict(cut.widened(job, model, known.softness).options)
    if options["whole"] is part:
        options["whole"] = image
    planned = planning(image, model.card, tile_memory_mb=memory, **options)
    plan = yield from map_steps(planned, measuring_in_words)
    check = job.trust and trust.fits_in_memory(plan)
    examinations: tuple[Examination, ...] = ()
    if check or not job.preview:
        looking = examining(image, plan, model, job.binning)
        examinations = yield from map_steps(looking, lambda _: trust.LOOKING)
        yield trust.noted_of(examinations, at_once=job.trust)
    steps = restoring_to_memory(image, plan, model, ensemble=job.ensemble, explain=check)
    (data, explanation, spread), seconds = yield from timed(steps)
    soft = yield from _softened(job, data, known, hot_windows(plan))
    left = cut.cut_result(soft, plan, job)
    restored = _restored(job, cut.narrowed(plan, job), model, left, seconds)
    if not job.trust:
        return restored
    lacking = trust.NO_ROOM
    if check:
        try:
            trusted = yield from trust.assessed(
                job, image, plan, model, soft, explanation, spread, examinations
            )
            return replace(restored, trusted=trusted)
        except Stopped:
            raise
        except Exception as error:  # of the assessment alone, which costs nobody the result
            lacking = in_one_sentence(error, f"Assessing {job.source!r}", trust.NO_ROOM)
            lacking = f"{lacking} {WHOLE}"
    return replace(restored, warnings=(*restored.warnings, lacking))


def _softened(
    job: Job, data: np.ndarray, known: ResultSoftness, windows: WindowOf | None
) -> Generator[str, None, SoftResult]:
    """A result as soft as is known that it should be, with what the network gave beside it."""
    from napari_mdeblurgan.restoration.softened_result import softened_part
    from napari_mdeblurgan.widgets.runs.soft_results import SoftResult

    shown, sigma = data, known.softness.sigma
    if sigma:
        yield SOFTENING
        shown = np.empty_like(data)
        axes = len(job.placement.scale) - 2
        height, width = data.shape[axes : axes + 2]
        for index in np.ndindex(*data.shape[:axes]):
            for top in range(0, height, rows := max(1, _AT_ONCE // width)):
                strip = range(top, min(top + rows, height))
                part = softened_part(
                    data, index, strip, range(width), sigma, rgb=job.rgb, windows=windows
                )
                shown[(*index, slice(strip.start, strip.stop))] = part
                yield SOFTENING
    return SoftResult(data, job.rgb, job.placement.order, *known, shown, windows=windows)


def _restored(
    job: Job, plan: RestorationPlan, model: Model, soft: SoftResult, seconds: float
) -> Restored:
    return Restored(
        data=soft.pixels,
        soft=soft,
        arguments=layer_arguments(job, plan, model, seconds, soft.softness),
        preview=job.preview,
        device=plan.device,
        seconds=seconds,
        warnings=plan.warnings,
    )
