"""A batch from its beginning to its end: what is missing is made, results get their names, the
manifest says so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_mdeblurgan.batch.batch_recipe import Recipe
from napari_mdeblurgan.batch.batch_table import write_summary
from napari_mdeblurgan.batch.fingerprint import fingerprint
from napari_mdeblurgan.batch.here import make_here
from napari_mdeblurgan.batch.inputs import Input, Source, find_sources
from napari_mdeblurgan.batch.item import (
    Advanced,
    BatchStep,
    Begun,
    Ended,
    Item,
    Product,
    Refusal,
    refusal,
)
from napari_mdeblurgan.batch.manifest import FailedEntry, MadeEntry
from napari_mdeblurgan.batch.marks import mark_of
from napari_mdeblurgan.batch.output_folder import (
    OutputFolder,
    map_names,
    report_name,
    workplace_name,
)
from napari_mdeblurgan.batch.planned import has_changed, planned, results_in
from napari_mdeblurgan.batch.progress import BatchMeter, BatchProgress, Failure, Success
from napari_mdeblurgan.batch.settings import BatchSettings
from napari_mdeblurgan.errors import FileError, MdeblurganError
from napari_mdeblurgan.storage import local_path
from napari_mdeblurgan.trust.verdict import Verdict, verdict_from

_ELSEWHERE = (
    "is there already, from elsewhere; move it away, or let it be overwritten (--overwrite)."
)


@dataclass
class Batch:
    """A batch that holds its output folder; made by `open_batch`, used in a ``with`` block or
    closed by hand.

    Attributes
    ----------
    folder : OutputFolder
        Where the results go.
    items : tuple of Item
        All images.
    todo : list of Item
        Those whose results are missing.
    outputs : list of Path
        Results that are there, those of earlier runs first.
    failures : list of Failure
        What failed in this run.
    notes : tuple of str
        What the user should know from the beginning, one sentence each.
    summary : Path or None
        The page with the table of all images, once it was written: when the work ends, or is
        cancelled.
    summary_problem : str
        Why it could not be written, in one sentence.
    patient : bool
        Whether an image that changes while it is restored is no failure, but one of `postponed`, to
        be taken again later.
    postponed : list of Item
        Those of the last `work`.
    """

    folder: OutputFolder
    settings: BatchSettings
    recipe: Recipe
    items: tuple[Item, ...]
    todo: list[Item]
    outputs: list[Path] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    summary: Path | None = None
    summary_problem: str = ""
    patient: bool = False
    postponed: list[Item] = field(default_factory=list)
    _lasting: ExitStack = field(default_factory=ExitStack)  # what is kept for the next images
    _client: Any = None

    @property
    def notes(self) -> tuple[str, ...]:
        return self.folder.notes

    @property
    def _here(self) -> bool:
        """Whether the work is done in this process."""
        return self.settings.scheduler is None and self.settings.workers is None

    def steps(self) -> Generator[BatchProgress, None, None]:
        """Make what is missing; yields at the start, whenever an image begins or ends, and after
        every tile.

        Closing the generator ends the work; whatever is done is kept, and another batch goes on
        from there. However it ends, the table of all images is written.

        Raises
        ------
        MdeblurganError
            In one sentence, where no image can be restored any more: the disk is full, the cluster
            is gone.
        """
        try:
            yield from self.work()
        finally:
            self.summarise()

    def verdicts(self) -> dict[str, Verdict]:
        """Those of earlier runs on results that are there, by the names of the images."""
        found, missing = {}, {item.source.key for item in self.todo}
        for item in self.items:
            record = self.folder.manifest.records.get((item.source.key, item.output))
            if item.source.key in missing or record is None or record.made is None:
                continue
            if (verdict := verdict_from(record.made.trust)) is not None:
                found[item.source.name] = verdict
        return found

    def summarise(self) -> None:
        """Write the table of all images, as CSV and as a page."""
        self.summary_problem = ""
        try:
            self.summary = write_summary(self.folder, [item.source.key for item in self.items])
        except FileError as error:
            self.summary_problem = str(error)

    def take(self, sources: list[Source]) -> None:
        """Have `work` see to these images next; those among them that it has seen to before are
        seen to anew.

        Raises
        ------
        FileError
            If results of other settings would be replaced.
        """
        items, self.todo, outputs = planned(sources, self.folder, self.settings, self.recipe)
        keys, names = {item.source.key for item in items}, {item.source.name for item in items}
        made = {self.folder.path / item.output for item in items}
        self.items = (*(item for item in self.items if item.source.key not in keys), *items)
        self.outputs = [*(path for path in self.outputs if path not in made), *outputs]
        self.failures = [each for each in self.failures if each.name not in names]

    def work(self) -> Generator[BatchProgress, None, None]:
        """The same as `steps`, but for the table."""
        self.postponed = []
        before = sum(item.seen.size for item in self.items) - sum(
            item.seen.size for item in self.todo
        )
        meter = BatchMeter(sum(item.seen.size for item in self.items), before)
        current: dict[str, str] = {}
        took: dict[str, float] = {}
        counted = time.perf_counter()
        workers: int | None = None

        def count() -> None:
            """Give the time since the last count to the images under way; those that share a
            process share it.
            """
            nonlocal counted
            now = time.perf_counter()
            for key in took:
                took[key] += (now - counted) / (len(took) if self._here else 1)
            counted = now

        def progress(news: Success | Failure | None = None) -> BatchProgress:
            return BatchProgress(
                total=len(self.items),
                done=len(self.outputs),
                failed=len(self.failures),
                current=tuple(current.values()),
                fraction=meter.fraction,
                pixels=meter.pixels,
                seconds=meter.seconds,
                mpix_per_s=meter.mpix_per_s,
                remaining_s=meter.remaining_s,
                workers=workers,
                news=news,
            )

        yield progress()
        with closing(self._made()) as steps:
            for step in steps:
                match step:
                    case Begun(item):
                        current[item.source.key] = item.source.name
                        count()
                        took[item.source.key] = 0.0
                        yield progress()
                    case Advanced():
                        workers = step.workers
                        if step.item is not None and step.progress is not None:
                            meter.advance(step.item.source.key, step.item.seen.size, step.progress)
                        yield progress()
                    case Ended(item, outcome):
                        count()
                        news = self._concluded(item, outcome, took.pop(item.source.key))
                        current.pop(item.source.key)
                        pixels = outcome.pixels if isinstance(outcome, Product) else None
                        meter.end(item.source.key, item.seen.size, pixels)
                        yield progress(news)

    def close(self) -> None:
        """Let go of the output folder, and of the cluster."""
        try:
            self._lasting.close()
        finally:
            self.folder.close()

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _made(self) -> Generator[BatchStep, None, None]:
        """Results, in this process or on a cluster; what may not be replaced is refused before
        it is made.
        """
        items = []
        for item in self.todo:
            if reason := self._in_the_way(item):
                yield Begun(item)
                yield Ended(item, Refusal(reason))
            else:
                items.append(item)
        if not items:
            return
        if self._here:
            yield from make_here(items, self.recipe, self.folder)
        else:
            from napari_mdeblurgan.batch.cluster import connected, make_there

            yield Advanced(workers=0)
            if self._client is None:
                self._client = self._lasting.enter_context(
                    connected(self.settings.scheduler, self.settings.workers)
                )
            try:
                yield from make_there(items, self.recipe, self.folder, self._client)
            finally:
                if not self.patient:
                    self._client = None
                    self._lasting.close()

    def _in_the_way(self, item: Item) -> str:
        """Why a result may not have its name, in one sentence; empty if it may."""
        record = self.folder.manifest.records.get((item.source.key, item.output))
        if self.settings.overwrite:
            return ""
        page, ours = report_name(item.output), record.maps if record else frozenset[str]()
        if self.recipe.trust and self.folder.is_there(page) and not (record and record.reported):
            return f"{self.folder.path / page} {_ELSEWHERE}"
        for name in set(map_names(item.output)) - ours if self.recipe.trust else ():
            if os.path.lexists(made := (self.folder.path / item.output).with_name(name)):
                return f"{made} {_ELSEWHERE}"
        known = record is not None and self.folder.has(item.output, record.marks)
        if known or not self.folder.is_there(item.output):
            return ""
        path = self.folder.path / item.output
        if record is not None and record.made is not None:
            return (
                f"{path} was changed since it was made; move it away, or let it be overwritten "
                "(--overwrite)."
            )
        return f"{path} {_ELSEWHERE}"

    def _concluded(
        self, item: Item, outcome: Product | Refusal, seconds: float
    ) -> Success | Failure | None:
        """Give a result its name, or take note of a failure; None if it is to
        be taken again later.
        """
        name = item.source.name
        if self.patient and has_changed(item):
            self.folder.tidy(item.output)
            self.items = tuple(each for each in self.items if each.source.key != item.source.key)
            self.postponed.append(item)
            return None
        if isinstance(outcome, Product):
            try:
                if fingerprint(item.source) != item.seen:
                    raise FileError(
                        f"{name} changed while it was being restored; start again to restore it "
                        "as it is now."
                    )
                path = self._placed(item, outcome, seconds)
            except MdeblurganError as error:
                outcome = refusal(error, name)
            else:
                self.outputs.append(path)
                return Success(
                    name,
                    path,
                    outcome.warnings,
                    verdict_from(outcome.trust),
                    rgb=outcome.rgb,
                    values=outcome.values,
                    device=outcome.device,
                    seconds=seconds,
                )
        self.folder.tidy(item.output)
        if outcome.stops:
            done = len(self.outputs)
            kept = "1 result is" if done == 1 else f"{done} results are"
            raise FileError(
                f"The disk of {self.folder.path} is full; make room and start again: "
                f"{kept} there already, and stay."
            )
        self.folder.manifest.add(
            FailedEntry(input=item.source.key, output=item.output, reason=outcome.reason)
        )
        self.failures.append(Failure(name, outcome.reason))
        return self.failures[-1]

    def _placed(self, item: Item, made: Product, seconds: float) -> Path:
        """First the line in the manifest, then the name: where a run is killed in between, the next
        one ends it.
        """
        work = f"{workplace_name(item.output)}/{made.place}"
        if reason := self._in_the_way(item):
            raise FileError(reason)
        replacing = self.folder.is_there(item.output)
        entry = MadeEntry(
            input=item.source.key,
            output=item.output,
            job=item.job,
            settings=self.recipe.settings,
            mark=mark_of(self.folder.work / work) or "",
            work=work,
            pixels=made.pixels,
            size=item.seen.size,
            model=made.model,
            device=made.device,
            precision=made.precision,
            seconds=round(seconds, 3),
            trust=made.trust,
            maps=made.maps,
        )
        record = self.folder.manifest.records.get((item.source.key, item.output))
        reported = self.settings.overwrite or (record is not None and record.reported)
        self.folder.manifest.add(entry)
        own = record.maps if record is not None else ()
        self.folder.place_report(self.folder.work / work, item.output, reported)
        self.folder.place_maps(
            self.folder.work / work, item.output, made.maps, own, self.settings.overwrite
        )
        return self.folder.place(self.folder.work / work, item.output, replacing)


def open_batch(
    inputs: Iterable[Input] | Input, output: str | Path, settings: BatchSettings | None = None
) -> Batch:
    """Find the images, name their results, see what is there already, and take hold of the output
    folder.

    Parameters
    ----------
    inputs : str, Path, FileImage or Micrograph, or an iterable of these
        See `find_sources`. What this folder's batches have made is left out.
    output : str or Path
        Folder for the results and their manifest; it is made if it is not there.
    settings : BatchSettings, optional
        What the user wishes; the defaults, where nothing.

    Raises
    ------
    MdeblurganError
        In one sentence, if there is nothing to restore, the folder may not be written to or is held
        by another batch, a model or a format is not known, or results of other settings would be
        replaced.
    """
    settings = BatchSettings() if settings is None else settings
    if not isinstance(settings, BatchSettings):
        raise FileError(
            f"This {type(settings).__name__} holds no settings of a batch; pass "
            '`BatchSettings(format="ome-zarr")` or the like.'
        )
    recipe = settings.recipe()
    path = local_path(output)
    sources = find_sources(inputs, path, settings.image)
    folder = OutputFolder(path)
    try:
        return _opened(sources, folder, settings, recipe)
    except BaseException:
        folder.close()
        raise


def open_empty_batch(output: str | Path, settings: BatchSettings) -> Batch:
    """Take hold of the output folder for images that are still to come; they are handed over by
    `Batch.take`.

    Raises
    ------
    MdeblurganError
        As from `open_batch`.
    """
    recipe, folder = settings.recipe(), OutputFolder(local_path(output))
    folder.clean()
    return Batch(folder, settings, recipe, (), [], patient=True)


def _opened(
    sources: list[Source], folder: OutputFolder, settings: BatchSettings, recipe: Recipe
) -> Batch:
    if not sources:
        raise FileError("No image is named; name files, folders or patterns.")
    own = results_in(folder.manifest, folder.path)
    sources = [source for source in sources if source.key not in own]
    if not sources:
        raise FileError(
            f"All of the images are results of batches into {folder.path}; name others."
        )
    items, todo, outputs = planned(sources, folder, settings, recipe)
    folder.clean()
    return Batch(folder, settings, recipe, tuple(items), todo, outputs)
