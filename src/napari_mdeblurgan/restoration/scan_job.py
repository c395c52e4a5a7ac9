"""What makes a scan what it is: source, model and settings, kept with the result so that it is gone
on with as begun.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask.base import tokenize

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.micrographs import (
    planning_micrograph,
    restored_micrograph,
    with_known,
)
from napari_mdeblurgan.restoration.output_scale import output_factor, softness_at
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.softness import AUTO, Softness, chosen_softness
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import open_image
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_begun import begun_job, finished_job

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model, ModelCard


def source_identity(image: Any) -> str:
    """What tells an image from every other, also in another process: of an array in memory a digest
    of its pixels.

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
    """The plan of a scan, and the job that `create_ome_zarr` is to know it by; yields as `planning`
    does.

    Where the same job was begun before, its intensity windows, tile and precision are taken over,
    so that the rest of the result fits to what is there.

    Raises
    ------
    ImageError
        In one sentence, if the image cannot be restored.
    FileError
        If the disk is far too small.
    """
    wishes = with_known(source, wishes)
    identical = _identical(source, model.card, identity, wishes, ensemble)
    begun = _kept(begun_job(path, in_place=in_place), identical, wishes, model.card)
    options = {**wishes, **begun, "on_disk": path, "eightfold": ensemble}
    plan = yield from planning_micrograph(source, model.card, **options)
    kept: dict[str, Any] = {
        "window": [(window.low, window.high) for window in plan.windows or ()],
        "tile": plan.tile,
        "precision": plan.precision,
    }
    if plan.softness != _softness(None, wishes, model.card):
        kept["softness"] = [plan.softness.sigma, plan.softness.reason]
    return plan, json.dumps(identical | {"begun": kept})


def plan_of_finished(
    source: Micrograph,
    model: Model,
    path: Path,
    wishes: Mapping[str, Any],
    ensemble: bool = False,
    identity: str = "",
) -> RestorationPlan | None:
    """The plan that a finished scan was made by; None if there is none at `path`, or it is of
    another job or place.

    Parameters
    ----------
    source, model, path, identity, wishes, ensemble
        As for `open_scan`.
    """
    wishes = with_known(source, wishes)
    identical = _identical(source, model.card, identity, wishes, ensemble)
    kept = _kept(finished_job(path), identical, wishes, model.card)
    if not kept:
        return None
    options = {**wishes, **kept, "on_disk": path, "eightfold": ensemble}
    plan = finished(planning_micrograph(source, model.card, **options))
    found = open_image(path)
    return plan if restored_micrograph(source, found.data, plan).place == found.place else None


def begun_otherwise(
    source: Micrograph, card: ModelCard, path: Path, wishes: Mapping[str, Any], ensemble: bool
) -> bool:
    """Whether a scan that was begun at `path` is of another source or model, or of other wishes
    than these, see `open_scan`.
    """
    job, wishes = begun_job(path), with_known(source, wishes)
    return job is not None and not _kept(
        job, _identical(source, card, "", wishes, ensemble), wishes, card
    )


def _identical(
    source: Micrograph, card: ModelCard, identity: str, wishes: Mapping[str, Any], ensemble: bool
) -> dict[str, Any]:
    """What has to be the same for two jobs to be the same."""
    identical: dict[str, Any] = {
        "source": identity or source_identity(source.data),
        "model": card.weights_sha256,
        "wishes": {
            name: repr(wish)
            for name, wish in sorted(wishes.items())
            if name not in ("device", "whole")
        },
    }
    return identical | ({"ensemble": True} if ensemble else {})


def _kept(
    job: str | None, identical: Mapping[str, Any], wishes: Mapping[str, Any], card: ModelCard
) -> dict[str, Any]:
    """What was settled when this very job was begun, as wishes; nothing where it was not."""
    try:
        found = json.loads(job or "{}")
        kept = found.pop("begun")
        if "whole" in wishes:  # earlier versions took its windows for wishes
            found["wishes"].pop("window", None)
        if found != identical:
            return {}
        windows = [Window(low, high) for low, high in kept["window"]]
        return {
            "window": [(window.low, window.high) for window in windows],
            "tile": int(kept["tile"]),
            "precision": str(kept["precision"]),
            "softness": _softness(kept.get("softness"), wishes, card),
        }
    except (ValueError, KeyError, TypeError, AttributeError, ImageError, RecursionError):
        return {}


def _softness(kept: Any, wishes: Mapping[str, Any], card: ModelCard) -> Softness:
    """That of a scan that was begun; where none is kept, as earlier versions did, what follows
    from all but the pixels.
    """
    if kept is not None:
        sigma, reason = kept
        return Softness(chosen_softness(float(sigma)).sigma, str(reason))
    factor = output_factor(wishes.get("output_scale"), card)
    return chosen_softness(
        wishes.get("softness", AUTO),
        wishes.get("objective"),
        wishes.get("pixel_size_um"),
        softness_at(card, factor, wishes.get("binning", 1)),
    )
