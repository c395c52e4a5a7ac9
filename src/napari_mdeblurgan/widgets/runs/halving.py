"""A job whose image is averaged over blocks of pixels before it is restored: from then on it is a
job on those larger pixels.

Everything that follows sees the averaged image alone: windows, tiles, maps, report, and where the
result lies. No Qt in here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.restoration.arrays import is_lazy
from napari_mdeblurgan.storage.array_part import ArrayPart
from napari_mdeblurgan.widgets.layers.placement import enlarged

if TYPE_CHECKING:
    from napari_mdeblurgan.restoration.tiling import Region
    from napari_mdeblurgan.storage.array_part import Spans
    from napari_mdeblurgan.widgets.runs.job import Job

AT_ONCE_VALUES = 64 * 2**20  # of an image in memory; a larger one is averaged where it is read


def averaged_job(job: Job) -> Job:
    """The job on the averaged image; the job itself where nothing is to be averaged.

    Parameters
    ----------
    job : Job
        As it was ordered, in pixels of the layer.

    Returns
    -------
    Job
        Its data, placement and regions are those of the averaged image; `original` keeps the
        layer's data.

    Raises
    ------
    ImageError
        If the image has too few pixels for that.
    """
    if job.binning == 1:
        return job
    from napari_mdeblurgan.restoration.binning import binned

    small = not is_lazy(job.data) and job.data.size <= AT_ONCE_VALUES
    data = binned(job.data if small else _read_on_demand(job.data), job.binning, rgb=job.rgb)
    axes = len(job.placement.scale)
    shape = data.shape[axes - 2 : axes]
    seen = None if job.seen is None else (job.seen[0], _in_blocks(job.seen[1], shape, job.binning))
    return replace(
        job,
        data=data,
        original=job.data,
        placement=enlarged(job.placement, 1 / job.binning),
        region=None if job.region is None else _in_blocks(job.region, shape, job.binning),
        part=None if job.part is None else job.part.binned(job.binning),
        seen=seen,
    )


def in_pixels(region: Region | None, binning: int) -> Region | None:
    """A region of the averaged image in pixels of the layer."""
    if region is None or binning == 1:
        return region
    (y0, y1), (x0, x1) = region
    return (y0 * binning, y1 * binning), (x0 * binning, x1 * binning)


def whole_blocks(region: Region, shape: tuple[int, ...], binning: int) -> Region:
    """What is restored of a region of an image of so many rows and columns: of one that is
    averaged, whole blocks of pixels.
    """
    blocks = tuple(length // binning for length in shape)
    return in_pixels(_in_blocks(region, blocks, binning), binning) or region


def _in_blocks(region: Region, shape: tuple[int, ...], binning: int) -> Region:
    """The blocks that have a pixel in a region, at least one; a line that makes no whole block
    belongs to none.
    """
    spans = []
    for (start, stop), length in zip(region, shape, strict=True):
        last = min(-(-stop // binning), length)
        spans.append((min(start // binning, last - 1), last))
    return spans[0], spans[1]


def _read_on_demand(data: Any) -> Any:
    """A lazy array as it is; one in memory as an array of which parts are taken when they are asked
    for.
    """
    if not isinstance(data, np.ndarray):
        return data

    def part(spans: Spans) -> np.ndarray:
        return data[
            tuple(
                span if isinstance(span, int) else slice(span.start, span.stop, span.step)
                for span in spans
            )
        ]

    return ArrayPart(part, data.shape, data.dtype)
