"""`mdeblurgan batch`: many images, one command, which goes on where it was interrupted."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_mdeblurgan.commands import common
from napari_mdeblurgan.commands.common import (
    WrongUse,
    as_wrong_use,
    check_device,
    fail,
    one_line_errors,
)
from napari_mdeblurgan.commands.options import (
    BinningOption,
    DeviceOption,
    ModelOption,
    OutputScaleOption,
    PrecisionName,
    PrecisionOption,
    SoftnessOption,
    TileOption,
)
from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.interruption import heeded
from napari_mdeblurgan.plain_text import on_one_line
from napari_mdeblurgan.short_numbers import short
from napari_mdeblurgan.trust.headline import SIGNS

if TYPE_CHECKING:
    from napari_mdeblurgan.batch import Batch, BatchProgress, BatchSettings

_LINE_EVERY_S = 30.0  # where progress goes into a pipe and no image comes to its end


class Format(StrEnum):
    """Of a batch's results."""

    ome_tiff = "ome-tiff"
    ome_zarr = "ome-zarr"
    tiff = "tiff"
    png = "png"


class Unfinished(MdeblurganError):
    """Some images failed, the others are done."""


def batch(
    context: typer.Context,
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Images, folders, patterns, OME-Zarr.")
    ],
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the results and their manifest.")
    ],
    model: ModelOption = None,
    image: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of files of several images only this one. [all]",
            show_default=False,
        ),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="Of the results.")] = Format.ome_tiff,
    device: DeviceOption = "auto",
    tile: TileOption = None,
    precision: PrecisionOption = PrecisionName.auto,
    softness: SoftnessOption = "auto",
    binning: BinningOption = "1",
    output_scale: OutputScaleOption = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Assess each result: a verdict in it and in the table, report and maps with it.",
        ),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Then restore what is written into the folder, until Ctrl-C."),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Only what failed in an earlier run.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace files from elsewhere and results of other settings."
        ),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Run on N processes of this machine.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Run on a dask.distributed cluster: tcp://HOST:8786."),
    ] = None,
) -> None:
    """Restore many images: whole folders, whole slides, any size.

    The same command again does only what is missing, however the one before ended. What fails is
    named with its reason and the rest goes on. Large images go block by block through little
    memory. Of files that hold several images (series, pages of other sizes, wells and fields of a
    plate) all are restored, each under a name of its own. DIR keeps a table of all, the worst
    first.

    \b
    Examples:
      mdeblurgan batch scans --output sharp
      mdeblurgan batch scans --output sharp --trust --watch
      mdeblurgan batch "day*/*.tif" slide.ome.zarr --output sharp --format ome-zarr --workers 4
    """
    interrupted = ""
    with one_line_errors(context):
        from napari_mdeblurgan.batch import BatchSettings

        settings = BatchSettings(
            rgb_model=model or common.COLOUR_MODEL,
            grey_model=model or common.GREY_MODEL,
            format=format_.value,
            image=image,
            device=device,
            tile=tile,
            precision=precision.value,
            softness=common.softness_option(softness),
            binning=common.binning_option(binning),
            output_scale=output_scale,
            trust=trust,
            retry_failed=retry_failed,
            overwrite=overwrite,
            scheduler=scheduler,
            workers=workers,
        )
        if watch:
            watch_all(inputs, output, settings)
        else:
            interrupted = restore_all(inputs, output, settings)
    if interrupted:
        fail(interrupted, 130)


def restore_all(inputs: list[str], output: Path, settings: BatchSettings) -> str:
    """Restore images and show how it goes.

    Returns
    -------
    str
        Empty if all is done; where it was interrupted, a sentence that says what is kept.

    Raises
    ------
    WrongUse
        Before any work, where it cannot be meant so.
    MdeblurganError
        If an image failed, or the work cannot go on.
    """
    from napari_mdeblurgan.batch import open_batch

    _check(settings)
    with as_wrong_use(MdeblurganError):
        opened = open_batch(inputs, output, settings)
    with opened as work:
        for note in work.notes:
            print(f"mdeblurgan: {on_one_line(note)}", file=sys.stderr)
        _describe(work)
        show = _with_bar if sys.stderr.isatty() else _with_lines
        try:
            with closing(work.steps()) as steps:
                show(heeded(steps))
        except KeyboardInterrupt:
            _tell_summary(work)
            done = f"{len(work.outputs)} of {_count(len(work.items), 'image')}"
            return (
                f"interrupted; what is done is kept ({done}, in {output}), and the same "
                "command goes on from there."
            )
        _tell_summary(work)
        if work.failures:
            raise Unfinished(
                f"{len(work.failures)} of {_count(len(work.items), 'image')} failed, as said "
                "above; mend that, and run the command again with --retry-failed."
            )
        if work.items:
            print(on_one_line(f"{_count(len(work.outputs), 'result')} in {output}"))
    return ""


def watch_all(inputs: list[str], output: Path, settings: BatchSettings) -> None:
    """Restore what is in folders and what comes into them, until somebody stops it, and show how it
    goes.

    Raises
    ------
    WrongUse
        Before any work, where it cannot be meant so.
    MdeblurganError
        If the work cannot go on; in the end, if an image failed.
    """
    from napari_mdeblurgan.batch import open_watch

    if settings.retry_failed:
        raise WrongUse(
            "--watch goes on until it is stopped and --retry-failed does what failed; choose one "
            "of them."
        )
    if all(Path(each).is_file() for each in inputs):
        raise WrongUse(
            f"--watch waits for what is written into a folder; name one, not {inputs[0]}."
        )
    _check(settings)
    with as_wrong_use(MdeblurganError):
        opened = open_watch(inputs, output, settings)
    with opened as watch:
        work = watch.batch
        for note in work.notes:
            print(f"mdeblurgan: {on_one_line(note)}", file=sys.stderr)
        print(on_one_line(f"watching {', '.join(inputs)}; Ctrl-C ends it"), flush=True)
        show = _with_bar if sys.stderr.isatty() else _with_lines
        with contextlib.suppress(KeyboardInterrupt), closing(watch.steps()) as steps:
            show(_without_waiting(steps))
        _tell_summary(work)
        failed = f", {len(work.failures):,} failed as said above" if work.failures else ""
        sentence = f"stopped watching: {_count(len(work.outputs), 'result')} in {output}{failed}."
        if work.failures:
            raise Unfinished(sentence)
        print(on_one_line(sentence))


def _without_waiting(steps: Iterator[Any]) -> Iterator[BatchProgress]:
    """The steps of a watch in which there is work; what keeps it from looking is said once."""
    from napari_mdeblurgan.batch import BatchProgress
    from napari_mdeblurgan.batch.watching import Waiting

    trouble = ""
    for step in heeded(steps):
        if isinstance(step, Waiting) and step.trouble != trouble:
            trouble = step.trouble
            print(
                f"mdeblurgan: {trouble or 'the folder can be looked at again.'}",
                file=sys.stderr,
                flush=True,
            )
        if isinstance(step, BatchProgress):
            yield step


def _check(settings: BatchSettings) -> None:
    """Find out, before any work, whether it can be done there."""
    if settings.workers is not None and settings.scheduler is not None:
        raise WrongUse("--workers starts a cluster and --scheduler names one; choose one of them.")
    if settings.scheduler is None:
        check_device(settings.device, settings.precision)
    if settings.scheduler is not None or settings.workers is not None:
        _quieten()


def _tell_summary(work: Batch) -> None:
    """Where the table is, if there is something to judge in it; it comes before
    what is said last.
    """
    if work.summary_problem:
        print(f"mdeblurgan: {work.summary_problem}", file=sys.stderr)
    elif work.summary is not None and work.settings.trust:
        print(on_one_line(f"table of all: {work.summary}"))


def _quieten() -> None:
    """What the libraries of the cluster log when it is lost is said in one sentence by us; this
    process is ours alone.
    """
    with contextlib.suppress(ImportError):
        import distributed  # noqa: F401 - which sets the levels of its loggers

    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _describe(work: Batch) -> None:
    if work.settings.retry_failed and not work.items:
        print("nothing to do: none of these images has failed")
        return
    done = f", {len(work.outputs)} of them done by earlier runs" if work.outputs else ""
    print(f"{_count(len(work.items), 'image')}{done}", flush=True)


def _with_lines(steps: Iterator[BatchProgress]) -> None:
    shown = time.monotonic()
    for step in steps:
        if _report_failure(step) or (
            step.news is None and time.monotonic() - shown < _LINE_EVERY_S
        ):
            continue
        shown = time.monotonic()
        print(on_one_line(f"{_numbers(step)}: {_news(step) or _current(step)}"), flush=True)


def _with_bar(steps: Iterator[BatchProgress]) -> None:
    from tqdm import tqdm

    with tqdm(
        total=1.0, bar_format="{percentage:3.0f}%|{bar}| {desc}", dynamic_ncols=True, leave=False
    ) as bar:
        for step in steps:
            told = on_one_line(f"{_numbers(step)}, {_current(step)}")
            bar.set_description_str(told, refresh=False)
            bar.update(step.fraction - bar.n)
            with bar.external_write_mode(file=sys.stderr):
                if not _report_failure(step) and (text := _news(step)):
                    print(on_one_line(text), file=sys.stderr)


def _report_failure(step: BatchProgress) -> bool:
    """Say on stderr why an image failed, and what the user should know of one that did not."""
    from napari_mdeblurgan.batch import Failure, Success

    if isinstance(step.news, Success):
        for warning in step.news.warnings:
            told = on_one_line(f"{step.news.name}: {warning}")
            print(f"mdeblurgan: {told}", file=sys.stderr)
    if isinstance(step.news, Failure):
        print(f"mdeblurgan: {' '.join(step.news.reason.split())}", file=sys.stderr)
        return True
    return False


def _news(step: BatchProgress) -> str:
    from napari_mdeblurgan.batch import Success

    if not isinstance(step.news, Success):
        return ""
    verdict = step.news.verdict
    said = f": {SIGNS[verdict.level][0]} {verdict.text}" if verdict else ""
    return f"{step.news.name} → {step.news.output}{said}"


def _current(step: BatchProgress) -> str:
    from napari_mdeblurgan.batch.inputs import short_name

    if step.workers == 0:
        return "waiting for workers"
    more = f" and {len(step.current) - 1} more" if len(step.current) > 1 else ""
    return f"{short_name(step.current[0])}{more}" if step.current else "…"


def _numbers(step: BatchProgress) -> str:
    """Images, rate and time to go: "3/12, 1.9 MPix/s, 0:42 to go"."""
    text = f"{step.done + step.failed}/{step.total}"
    if step.mpix_per_s is not None:
        text += f", {short(step.mpix_per_s)} MPix/s"
    if step.remaining_s is not None:
        minutes, seconds = divmod(round(step.remaining_s), 60)
        hours, minutes = divmod(minutes, 60)
        text += (
            f", {hours}:{minutes:02}:{seconds:02} to go"
            if hours
            else f", {minutes}:{seconds:02} to go"
        )
    return text


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
