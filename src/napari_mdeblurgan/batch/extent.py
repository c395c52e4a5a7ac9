"""How much there is to do, before a batch is begun: a look at the images without reading their
pixels.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

from napari_mdeblurgan.batch.batch_recipe import Recipe
from napari_mdeblurgan.batch.inputs import Input, Source, candidates, find_sources, sources_in
from napari_mdeblurgan.batch.manifest import MANIFEST, Manifest
from napari_mdeblurgan.batch.planned import results_in
from napari_mdeblurgan.batch.settings import BatchSettings
from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.storage import FileImage, Micrograph, local_path

LOOKED_AT = 40  # files, spread over all of them; opening thousands takes minutes


@dataclass(frozen=True, slots=True)
class Extent:
    """An image that is to be restored.

    Attributes
    ----------
    values : int
        Of the image as it goes through the network, colours counted one by one.
    rgb : bool
        Whether it is in colour.
    on_disk : bool
        Whether its result is made block by block.
    """

    values: int
    rgb: bool
    on_disk: bool


@dataclass(frozen=True, slots=True)
class Extents:
    """What a batch has to do.

    Attributes
    ----------
    images : tuple of Extent
        Of the files that were looked at, those whose results are missing.
    looked_at, files : int
        How many files that were, and how many there are whose results may be missing.
    """

    images: tuple[Extent, ...]
    looked_at: int
    files: int

    @property
    def share(self) -> float:
        """By how much all there is is more than what was looked at."""
        return self.files / self.looked_at if self.looked_at else 1.0


@dataclass(frozen=True, slots=True)
class _File:
    """A file that may hold several images, and the folder below which its results keep their
    folders.
    """

    path: Path
    base: Path


def extents(
    inputs: Iterable[Input], output: str | Path, settings: BatchSettings
) -> Generator[None, None, Extents]:
    """Look at some of the images; yields after each, so that it can be left at any time.

    Images that cannot be read count for nothing, as the batch says why when their turn comes.

    Parameters
    ----------
    inputs, output, settings
        As for `open_batch`; the output folder need not be there, and nothing is written to it.

    Raises
    ------
    MdeblurganError
        In one sentence, if something that was named does not exist, or a model is unfit.
    """
    recipe, folder = settings.recipe(), local_path(output)
    manifest = Manifest(folder / MANIFEST)
    done = results_in(manifest, folder)
    if not settings.overwrite:
        made = ((each.made, name) for (_, name), each in manifest.records.items())
        done |= {
            each.input
            for each, name in made
            if each and each.settings == recipe.settings and (folder / name).exists()
        }
    work: list[Source | _File] = []
    for each in inputs:
        yield
        if isinstance(each, FileImage | Micrograph):
            work += find_sources([each], folder)
        else:
            work += [_File(*each) for each in candidates([each], folder).items()]
    work = [
        one for one in work if isinstance(one, Source) or os.path.realpath(one.path) not in done
    ]
    chosen = (
        work
        if len(work) <= LOOKED_AT
        else [work[len(work) * n // LOOKED_AT] for n in range(LOOKED_AT)]
    )
    found = []
    for one in chosen:
        for source in [one] if isinstance(one, Source) else sources_in(one.path, one.base):
            yield
            if source.key not in done and (extent := _extent(source, recipe)) is not None:
                found.append(extent)
    return Extents(tuple(found), len(chosen), len(work))


def _extent(source: Source, recipe: Recipe) -> Extent | None:
    try:
        image = recipe.opened(source)
    except (MdeblurganError, OSError):
        return None
    return Extent(int(image.data.size), image.rgb, recipe.blockwise(image))
