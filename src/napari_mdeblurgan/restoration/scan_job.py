"""What makes a scan what it is: source, model and settings, kept with the result so that it is gone on with as begun."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask.base import tokenize

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration.fitting import fine_grid
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.measuring import measuring
from napari_mdeblurgan.restoration.micrographs import plan_micrograph, restored_micrograph, with_known
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.room import check_room
from napari_mdeblurgan.restoration.tile_size import fitting_tile
from napari_mdeblurgan.storage import open_image
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.ome_zarr_layout import CHUNK_EDGE
from napari_mdeblurgan.storage.ome_zarr_writing import begun_job, finished_job

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model


def source_identity(image: Any) -> str:
    """What tells an image from every other, also in another process: of an array in memory a digest of its pixels.

    That of an image from `storage.open_image` holds the file's path, size and time of change.
    """
    if hasattr(image, "dask"):
        return str(image.name)
    if hasattr(image, "store"):  # zarr
        return tokenize(str(image.store), getattr(image, "path", ""), image.shape, str(image.dtype))
    return tokenize(image)


def settling(
    source: Micrograph,
    model: Model,
    path: Path,
    identity: str,
    in_place: bool,
    wishes: Mapping[str, Any],
    ensemble: bool = False,
) -> Generator[float, None, tuple[RestorationPlan, str]]:
    """The plan of a scan, and the job that `create_ome_zarr` is to know it by; yields as `measuring` does.

    Where the same job was begun before, its intensity windows, tile and precision are taken over, so that the rest of the
    result fits to what is there.

    Raises
    ------
    ImageError
        In one sentence, if the image cannot be restored.
    FileError
        If the disk is far too small.
    """
    wishes = with_known(source, wishes)
    identical = _identical(source, model, identity, wishes, ensemble)
    begun = _kept(begun_job(path, in_place=in_place), identical)
    plan = plan_micrograph(source, model.card, in_memory=False, **{**wishes, **begun})
    if not begun and wishes.get("tile") is None:
        plan = replace(plan, tile=fitting_tile(model.card, plan.device, plan.precision, quick=False))
    if ensemble:
        plan = replace(plan, tile=fine_grid(plan).tile)
    if not begun:
        check_room(path, plan)  # before pixels are read, of which there may be fewer than is claimed
    if plan.windows is None:
        plan = replace(plan, windows=(yield from measuring(source.data, plan.rgb, plan.window_axes)))
    chunk = min(CHUNK_EDGE, plan.tile // plan.grid.multiple * plan.grid.multiple * plan.factor)
    plan = replace(plan, tile_step=chunk // plan.factor)
    kept = {
        "window": [(window.low, window.high) for window in plan.windows or ()],
        "tile": plan.tile,
        "precision": plan.precision,
    }
    return plan, json.dumps(identical | {"begun": kept})


def plan_of_finished(
    source: Micrograph, model: Model, path: Path, wishes: Mapping[str, Any], ensemble: bool = False, identity: str = ""
) -> RestorationPlan | None:
    """The plan that a finished scan was made by; None if there is none at `path`, or it is of another job or place.

    Parameters
    ----------
    source, model, path, identity, wishes, ensemble
        As for `open_scan`.
    """
    wishes = with_known(source, wishes)
    kept = _kept(finished_job(path), _identical(source, model, identity, wishes, ensemble))
    if not kept:
        return None
    plan = plan_micrograph(source, model.card, in_memory=False, **{**wishes, **kept})
    found = open_image(path)
    return plan if restored_micrograph(source, found.data, plan).place == found.place else None


def _identical(
    source: Micrograph, model: Model, identity: str, wishes: Mapping[str, Any], ensemble: bool
) -> dict[str, Any]:
    """What has to be the same for two jobs to be the same."""
    identical: dict[str, Any] = {
        "source": identity or source_identity(source.data),
        "model": model.card.weights_sha256,
        "wishes": {name: repr(wish) for name, wish in sorted(wishes.items()) if name != "device"},
    }
    return identical | ({"ensemble": True} if ensemble else {})


def _kept(job: str | None, identical: Mapping[str, Any]) -> dict[str, Any]:
    """What was settled when this very job was begun, as wishes; nothing where it was not."""
    try:
        found = json.loads(job or "{}")
        kept = found.pop("begun")
        if found != identical:
            return {}
        windows = [Window(low, high) for low, high in kept["window"]]
        return {
            "window": [(window.low, window.high) for window in windows],
            "tile": int(kept["tile"]),
            "precision": str(kept["precision"]),
        }
    except (ValueError, KeyError, TypeError, AttributeError, ImageError, RecursionError):
        return {}
