"""A batch as the widget runs it: what was chosen, and the events of the work on
it. No Qt in here.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.widgets.shared.low_priority import at_low_priority
from napari_mdeblurgan.widgets.shared.unexpected import in_one_sentence

if TYPE_CHECKING:
    from napari_mdeblurgan.batch import BatchProgress
    from napari_mdeblurgan.batch.watching import Found, Waiting
    from napari_mdeblurgan.trust.verdict import Verdict

DOING = "the restoration of many images"
RUNNING = f"{DOING}; what is done is kept and can be resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrder:
    """What the user wants done.

    Attributes
    ----------
    inputs : tuple
        Paths, patterns, and micrographs of layers.
    output : str
        Folder for the results.
    settings : dict
        As in `BatchSettings`.
    watch : bool
        Whether to wait for more until it is closed.
    """

    inputs: tuple[Any, ...]
    output: str
    settings: dict[str, Any]
    watch: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """The images that were found: the name of each, and whether its result is there already; and
    the output folder.

    `notes` say, in a sentence each, what was noticed when the work began. `verdicts` has those on
    results that are there, by the names of their images.
    """

    images: tuple[tuple[str, bool], ...]
    folder: Path
    notes: tuple[str, ...] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch that has come to its end: how many results are there, how many images have failed,
    and where they are.

    `seconds` have passed from the start of the work to its end. Where only what had `failed` was
    tried again, earlier results are not counted.
    """

    done: int
    failed: int
    folder: Path
    seconds: float
    problem: str = ""  # why the table could not be written
    retried: bool = False


@dataclass(frozen=True, slots=True)
class BatchStopped:
    """Why a batch did not begin, or could not go on, in one sentence."""

    sentence: str


def run_order(
    order: BatchOrder,
) -> Generator[Listed | Found | BatchProgress | Waiting, None, Finished | BatchStopped]:
    """Do what is wanted; closing the generator ends the work and keeps what is done.

    Returns
    -------
    Finished or BatchStopped
        No exception leaves this generator: an error becomes a sentence, and an unexpected one is
        logged as well.
    """
    try:
        return (yield from at_low_priority(_watch(order) if order.watch else _run(order)))
    except Exception as error:
        return BatchStopped(in_one_sentence(error, "The batch"))


def _run(order: BatchOrder) -> Generator[Listed | BatchProgress, None, Finished]:
    from napari_mdeblurgan.batch import BatchSettings, open_batch

    began = time.perf_counter()
    with open_batch(order.inputs, order.output, BatchSettings(**order.settings)) as batch:
        missing = {item.source.key for item in batch.todo}
        yield Listed(
            tuple((item.source.name, item.source.key not in missing) for item in batch.items),
            batch.folder.path,
            batch.notes,
            batch.verdicts(),
        )
        with closing(batch.steps()) as steps:
            yield from steps
        seconds = time.perf_counter() - began
        return Finished(
            len(batch.outputs),
            len(batch.failures),
            batch.folder.path,
            seconds,
            batch.summary_problem,
            order.settings["retry_failed"],
        )


def _watch(order: BatchOrder) -> Generator[Any, None, Finished]:
    """Goes on until it is closed."""
    from napari_mdeblurgan.batch import BatchSettings, open_watch

    with open_watch(order.inputs, order.output, BatchSettings(**order.settings)) as watch:
        yield Listed((), watch.batch.folder.path, watch.batch.notes)
        with closing(watch.steps()) as steps:
            yield from steps
    raise AssertionError("a watch does not end by itself")
