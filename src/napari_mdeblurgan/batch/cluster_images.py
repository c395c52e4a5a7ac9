"""Images on a cluster: what is handed out of each, stage by stage, and what it means when that
comes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.batch.batch_recipe import Recipe
from napari_mdeblurgan.batch.item import Assessed, Item, Product, Refusal
from napari_mdeblurgan.batch.making import (
    known_product,
    open_work,
    product,
    refused,
    with_maps,
    zarr_path,
)
from napari_mdeblurgan.batch.output_folder import OutputFolder
from napari_mdeblurgan.batch.worker import assess_large, make_block, make_image, write_large
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.restoration.arrays import Cutout
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import FileImage
from napari_mdeblurgan.storage.reading import loaded

if TYPE_CHECKING:
    from napari_mdeblurgan.batch.inputs import Source
    from napari_mdeblurgan.restoration.progress import Progress
    from napari_mdeblurgan.restoration.scan import Scan, ScanBlock
    from napari_mdeblurgan.storage import Micrograph

SEEN_S = 60
UNASSESSED = (
    "it was restored but not assessed, for workers cannot read an image of this size that is in "
    "no file; save it first, or run the batch on this computer."
)

Answer = Product | Assessed | Refusal | None
Arrival = Callable[[Answer], None]


@dataclass(frozen=True, slots=True)
class Call:
    """A function that a worker is to call, and what is done here with its answer."""

    function: Callable[..., Answer]
    arguments: tuple[Any, ...]
    arrived: Arrival


class ClusterImage:
    """An image on its way. Nothing here raises: an error becomes its outcome.

    Attributes
    ----------
    item : Item
        The image as it was when the work on it began.
    outcome : Product, Refusal or None
        Once it has come to its end.
    progress : Progress or None
        How far a large one has come.
    """

    def __init__(self, item: Item, recipe: Recipe, folder: OutputFolder, run: str) -> None:
        self.item = replace(item, source=_found_anywhere(item.source))
        self.outcome: Product | Refusal | None = None
        self.progress: Progress | None = None
        self._recipe, self._folder, self._run = recipe, folder, run
        self._place = folder.workplace(item.output)
        self._stages = self._work()
        self._calls: Iterator[Call] = iter(())
        self._out = 0
        self._trust: dict[str, Any] = {}

    def next_call(self) -> Call | None:
        """What can be handed out now; None where nothing can until something
        comes back, or ever.
        """
        while self.outcome is None:
            try:
                call = next(self._calls, None)
                if call is None and not self._out:
                    self._calls = next(self._stages)
                    continue
            except Exception as error:
                self.outcome = refused(error, self.item, self._place, self._folder)
                return None
            self._out += call is not None
            return call
        return None

    def returned(self, call: Call, answer: Answer) -> None:
        """Take note of what a worker has done."""
        self._out -= 1
        if self.outcome is not None:
            return
        if isinstance(answer, Refusal):
            final = str(self._folder.path / self.item.output)
            self.outcome = replace(answer, reason=answer.reason.replace(str(self._place), final))
            return
        try:
            call.arrived(answer)
        except Exception as error:
            self.outcome = refused(error, self.item, self._place, self._folder)

    def _work(self) -> Iterator[Iterator[Call]]:
        """The stages of the work; each begins when all of the one before has come back."""
        self.item = self.item.looked_at(self._recipe)
        self._folder.prepare(self.item.output)
        image = self._recipe.opened(self.item.source)
        if not self._recipe.is_large(image):
            yield self._whole(image)
            return
        path = zarr_path(self._place)
        scan = finished(open_work(image, self._recipe, path, self.item.job))
        made = known_product(self._place, image, self._recipe)
        if scan is not None:
            made = product(self._place, scan.plan)
            yield self._blocks(image, scan, made.pixels)
            scan.finish()
        if self._recipe.trust:
            if self.item.source.path is not None:
                yield self._assessed(path)
                made = replace(made, trust=self._trust)
            else:
                made = replace(made, trust={}, warnings=(*made.warnings, UNASSESSED))
        if path != self._place:
            yield self._streamed(path, image.name)
        self.outcome = with_maps(made, self._place)
        yield iter(())

    def _whole(self, image: Micrograph) -> Iterator[Call]:
        """A small image in one go, in a folder of this run's: what an earlier one has handed out
        may still be under way.
        """
        source, place = self.item.source, self._place.parent / self._run / self._place.name
        if source.image is not None:
            source = replace(source, image=replace(image, data=loaded(image.data)))

        def arrived(answer: Answer) -> None:
            assert isinstance(answer, Product)
            self.outcome = answer

        yield Call(make_image, (source, self._recipe, place, self.item.job), arrived)

    def _blocks(self, image: Micrograph, scan: Scan, total: int) -> Iterator[Call]:
        """The missing blocks of a large image. Those of images that are in no
        file are read here.
        """
        from napari_mdeblurgan.restoration.progress import Progress

        missing, start = scan.missing(), time.perf_counter()
        before = total - sum(block.pixels for block in missing)
        self.progress = Progress(before, total, 0.0, before)
        model = self._recipe.model_for(image)
        for block in missing:
            path = self.item.source.path
            source: FileImage | Cutout
            if path is not None:
                source = FileImage(path, self.item.source.within)
            else:
                rows, columns = block.tile.y.source, block.tile.x.source
                source = Cutout(
                    np.asarray(image.data[(*block.index, rows, columns)]), rows.start, columns.start
                )

            def arrived(_: Answer, block: Any = block) -> None:
                _wait_until_seen(scan, block)
                scan.arrived(block)
                done = self.progress.done if self.progress else before
                self.progress = Progress(
                    done + block.pixels, total, time.perf_counter() - start, before
                )

            name, wish = self.item.source.name, self._recipe.device
            yield Call(
                make_block,
                (source, name, block, scan.plan, wish, model, scan.store, image.binning),
                arrived,
            )

    def _assessed(self, path: Path) -> Iterator[Call]:
        """A large result in one go: one worker reads the image and the result from their files."""

        def arrived(answer: Answer) -> None:
            assert isinstance(answer, Assessed)
            self._trust = answer.trust

        yield Call(
            assess_large,
            (self.item.source, self._recipe, path, self._place, self.item.job),
            arrived,
        )

    def _streamed(self, path: Path, name: str) -> Iterator[Call]:
        """A large result from its OME-Zarr to the file that is wanted."""
        yield Call(write_large, (path, self._place, name), lambda _: None)


def _found_anywhere(source: Source) -> Source:
    """A source with the whole path of its file, for workers work in folders of their own."""
    return source if source.path is None else replace(source, path=source.path.absolute())


def _wait_until_seen(scan: Scan, block: ScanBlock) -> None:
    """Wait until what a worker has written is seen here: file systems of networks take a while.

    Raises
    ------
    FileError
        If that takes too long.
    """
    store, end = scan.store, time.monotonic() + SEEN_S
    for chunk in store.chunks_in(block.index, block.y, block.x, block.height, block.width):
        path = store.path.joinpath("0", "c", *map(str, (*chunk.plane, chunk.row, chunk.column)))
        while not path.exists():
            if time.monotonic() > end:
                raise FileError(
                    f"What the workers have written to {store.path} is not seen here; results must "
                    "be in a folder that has the same path on all machines."
                )
            if path.parent.exists():
                list(path.parent.iterdir())  # has NFS look again
            time.sleep(0.1)
