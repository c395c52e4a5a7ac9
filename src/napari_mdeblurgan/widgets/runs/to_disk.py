"""A run of the widget whose result is made on disk, shown while it is made, and gone on with after
an interruption.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.exclusive import claimed
from napari_mdeblurgan.steps import Returning
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import PARTIAL
from napari_mdeblurgan.widgets.layers.appearance import display_of
from napari_mdeblurgan.widgets.layers.axes import micrograph, part_of, put_back
from napari_mdeblurgan.widgets.layers.placement import enlarged
from napari_mdeblurgan.widgets.runs import trust
from napari_mdeblurgan.widgets.runs.cut import outline_on_disk, shape_told
from napari_mdeblurgan.widgets.runs.job import (
    LOOKING,
    Job,
    Noted,
    layer_arguments,
    looking_in_words,
    result_suffix,
)
from napari_mdeblurgan.widgets.runs.known_optics import ResultSoftness, result_softness
from napari_mdeblurgan.widgets.runs.results import clean_name, result_ending

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model, ModelCard
    from napari_mdeblurgan.request import Request
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.progress import Progress
    from napari_mdeblurgan.restoration.scan import Scan
    from napari_mdeblurgan.restoration.scan_view import SourceView
    from napari_mdeblurgan.restoration.softness import Softness
    from napari_mdeblurgan.storage.array_part import ArrayPart, Spans
    from napari_mdeblurgan.storage.micrograph import Micrograph
    from napari_mdeblurgan.widgets.runs.outline import Outline
    from napari_mdeblurgan.widgets.runs.soft_results import SoftResult

DISK_SHARE = 0.25  # of the memory that is free: a larger result is made on disk
# larger ones would be a little faster, but the view would wait for them, and so would Cancel
SCAN_TILE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A scan that can be looked at from now on.

    Attributes
    ----------
    scan : Scan
        Its levels fill in.
    view : SourceView
        What is shown of its source, where nothing is done yet.
    arguments : dict
        Attributes of the layer that shows them, see `add_layer`.
    order : tuple of int
        The axes of that layer in the order of the scan.
    done : float
        How much of it an earlier run has done, from 0 to 1.
    outline : Outline or None
        The shape that is shown of it; None for all of it.
    """

    scan: Scan
    view: SourceView
    arguments: dict[str, Any]
    order: tuple[int, ...]
    done: float
    outline: Outline | None = None

    @property
    def shown(self) -> list[ArrayPart]:
        """The scan's levels, with the source enlarged where nothing is done."""
        from napari_mdeblurgan.restoration.scan_view import levels_over

        levels = levels_over(self.scan, self.view)
        return levels if self.outline is None else self.outline.over(levels)

    def at_once(self, level: int, spans: Spans) -> np.ndarray:
        """What is shown of a level until it is read, see `SourceView.at_once`."""
        if self.outline is None:
            return self.view.at_once(level, spans)
        shape, planes = self.scan.levels[level].shape, self.outline.first + 2
        colours = tuple(map(range, shape[planes:]))
        return self.outline.pixels(
            lambda part: self.view.at_once(level, (*part, *colours)), level, spans
        )

    @property
    def levels(self) -> list[ArrayPart]:
        """The same with the axes of the layer."""
        return [put_back(level, self.order) for level in self.shown]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A result that is whole and on disk.

    Attributes
    ----------
    path : Path
        The OME-Zarr.
    levels : list of array
        Its levels for a layer, lazy, the finest first, as soft as they are to be shown.
    soft : SoftResult
        How soft that is.
    arguments : dict
        Attributes of the layer.
    seconds : float
        What this run has taken; 0 if an earlier one had done it all.
    trusted : Trusted or None
        How far it can be trusted, once that was looked at.
    """

    path: Path
    levels: list[Any]
    soft: SoftResult
    arguments: dict[str, Any]
    device: str
    seconds: float
    warnings: tuple[str, ...] = ()
    trusted: trust.Trusted | None = None


def is_large(job: Job, card: ModelCard) -> bool:
    """Whether the result of a job by the model of that card would not fit comfortably in memory."""
    size = job.values // job.binning**2 * np.dtype(job.data.dtype).itemsize * job.factor(card) ** 2
    return size > DISK_SHARE * psutil.virtual_memory().available


def restore_to_disk(job: Job) -> Generator[str | Noted | Progress | Opened | Saved, None, Saved]:
    """Do a job whose result is made in `job.folder`, or go on with what an earlier run has left
    there.

    If it is to be known how far the result can be trusted, the result is yielded when it is whole,
    and the maps are made then. Closing the generator ends the work and keeps what is done.

    Raises
    ------
    MdeblurganError
        In one sentence, if the image cannot be restored or the result not be written.
    """
    yield "Loading the model…"
    from napari_mdeblurgan.model import load_model
    from napari_mdeblurgan.request import Request

    model = load_model(job.model)
    yield LOOKING
    placement = enlarged(job.placement, 1, (*job.first_plane, 0, 0))
    source = micrograph(part_of(job.data, job.planes), job.source, job.rgb, placement)
    display = display_of(job.look, source.channels)
    source = replace(source, binning=job.binning, display=display)
    options, identity = {**job.options, "tile": _tile(job, model)}, job.identity
    path = _result_path(job, model, identity)
    if not path.exists():
        yield "Opening the result…"
    known = result_softness(job, model.card, source.data)
    request = Request(
        output=path,
        options=options,
        examines=True,
        ensemble=job.ensemble,
        maps=job.trust,
        identity=identity,
        note=shape_told(job, model),
        reuses=True,
        softness=known.softness.sigma,  # what lies on disk is the bare network's result
        records=False,
    )
    with nullcontext() if path.exists() else claimed(path):
        return (yield from _carried_out(job, source, model, request, known))


def _carried_out(
    job: Job, source: Micrograph, model: Model, request: Request, known: ResultSoftness
) -> Generator[str | Noted | Progress | Opened | Saved, None, Saved]:
    """Go through the pipeline, and make of what it tells what the dock shows."""
    from napari_mdeblurgan.pipeline import Assessing, Looking, Planned, Written, carry_out
    from napari_mdeblurgan.restoration.progress import Progress

    path, saved, seconds = request.output, None, 0.0
    scan: Scan | None = None
    with closing(carry_out(source, model, request)) as steps:
        for step in (returning := Returning(steps)):
            match step:
                case Looking():
                    yield looking_in_words(step)
                case Planned(plan, examinations, scan):
                    yield trust.noted_of(examinations, at_once=job.trust)
                    # before the first block is chosen: the layer comes later, its view later still
                    if scan is not None and job.seen is not None:
                        scan.want(*job.seen)
                case Progress() if scan is not None:  # it has begun
                    yield _opened(job, source, model, scan, step.fraction)
                    scan = None
                case Progress():
                    seconds = step.seconds
                    yield step
                case Written(path=request.output):
                    saved = _saved(job, model, plan, path, seconds, known)
                    saved = _recorded(saved, source, request.note)
                    if job.trust:
                        yield saved
                case Assessing():
                    yield trust.CHECKING
    assert saved is not None
    plan, found = returning.result
    if found is None:
        return saved
    trusted = trust.trusted(job, source.data, plan, model, known.softness, found, path)
    return _recorded(replace(saved, trusted=trusted), source, request.note)


def _recorded(saved: Saved, source: Micrograph, told: Mapping[str, Any]) -> Saved:
    """A result whose file tells what its layer is; where it may not be written to, a warning says
    so.
    """
    from napari_mdeblurgan.widgets.runs.disk_record import keep_record

    found = None if saved.trusted is None else trust.record(saved.trusted)
    try:
        keep_record(saved, source, told, found)
    except FileError as error:
        return replace(saved, warnings=(*saved.warnings, str(error)))
    return saved


def _opened(job: Job, source: Micrograph, model: Model, scan: Scan, done: float) -> Opened:
    return Opened(
        scan=scan,
        view=_source_view(job, source, scan),
        arguments=_arguments(job, model, scan.plan, scan.path, 0.0, scan.plan.softness),
        order=job.placement.order,
        done=done,
        outline=outline_on_disk(job, scan.plan),
    )


def _source_view(job: Job, source: Micrograph, scan: Scan) -> SourceView:
    """What is shown of the source, at first of the plane that is looked at."""
    from napari_mdeblurgan.restoration.scan_view import SourceView

    planes = len(job.placement.order) - 2
    alike = (each for each in job.coarser if each.shape[:planes] == job.data.shape[:planes])
    coarser = [part_of(each, job.planes) for each in alike]
    view = SourceView(source.data, coarser, scan.plan, scan.levels)
    index = job.seen[0] if job.seen is not None else (0,) * planes
    view.prepare(tuple(np.clip(index, 0, np.array(scan.plan.leading, int) - 1).tolist()))
    return view


def _result_path(job: Job, model: Model, identity: str) -> Path:
    """Where the result of a job lies: the same for the same image, place, model and settings,
    another for any other.

    The name of the layer does not count. Its place does: an earlier result stays what it is, and
    lies where it lay.

    Raises
    ------
    FileError
        If the folder cannot be made.
    """
    ending = result_ending(job, identity, model.card)
    assert job.folder is not None
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"The folder {job.folder} cannot be made ({error.strerror}); choose another results "
            "folder."
        ) from error
    begun = (path.name.removesuffix(PARTIAL) for path in job.folder.iterdir())
    earlier = next(
        (name for name in begun if name.endswith(ending)), None
    )  # the layer may have been renamed since
    return job.folder / (
        earlier or f"{clean_name(job.source)} {result_suffix(job, job.factor(model.card))}{ending}"
    )


def _tile(job: Job, model: Model) -> int:
    """The edge of a tile: `SCAN_TILE`, or less where the user has set what memory it may take."""
    from napari_mdeblurgan.restoration.device import pick_device, pick_precision
    from napari_mdeblurgan.restoration.tile_size import fitting_tile

    if not job.tile_memory_mb:
        return SCAN_TILE
    device = pick_device(job.device)
    precision = pick_precision(job.precision, device)
    return min(SCAN_TILE, fitting_tile(model.card, device, precision, memory_mb=job.tile_memory_mb))


def _saved(
    job: Job,
    model: Model,
    plan: RestorationPlan,
    path: Path,
    seconds: float,
    known: ResultSoftness,
) -> Saved:
    from napari_mdeblurgan.restoration.softened_result import SoftLevels, hot_windows
    from napari_mdeblurgan.storage.ome_zarr.ome_zarr_image import open_levels
    from napari_mdeblurgan.widgets.runs.soft_results import SoftResult

    softness = known.softness
    levels, windows = open_levels(path), hot_windows(plan)
    bare = SoftLevels(levels, rgb=job.rgb, sigma=softness.sigma, windows=windows)
    outline = outline_on_disk(job, plan)
    order = job.placement.order
    soft = SoftResult(bare, job.rgb, order, *known, outline=outline)
    return Saved(
        path=path,
        levels=soft.cut(bare.arrays),
        soft=soft,
        arguments=_arguments(job, model, plan, path, seconds, softness),
        device=plan.device,
        seconds=seconds,
        warnings=plan.warnings,
    )


def _arguments(
    job: Job, model: Model, plan: RestorationPlan, path: Path, seconds: float, softness: Softness
) -> dict[str, Any]:
    arguments = layer_arguments(job, plan, model, seconds, softness)
    arguments["metadata"]["mdeblurgan"]["file"] = str(path)
    return arguments | {"multiscale": True}
