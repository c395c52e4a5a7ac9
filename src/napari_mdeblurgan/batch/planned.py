"""Which images a batch has, what their results are called, and which of them are there already."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from napari_mdeblurgan.batch.batch_recipe import Recipe
from napari_mdeblurgan.batch.fingerprint import Fingerprint, fingerprint
from napari_mdeblurgan.batch.inputs import Source
from napari_mdeblurgan.batch.item import Item
from napari_mdeblurgan.batch.manifest import FailedEntry, MadeEntry, Manifest, ManifestRecord
from napari_mdeblurgan.batch.naming import name_results
from napari_mdeblurgan.batch.output_folder import OutputFolder
from napari_mdeblurgan.batch.settings import BatchSettings
from napari_mdeblurgan.errors import FileError, MdeblurganError


def results_in(manifest: Manifest, folder: Path) -> set[str]:
    """The paths of all that batches into a folder have made."""
    records, root = manifest.records, os.path.realpath(folder)
    made = [(output, each) for (_, output), each in records.items() if each.made]
    names = [output for output, _ in made]
    names += [
        str(PurePosixPath(output).with_name(name)) for output, each in made for name in each.maps
    ]
    return {os.path.join(root, *name.split("/")) for name in names}  # noqa: PTH118


def planned(
    sources: list[Source], folder: OutputFolder, settings: BatchSettings, recipe: Recipe
) -> tuple[list[Item], list[Item], list[Path]]:
    """The images with the names of their results, those that are to be made, and the results that
    are there.
    """
    records = folder.manifest.records
    taken = [output for _, output in records]
    names = name_results(
        sources, recipe.suffix, folder.path, folder.manifest.outputs(recipe.suffix), taken
    )
    items, todo, outputs, others = [], [], [], 0
    for source in sources:
        name = names[source.key]
        record = records.get((source.key, name))
        if settings.retry_failed and not (record and isinstance(record.last, FailedEntry)):
            continue
        try:
            seen = fingerprint(source)
        except MdeblurganError:  # said again when its turn comes
            seen = Fingerprint(0, "")
        item = Item(source, name, seen, recipe.job(seen))
        items.append(item)
        if record and _is_there(record, item, folder, recipe):
            folder.forget_done(name)
            outputs.append(folder.path / name)
            continue
        todo.append(item)
        if record and record.made and record.made.settings != recipe.settings:
            others += folder.has(name, record.marks)
    if others and not settings.overwrite:
        raise FileError(
            f"{folder.path} holds {others} results of another model or other settings; choose "
            "another folder, or let them be overwritten (--overwrite)."
        )
    return items, todo, outputs


def has_changed(item: Item) -> bool:
    """Whether an image is another one than when the work on it began, or is gone."""
    try:
        return fingerprint(item.source) != item.seen
    except MdeblurganError:
        return True


def _is_there(record: ManifestRecord, item: Item, folder: OutputFolder, recipe: Recipe) -> bool:
    """Whether an earlier run has made this very result, and assessed it if that is wished.

    One that lacks but its name gets it.
    """
    made = record.last
    if (
        not isinstance(made, MadeEntry)
        or made.job != item.job
        or (recipe.trust and made.trust is None)
    ):
        return False
    if folder.has(item.output, frozenset({made.mark})):
        return True
    work = folder.work / made.work
    ours = folder.has(item.output, record.marks)
    if not folder.holds(made.work, made.mark) or (folder.is_there(item.output) and not ours):
        return False
    folder.place_report(work, item.output, bool(made.trust))
    folder.place_maps(work, item.output, made.maps, record.maps, overwrite=False)
    folder.place(work, item.output, ours)
    return True
