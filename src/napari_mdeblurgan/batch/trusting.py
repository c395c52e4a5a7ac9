"""The assessment of a batch's results, and where it goes: into the result's record, a report beside it, and the manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.batch.output_folder import report_name
from napari_mdeblurgan.batch.recipe import Recipe
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.restoration.measuring import told
from napari_mdeblurgan.storage import Micrograph, open_image

if TYPE_CHECKING:
    import numpy as np

    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.progress import Progress
    from napari_mdeblurgan.trust.assess import Assessment
    from napari_mdeblurgan.trust.explanation import Explanation

ASSESSING = 0.4  # of the work on a result that is assessed, about


def restoring_part(steps: Generator[Progress, None, Any]) -> Generator[Progress, None, Any]:
    """The steps of a restoration, as the first part of the work on a result that is assessed after it."""
    return (yield from _scaled(steps, 0.0, 1 - ASSESSING))


def assess_in_memory(
    image: Micrograph, data: np.ndarray, plan: RestorationPlan, recipe: Recipe, explanation: Explanation
) -> Generator[Progress, None, Assessment]:
    """Assess a result in memory; yields as the second part of the work, once at the start and after every tile.

    Parameters
    ----------
    image : Micrograph
        That was restored.
    data : ndarray
        The result.
    plan : RestorationPlan
        By which it was.
    recipe : Recipe
        Of the batch.
    explanation : Explanation
        What the network said of itself meanwhile.
    """
    from napari_mdeblurgan.trust.assess import assess_steps
    from napari_mdeblurgan.trust.plan import plan_trust

    model = recipe.model_for(image).load()
    steps = assess_steps(image.data, data, plan_trust(image.data, data, plan, model), model, explanation)
    found: Assessment = yield from _scaled(steps, 1 - ASSESSING, ASSESSING)
    return found


def assess_on_disk(
    image: Micrograph, recipe: Recipe, path: Path, place: Path, job: str
) -> Generator[Progress, None, dict[str, Any]]:
    """Assess a result that was made in OME-Zarr, or go on with that; yields as `assess_in_memory` does.

    Parameters
    ----------
    image : Micrograph
        That was restored.
    recipe : Recipe
        Of the batch.
    path : Path
        The OME-Zarr, which keeps the maps and the record.
    place : Path
        Of the result that becomes of it, or is it; the report is written beside that.
    job : str
        See `Recipe.job`.

    Returns
    -------
    dict
        The verdict, as `Verdict.document` has it.

    Raises
    ------
    MdeblurganError
        If it cannot be assessed, in one sentence.
    """
    from napari_mdeblurgan.restoration.scan_job import plan_of_finished
    from napari_mdeblurgan.storage.ome_zarr_writing import keep_provenance
    from napari_mdeblurgan.storage.provenance import record_of
    from napari_mdeblurgan.trust.stored import assess_stored_steps

    model = recipe.model_for(image).load()
    plan = plan_of_finished(image, model, path, recipe.options(), identity=job)
    if plan is None:
        raise FileError(f"{place} was begun for another image or other settings; start again with --overwrite.")
    steps = assess_stored_steps(image, path, plan, model)
    found: Assessment = yield from _scaled(steps, 1 - ASSESSING, ASSESSING)
    keep_provenance(path, record_of([entry_on(image, plan, model.card, found, recipe)]))
    after = open_image(path)
    return write_report_beside(place, image, after, plan, model.card, found, recipe)


def entry_on(
    image: Micrograph, plan: RestorationPlan, card: ModelCard, found: Assessment | None, recipe: Recipe
) -> dict[str, Any]:
    """What a result's file keeps of how it was made and what was found out about it: nothing that tells the time."""
    from napari_mdeblurgan.trust.recording import record_entry

    return record_entry(image, plan, card, found, binning=recipe.binning, date="")


def write_report_beside(
    place: Path,
    image: Micrograph,
    after: Micrograph,
    plan: RestorationPlan,
    card: ModelCard,
    found: Assessment,
    recipe: Recipe,
) -> dict[str, Any]:
    """Write the report on a result beside it, and give the verdict as `Verdict.document` has it."""
    from napari_mdeblurgan.trust.recording import write_report_of
    from napari_mdeblurgan.trust.settings import settings_of
    from napari_mdeblurgan.trust.verdict import verdict_on

    described = settings_of(plan, card, binning=recipe.binning)
    write_report_of(place.with_name(report_name(place.name)), image, after, plan, found, described)
    return verdict_on(found).document()


def _scaled(steps: Generator[Progress, None, Any], begin: float, share: float) -> Generator[Progress, None, Any]:
    """The same steps as a part of the work: its `share`, after so much of it was done in this run."""

    def scaled(step: Progress) -> Progress:
        done = round(step.total * begin + step.done * share)
        return dataclasses.replace(step, done=done, before=round(step.before * share))

    return told(steps, scaled)
