"""The folder in which large results are made: where it is, how much lies there, and how it is
emptied. No Qt in here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan import folders
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import OWN_KEY, PARTIAL

if TYPE_CHECKING:
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.widgets.runs.job import Job

_SUFFIX = ".ome.zarr"
LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Result:
    """A result in the folder: an OME-Zarr that this program has made or begun, and its size on
    disk.
    """

    path: Path
    bytes: int

    @property
    def finished(self) -> bool:
        """Whether it is whole."""
        return not self.path.name.endswith(PARTIAL)

    @property
    def final_path(self) -> Path:
        """What it is called when it is finished."""
        return (
            self.path
            if self.finished
            else self.path.with_name(self.path.name.removesuffix(PARTIAL))
        )


def clean_name(name: str) -> str:
    """A layer's name as part of a file's, on every system: with round brackets, and `_` for what
    may not be there.
    """
    name = name.translate(str.maketrans("[]{}", "()()"))
    return re.sub(r"[^\w.,() +×-]+", "_", name).strip(" ._")[:LONGEST_NAME].strip(" ._") or "image"


def result_ending(job: Job, identity: str, card: ModelCard) -> str:
    """How the name of a job's result ends: the same for the same image, place, model and settings,
    another for any other.

    Parameters
    ----------
    job : Job
        What is to be restored.
    identity : str
        ``job.identity``, which takes long for a large image in memory.
    card : ModelCard
        Of the model, whose name in the job does not count.
    """
    from dask.base import tokenize

    planes = [(span.start, span.stop) for span in job.planes] if job.is_part else None
    settings: list[Any] = [
        planes,
        job.region,
        job.window_axes,
        job.rgb,
        *(["ensemble"] if job.ensemble else []),
    ]
    settings += [job.precision] if job.precision != "auto" else []
    settings += [] if job.output_scale is None else [{"output_scale": job.output_scale}]
    settings.append(job.placement.told())
    outline = job.part.told(job.binning) if job.part is not None else None
    settings += [] if outline is None else [{"outline": outline}]
    return f" {tokenize(identity, card.weights_sha256, *settings)[:8]}{_SUFFIX}"


def results_cache() -> Path:
    """Where results go if the user has not picked a place: in the cache folder."""
    return folders.cache_folder() / "results"


def listed_results(folder: Path) -> list[Result]:
    """The results in a folder; what this program has not made is none. Reads the sizes of all their
    files.
    """
    try:
        found = sorted(
            path for path in folder.iterdir() if path.name.removesuffix(PARTIAL).endswith(_SUFFIX)
        )
    except OSError:
        return []
    return [Result(path, sum(_sizes(path))) for path in found if _is_ours(path)]


def remove_results(results: Collection[Result], kept: Collection[Path]) -> list[Result]:
    """Remove results, but for those whose final paths are in `kept`; returns the removed ones.

    Raises
    ------
    FileError
        In one sentence, at the first one that cannot be removed.
    """
    in_use = {real_path(path) for path in kept}
    removed = []
    for result in results:
        if real_path(result.final_path) in in_use or not _is_ours(result.path):
            continue
        try:
            shutil.rmtree(result.path)
        except OSError as error:
            raise FileError(
                f"{result.path} cannot be removed: {error.strerror}; close what has it open."
            ) from error
        removed.append(result)
    return removed


def _is_ours(path: Path) -> bool:
    """Whether a path is a real folder that has the mark of this program."""
    if path.is_symlink() or not path.is_dir():
        return False
    try:
        attributes = json.loads((path / "zarr.json").read_text(encoding="utf-8")).get(
            "attributes", {}
        )
    except (OSError, ValueError, AttributeError, RecursionError):
        return False
    return isinstance(attributes, dict) and isinstance(attributes.get(OWN_KEY), dict)


def _sizes(folder: Path) -> Iterator[int]:
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                yield Path(root, name).stat().st_size
            except OSError:
                continue  # it has just gone
