"""From an image to a whole result in its folder for work in progress: in memory, or block by block by way of OME-Zarr."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Generator
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.batch.item import Advanced, Begun, Ended, Item, Product, Refusal, Step, refusal
from napari_mdeblurgan.batch.output_folder import GROWN, OutputFolder
from napari_mdeblurgan.batch.recipe import Recipe
from napari_mdeblurgan.batch.trusting import (
    assess_in_memory,
    assess_on_disk,
    entry_on,
    restoring_part,
    write_report_beside,
)
from napari_mdeblurgan.restoration.measuring import told
from napari_mdeblurgan.storage import Micrograph, check_writable, open_image, write_image
from napari_mdeblurgan.storage.ome_zarr_metadata import OWN_KEY, PARTIAL
from napari_mdeblurgan.storage.provenance import read_provenance, record_of

if TYPE_CHECKING:
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.progress import Progress
    from napari_mdeblurgan.restoration.scan import Scan

HEARTBEAT_S = 0.25


class Stopped(Exception):
    """Writing was called off."""


def make_here(items: list[Item], recipe: Recipe, folder: OutputFolder) -> Generator[Step, None, None]:
    """Make the results one after the other in this process; closing the generator ends the work after its tile."""
    for waiting in items:
        item = waiting
        yield Begun(item)
        place = folder.workplace(item.output)
        outcome: Product | Refusal
        try:
            item = waiting.looked_at(recipe)
            folder.prepare(item.output)
            steps = make_result(recipe.opened(item.source), recipe, place, item.job)
            outcome = yield from told(steps, partial(Advanced, item))
        except Exception as error:
            outcome = refused(error, item, place, folder)
        yield Ended(item, outcome)


def refused(error: Exception, item: Item, place: Path, folder: OutputFolder) -> Refusal:
    """What an error means for an item, with the names that its user knows."""
    found = refusal(error, item.source.name)
    reason = found.reason.replace(str(place), str(folder.path / item.output))
    plain = f"{place.name.removesuffix('.ome.tif')}.tif"  # as a single image would be advised
    reason = reason.replace(f"write {plain} instead", "choose another format, such as TIFF (--format tiff)")
    return dataclasses.replace(found, reason=reason)


def make_result(image: Micrograph, recipe: Recipe, place: Path, job: str) -> Generator[Progress, None, Product]:
    """Make the result of one image; closing the generator ends the work, and what is in OME-Zarr is kept.

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
    if not place.exists():  # a whole OME-Zarr of an earlier run
        check_writable(place, image.axes, image.data.dtype)
    if recipe.blockwise(image):
        return (yield from _make_blockwise(image, recipe, place, job))
    return (yield from _make_in_memory(image, recipe, place))


def _make_in_memory(image: Micrograph, recipe: Recipe, place: Path) -> Generator[Progress, None, Product]:
    from napari_mdeblurgan.restoration.engine import restore_steps
    from napari_mdeblurgan.restoration.micrographs import plan_micrograph, restored_micrograph
    from napari_mdeblurgan.storage.reading import loaded

    model = recipe.model_for(image).load()
    image = dataclasses.replace(image, data=loaded(image.data))
    plan = plan_micrograph(image, model.card, **recipe.options())
    found = None
    if recipe.trust:
        from napari_mdeblurgan.trust.explanation import Explanation

        said = Explanation(plan)
        data = yield from restoring_part(restore_steps(image.data, plan, model, said.keep))
        found = yield from assess_in_memory(image, data, plan, recipe, said)
    else:
        data = yield from restore_steps(image.data, plan, model)
    record = record_of([entry_on(image, plan, model.card, found, recipe)])
    after = dataclasses.replace(restored_micrograph(image, data, plan), provenance=record)
    write_image(place, after)
    made = product(place, plan)
    if found is None:
        return made
    trust = write_report_beside(place, image, after, plan, model.card, found, recipe)
    return dataclasses.replace(made, trust=trust)


def _make_blockwise(image: Micrograph, recipe: Recipe, place: Path, job: str) -> Generator[Progress, None, Product]:
    from napari_mdeblurgan.restoration.progress import Progress

    path, made = zarr_path(place), known_product(place, image, recipe)
    total = made.pixels
    scan = yield from told(open_work(image, recipe, path, job), lambda _: Progress(0, total, 0.0))
    if scan is not None:
        made = product(place, scan.plan)
        steps = restoring_part(scan.steps()) if recipe.trust else scan.steps()
        with closing(steps):
            yield from steps
    if recipe.trust:
        made = dataclasses.replace(made, trust=(yield from assess_on_disk(image, recipe, path, place, job)))
    if path != place:
        yield from _stream(path, place, image.name, made.pixels)
    return made


def open_work(image: Micrograph, recipe: Recipe, path: Path, job: str) -> Generator[float, None, Scan | None]:
    """The scan that makes an OME-Zarr; None where an earlier run has finished it. Yields as `opening` does."""
    from napari_mdeblurgan.restoration.scan import opening

    if _job_of(path) == job:
        return None
    growing = path.with_name(path.name + PARTIAL)
    for place in (path, growing):
        if place.exists() and not (place == growing and _job_of(place) == job):
            shutil.rmtree(place)
    model = recipe.model_for(image).load()
    return (yield from opening(image, model, path, identity=job, **recipe.options()))


def product(place: Path, plan: RestorationPlan) -> Product:
    """What a plan makes at `place`."""
    return Product(
        place=place.name,
        pixels=math.prod(plan.output_shape) // (plan.colours or (1,))[0],
        model=plan.model,
        device=plan.device,
        precision=plan.precision,
        warnings=plan.warnings,
    )


def known_product(place: Path, image: Micrograph, recipe: Recipe) -> Product:
    """What an earlier run has made of an image at `place`; where it did so is not known any more."""
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


def write_from_zarr(path: Path, place: Path, name: str, stop: Event | None = None) -> None:
    """Write the result of a large image, called `name`, from the OME-Zarr that it grew in; setting `stop` calls it off.

    Raises
    ------
    FileError
        If it cannot be written.
    Stopped
        If it was called off.
    """
    grown = open_image(path)
    data = grown.data
    if stop is not None:

        def watched(block: np.ndarray) -> np.ndarray:
            if stop.is_set():
                raise Stopped
            return block

        data = data.map_blocks(watched, dtype=data.dtype, meta=np.empty((0,) * data.ndim, data.dtype))
    record = read_provenance(path)
    write_image(place, dataclasses.replace(grown, data=data, name=name, restored=True, provenance=record))


def _stream(path: Path, place: Path, name: str, total: int) -> Generator[Progress, None, None]:
    """The same in a thread, with signs of life in the meantime."""
    from napari_mdeblurgan.restoration.progress import Progress

    stop, failed = Event(), []

    def write() -> None:
        try:
            write_from_zarr(path, place, name, stop)
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=write, name="streaming a result")
    thread.start()
    try:
        while thread.is_alive():
            yield Progress(total, total, 0.0, total)
            thread.join(HEARTBEAT_S)
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]


def _job_of(path: Path) -> str | None:
    """The job that an OME-Zarr was begun for; None if that cannot be told."""
    try:
        own: dict[str, Any] = json.loads((path / "zarr.json").read_bytes())["attributes"][OWN_KEY]
        return str(json.loads(own["job"])["source"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
