"""The dock widget **Batch**: a list of images, a folder for the results, and the work on them in the background."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_mdeblurgan.batch.manifest import MANIFEST
from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.model import ModelCard, list_models
from napari_mdeblurgan.restoration.arrays import as_array
from napari_mdeblurgan.restoration.output_scale import not_trained_for, output_factor
from napari_mdeblurgan.storage import FileImage, readable
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.ome_zarr_images import is_image_folder
from napari_mdeblurgan.widgets import wording
from napari_mdeblurgan.widgets.axes import arranged, micrograph
from napari_mdeblurgan.widgets.batch.controls import (
    REMEMBERED,
    SCHEDULER,
    WORKERS,
    BatchChoices,
    make_batch_controls,
    rows_above,
    show_place,
)
from napari_mdeblurgan.widgets.batch.file_list import DONE, FAILED, WAITING, FileList
from napari_mdeblurgan.widgets.batch.several import ImageChooser, several_in
from napari_mdeblurgan.widgets.batch.work import Finished, Listed, Order, Stopped, run_order
from napari_mdeblurgan.widgets.choices import read_choices, write_choices
from napari_mdeblurgan.widgets.closing import InWords, LifeWatch
from napari_mdeblurgan.widgets.controls import PROGRESS_STEPS, SMALLEST_WIDTH
from napari_mdeblurgan.widgets.devices import Devices, DeviceSearch
from napari_mdeblurgan.widgets.placement import placement_of
from napari_mdeblurgan.widgets.runner import JobWorker
from napari_mdeblurgan.widgets.settings import read_settings
from napari_mdeblurgan.widgets.view import full_resolution

if TYPE_CHECKING:
    from napari_mdeblurgan.batch import BatchProgress

RUNNING = "the restoration of many images; what is done is kept and can be resumed"
LOOKING_INTO = "a look for files of several images"
REASONS = 3  # that are said at the end; the list has them all


class BatchWidget(QWidget):
    """Restores many images; see `controls` for what the user sees.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer whose selected layers can be added.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:  # type: ignore[name-defined]  # noqa: F821
        super().__init__()
        self._viewer = napari_viewer
        self._cards = list_models()
        self._devices = Devices()
        self._search = DeviceSearch(self._offer_devices)
        self._worker: JobWorker | None = None
        self._outcome: Finished | Stopped | None = None
        self._stopped = False  # whether the last run was cancelled
        self._retrying = False
        self._said = ""  # what is to be read but for what lacks
        self._notes: tuple[str, ...] = ()  # what was noticed when the last run began
        self._own_pixels = False  # whether a chosen model was fine-tuned for the images' own pixels
        self._results = Path()  # the output folder of the work that runs
        self._looking_into: list[Any] = []  # workers that look for files of several images
        self.chooser: ImageChooser | None = None
        self.inputs: list[str | FileImage | Micrograph] = []
        self.controls = make_batch_controls(self._colour_models, self._grey_models, self._device_entries)
        self.files = FileList()
        layout = QVBoxLayout(self)
        for row in rows_above(self.controls):
            layout.addWidget(row.native)
        layout.addWidget(self.files, 1)
        layout.addWidget(self.controls.status.native)
        self.setMinimumWidth(SMALLEST_WIDTH)
        self._choices = read_choices(BatchChoices)
        self._recall()
        self._connect()
        self._refresh()

    # ---- what is offered

    def _models(self, channels: int) -> list[tuple[str, str]]:
        return [(card.name, card.name) for card in self._cards if card.channels == channels]

    def _colour_models(self, _: object = None) -> list[tuple[str, str]]:
        return self._models(3)

    def _grey_models(self, _: object = None) -> list[tuple[str, str]]:
        return self._models(1)

    def _device_entries(self, _: object = None) -> list[tuple[str, str]]:
        return list(self._devices.entries)

    # ---- what is chosen

    @property
    def running(self) -> bool:
        """Whether a batch is at work; a cancelled one ends with its tile."""
        return self._worker is not None

    @property
    def problem(self) -> str:
        """What a batch still needs before it can begin, in one sentence; empty if there is all."""
        controls = self.controls
        if not self.inputs:
            return "Add images first: files, a folder, or the layers that are selected."
        if not controls.output.value.strip():
            return "Choose the output folder."
        if controls.place.value == SCHEDULER and not controls.scheduler.value.strip():
            return "Give the address of the scheduler, or run it on this computer."
        return ""

    @property
    def _ready(self) -> bool:
        """Whether a batch can begin."""
        return not self.running and not self.problem

    def add(self, *inputs: str | FileImage | Micrograph) -> None:
        """Put paths, patterns, images of files and micrographs on the list."""
        new = [each for each in inputs if isinstance(each, Micrograph) or each not in self.inputs]
        self.inputs += new
        self.files.offer_also([each.name if isinstance(each, Micrograph) else str(each) for each in new])
        self._say("")
        self._refresh()

    def add_selected_layers(self) -> None:
        """Put the selected image layers on the list, as they are now; a multiscale one at full resolution."""
        chosen = [layer for layer in self._viewer.layers if layer in self._viewer.layers.selection]
        images = [layer for layer in chosen if isinstance(layer, Image)]
        if not images:
            self._tell_failure("No image layer is selected: select some in the layer list, then add them.")
            return
        try:
            self.add(*(_micrograph_of(layer) for layer in images))
        except MdeblurganError as error:
            self._tell_failure(str(error))

    def _pick_files(self) -> None:
        patterns = " ".join(f"*{suffix}" for suffix in readable() if suffix != ".zarr")
        files, _ = QFileDialog.getOpenFileNames(self, "Images to restore", "", f"Images ({patterns});;All files (*)")
        self.add(*files)
        self._look_into(files)

    def _pick_folder(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Folder with images, or OME-Zarr"):
            self.add(folder)
            if is_image_folder(Path(folder)):
                self._look_into([folder])

    def _look_into(self, paths: Sequence[str]) -> None:
        """Find out which files hold several images, and let the user choose among these."""
        if paths:
            worker = create_worker(
                InWords(several_in, LOOKING_INTO), tuple(paths), _connect={"returned": self._offer_images}
            )
            self._looking_into.append(worker)

    def _look_no_more(self) -> None:
        """Ask nothing about files that are still looked into: who goes on without an answer means all of their images."""
        for worker in self._looking_into:
            with suppress(TypeError, RuntimeError):  # it has returned already
                worker.returned.disconnect(self._offer_images)
        self._looking_into = []

    def _offer_images(self, files: dict[str, tuple[FileImage, ...]]) -> None:
        """Ask which images of files are meant; until that is said it is all of them."""
        files = {path: images for path, images in files.items() if path in self.inputs}
        if not files:
            return
        self.chooser = chooser = ImageChooser(self, files)
        chooser.accepted.connect(lambda: self._restrict(chooser.chosen()))
        chooser.open()

    def _restrict(self, chosen: dict[str, list[FileImage]]) -> None:
        """Put images of files in the place of the files."""
        kept: list[str | FileImage | Micrograph] = []
        for each in self.inputs:
            kept += chosen[each] if isinstance(each, str) and each in chosen else [each]
        self.inputs = []
        self.files.offer(())
        self.add(*kept)

    def _pick_output(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Folder for the results", self.controls.output.value):
            self.controls.output.value = folder

    def _clear(self) -> None:
        self.inputs, self._stopped, self._notes = [], False, ()
        self.files.offer(())
        self._said = ""
        self._refresh()

    def _recall(self) -> None:
        for name in REMEMBERED:
            control, value = getattr(self.controls, name), getattr(self._choices, name)
            with suppress(ValueError):  # a model or a number that is no longer offered
                control.value = int(value) if name == "workers" else value

    def _remember(self) -> None:
        chosen = BatchChoices(
            **{field.name: str(getattr(self.controls, field.name).value) for field in fields(BatchChoices)}
        )
        if self._devices == Devices():  # not looked for yet: the last choice cannot be shown
            chosen = replace(chosen, device=self._choices.device)
        if chosen != self._choices:
            self._choices = chosen
            write_choices(chosen)

    def _connect(self) -> None:
        controls = self.controls
        for button, act in (
            (controls.add_files, self._pick_files),
            (controls.add_folder, self._pick_folder),
            (controls.add_layers, self.add_selected_layers),
            (controls.clear, self._clear),
            (controls.choose, self._pick_output),
            (controls.run, self.start),
            (controls.cancel, self.cancel),
            (controls.retry, self.retry),
            (controls.open, self.show_in_file_manager),
        ):
            button.changed.connect(lambda _=None, act=act: act())
        for name in REMEMBERED:
            getattr(controls, name).changed.connect(self._on_choice)
        controls.same_pixels.changed.connect(lambda _: self._show_words())
        self.files.itemSelectionChanged.connect(self._tell_selected)
        self._watch = LifeWatch(self, self._on_show, self._on_close)

    def _on_choice(self, _: object = None) -> None:
        self._remember()
        self._refresh()

    @property
    def _chosen_cards(self) -> list[ModelCard]:
        names = self.controls.rgb_model.value, self.controls.grey_model.value
        return [card for card in self._cards if card.name in names]

    def _begin_with_pixels(self) -> None:
        """Tick **Same pixels** where a model was fine-tuned for these, and take the tick away with that model."""
        own = any(card.output_scale == 1 for card in self._chosen_cards)
        if own != self._own_pixels:
            self._own_pixels = own
            self.controls.same_pixels.value = own

    @property
    def _output_scale(self) -> int | None:
        if self.controls.same_pixels.value:
            return 1
        return min(card.scale for card in self._chosen_cards) if self._own_pixels else None

    # ---- what is done

    def start(self) -> None:
        """Restore what is missing."""
        self._start(retry_failed=False)

    def retry(self) -> None:
        """Restore what has failed."""
        self._start(retry_failed=True)

    def _start(self, *, retry_failed: bool) -> None:
        if not self._ready:
            return
        controls, place, standing = self.controls, self.controls.place.value, read_settings()
        settings = {
            "rgb_model": controls.rgb_model.value or "rgb-x2",
            "grey_model": controls.grey_model.value or "gray-x2",
            "format": controls.format.value,
            "device": standing.device_for(controls.device.value),
            "precision": standing.precision,
            "binning": 2 if controls.halve.value else 1,
            "output_scale": self._output_scale,
            "overwrite": controls.overwrite.value,
            "retry_failed": retry_failed,
            "scheduler": controls.scheduler.value.strip() if place == SCHEDULER else None,
            "workers": controls.workers.value if place == WORKERS else None,
        }
        self._look_no_more()
        order = Order(inputs=tuple(self.inputs), output=controls.output.value.strip(), settings=settings)
        self._outcome, self._stopped, self._retrying, self._notes = None, False, retry_failed, ()
        self._worker = create_worker(InWords(run_order, RUNNING), order, _start_thread=False, _worker_class=JobWorker)
        self._worker.yielded.connect(self._on_step)
        self._worker.returned.connect(self._keep)
        self._worker.finished.connect(self._on_end)
        self._worker.start()
        self._say("Looking for the images…")
        self._bar(None, "")
        self._refresh()

    def cancel(self) -> None:
        """Stop the work after the tile that is being worked on."""
        if self._worker is not None:
            self._stopped = True
            self._worker.quit()
            self._say("Cancelling…")
            self._refresh()

    def show_in_file_manager(self) -> None:
        """Open the output folder where the system shows folders."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._folder())))

    def _folder(self) -> Path:
        return Path(self.controls.output.value.strip()).expanduser()

    # ---- what comes back

    def _on_step(self, step: Listed | BatchProgress) -> None:
        if self._stopped:
            return
        if isinstance(step, Listed):
            self._results, self._notes = step.folder, step.notes
            (self.files.offer_also if self._retrying else self.files.offer)(name for name, _ in step.images)
            for name, is_there in step.images:
                self.files.tell(name, DONE if is_there else WAITING)
            return
        self.files.work_on(step.current)
        if step.news is not None:
            self._on_news(step.news)
        self._bar(step.fraction, wording.rate(step.mpix_per_s), wording.time_left(step.remaining_s))
        waiting = "Waiting for workers… " if step.workers == 0 else ""
        self._say(f"{waiting}{wording.counted(step.done, step.total)}{wording.failed(step.failed)}.")

    def _on_news(self, news: Any) -> None:
        from napari_mdeblurgan.batch import Failure

        if isinstance(news, Failure):
            self.files.tell(news.name, FAILED, wording.reason_first(news.reason, news.name, self._results))
        else:
            self.files.tell(news.name, DONE)
            for warning in news.warnings:
                show_warning(f"{news.name}: {warning}")

    def _keep(self, outcome: Finished | Stopped) -> None:
        self._outcome = outcome

    def _on_end(self) -> None:
        outcome, self._worker = self._outcome, None
        self.files.work_on(())
        if isinstance(outcome, Stopped):
            self._tell_failure(outcome.sentence)
        elif isinstance(outcome, Finished):
            words = f"{outcome.done} result{'s' * (outcome.done != 1)} in {outcome.folder}"
            words = f"{words}{wording.failed(outcome.failed)}, after {wording.duration(outcome.seconds)}."
            self._say("\n".join([words, *self.files.reasons()[:REASONS]]))
            if outcome.failed:
                show_error(f"{outcome.failed} of the images failed; the Batch widget says why.")
        else:
            self._say("Cancelled; what is done is kept: press Resume to go on.")
        self._refresh()

    def _tell_failure(self, sentence: str) -> None:
        self._say(sentence)
        show_error(sentence)

    def _tell_selected(self) -> None:
        if not self.running and (words := self.files.selected()):
            self._say(words)

    def _say(self, words: str) -> None:
        self._said = words
        self._show_words()

    def _show_words(self) -> None:
        """What was said last, what the run noticed, and why nothing can begin where the buttons are grey."""
        lacking = "" if self.running else self.problem
        untrained = (not_trained_for(output_factor(self._output_scale, card), card) for card in self._chosen_cards)
        said = (self._said, *self._notes, *(() if self.running else untrained), lacking)
        self.controls.status.value = "\n".join(filter(None, said))

    def _bar(self, fraction: float | None, *words: str) -> None:
        """How far the work is, from 0 to 1, or that there is work; and what else there is to say."""
        bar = self.controls.progress
        bar.min, bar.max = 0, PROGRESS_STEPS if fraction is not None else 0
        if fraction is not None:
            bar.value = round(fraction * PROGRESS_STEPS)
        percent = f"{round(100 * fraction)} %" if fraction is not None else ""
        bar.native.setFormat(" · ".join(filter(None, (percent, *words))))

    # ---- the widget's life

    def _on_show(self) -> None:
        self._cards = list_models()
        for box in (self.controls.rgb_model, self.controls.grey_model):
            box.reset_choices()
        self._refresh()
        self._search.begin(read_settings().device)

    def _offer_devices(self, devices: Devices) -> None:
        wanted = self._choices.device
        with self.controls.device.changed.blocked():
            self._devices = devices
            self.controls.device.reset_choices()
            if wanted in self.controls.device.choices:
                self.controls.device.value = wanted

    def _on_close(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            for signal, slot in (
                (worker.yielded, self._on_step),
                (worker.returned, self._keep),
                (worker.finished, self._on_end),
            ):
                signal.disconnect(slot)
            worker.quit()
        self._look_no_more()
        self._search.abandon()

    def _refresh(self) -> None:
        """Bring everything that depends on the choices and on the work in line with them."""
        self._begin_with_pixels()
        controls, running = self.controls, self.running
        ready = self._ready
        failed = len(self.files.reasons())
        begun = bool(controls.output.value.strip()) and (self._folder() / MANIFEST).is_file()
        controls.run.enabled = ready
        controls.run.text = "Resume" if begun and (self._stopped or not failed) else "Start"
        controls.cancel.enabled = running and not self._stopped
        controls.retry.enabled = ready and failed > 0
        controls.open.enabled = bool(controls.output.value.strip()) and self._folder().is_dir()
        controls.progress.visible = running
        show_place(controls)
        self._show_words()
        for control in (controls.add_files, controls.add_folder, controls.add_layers, controls.clear, controls.output):
            control.enabled = not running


def _micrograph_of(layer: Image) -> Micrograph:
    """A layer's image as it is now, with y and x where its labels say."""
    placement = placement_of(layer)
    return micrograph(arranged(as_array(full_resolution(layer)), placement.order), layer.name, layer.rgb, placement)
