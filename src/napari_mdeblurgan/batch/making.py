"""From an image to a whole result in its folder for work in progress: in memory, or block by block
by way of OME-Zarr.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Generator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.batch.batch_recipe import Recipe
from napari_mdeblurgan.batch.item import (
    Item,
    Product,
    Refusal,
    is_full,
    refusal,
)
from napari_mdeblurgan.batch.output_folder import GROWN, OutputFolder, keeps_maps
from napari_mdeblurgan.errors import Unassessed
from napari_mdeblurgan.pipeline import Assessing, PipelineSteps, Planned, carry_out
from napari_mdeblurgan.restoration.progress import Progress
from napari_mdeblurgan.steps import Returning, map_steps
from napari_mdeblurgan.stopping import attending, looking_up
from napari_mdeblurgan.storage import Micrograph, check_writable, open_image, write_image
from napari_mdeblurgan.storage.map_places import map_path, maps_beside, maps_path
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import OWN_KEY, PARTIAL
from napari_mdeblurgan.storage.provenance import read_provenance
from napari_mdeblurgan.trust.verdict import verdict_on

if TYPE_CHECKING:
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.scan import Scan

ASSESSING = 0.4  # of the work on a result that is assessed, about


def refused(error: Exception, item: Item, place: Path, folder: OutputFolder) -> Refusal:
    """What an error means for an item, with the names that its user knows."""
    found = refusal(error, item.source.name)
    reason = found.reason.replace(str(place), str(folder.path / item.output))
    plain = f"{place.name.removesuffix('.ome.tif')}.tif"  # as a single image would be advised
    reason = reason.replace(
        f"write {plain} instead", "choose another format, such as TIFF (Format, or --format tiff)"
    )
    reason = reason.replace(
        "let it end in .ome.zarr", "choose OME-Zarr (Format, or --format ome-zarr)"
    )
    return dataclasses.replace(found, reason=reason)


def make_result(
    image: Micrograph, recipe: Recipe, place: Path, job: str
) -> Generator[Progress, None, Product]:
    """Make the result of one image; closing the generator ends the work, and what is in OME-Zarr is
    kept.

    Parameters
    ----------
    image : Micrograph
        In memory or lazy.
    recipe : Recipe
        What to make of it.
    place : Path
        Of the result; its folder is there, and has nothing in it but what an earlier run has begun.
    job : str
        See `Recipe.job`: OME-Zarr that was begun for the same is gone on with.

    Yields
    ------
    Progress
        At the start and after every tile.

    Raises
    ------
    MdeblurganError
        In one sentence, if it cannot be made.
    """
    check_result_place(place, image)
    blockwise, made = recipe.blockwise(image), known_product(place, image, recipe)
    path = zarr_path(place) if blockwise else place
    is_whole = blockwise and clear_others(path, job)
    if recipe.trust or not is_whole:
        model = recipe.model_for(image).load()
        made = yield from counted(
            carry_out(image, model, recipe.request(path, place, job)), recipe, place, made
        )
    if path != place:
        whole = Progress(made.pixels, made.pixels, 0.0, made.pixels)
        yield from map_steps(
            attending(partial(write_from_zarr, path, place, image.name)), lambda _: whole
        )
    return with_maps(made, place)


def check_result_place(place: Path, image: Micrograph) -> None:
    """Make sure that the result of an image can be written, unless it is there: a whole OME-Zarr of
    an earlier run.

    Raises
    ------
    FileError
        If it cannot.
    """
    if not place.exists():
        check_writable(place, image.axes, image.data.dtype)


def with_maps(made: Product, place: Path) -> Product:
    """A product of which the maps are told that lie beside its result."""
    from napari_mdeblurgan.trust.maps import MAPS

    return (
        dataclasses.replace(made, maps=maps_beside(place, MAPS))
        if made.trust and keeps_maps(place.name)
        else made
    )


def counted(
    steps: PipelineSteps, recipe: Recipe, place: Path, made: Product
) -> Generator[Progress, None, Product]:
    """The progress of a pipeline, of which an assessment is a part; and what it has made."""
    begin, share = 0.0, 1 - ASSESSING if recipe.trust else 1.0
    resumed = False
    returning = Returning(steps)
    lacking = found = None
    try:
        with closing(steps):
            for step in returning:
                match step:
                    case Planned(plan):
                        made = product(place, plan)
                    case Assessing():
                        begin, share = 1 - ASSESSING, ASSESSING
                    case Progress(done, total, _, before):
                        resumed |= before > 0
                        done = round(total * begin + done * share)
                        yield dataclasses.replace(step, done=done, before=round(before * share))
        _, found = returning.result
    except Unassessed as error:
        if is_full(error):  # the batch ends
            raise
        lacking = error
    made = dataclasses.replace(made, values=0) if resumed else made
    if lacking is not None:
        return without_verdict(made, lacking)
    return made if found is None else dataclasses.replace(made, trust=verdict_on(found).document())


def without_verdict(made: Product, error: Unassessed) -> Product:
    """A result that was written but not assessed."""
    told = f"How far to trust it was not found out: {error.why}."
    return dataclasses.replace(made, trust={}, maps=(), warnings=(*made.warnings, told))


def open_work(
    image: Micrograph, recipe: Recipe, path: Path, job: str
) -> Generator[float, None, Scan | None]:
    """The scan that makes an OME-Zarr; None where an earlier run has finished it. Yields as
    `opening` does.
    """
    from napari_mdeblurgan.restoration.scan import opening

    if clear_others(path, job):
        return None
    model = recipe.model_for(image).load()
    return (yield from opening(image, model, path, identity=job, **recipe.options()))


def clear_others(path: Path, job: str) -> bool:
    """Remove what was made or begun for other jobs where an OME-Zarr is to be; gives whether it is
    whole already.
    """
    if _job_of(path) == job:
        return True
    growing = path.with_name(path.name + PARTIAL)
    for place in (path, growing):
        if place.exists() and not (place == growing and _job_of(place) == job):
            shutil.rmtree(place)
    return False


def product(place: Path, plan: RestorationPlan) -> Product:
    """What a plan makes at `place`."""
    return Product(
        place=place.name,
        pixels=math.prod(plan.output_shape) // (plan.colours or (1,))[0],
        model=plan.model,
        device=plan.device,
        precision=plan.precision,
        warnings=plan.warnings,
        rgb=bool(plan.colours),
        values=math.prod(plan.output_shape) // plan.factor**2,
    )


def known_product(place: Path, image: Micrograph, recipe: Recipe) -> Product:
    """What an earlier run has made of an image at `place`; where it did so is
    not known any more.
    """
    model = recipe.model_for(image)
    colours = image.data.shape[-1] if image.rgb else 1
    return Product(
        place=place.name,
        pixels=math.prod(image.data.shape) // colours * recipe.factor_for(image) ** 2,
        model=model.name,
        device=recipe.device,
        precision=recipe.precision,
    )


def zarr_path(place: Path) -> Path:
    """Where a large result grows: itself if it is to be OME-Zarr, else an OME-Zarr beside it."""
    return place if place.name.endswith(".zarr") else place.with_name(GROWN)


def write_from_zarr(path: Path, place: Path, name: str) -> None:
    """Write the result of a large image, called `name`, from the OME-Zarr that it grew in, and its
    maps; it can be stopped.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    from napari_mdeblurgan.trust.maps import MAPS

    grown, record = _watched(open_image(path)), read_provenance(path)
    write_image(place, dataclasses.replace(grown, name=name, restored=True, provenance=record))
    for each in MAPS if keeps_maps(place.name) else ():
        if (made := maps_path(path, each)).is_dir():
            write_image(map_path(place, each), _watched(open_image(made)))


def _watched(image: Micrograph) -> Micrograph:
    """An image that looks up whenever a block of it is read."""
    data, heed = image.data, looking_up()

    def watched(block: np.ndarray) -> np.ndarray:
        heed()
        return block

    data = data.map_blocks(watched, dtype=data.dtype, meta=np.empty((0,) * data.ndim, data.dtype))
    return dataclasses.replace(image, data=data)


def _job_of(path: Path) -> str | None:
    """The job that an OME-Zarr was begun for; None if that cannot be told."""
    try:
        own: dict[str, Any] = json.loads((path / "zarr.json").read_bytes())["attributes"][OWN_KEY]
        return str(json.loads(own["job"])["source"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
