"""A job whose result is made in memory: what the pipeline makes of it, as a layer. No Qt here."""

from __future__ import annotations

import string
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_mdeblurgan.steps import Returning
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.widgets.layers.axes import part_of
from napari_mdeblurgan.widgets.runs import cut, trust
from napari_mdeblurgan.widgets.runs.job import (
    LOOKING,
    Job,
    Noted,
    Restored,
    layer_arguments,
    looking_in_words,
)
from napari_mdeblurgan.widgets.runs.known_optics import ResultSoftness, result_softness
from napari_mdeblurgan.widgets.shared.unexpected import in_one_sentence
from napari_mdeblurgan.widgets.shared.wording import WHOLE

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.request import RequestInMemory
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.progress import Progress
    from napari_mdeblurgan.widgets.runs.soft_results import SoftResult

SOFTENING = "Making it as sharp as its objective allows…"


def restore_in_memory(job: Job) -> Generator[str | Noted | Progress, None, Restored]:
    """Restore the image of a job into memory; yields and returns as `run_job` does, and raises as
    the pipeline does.
    """
    yield "Loading the model…"
    from napari_mdeblurgan.model import load_model
    from napari_mdeblurgan.request import RequestInMemory
    from napari_mdeblurgan.restoration.read_in_turn import read_in_turn

    model = load_model(job.model)
    yield LOOKING
    part = part_of(job.data, job.planes)
    image = read_in_turn(part)  # by all stages: what is slow is read once
    known = result_softness(job, model.card, image)
    wide = cut.widened(job, model, known.softness)
    options = {**wide.options, "tile_memory_mb": job.tile_memory_mb or None}
    if options["whole"] is part:
        options["whole"] = image
    request = RequestInMemory(
        options=options,
        examines=not job.preview,
        ensemble=job.ensemble,
        maps=job.trust and trust.fits_in_memory(wide),
        softness=known.softness.sigma,
    )
    # the layer tells of its axes itself, and may have more than a file has letters for
    axes = string.ascii_lowercase[: len(job.placement.order) - 2] + ("YXS" if job.rgb else "YX")
    return (
        yield from _carried_out(
            job, Micrograph(image, axes, binning=job.binning), model, request, known
        )
    )


def _carried_out(
    job: Job, source: Micrograph, model: Model, request: RequestInMemory, known: ResultSoftness
) -> Generator[str | Noted | Progress, None, Restored]:
    """Go through the pipeline, and make of what it tells what the dock shows."""
    from napari_mdeblurgan.pipeline import (
        Assessing,
        Looking,
        Planned,
        ResultInMemory,
        Softening,
        carry_out,
    )
    from napari_mdeblurgan.restoration.progress import Progress
    from napari_mdeblurgan.restoration.softened_result import hot_windows
    from napari_mdeblurgan.widgets.runs.soft_results import SoftResult

    made, seconds, restoring = None, 0.0, True
    with closing(carry_out(source, model, request)) as steps:
        for step in (returning := Returning(steps)):
            match step:
                case Looking():
                    yield looking_in_words(step)
                case Planned(examinations=examinations) if examinations:
                    yield trust.noted_of(examinations, at_once=job.trust)
                case Progress():
                    seconds = step.seconds if restoring else seconds
                    yield step
                case Softening():
                    yield SOFTENING
                case Assessing():
                    restoring = False
                    yield trust.CHECKING
                case ResultInMemory():
                    made = step
    assert made is not None
    plan, found = returning.result
    order, windows = job.placement.order, hot_windows(plan)
    soft = SoftResult(made.bare, job.rgb, order, *known, made.data, windows=windows)
    left = cut.cut_result(soft, plan, job)
    restored = _restored(job, cut.narrowed(plan, job), model, left, seconds)
    if found is not None:
        trusted = trust.trusted(job, source.data, plan, model, known.softness, found)
        return replace(restored, trusted=trusted)
    if not job.trust:
        return restored
    lacking = trust.NO_ROOM
    if made.trouble is not None:
        said = in_one_sentence(made.trouble, f"Assessing {job.source!r}", trust.NO_ROOM)
        lacking = f"{said} {WHOLE}"
    return replace(restored, warnings=(*restored.warnings, lacking))


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
