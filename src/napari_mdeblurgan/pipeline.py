"""From an image to a result with all that belongs to it: planned, restored, assessed, written and
reported.

The one way for the command line, batches, workers of a cluster and what the dock saves to disk. A
result that is an OME-Zarr is made block by block in bounded memory and can be resumed; any other in
memory.
"""

from __future__ import annotations

import dataclasses
import math
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to become of an image.

    Attributes
    ----------
    output : Path
        Of the result: an OME-Zarr where it ends in ".zarr".
    options : mapping of str to Any
        For `planning`.
    examines : bool
        The image is looked at before it is restored, as it is where the result is assessed.
    ensemble : bool
        The result is the mean of eight orientations.
    maps : bool
        Write the maps of an assessment beside the output; those of an OME-Zarr always lie within
        it.
    report : Path or None
        Write a report on the assessment there.
    picture : Path or None
        Draw the image before and after there.
    identity : str
        As in `opening`.
    dated : bool
        The record tells when the result was assessed; else the same image gives the same bytes at
        any time.
    note : mapping of str to Any
        As in `opening`; of an OME-Zarr alone.
    reuses : bool
        An OME-Zarr that lies at `output` is the result, by whatever version it was made: its name
        holds all that it depends on. `Planned` then tells of what plan it came.
    softness : float
        As in `assess_stored_steps`; of an OME-Zarr alone.
    records : bool
        The record of an OME-Zarr takes up what the assessment has found; else whoever asks keeps
        that of what is shown.
    """

    output: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    examines: bool = False
    ensemble: bool = False
    maps: bool = False
    report: Path | None = None
    picture: Path | None = None
    identity: str = ""
    dated: bool = True
    note: Mapping[str, Any] = field(default_factory=dict)
    reuses: bool = False
    softness: float = 0.0
    records: bool = True

    @property
    def assesses(self) -> bool:
        """Whether the result is to be assessed."""
        return self.maps or self.report is not None

    @property
    def on_disk(self) -> bool:
        """Whether the result is made block by block."""
        return self.output.suffix.lower() == ".zarr"


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
class Assessing:
    """The result is about to be assessed."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file is there; what it is, in a few words, where that has to be said."""

    path: Path
    what: str = ""


Event = Planned | Assessing | Written
PipelineSteps = Generator[Progress | Event, None, tuple["RestorationPlan", "Assessment | None"]]


def carry_out(image: Micrograph, model: Model, request: Request) -> PipelineSteps:
    """Make the result of an image, and what else is asked for; closing the generator ends the work.

    Parameters
    ----------
    image : Micrograph
        In memory or lazy, binned if it is to be.
    model : Model
        From `load_model`.
    request : Request
        What is to become of it. An OME-Zarr that was begun by the same request is resumed, and so
        is its assessment.

    Yields
    ------
    Looking
        While the plan is made and the image examined.
    Progress
        After every tile; of restoring, and then of assessing.
    Planned, Assessing or Written
        Whenever something of that kind has come about.

    Returns
    -------
    tuple of RestorationPlan and Assessment or None
        By which the result was made, and how far it can be trusted.

    Raises
    ------
    MdeblurganError
        In one sentence, if the image cannot be restored, it does not fit into memory, or something
        cannot be written; or if the result, which is written then, cannot be assessed.
    """
    steps = (_on_disk if request.on_disk else _in_memory)(image, model, request)
    return (yield from map_steps(steps, lambda step: step))  # numpy's defaults hold in each


@dataclass(frozen=True, slots=True)
class Ready:
    """An image in memory that is about to be restored."""

    image: Micrograph
    planned: Planned


@dataclass(frozen=True, slots=True)
class ResultInMemory:
    """The pixels of a result in memory, and how far they can be trusted, where that was asked, or
    why that is not known.
    """

    data: np.ndarray
    found: Assessment | None
    trouble: Exception | None = None


def _in_memory(image: Micrograph, model: Model, request: Request) -> PipelineSteps:
    ready = yield from readying(image, model, request)
    yield ready.planned
    restored = yield from making(ready, model, request)
    yield from keeping(ready, restored, model, request)
    return ready.planned.plan, restored.found


def readying(image: Micrograph, model: Model, request: Request) -> Generator[Progress, None, Ready]:
    """The first third of `carry_out` for a result in memory: the image is read, and its plan is
    made. Another image may be in the network meanwhile.
    """
    from napari_mdeblurgan.restoration.micrographs import planning_micrograph
    from napari_mdeblurgan.restoration.output_scale import output_factor
    from napari_mdeblurgan.restoration.room import check_memory
    from napari_mdeblurgan.storage.reading import loaded

    factor = output_factor(request.options.get("output_scale"), model.card)
    region = request.options.get("region")
    check_memory(request.output, image, factor, region, assessed=request.assesses)
    image = dataclasses.replace(image, data=loaded(image.data))
    looking = _looking(image, factor)
    planned = planning_micrograph(image, model.card, **request.options)
    plan = yield from map_steps(planned, looking)
    return Ready(image, Planned(plan, (yield from _examined(image, plan, model, request, looking))))


def making(
    ready: Ready, model: Model, request: Request
) -> Generator[Progress | Event, None, ResultInMemory]:
    """The second third: the network restores the image, and what is made of it is assessed."""
    from napari_mdeblurgan.trust.assess import assessing

    image, plan, examinations = ready.image.data, ready.planned.plan, ready.planned.examinations
    steps = restoring_to_memory(
        image, plan, model, ensemble=request.ensemble, explain=request.assesses
    )
    data, explanation, spread = yield from steps
    found = None
    if request.assesses:
        yield Assessing()
        try:
            found = yield from assessing(
                image, data, plan, model, examinations, explanation, spread
            )
        except Stopped:
            raise
        except Exception as error:  # of the assessment alone: the result is written first
            traceback.clear_frames(error.__traceback__)  # which hold what there may be no room for
            return ResultInMemory(data, None, error)
    return ResultInMemory(data, found)


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
    yield _made(request, after)
    if found is not None and request.maps:
        yield from _write_maps(request.output, image, after, plan, found)
    yield from _reported(image, after, plan, model, found, request)
    if restored.trouble is not None:
        raise unassessed(request.output, restored.trouble) from restored.trouble


def restoring_to_memory(
    image: Any, plan: RestorationPlan, model: Model, *, ensemble: bool, explain: bool
) -> Generator[Progress, None, tuple[np.ndarray, Explanation | None, np.ndarray | None]]:
    """Restore an image to memory, once or in eight orientations, with what `assessing` would have
    to make anew.

    Returns
    -------
    tuple
        The result; what the network said of itself meanwhile, where it is to `explain` and is run
        once; how far the eight lie apart, where there are eight.
    """
    from napari_mdeblurgan.restoration.engine import ensemble_steps, restore_steps
    from napari_mdeblurgan.trust.explanation import Explanation

    if ensemble:
        data, spread = yield from ensemble_steps(image, plan, model)
        return data, None, spread
    said = Explanation(plan) if explain else None
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
    yield _made(request, after)
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
    request: Request,
    looking: Callable[[None], Looking],
) -> Generator[Looking, None, tuple[Examination, ...]]:
    if not (request.examines or request.assesses):
        return ()
    steps = examining(image.data, plan, model, image.binning)
    return (yield from map_steps(steps, lambda _: looking(None)))


def examining(
    image: Any, plan: RestorationPlan, model: Model, binning: int
) -> Generator[float, None, tuple[Examination, ...]]:
    """Look at an image, which was binned before, before it is restored: once for each of its
    windows of intensity.

    Yields a sign of life every half second; closing it ends the work.
    """
    from napari_mdeblurgan.stopping import attending
    from napari_mdeblurgan.trust.domain import examine_all

    return (yield from attending(partial(examine_all, image, plan, model.card, binning)))


def _made(request: Request, after: Micrograph) -> Written:
    return Written(request.output, f"{' × '.join(map(str, after.data.shape))} ({after.axes})")


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
