"""The words of the status line and the progress bar."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mdeblurgan.short_numbers import short
from napari_mdeblurgan.steps import percent
from napari_mdeblurgan.trust.headline import SIGNS

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_mdeblurgan.trust.verdict import Verdict
    from napari_mdeblurgan.widgets.batch.work import Finished

UNBROKEN = "\N{NO-BREAK SPACE}"
CUT_PREVIEW = "It shows the middle of the view; zoom in to preview all of it."
STILL_THERE = "What is done is kept on disk: press Resume to go on."
KEPT_ON_DISK = "Cancelled; what is done is kept on disk: press Resume to go on."
NOT_ASSESSED = (
    "Cancelled; the result is whole. Press Resume to go on finding out how far it can be trusted."
)
WHOLE = "The result itself is whole."
RUN, RESUME = "Deblur + SR", "Resume"
TIME_UNKNOWN = "Time: known after the first run."
TIME_OF_LARGER_UNKNOWN = "Time: known after the first large run."
TIME_TOLD_THEN = "Time: known once it runs."
NOTHING_MISSING = "All results are there already."
MOST_REASONS = 3  # why images of a batch failed; the list has them all
OPEN_SAMPLE = "File → Open Sample → M-Deblurgan"
OPEN_DOCK = "Plugins → M-Deblurgan"
NOTHING_KEPT = "nothing of it is kept"


def begun(fraction: float, model: str) -> str:
    """That an earlier session has left a result of the image, so much of it done; `model` is
    another one than is chosen.
    """
    if model:
        return (
            f"An interrupted result with the model {model!r} is {percent(fraction)} done: "
            "choose that model to resume it."
        )
    return (
        f"An interrupted result of this image is {percent(fraction)} done: press Resume to go on."
    )


def nothing_to_restore(active: Layer | None, layers: Sequence[Layer]) -> str:
    """What to do when no image is chosen."""
    if active is not None:
        kind = type(active).__name__
        return (
            f"{active.name!r} is a {kind} layer, which holds no picture to sharpen: open an "
            f"image, or try {OPEN_SAMPLE}."
        )
    if any(type(each).__name__ == "Image" for each in layers):
        return (
            "All images here are results of restorations: open another image, or choose one of "
            "them in Image."
        )
    if len(layers):
        return f"There is no image among the layers: open one, or try {OPEN_SAMPLE}."
    return f"Open an image first, or try {OPEN_SAMPLE}."


def time_left(seconds: float | None) -> str:
    """How long the work will still last, in words that do not jump about."""
    if seconds is None:
        return ""
    if seconds < 1:
        return "nearly done"
    if seconds < 90:
        return f"about {round(seconds)} s left"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"


def expected(seconds: float, device: str) -> str:
    """How long work will take that was not begun yet: no more exactly than anybody knows."""
    if seconds < 10:
        words = "A few seconds"
    elif seconds < 90:
        words = f"About {5 * round(seconds / 5)} s"
    elif seconds < 90 * 60:
        words = f"About {round(seconds / 60)} min"
    else:
        words = f"About {seconds / 3600:.1f} h"
    return f"{words} on {place(device)}."


def judged_by(looked_at: int, of: int) -> str:
    """That a time was judged by some of the files; empty where it was by all."""
    return f"(judged by {looked_at} of {of:,} files)" if looked_at < of else ""


def duration(seconds: float) -> str:
    """A time that has passed."""
    return f"{seconds:.1f}{UNBROKEN}s" if seconds < 60 else f"{seconds / 60:.1f}{UNBROKEN}min"


def place(device: str) -> str:
    """Where the network ran, in a sentence."""
    return {"cpu": "the CPU", "mps": "the Apple GPU"}.get(device, device)


def disk_amount(size: float) -> str:
    """A size on disk, given in bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return (
                f"{size:.0f}{UNBROKEN}{unit}"
                if size >= 10 or unit == "B"
                else f"{size:.1f}{UNBROKEN}{unit}"
            )
        size /= 1000
    return f"{size:.1f}{UNBROKEN}TB"


def run(images: int, resume: bool, shapes: str = "") -> str:
    """What the button says that starts the work; `shapes` is how many of them are restored, if not
    the whole.
    """
    words = RESUME if resume else RUN
    counts = ", ".join(filter(None, [f"{images} layers" * (images > 1), shapes]))
    return f"{words} ({counts})" if counts else words


def restoring_text(number: int, of: int, what: str = "image") -> str:
    """What is being done, while it is done."""
    return f"Restoring {what} {number} of {of}…" if of > 1 else "Restoring…"


def restored_again(name: str, source: str) -> str:
    """A warning, where a result has been chosen to be restored."""
    words = (
        f"{name!r} is a result already: restored once more, it will show detail that was "
        "never in the image."
    )
    return f"{words} Choose {source!r} for its source." if source else words


def made(name: str, seconds: float, device: str, path: Path | str | None) -> str:
    """That there is a result, and where it was saved: the file, or in words."""
    if path is not None and not seconds:
        return f"{name!r} had been made before; it is in {path}."
    words = f"{name!r} was made in {duration(seconds)} on {place(device)}"
    return f"{words} and saved in {path}." if path is not None else f"{words}."


def unfinished_name(name: str, fraction: float) -> str:
    """What the layer of a result is called that is not whole, of which so much is done, from 0 to
    1.
    """
    return f"{finished_name(name)} – unfinished, {percent(fraction)}"


def finished_name(name: str) -> str:
    """The same once it goes on, also of a copy, to whose name napari has added "copy"."""
    return re.sub(r" – unfinished, \d+ %", "", name)


def closed_at_work(dock: str, doing: str, kept: str, press: str) -> str:
    """That a dock was closed while it was at work, what is kept of that, and how to go on."""
    return (
        f"{dock} was closed, which stopped {doing}; {kept}. To go on, open it again "
        f"({OPEN_DOCK}) and {press}."
    )


def on_bar(fraction: float, *words: str) -> str:
    """What a progress bar says: how much is done, from 0 to 1, and what else there is to say."""
    return " · ".join(filter(None, (percent(fraction), *words)))


def rate(mpix_per_s: float | None) -> str:
    """How fast the work goes."""
    return f"{short(mpix_per_s)}{UNBROKEN}MPix/s" if mpix_per_s else ""


def images_done(done: int, total: int) -> str:
    """How many images are done."""
    return f"{done} of {total} image{'s' * (total != 1)} done"


def failed(count: int) -> str:
    """How many images have failed, after how many have not."""
    return f", {count} failed" if count else ""


def verdict(found: Verdict | None) -> str:
    """The line on a result with its sign; empty where it was not assessed."""
    return f"{SIGNS[found.level][0]} {found.text}" if found is not None else ""


def waiting_text(done: int, missed: int, growing: int, trouble: str) -> str:
    """What has become of a folder that is watched, while there is nothing to do."""
    if trouble:
        return trouble
    coming = (
        f"; {growing} file{'s are' if growing != 1 else ' is'} still being written"
        if growing
        else ""
    )
    return f"Watching: {done} image{'s' * (done != 1)} done{failed(missed)}{coming}."


def reason_first(reason: str, name: str, folder: Path) -> str:
    """Why an image failed, with what it is called at the end, and results by their names within the
    output folder.

    Parameters
    ----------
    reason : str
        A sentence, which mostly begins with the image's name or that of its result.
    name : str
        Of the image, as it was given.
    folder : Path
        The output folder.
    """
    rest = reason.removeprefix(f"{name}: ").removeprefix(f"{name} ")
    if rest == reason:
        reason = re.sub(rf"{re.escape(name)}(?=[\s,;)]|$)", "it", reason)
        return f"{reason.replace(f'{folder}{os.sep}', '')} — {name}"
    return f"{rest[:1].upper()}{rest[1:]} — {name}"


def ended(
    outcome: Finished | None, watched: tuple[int, int, Path] | None, reasons: Sequence[str]
) -> str:
    """What is said when a batch has ended.

    Parameters
    ----------
    outcome : Finished or None
        What came of it; None where it was cancelled.
    watched : (int, int, Path), or None
        Results, failures and their folder, where it watched until it was cancelled.
    reasons : sequence of str
        Why images failed, of which the first few are said.
    """
    told = reasons[:MOST_REASONS]
    if outcome is not None:
        words = (
            f"{outcome.done}{' more' * outcome.retried} result{'s' * (outcome.done != 1)} in "
            f"{outcome.folder}"
            f"{failed(outcome.failed)}, after {duration(outcome.seconds)}."
        )
        return "\n".join(filter(None, [words, outcome.problem, *told]))
    if watched is not None:
        done, missed, folder = watched
        words = f"Stopped watching: {done} result{'s' * (done != 1)} in {folder}{failed(missed)}."
        return "\n".join([words, *told])
    return "Cancelled; what is done is kept: press Resume to go on."
