"""The parts of the Batch widget: what they are called, what their tooltips say and how they lie. No
behaviour.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    Label,
    LineEdit,
    ProgressBar,
    PushButton,
    SpinBox,
    Widget,
)
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QStackedWidget, QWidget

from napari_mdeblurgan.batch.batch_table import PAGE
from napari_mdeblurgan.batch.manifest import MANIFEST
from napari_mdeblurgan.folders import at_home, file_there, folder_there
from napari_mdeblurgan.restoration.binning import AUTO_BINNING
from napari_mdeblurgan.widgets.shared import wording
from napari_mdeblurgan.widgets.shared.offered_models import SAME_PIXELS
from napari_mdeblurgan.widgets.shared.plain import plain
from napari_mdeblurgan.widgets.shared.rows import (
    PROGRESS_STEPS,
    in_a_row,
    let_shrink,
    pass_focus,
    read_aloud,
)
from napari_mdeblurgan.widgets.shared.settings_page import read_settings

SAME_PIXELS_TIP = (
    "Give each result as many pixels as its image has: the blur goes, and the files grow no "
    "larger. Unticked, it has as many times more along y and x as the model makes. A model that "
    "was fine-tuned for the image's own pixels begins with this ticked."
)
_MARGIN = 14  # of napari's labels, on both sides
_LABELS = ("Output", "Format", "Colour", "Grey", "Device", "Run on", "Workers", "Address")
HERE, WORKERS, SCHEDULER = "This computer", "Worker processes", "Scheduler"
_AVERAGES = (
    ("Not averaged", 1),
    ("Halve first", 2),
    ("Average 3 × 3 first", 3),
    ("Average 4 × 4 first", 4),
    ("Average as each needs", AUTO_BINNING),
)
_FORMATS = (("OME-TIFF", "ome-tiff"), ("OME-Zarr", "ome-zarr"), ("TIFF", "tiff"), ("PNG", "png"))


@dataclass(frozen=True, slots=True)
class BatchControls:
    """The widgets that the user sees, in their order from top to bottom; the list of images comes
    after `progress`.
    """

    add_files: PushButton
    add_folder: PushButton
    add_layers: PushButton
    clear: PushButton
    output: LineEdit
    choose: PushButton
    format: ComboBox
    rgb_model: ComboBox
    grey_model: ComboBox
    device: ComboBox
    place: ComboBox
    workers: SpinBox
    scheduler: LineEdit
    average: ComboBox
    same_pixels: CheckBox
    trust: CheckBox
    watch: CheckBox
    overwrite: CheckBox
    run: PushButton
    cancel: PushButton
    retry: PushButton
    open: PushButton
    table: PushButton
    reason: Label
    progress: ProgressBar
    status: Label


@dataclass(frozen=True, slots=True)
class BatchChoices:
    """What the user chose last."""

    output: str = ""
    format: str = "ome-tiff"
    rgb_model: str = "rgb-x2"
    grey_model: str = "gray-x2"
    device: str = "auto"
    place: str = HERE
    workers: str = "2"
    scheduler: str = ""
    average: str = "1"
    same_pixels: str = ""
    trust: str = ""


REMEMBERED = tuple(field.name for field in fields(BatchChoices))


def chosen_before(name: str, value: str) -> Any:
    """What was remembered of a control, as it takes it.

    Raises
    ------
    ValueError
        If it cannot.
    """
    if name == "workers" or (name == "average" and value != AUTO_BINNING):
        return int(value)
    return value == str(True) if name in ("same_pixels", "trust") else value


def recall(controls: BatchControls, choices: BatchChoices) -> None:
    """Choose what was chosen last, as far as it is still offered."""
    for name in REMEMBERED:
        with suppress(ValueError):  # a model or a number that is no longer offered
            getattr(controls, name).value = chosen_before(name, getattr(choices, name))


def chosen_now(controls: BatchControls) -> BatchChoices:
    """What is chosen, as it is remembered."""
    return BatchChoices(**{name: str(getattr(controls, name).value or "") for name in REMEMBERED})


def make_batch_controls(
    rgb_models: Callable[[Any], list],
    grey_models: Callable[[Any], list],
    devices: Callable[[Any], list],
) -> BatchControls:
    """Make the widgets, unconnected; each drop-down asks its function for its entries as (words,
    value).
    """
    controls = BatchControls(
        add_files=PushButton(
            text="Files…",
            tooltip="Add image files: TIFF, OME-TIFF, PNG, JPEG, BMP, CZI, ND2, LIF, …",
        ),
        add_folder=PushButton(
            text="Folder…",
            tooltip="Add a folder with all the images that are in it; or an OME-Zarr, which is a "
            "folder.",
        ),
        add_layers=PushButton(
            text="Layers",
            tooltip="Add the image layers that are selected in the layer list, but for results "
            "and maps.",
        ),
        clear=PushButton(text="Clear", tooltip="Empty the list; no file is touched."),
        output=LineEdit(
            label="Output",
            tooltip="The folder for the results. The images themselves are never overwritten.",
        ),
        choose=PushButton(text="…", tooltip="Pick the folder for the results."),
        format=ComboBox(
            label="Format",
            choices=list(_FORMATS),
            tooltip="The type of the results' files. OME-Zarr has a pyramid, for large images.",
        ),
        rgb_model=ComboBox(
            label="Colour", choices=rgb_models, tooltip="The model for colour images."
        ),
        grey_model=ComboBox(
            label="Grey", choices=grey_models, tooltip="The model for grey images and stacks."
        ),
        device=ComboBox(label="Device", choices=devices, tooltip="Where the network runs."),
        place=ComboBox(
            label="Run on",
            choices=[HERE, WORKERS, SCHEDULER],
            tooltip="This napari, several processes of this computer, or a dask.distributed "
            "cluster that is running.",
        ),
        workers=SpinBox(
            label="Workers",
            value=2,
            min=1,
            max=max(os.cpu_count() or 1, 2),
            tooltip="How many processes; on GPUs one for each.",
        ),
        scheduler=LineEdit(
            label="Address",
            tooltip="Address of the cluster's scheduler, such as tcp://10.0.0.1:8786.",
        ),
        average=ComboBox(
            choices=_AVERAGES,
            value=1,
            tooltip="Average each image over blocks of so many pixels before it is restored, as "
            "the line on its blur advises, or as many as each image needs.",
        ),
        same_pixels=CheckBox(text=SAME_PIXELS, value=False, tooltip=SAME_PIXELS_TIP),
        trust=CheckBox(
            text="Trust",
            value=False,
            tooltip="Assess each result: a verdict in the list, in the table and in the result, "
            "with a report and maps.",
        ),
        watch=CheckBox(
            text="Watch",
            value=False,
            tooltip="Then restore what is written into the folders of the list, as soon as it is "
            "whole, until Cancel.",
        ),
        overwrite=CheckBox(
            text="Overwrite",
            value=False,
            tooltip="Replace files in the output folder that have the name of a result, and "
            "results of other settings.",
        ),
        run=PushButton(
            text="Start",
            tooltip="Restore all images whose results are not in the output folder yet.",
        ),
        cancel=PushButton(
            text="Cancel",
            tooltip="Stop within a second or two; what is done is kept, and can be resumed.",
        ),
        retry=PushButton(text="Retry failed", tooltip="Restore only the images that failed."),
        open=PushButton(text="Open", tooltip="Show the folder of the results in the file manager."),
        table=PushButton(
            text="Table",
            tooltip="Show the table of all images, the worst first: blur, noise, error and "
            "verdict of each, with its report.",
        ),
        reason=Label(value="", tooltip="Why nothing can be started, or how long it will take."),
        progress=ProgressBar(
            value=0,
            min=0,
            max=PROGRESS_STEPS,
            tooltip="How far the work is, how fast it goes and how long it will last.",
        ),
        status=Label(value=""),
    )
    controls.progress.native.setAlignment(Qt.AlignmentFlag.AlignCenter)
    plain(controls.reason.native).setWordWrap(True)
    read_aloud("Averaged first", controls.average.native)
    controls.output.native.setPlaceholderText("Folder for the results")
    controls.scheduler.native.setPlaceholderText("tcp://host:8786")
    plain(controls.status.native).setWordWrap(True)
    controls.status.native.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    controls.status.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    for box in (
        controls.rgb_model,
        controls.grey_model,
        controls.device,
        controls.format,
        controls.place,
        controls.average,
    ):
        let_shrink(box.native, 10)
    return controls


def rows_above(controls: BatchControls) -> list[QWidget]:
    """What lies above the list of images: all that can be pressed, which so never moves while the
    words below change.
    """
    rows = [
        in_a_row(controls.add_files, controls.add_folder, controls.add_layers, controls.clear),
        _named(controls.output, controls.choose, controls.open),
        _named(controls.format),
        _named(controls.rgb_model),
        _named(controls.grey_model),
        _named(controls.device),
        _named(controls.place),
        _named(controls.workers),
        _named(controls.scheduler),
        in_a_row(controls.average, controls.same_pixels),
        in_a_row(controls.trust, controls.watch, controls.overwrite),
        in_a_row(controls.run, controls.cancel, controls.retry, controls.table),
    ]
    return [
        *(row.native for row in rows),
        OnePlace(controls.reason.native, controls.progress.native),
    ]


def gathering_controls(controls: BatchControls) -> tuple[Widget, ...]:
    """What changes the list of images and where they go."""
    return (
        controls.add_files,
        controls.add_folder,
        controls.add_layers,
        controls.clear,
        controls.output,
    )


def batch_lacks(controls: BatchControls, inputs: Sequence[Any]) -> str:
    """What a batch of these inputs still needs before it can begin, in one sentence; empty if there
    is all.
    """
    if not inputs:
        return "Add images first: drop files or folders here."
    if controls.watch.value and not all(isinstance(each, str) for each in inputs):
        return "Only folders and files can be watched: clear the list, or untick Watch."
    if controls.watch.value and not any(folder_there(str(each)) for each in inputs):
        return "Add the folder that is to be watched, or untick Watch."
    if not controls.output.value.strip():
        return "Choose the output folder."
    if controls.place.value == SCHEDULER and not controls.scheduler.value.strip():
        return "Give the address of the scheduler, or run it on this computer."
    return ""


def wished(
    controls: BatchControls, output_scale: int | None, *, retry_failed: bool
) -> dict[str, Any]:
    """What is chosen, as `BatchSettings` takes it."""
    place, standing = controls.place.value, read_settings()
    return {
        "rgb_model": controls.rgb_model.value or "rgb-x2",
        "grey_model": controls.grey_model.value or "gray-x2",
        "format": controls.format.value,
        "device": standing.device_for(controls.device.value),
        "precision": standing.precision,
        "binning": controls.average.value,
        "output_scale": output_scale,
        "overwrite": controls.overwrite.value,
        "trust": controls.trust.value,
        "retry_failed": retry_failed,
        "scheduler": controls.scheduler.value.strip() if place == SCHEDULER else None,
        "workers": controls.workers.value if place == WORKERS else None,
    }


def show_buttons(
    controls: BatchControls, *, ready: bool, cancellable: bool, stopped: bool, failed: int
) -> None:
    """Enable what can be pressed now, and name it; the keyboard goes from one to the other."""
    output = controls.output.value.strip()
    folder = at_home(output)
    begun = bool(output) and file_there(folder / MANIFEST)
    run, retry, cancel = controls.run.native, controls.retry.native, controls.cancel.native
    if cancellable:
        controls.cancel.enabled = True
        pass_focus(cancel, run, retry)
    controls.run.enabled = ready
    controls.run.text = "Resume" if begun and (stopped or not failed) else "Start"
    controls.retry.enabled = ready and failed > 0
    if not cancellable:
        bar = controls.progress.native
        pass_focus(run if ready else bar, cancel, bar)
        controls.cancel.enabled = False
    controls.open.enabled = bool(output) and folder_there(folder)
    controls.table.enabled = bool(output) and file_there(folder / PAGE)


def show_bar(controls: BatchControls, fraction: float | None, *words: str) -> None:
    """Show how far the work is, from 0 to 1, or that there is work; and what else is said."""
    bar = controls.progress
    bar.min, bar.max = 0, PROGRESS_STEPS if fraction is not None else 0
    if fraction is not None:
        bar.value = round(fraction * PROGRESS_STEPS)
    said = " · ".join(words) if fraction is None else wording.on_bar(fraction, *words)
    bar.native.setFormat(said)


def show_running(controls: BatchControls, running: bool, reason: str) -> None:
    """Show below the buttons how far the work is, or why it cannot begin or how
    long it will take.
    """
    place = controls.progress.native.parentWidget()
    place.setCurrentWidget(controls.progress.native if running else controls.reason.native)
    controls.reason.value = "" if running else reason


class OnePlace(QStackedWidget):
    """A place for two lines of text or another widget, so that nothing below
    moves under the mouse.
    """

    def __init__(self, text: QWidget, other: QWidget) -> None:
        super().__init__()
        self._text = text
        self.addWidget(text)
        self.addWidget(other)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Qt's."""
        return QSize(super().sizeHint().width(), 2 * self._text.fontMetrics().lineSpacing() + 2)

    def minimumSizeHint(self) -> QSize:
        """Qt's."""
        return QSize(0, self.sizeHint().height())


def show_place(controls: BatchControls) -> None:
    """Show what is to be said about the place where the work is done, and nothing else."""
    for control, place in ((controls.workers, WORKERS), (controls.scheduler, SCHEDULER)):
        shown = controls.place.value == place
        control.visible = shown
        control.native.parentWidget().setVisible(shown)  # with its label


def _named(first: Any, *others: Widget) -> Container:
    row = in_a_row(first, *others)
    row.native.layout().insertWidget(0, RowLabel(first.label, first.tooltip))
    read_aloud(first.label, first.native)
    return row


class RowLabel(QLabel):
    """The word before a control: as wide as the widest of `_LABELS` in any size of letters, so that
    the controls are aligned.
    """

    def __init__(self, text: str, tooltip: str) -> None:
        super().__init__(text)
        self.setToolTip(tooltip)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)

    def sizeHint(self) -> QSize:
        """Qt's."""
        self.ensurePolished()
        widest = max(self.fontMetrics().horizontalAdvance(each) for each in (*_LABELS, self.text()))
        return QSize(widest + _MARGIN, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Qt's."""
        return self.sizeHint()
