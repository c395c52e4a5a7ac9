"""`mdeblurgan restore INPUT OUTPUT.ome.zarr`: block by block in bounded memory, and gone on with by the same command."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_mdeblurgan.commands.common import resumed_by
from napari_mdeblurgan.commands.trust import NAMES, Wishes, domain_lines
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.exclusive import Busy, locked
from napari_mdeblurgan.trust.recording import record_entry, write_report_of

if TYPE_CHECKING:
    from napari_mdeblurgan.exclusive import Lock
    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.progress import Progress
    from napari_mdeblurgan.restoration.tiling import Region
    from napari_mdeblurgan.storage import Micrograph
    from napari_mdeblurgan.trust.assess import Assessment

    Shown = Callable[[Generator[Progress, None, Any]], Any]

SHARE = 0.9  # of the memory that is free
TRUST_BYTES = 44  # for each pixel of the image


def is_made_on_disk(output: Path) -> bool:
    """Whether the result is an OME-Zarr."""
    return output.suffix.lower() == ".zarr"


def check_room(image: Micrograph, output: Path, factor: int, wishes: Wishes, region: Region | None = None) -> None:
    """Make sure that an image, its result and its maps fit into memory, if they have to.

    Raises
    ------
    FileError
        If they do not.
    """
    values, kind = math.prod(image.data.shape), np.dtype(image.data.dtype)
    rows, columns = (image.data.shape[image.axes.index(axis)] for axis in "YX")
    part = math.prod(stop - start for start, stop in region) / (rows * columns) if region else 1.0
    pixels = values // image.data.shape[-1] if image.rgb else values
    made = values * kind.itemsize * factor**2 + (pixels * TRUST_BYTES if wishes.assesses else 0)
    needed = values * kind.itemsize + part * made
    free = psutil.virtual_memory().available
    if needed > SHARE * free:
        raise FileError(
            f"{output} would take {needed / 1e9:.1f} GB of memory to make, and {free / 1e9:.1f} GB are free; let it end in "
            ".ome.zarr, which is made block by block."
        )


def restore_on_disk(
    source: Path,
    image: str,
    output: Path,
    model_name: Callable[[Micrograph], str],
    wishes: Wishes,
    compare: Path | None,
    shown: Shown,
    *,
    binning: int = 1,
    **settings: Any,
) -> Iterator[str]:
    """Restore an image of any size, or go on with that; yields the lines to print.

    Parameters
    ----------
    source, image : Path and str
        The file, and the name of the image in it.
    output : Path
        The OME-Zarr to make of it.
    model_name : callable
        From the image to the name of the model.
    wishes : Wishes
    compare : Path or None
        Picture of before and after.
    shown : callable
        Runs a generator of `Progress` to its end and shows how far it is.
    binning : int
        By how many pixels along y and x the image is binned first.
    **settings
        tile, device, precision and others, as in `make_plan`.

    Raises
    ------
    FileError
        If there is something of that name that was not begun by the same command, another command is making it, or it cannot
        be made.
    """
    from napari_mdeblurgan.model import load_model
    from napari_mdeblurgan.restoration.binning import binned_micrograph
    from napari_mdeblurgan.storage import open_image

    before = binned_micrograph(open_image(source, image), binning)
    model = load_model(model_name(before))
    kept = f"interrupted; what is done of {output} is kept, and the same command goes on from there."
    with _held(output) as lock, resumed_by(kept):
        if lock.note:
            yield lock.note
        yield from _made(before, model, output, wishes, compare, shown, settings, binning)


def _held(output: Path) -> Lock:
    """Keep other commands from writing to `output` in the meantime; however this one ends, it is free then."""
    try:
        return locked(output, output.with_name(output.name + ".lock"), "command", temporary=True)
    except Busy:
        raise FileError(
            f"Another command is making {output}; wait until it has ended, or choose another name."
        ) from None


def _made(
    before: Micrograph,
    model: Model,
    output: Path,
    wishes: Wishes,
    compare: Path | None,
    shown: Shown,
    settings: dict[str, Any],
    binning: int,
) -> Iterator[str]:
    from napari_mdeblurgan.restoration.scan import open_scan
    from napari_mdeblurgan.restoration.scan_job import plan_of_finished
    from napari_mdeblurgan.storage import open_image
    from napari_mdeblurgan.storage.ome_zarr_writing import keep_provenance
    from napari_mdeblurgan.storage.provenance import record_of
    from napari_mdeblurgan.trust.stored import assess_stored_steps

    plan = plan_of_finished(before, model, output, settings, wishes.ensemble) if wishes.assesses else None
    if plan is None:
        scan = open_scan(before, model, output, ensemble=wishes.ensemble, **settings)
        plan = scan.plan
        for warning in plan.warnings:
            print(f"mdeblurgan: {warning}", file=sys.stderr)
        yield plan.described
        yield from domain_lines(before.data, plan, model.card) if wishes.assesses else ()
        shown(scan.steps())
    after = open_image(output)
    yield f"{output}: {' × '.join(map(str, after.data.shape))} ({after.axes})"
    if wishes.assesses:
        yield "assessing the result"
        found = shown(assess_stored_steps(before, output, plan, model, disagreement=wishes.ensemble))
        entry = record_entry(before, plan, model.card, found, ensemble=wishes.ensemble, binning=binning)
        keep_provenance(output, record_of([entry]))
        if wishes.maps:
            yield from _maps(output, found)
        if wishes.report is not None:
            from napari_mdeblurgan.trust.settings import settings_of

            described = settings_of(plan, model.card, wishes.ensemble, binning)
            write_report_of(wishes.report, before, after, plan, found, described)
            yield str(wishes.report)
        yield found.sentence
    if compare is not None:
        _write_comparison(compare, before, after, plan)
        yield str(compare)


def _maps(output: Path, found: Assessment) -> Iterator[str]:
    from napari_mdeblurgan.storage.map_places import maps_path

    made = {each.name: each for each in found.maps}
    for name in (name for name in NAMES if name in made):
        unit = f", in {made[name].kind.unit}" if made[name].kind.unit else ""
        yield f"{maps_path(output, name)}: {made[name].kind.title.lower()}{unit}"


def _write_comparison(path: Path, before: Micrograph, after: Micrograph, plan: RestorationPlan) -> None:
    from napari_mdeblurgan.comparison import comparison, middle_index
    from napari_mdeblurgan.storage import Micrograph, write_image
    from napari_mdeblurgan.trust.excerpt import excerpt

    shown = excerpt(before.data, after.data, middle_index(before), plan.region)
    write_image(path, Micrograph(comparison(shown.before, shown.after), "YXS"))
