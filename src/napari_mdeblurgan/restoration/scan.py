"""A scan of any size, restored block by block into an OME-Zarr on disk, in bounded memory; it can
be gone on with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import at_home
from napari_mdeblurgan.restoration.fitting import interleaved
from napari_mdeblurgan.restoration.made import provenance_of
from napari_mdeblurgan.restoration.operations import (
    DISAGREEMENT,
    EXPLANATION,
    RESULT,
    Eightfold,
    TellTile,
    restoring_operation,
)
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.progress import Progress
from napari_mdeblurgan.restoration.read_in_turn import read_in_turn
from napari_mdeblurgan.restoration.room import check_room
from napari_mdeblurgan.restoration.scan_job import settling
from napari_mdeblurgan.restoration.scan_spread import create_spread
from napari_mdeblurgan.restoration.tile_size import fitting_batch
from napari_mdeblurgan.restoration.tiling import Region, Tile, TileLimit
from napari_mdeblurgan.restoration.walk import Operation, TileArrays, Todo, made_of, walk
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_writing import OmeZarrWriter, create_ome_zarr
from napari_mdeblurgan.storage.provenance import record_of

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.storage.array_part import ArrayPart, Spans
    from napari_mdeblurgan.storage.ome_zarr.ome_zarr_chunks import ChunkStore


@dataclass(frozen=True, slots=True)
class ScanBlock:
    """A part of one image of the stack that is restored in one go; whole chunks of the result.

    Attributes
    ----------
    index : tuple of int
        Which image: position along the axes before y.
    tile : Tile
        What is restored and what is read for that, in pixels of the source.
    y, x, height, width : int
        Where it lies in the result, in pixels of the result.
    """

    index: tuple[int, ...]
    tile: Tile
    y: int
    x: int
    height: int
    width: int

    @property
    def region(self) -> Region:
        """Start and stop along y and x of what is restored, in pixels of the source."""
        return (self.tile.y.start, self.tile.y.stop), (self.tile.x.start, self.tile.x.stop)

    @property
    def pixels(self) -> int:
        """Pixels of the result."""
        return self.height * self.width

    def meets(self, index: Sequence[int], region: Region) -> bool:
        """Whether the block shows in a view: an image of the stack, and start and stop along y and
        x in the source.
        """
        spans = zip(self.region, region, strict=True)
        return tuple(index) == self.index and all(a < d and c < b for (a, b), (c, d) in spans)


class Scan:
    """A restoration on its way to disk; made by `open_scan`.

    Attributes
    ----------
    plan : RestorationPlan
        With the windows of intensity measured.
    path : Path
        Where the result will be when it is finished.
    blocks : tuple of ScanBlock
        All of them, in the order in which they are done if nobody wants another.
    levels : list of ArrayPart
        The result at every level of its pyramid as far as it is there, for a viewer.
    known : list of callable
        For every level, reads some spans of it and tells which of their pixels are there, see
        `live_pyramid.known_level`.
    store : ChunkStore
        Writes blocks from other processes and machines too, see `restore_block`.
    fraction : float
        How much of the result is on disk, from 0 to 1.
    """

    def __init__(
        self,
        source: Micrograph,
        model: Model,
        plan: RestorationPlan,
        writer: OmeZarrWriter,
        ensemble: bool = False,
        spread: OmeZarrWriter | None = None,
    ) -> None:
        self.plan, self.path = plan, writer.path
        self.blocks = blocks_of(plan)
        self._source, self._model, self._writer = source, model, writer
        self._ensemble, self._spread = ensemble, spread
        self._wanted: tuple[tuple[int, ...], Region] | None = None

    @property
    def levels(self) -> list[ArrayPart]:
        return self._writer.levels

    @property
    def known(self) -> list[Callable[[Spans], tuple[np.ndarray, np.ndarray]]]:
        return self._writer.known

    @property
    def store(self) -> ChunkStore:
        return self._writer.store

    @property
    def fraction(self) -> float:
        done, of = self._writer.count()
        return done / of

    def is_done(self, block: ScanBlock) -> bool:
        """Whether a block is on disk, from this run or an earlier one."""
        writers = [self._writer] if self._spread is None else [self._writer, self._spread]
        return all(
            each.is_done(block.index, block.y, block.x, block.height, block.width)
            for each in writers
        )

    def missing(self) -> list[ScanBlock]:
        """The blocks that are not on disk."""
        return [block for block in self.blocks if not self.is_done(block)]

    def want(self, index: Sequence[int] | None = None, region: Region | None = None) -> None:
        """Do the blocks next that show in a view; from any thread, while the work goes on.

        Parameters
        ----------
        index : sequence of int, optional
            The image of the stack that is looked at: position along the axes before y. None ends
            the preference.
        region : ((int, int), (int, int)), optional
            Start and stop along y and x of what is seen of it, in pixels of the source; the whole
            image by default.
        """
        self._wanted = None if index is None else (tuple(index), region or self.plan.region)

    def steps(self, tell: TellTile | None = None) -> Generator[Progress, None, Path]:
        """Restore what is missing; yields once at the start and after every block, and returns
        where the result is.

        Closing the generator ends the work; what is done is kept, and `open_scan` with the same
        arguments goes on.

        Parameters
        ----------
        tell : callable, optional
            As in `restore_steps`; of what is restored once, and of the blocks of this run.

        Raises
        ------
        FileError
            If the disk is full, or the source cannot be read; where no block is done, nothing is
            left.
        OutOfMemory
            If not even the smallest tile fits.
        """
        start = time.perf_counter()
        todo = self.missing()
        total = sum(block.pixels for block in self.blocks)
        done = before = total - sum(block.pixels for block in todo)
        yield Progress(done, total, 0.0, before)
        places = Todo(todo, first=self._is_wanted)
        try:
            for blocks in self._walk(places, tell):
                done += sum(block.pixels for block in blocks)
                begun = int(places.begun * self.plan.factor**2)
                yield Progress(done + begun, total, time.perf_counter() - start, before)
            return self.finish()
        except FileError:
            self._writer.abandon_empty()
            raise

    def _walk(self, todo: Todo[ScanBlock], tell: TellTile | None) -> Iterator[list[ScanBlock]]:
        """Restore blocks, once or in eight orientations each; the spread of each is written before
        its mean.
        """
        image, plan, model = read_in_turn(self._source.data), self.plan, self._model
        windows = plan.windows or ()
        operation: Operation
        if self._ensemble:  # a block is written at once: it holds the work of eight
            behind, operation = 0, Eightfold(image, plan, windows, model)
        else:
            behind, todo.most = (
                1,
                fitting_batch(model.card, plan.grid.edge, plan.device, plan.precision),
            )
            operation = restoring_operation(image, plan, windows, model, explain=tell is not None)

        def write(block: ScanBlock, made: TileArrays) -> None:
            if self._spread is not None:
                self._spread.write(block.index, block.y, block.x, made[DISAGREEMENT])
            self._writer.write(block.index, block.y, block.x, made[RESULT])
            if tell is not None and EXPLANATION in made:
                tell(block.index, block.tile, made[EXPLANATION])

        return walk(todo, plan, operation, write, behind=behind)

    def arrived(self, block: ScanBlock) -> None:
        """Take note of a block that another process has written with `store.write_block`."""
        self._writer.arrived(block.index, block.y, block.x, block.height, block.width)

    def finish(self) -> Path:
        """Once no block is missing: complete the pyramid and give the result its name.

        Raises
        ------
        FileError
            If blocks are missing, the disk is full, or the name has been taken in the meantime.
        """
        if self._spread is not None:
            self._spread.finish()
        return self._writer.finish()

    def abandon(self) -> None:
        """Remove all that was written."""
        self._writer.abandon()

    def _is_wanted(self, block: ScanBlock) -> bool:
        wanted = self._wanted
        return wanted is not None and block.meets(*wanted)


def open_scan(source: Micrograph, model: Model, path: str | Path, **wishes: Any) -> Scan:
    """All of `opening` in one go."""
    return finished(opening(source, model, path, **wishes))


def opening(
    source: Micrograph,
    model: Model,
    path: str | Path,
    *,
    identity: str = "",
    in_place: bool = False,
    ensemble: bool = False,
    note: Mapping[str, Any] | None = None,
    **wishes: Any,
) -> Generator[float, None, Scan]:
    """Plan the restoration of an image of any size into an OME-Zarr, or go on with one that was
    begun and not finished.

    Parameters
    ----------
    source : Micrograph
        In memory or lazy (dask, zarr); it is read block by block.
    model : Model
        From `load_model`.
    path : str or Path
        Of the result; ends in ".zarr".
    identity : str, optional
        What tells the source from others, so that only the same one is gone on with; by default
        `source_identity`.
    in_place : bool
        Have the final name from the beginning; else ".partial" is added to it until the result is
        complete.
    ensemble : bool
        The mean of eight orientations, at eight times the cost; how far they lie apart is kept as a
        map within the result.
    note : mapping, optional
        What the record of the result is to say beside how it was made.
    **wishes
        As in `make_plan`: ``channel_axis`` (by default the source's channels), ``window``,
        ``tile``, ``device``, ``precision``, ``region``.

    Yields
    ------
    float
        How much of the image has been read to measure its windows of intensity, see `measuring`.
        Closing the generator ends that, and leaves nothing behind.

    Returns
    -------
    Scan
        What an earlier run of the same source, model and wishes has done is done; it goes on with
        that run's windows of intensity, tiles and precision.

    Raises
    ------
    ImageError
        In one sentence, if the image cannot be restored.
    FileError
        If there is something of that name already, it cannot be written there, or the disk is far
        too small.
    """
    path = at_home(path)
    plan, job = yield from settling(source, model, path, identity, in_place, wishes, ensemble)
    made = provenance_of(plan, model.card, source.name, ensemble=ensemble)
    writer = create_ome_zarr(
        path,
        plan.output_shape,
        source.axes,
        plan.dtype,
        chunk=plan.tile_step * plan.factor,
        **source.frame(plan.factor, plan.origin),
        display=source.display,
        grey_calibration=source.grey_calibration,
        name=source.name,
        job=job,
        in_place=in_place,
        provenance=record_of([{"made": {**made, **(note or {})}}]),
    )
    _check_room(writer, plan)
    spread = create_spread(source, writer.store.path, plan, job) if ensemble else None
    return Scan(source, model, plan, writer, ensemble, spread)


def restore_block(
    block: ScanBlock,
    image: Any,
    plan: RestorationPlan,
    model: Model,
    limit: TileLimit | None = None,
) -> np.ndarray:
    """Restore one block; in any process or machine that has the image and the model.

    Write what comes back by ``scan.store.write_block(block.index, block.y, block.x, pixels)``
    there, then tell the scan by ``scan.arrived(block)`` here.

    Parameters
    ----------
    block : ScanBlock
        One of `Scan.blocks`.
    image : array
        The data of the source, in memory or lazy.
    plan : RestorationPlan
        The scan's.
    model : Model
        The scan's.
    limit : TileLimit, optional
        What is known about the memory from other blocks, and will be for the next ones.

    Returns
    -------
    ndarray, shape (block.height, block.width) or (block.height, block.width, colours)
        `plan.dtype`.

    Raises
    ------
    FileError
        If the source cannot be read.
    OutOfMemory
        If not even the smallest tile fits.
    """
    operation = restoring_operation(image, plan, plan.windows or (), model)
    return made_of(block, plan, operation, limit or TileLimit())[RESULT]


def blocks_of(plan: RestorationPlan) -> tuple[ScanBlock, ...]:
    """All blocks of a plan: image by image, and neighbours close together, so that coarser levels
    are soon complete.
    """
    top, left = plan.origin
    rows, columns = plan.grid.spans
    order = sorted(np.ndindex(len(rows), len(columns)), key=lambda at: interleaved(*at))
    f = plan.factor
    return tuple(
        ScanBlock(
            index,
            Tile(y, x),
            (y.start - top) * f,
            (x.start - left) * f,
            (y.stop - y.start) * f,
            (x.stop - x.start) * f,
        )
        for index in np.ndindex(*plan.leading)
        for y, x in ((rows[j], columns[i]) for j, i in order)
    )


def _check_room(writer: OmeZarrWriter, plan: RestorationPlan) -> None:
    done, of = writer.count()
    try:
        check_room(writer.path, plan.output_shape, plan.dtype, 1 - done / of)
    except FileError:
        if not done:
            writer.abandon()
        raise
