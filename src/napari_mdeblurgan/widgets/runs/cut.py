"""A shape cut out of what was restored around it: numbers only, on the thread of the job. No Qt in
here.

Outside of a shape that does not fill its box there is no value: colours are transparent there, grey
values are not a number, which napari leaves transparent and measurements leave out. Integers have
no such value: they become floating-point numbers that are equal to them. A zero would be a dark
pixel that was never measured, and would hide the image below.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.widgets.runs.outline import Outline, pixels_inside

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.softness import Softness
    from napari_mdeblurgan.restoration.tiling import Region
    from napari_mdeblurgan.trust.assess import Assessment
    from napari_mdeblurgan.trust.maps import TrustMap
    from napari_mdeblurgan.widgets.runs.job import Job
    from napari_mdeblurgan.widgets.runs.soft_results import SoftResult

_COLOURS = 3
SHOWN_WITHIN = "shown_within"  # of a record: corners in pixels of the file, of a shape in its box


def widened(job: Job, model: Model, softness: Softness) -> Job:
    """The job with a wider region where its result is softened afterwards, which looks beyond the
    edge of a shape.
    """
    from napari_mdeblurgan.restoration.softness import softening_margin

    if job.part is None or job.region is None:
        return job
    margin = softening_margin(softness.sigma, job.factor(model.card))
    axes = len(job.placement.scale)
    (y0, y1), (x0, x1) = job.region
    height, width = job.data.shape[axes - 2 : axes]
    wide = (
        (max(y0 - margin, 0), min(y1 + margin, height)),
        (max(x0 - margin, 0), min(x1 + margin, width)),
    )
    return replace(job, region=wide)


def narrowed(plan: RestorationPlan, job: Job) -> RestorationPlan:
    """The plan of what is left of a job's result in the end."""
    return plan if job.part is None or job.region is None else replace(plan, region=job.region)


def cut_result(soft: SoftResult, plan: RestorationPlan, job: Job) -> SoftResult:
    """What is left of a result; `plan` is that by which it was made."""
    if job.part is None or job.region is None:
        return soft
    inside = inside_of(job, plan.factor)

    def cut(data: np.ndarray) -> np.ndarray:
        return emptied(_within(data, plan, job.region, plan.factor), inside, rgb=job.rgb)

    assert isinstance(soft.bare, np.ndarray)
    assert soft.shown is not None
    bare = cut(soft.bare)
    return replace(soft, bare=bare, shown=bare if soft.shown is soft.bare else cut(soft.shown))


def cut_maps(assessment: Assessment, plan: RestorationPlan, job: Job) -> Assessment:
    """The same for the maps of an assessment, whose figures hold for all that was restored."""
    if job.part is None or job.region is None:
        return assessment
    return replace(assessment, maps=tuple(_cut_map(each, plan, job) for each in assessment.maps))


def _cut_map(made: TrustMap, plan: RestorationPlan, job: Job) -> TrustMap:
    factor = plan.factor if made.kind.finer else 1
    data, inside = _within(made.data, plan, job.region, factor), inside_of(job, factor)
    if inside is not None:
        data = _emptied_map(data, inside, last=len(made.kind.last_axis))
    return replace(made, data=data)


def _emptied_map(data: np.ndarray, inside: np.ndarray, *, last: int) -> np.ndarray:
    """A map with so many axes after y and x; labels are 0 outside."""
    data = data.copy()
    outside: tuple[Any, ...] = (..., ~inside, *(slice(None),) * last)
    data[outside] = np.nan if data.dtype.kind == "f" else 0
    return data


def cut_maps_on_disk(assessment: Assessment, plan: RestorationPlan, job: Job) -> Assessment:
    """The same for maps on disk, which are read as they are shown."""
    corners = corners_of(job, 1)
    if corners is None:
        return assessment
    first = len(plan.leading)

    def cut(made: TrustMap) -> TrustMap:
        factor = plan.factor if made.kind.finer else 1
        empty = partial(_emptied_map, last=len(made.kind.last_axis))
        outline = Outline((corners + 0.5) * factor - 0.5, first, empty)
        finest, *coarser = outline.over_lazy([made.data, *made.coarser])
        return replace(made, data=finest, coarser=tuple(coarser))

    return replace(assessment, maps=tuple(map(cut, assessment.maps)))


def outline_on_disk(job: Job, plan: RestorationPlan) -> Outline | None:
    """What is left of a job's result on disk, where the box is kept; None for all of it."""
    corners = corners_of(job, plan.factor)
    return None if corners is None else outline_of_image(corners, len(plan.leading), rgb=job.rgb)


def shape_told(job: Job, model: Model) -> dict[str, Any]:
    """What the record of a result on disk says of its shape, beside how it was made: the box around
    it is kept there, and only the shape is shown of it, see `SHOWN_WITHIN`.
    """
    if job.part is None:
        return {}
    told = {"part": job.part.name, "outline": job.part.told(job.binning)}
    corners = corners_of(job, job.factor(model.card))
    return told if corners is None else told | {SHOWN_WITHIN: corners.tolist()}


def outline_of_image(corners: np.ndarray, first: int, *, rgb: bool) -> Outline:
    """An outline over an image whose y and x follow on `first` axes."""
    return Outline(corners, first, partial(emptied, rgb=rgb))


def corners_of(job: Job, factor: int) -> np.ndarray | None:
    """(n, 2) float64: the corners of a job's shape in pixels of its result, `factor` for one of the
    image; None where the shape fills its box.
    """
    if job.part is None or job.part.outline is None or job.region is None:
        return None
    first = np.array([start for start, _ in job.region])
    return np.asarray((job.part.outline - first + 0.5) * factor - 0.5)


def inside_of(job: Job, factor: int) -> np.ndarray | None:
    """(y, x) bool: which pixels of the result, `factor` for one of the image, have their centre in
    the shape; None for all.
    """
    assert job.region is not None
    corners = corners_of(job, factor)
    if corners is None:
        return None
    height, width = ((stop - start) * factor for start, stop in job.region)
    return pixels_inside(corners, range(height), range(width))


def emptied(data: np.ndarray, inside: np.ndarray | None, *, rgb: bool) -> np.ndarray:
    """An image without a value where it is not `inside`.

    Parameters
    ----------
    data : ndarray
        (..., y, x), or (..., y, x, 3 or 4) in colour; any real type.
    inside : ndarray or None
        (y, x) bool; None for all of it.
    rgb : bool
        Whether the last axis holds colours.

    Returns
    -------
    ndarray
        Colours get opacity as a fourth value. Grey integers become float32 where that holds all of
        their values, else float64.
    """
    if inside is None:
        return data
    if rgb:
        opaque: Any = np.iinfo(data.dtype).max if data.dtype.kind in "iu" else 1
        opacity = (
            data[..., _COLOURS]
            if data.shape[-1] > _COLOURS
            else np.full(data.shape[:-1], opaque, data.dtype)
        )
        opacity = np.where(inside, opacity, 0).astype(data.dtype)
        return np.concatenate([data[..., :_COLOURS], opacity[..., None]], axis=-1)
    kind = data.dtype if data.dtype.kind == "f" else np.result_type(data.dtype, np.float32)
    return np.where(inside, data, np.nan).astype(kind)


def _within(
    data: np.ndarray, plan: RestorationPlan, region: Region | None, factor: int
) -> np.ndarray:
    """The part of a result, or a map, of a plan that lies in a region of the image."""
    assert region is not None
    if region == plan.region:
        return data
    spans = [
        slice((start - first) * factor, (stop - first) * factor)
        for (start, stop), (first, _) in zip(region, plan.region, strict=True)
    ]
    return np.ascontiguousarray(data[(slice(None),) * len(plan.leading) + tuple(spans)])
