"""From an image to a result with all that belongs to it: planned, restored, assessed, written and
reported.

The one way for the command line, batches, workers of a cluster and the docks. A result that is an
OME-Zarr is made block by block in bounded memory and can be resumed; any other in memory.
"""

from __future__ import annotations

import dataclasses
import math
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.request import Request, RequestInMemory
from napari_mdeblurgan.restoration.progress import Progress
from napari_mdeblurgan.steps import map_steps
from napari_mdeblurgan.stopping import Stopped

if TYPE_CHECKING:
    import numpy as np

    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.scan import Scan
    from napari_mdeblurgan.storage import Micrograph
    from napari_mdeblurgan.trust.assess import Assessment
    from napari_mdeblurgan.trust.domain import Examination
    from napari_mdeblurgan.trust.explanation import Explanation
    from napari_mdeblurgan.trust.maps import TrustMap


@dataclass(frozen=True, slots=True)
class Looking(Progress):
    """The image is looked at: nothing is done yet.

    Attributes
    ----------
    measured : float or None
        How much of it has been read to measure its intensities, from 0 to 1; None while it is
        examined.
    """

    measured: float | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """The image is about to be restored.

    Attributes
    ----------
    plan : RestorationPlan
    examinations : tuple of Examination
        What was seen of the image, where it was looked at.
    scan : Scan or None
        What is made on disk, which may be shown and told what to do first before the next step;
        None in memory, and where the result is reused.
    """

    plan: RestorationPlan
    examinations: tuple[Examination, ...] = ()
    scan: Scan | None = None


@dataclass(frozen=True, slots=True)
class Softening:
    """A result in memory is made as soft as it is to be shown, piece by piece."""


@dataclass(frozen=True, slots=True)
class Assessing:
    """The result is about to be assessed."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file is there; what it is, in a few words, where that has to be said."""

    path: Path
    what: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultInMemory:
    """The pixels of a result in memory, and how far they can be trusted, where that was asked, or
    why that is not known.

    Attributes
    ----------
    data : ndarray
        As they are to be shown.
    bare : ndarray
        As the plan gives them; the same array where they are not softened.
    found : Assessment or None
    trouble : Exception or None
    """

    data: np.ndarray
    bare: np.ndarray
    found: Assessment | None = None
    trouble: Exception | None = None


Event = Planned | Softening | Assessing | Written | ResultInMemory
PipelineSteps = Generator[Progress | Event, None, tuple["RestorationPlan", "Assessment | None"]]


def carry_out(image: Micrograph, model: Model, request: RequestInMemory) -> PipelineSteps:
    """Make the result of an image, and what else is asked for; closing the generator ends the work.

    Parameters
    ----------
    image : Micrograph
        In memory or lazy, binned if it is to be.
    model : Model
        From `load_model`.
    request : RequestInMemory
        What is to become of it; a `Request` where it is to be written. An OME-Zarr that was begun
        by the same request is resumed, and so is its assessment.

    Yields
    ------
    Looking
        While the plan is made and the image examined.
    Progress
        After every tile; of restoring, and then of assessing.
    Planned, Softening, Assessing or Written
        Whenever something of that kind has come about.
    ResultInMemory
        At the end, where nothing is written.

    Returns
    -------
    tuple of RestorationPlan and Assessment or None
        By which the result was made, and how far it can be trusted.

    Raises
    ------
    MdeblurganError
        In one sentence, if the image cannot be restored, it does not fit into memory, or something
        cannot be written; or if the result, which is written then, cannot be assessed. In memory
        alone, `ResultInMemory` tells of that.
    """
    steps = (
        _on_disk(image, model, request)
        if isinstance(request, Request) and request.on_disk
        else _in_memory(image, model, request)
    )
    return (yield from map_steps(steps, lambda step: step))  # numpy's defaults hold in each


@dataclass(frozen=True, slots=True)
class Ready:
    """An image in memory that is about to be restored."""

    image: Micrograph
    planned: Planned


def _in_memory(image: Micrograph, model: Model, request: RequestInMemory) -> PipelineSteps:
    ready = yield from readying(image, model, request)
    yield ready.planned
    restored = yield from making(ready, model, request)
    if isinstance(request, Request):
        yield from keeping(ready, restored, model, request)
    else:
        yield restored
    return ready.planned.plan, restored.found


def readying(
    image: Micrograph, model: Model, request: RequestInMemory
) -> Generator[Progress, None, Ready]:
    """The first third of `carry_out` for a result that is made in memory: the image is read, unless
    the result stays there, and its plan is made. Another image may be in the network meanwhile.
    """
    from napari_mdeblurgan.restoration.micrographs import planning_micrograph
    from napari_mdeblurgan.restoration.output_scale import output_factor
    from napari_mdeblurgan.restoration.room import check_memory
    from napari_mdeblurgan.storage.reading import loaded

    factor = output_factor(request.options.get("output_scale"), model.card)
    if isinstance(request, Request):
        region = request.options.get("region")
        check_memory(request.output, image, factor, region, assessed=request.assesses)
        image = dataclasses.replace(image, data=loaded(image.data))
    looking = _looking(image, factor)
    planned = planning_micrograph(image, model.card, **request.options)
    plan = yield from map_steps(planned, looking)
    return Ready(image, Planned(plan, (yield from _examined(image, plan, model, request, looking))))


def making(
    ready: Ready, model: Model, request: RequestInMemory
) -> Generator[Progress | Event, None, ResultInMemory]:
    """The second third: the network restores the image, and what is made of it is softened, where
    that is asked, and assessed.
    """
    from napari_mdeblurgan.restoration.softened_result import softening

    image, plan, examinations = ready.image.data, ready.planned.plan, ready.planned.examinations
    bare, explanation, spread = yield from _restoring(image, plan, model, request)
    data = bare
    if request.softness:
        data = yield from map_steps(softening(bare, plan, request.softness), lambda _: Softening())
    found = None
    if request.assesses:
        from napari_mdeblurgan.trust.assess import assessing

        yield Assessing()
        try:
            found = yield from assessing(
                image, data, plan, model, examinations, explanation, spread
            )
        except Stopped:
            raise
        except Exception as error:  # of the assessment alone, which costs nobody the result
            traceback.clear_frames(error.__traceback__)  # which hold what there may be no room for
            return ResultInMemory(data=data, bare=bare, trouble=error)
    return ResultInMemory(data=data, bare=bare, found=found)


def keeping(
    ready: Ready, restored: ResultInMemory, model: Model, request: Request
) -> Iterator[Written]:
    """The last third: the result is written, with its maps, report and picture. Another image may
    be in the network meanwhile.
    """
    from napari_mdeblurgan.restoration.micrographs import restored_micrograph
    from napari_mdeblurgan.storage import write_image
    from napari_mdeblurgan.trust.recording import unassessed, whole_record

    image, plan, found = ready.image, ready.planned.plan, restored.found
    record = whole_record(image, plan, model.card, found, request.ensemble, request.dated)
    after = dataclasses.replace(restored_micrograph(image, restored.data, plan), provenance=record)
    write_image(request.output, after)
    yield _made(request.output, after)
    if found is not None and request.maps:
        yield from _write_maps(request.output, image, after, plan, found)
    yield from _reported(image, after, plan, model, found, request)
    if restored.trouble is not None:
        raise unassessed(request.output, restored.trouble) from restored.trouble


def _restoring(
    image: Any, plan: RestorationPlan, model: Model, request: RequestInMemory
) -> Generator[Progress, None, tuple[np.ndarray, Explanation | None, np.ndarray | None]]:
    """Restore an image to memory, once or in eight orientations: the result, and what `assessing`
    would have to make anew: what the network said of itself, where it is run once, and how far
    the eight lie apart, where there are eight.
    """
    from napari_mdeblurgan.restoration.engine import ensemble_steps, restore_steps
    from napari_mdeblurgan.trust.explanation import Explanation

    if request.ensemble:
        data, spread = yield from ensemble_steps(image, plan, model)
        return data, None, spread
    said = Explanation(plan) if request.assesses else None
    return (yield from restore_steps(image, plan, model, said.keep if said else None)), said, None


def _on_disk(image: Micrograph, model: Model, request: Request) -> PipelineSteps:
    from napari_mdeblurgan.restoration.micrographs import planning_micrograph
    from napari_mdeblurgan.restoration.scan import opening
    from napari_mdeblurgan.restoration.scan_job import plan_of_finished
    from napari_mdeblurgan.storage import open_image
    from napari_mdeblurgan.storage.map_places import maps_path
    from napari_mdeblurgan.storage.ome_zarr.ome_zarr_writing import keep_provenance
    from napari_mdeblurgan.trust.explanation import ExplanationOnDisk
    from napari_mdeblurgan.trust.recording import unassessed, whole_record
    from napari_mdeblurgan.trust.stored import assess_stored_steps

    path, ensemble, options = request.output, request.ensemble, request.options
    looking = _looking(image, model.card.scale)
    plan = scan = found = said = None
    if request.assesses or request.reuses:
        plan = plan_of_finished(image, model, path, options, ensemble, request.identity)
    if plan is None and request.reuses and path.exists():  # made by an earlier version
        planned = planning_micrograph(image, model.card, in_memory=False, **options)
        plan = yield from map_steps(planned, looking)
    if plan is None:
        steps = opening(
            image,
            model,
            path,
            identity=request.identity,
            ensemble=ensemble,
            note=request.note,
            **options,
        )
        scan = yield from map_steps(steps, looking)
        plan = scan.plan
    examinations = yield from _examined(image, plan, model, request, looking)
    if scan is not None or request.reuses:
        yield Planned(plan, examinations, scan)
    if scan is not None:
        if request.assesses and not ensemble:
            said = ExplanationOnDisk(plan, path.parent)
        yield from scan.steps(said.keep if said else None)
    after = open_image(path)
    yield _made(path, after)
    if request.assesses:
        yield Assessing()
        try:
            found = yield from assess_stored_steps(
                image, path, plan, model, examinations, ensemble, request.softness, said
            )
        except Stopped:
            raise
        except Exception as error:
            raise unassessed(path, error) from error
        if request.records:
            record = whole_record(image, plan, model.card, found, ensemble, request.dated)
            keep_provenance(path, record)
        if request.maps:
            yield from (
                Written(maps_path(path, each.name), _described(each)) for each in found.maps
            )
    yield from _reported(image, after, plan, model, found, request)
    return plan, found


def _looking(image: Micrograph, factor: int) -> Callable[[float | None], Looking]:
    """What is told while the image is looked at."""
    colours = image.data.shape[-1] if image.rgb else 1
    total = math.prod(image.data.shape) // colours * factor**2
    return lambda measured: Looking(0, total, 0.0, measured=measured)


def _examined(
    image: Micrograph,
    plan: RestorationPlan,
    model: Model,
    request: RequestInMemory,
    looking: Callable[[None], Looking],
) -> Generator[Looking, None, tuple[Examination, ...]]:
    if not (request.examines or request.assesses):
        return ()
    from napari_mdeblurgan.stopping import attending
    from napari_mdeblurgan.trust.domain import examine_all

    looked = attending(partial(examine_all, image.data, plan, model.card, image.binning))
    return (yield from map_steps(looked, lambda _: looking(None)))


def _made(output: Path, after: Micrograph) -> Written:
    return Written(output, f"{' × '.join(map(str, after.data.shape))} ({after.axes})")


def _described(made: TrustMap) -> str:
    return made.kind.title.lower() + (f", in {made.kind.unit}" if made.kind.unit else "")


def _write_maps(
    output: Path, image: Micrograph, after: Micrograph, plan: RestorationPlan, found: Assessment
) -> Iterator[Written]:
    from napari_mdeblurgan.storage import Micrograph, write_image
    from napari_mdeblurgan.storage.map_places import map_path

    for each in found.maps:
        frame = after.frame() if each.kind.finer else image.frame(1, plan.origin)
        path = map_path(output, each.name)
        write_image(path, Micrograph(each.data, image.axes.removesuffix("S"), **frame))
        yield Written(path, _described(each))


def _reported(
    image: Micrograph,
    after: Micrograph,
    plan: RestorationPlan,
    model: Model,
    found: Assessment | None,
    request: Request,
) -> Iterator[Written]:
    """The report on the assessment, and the picture of before and after: of a large image on disk,
    of a part of it.
    """
    if found is not None and request.report is not None:
        from napari_mdeblurgan.trust.made_with import settings_of
        from napari_mdeblurgan.trust.recording import write_report_of

        described = settings_of(plan, model.card, request.ensemble, image.binning)
        write_report_of(request.report, image, after, plan, found, described)
        yield Written(request.report)
    if request.picture is not None:
        from napari_mdeblurgan.before_after import comparison, middle_index, write_comparison
        from napari_mdeblurgan.storage import Micrograph, write_image
        from napari_mdeblurgan.trust.excerpt import excerpt

        if request.on_disk:
            shown = excerpt(image.data, after.data, middle_index(image), plan.region)
            write_image(request.picture, Micrograph(comparison(shown.before, shown.after), "YXS"))
        else:
            write_comparison(request.picture, image, after, region=plan.region)
        yield Written(request.picture)
