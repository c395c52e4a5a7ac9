"""The dock widget **Batch**: a list of images, a folder for the results, and the work on them in
the background.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_mdeblurgan.batch.batch_table import PAGE
from napari_mdeblurgan.folders import at_home, folder_there
from napari_mdeblurgan.model import ModelCard, list_models
from napari_mdeblurgan.restoration.output_scale import not_trained_for, output_factor
from napari_mdeblurgan.storage import FileImage
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.widgets.batch.batch_controls import (
    REMEMBERED,
    BatchChoices,
    batch_lacks,
    chosen_now,
    gathering_controls,
    make_batch_controls,
    recall,
    rows_above,
    show_bar,
    show_buttons,
    show_place,
    show_running,
    wished,
)
from napari_mdeblurgan.widgets.batch.expecting import Expecting
from napari_mdeblurgan.widgets.batch.file_list import DONE, FAILED, WAITING, FileList
from napari_mdeblurgan.widgets.batch.gathering import Gathering
from napari_mdeblurgan.widgets.batch.work import (
    DOING,
    RUNNING,
    BatchOrder,
    BatchStopped,
    Finished,
    Listed,
    run_order,
)
from napari_mdeblurgan.widgets.runs.runner import JobWorker
from napari_mdeblurgan.widgets.shared import wording
from napari_mdeblurgan.widgets.shared.choices import read_choices, write_choices
from napari_mdeblurgan.widgets.shared.closing import InWords, LifeWatch, unheard, worker_of
from napari_mdeblurgan.widgets.shared.devices import Devices, DeviceSearch
from napari_mdeblurgan.widgets.shared.dropping import DropTarget
from napari_mdeblurgan.widgets.shared.rows import SMALLEST_WIDTH
from napari_mdeblurgan.widgets.shared.settings_page import read_settings
from napari_mdeblurgan.widgets.shared.sizes import AsWide

if TYPE_CHECKING:
    from napari_mdeblurgan.batch import BatchProgress
    from napari_mdeblurgan.batch.watching import Found, Waiting


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
        self._search = DeviceSearch(napari_viewer, self._offer_devices)
        self._worker: JobWorker | None = None
        self._outcome: Finished | BatchStopped | None = None
        self._stopped = False  # whether the last run was cancelled
        self._retrying = False
        self._watching = False  # whether the last run goes on until it is stopped
        self._said = ""  # what is to be read but for what lacks
        self._notes: tuple[str, ...] = ()  # what was noticed when the last run began
        self._own_pixels = False  # whether a chosen model was fine-tuned for the images' own pixels
        self._results = Path()  # the output folder of the work that runs
        self._so_far = (0, 0)  # results and failures of the work that runs
        self._settings: dict[str, Any] = {}  # of the work that runs
        self._expecting = Expecting(napari_viewer, self._refresh)
        self.controls = make_batch_controls(
            self._colour_models, self._grey_models, self._device_entries
        )
        self.files = FileList()
        self.gathering = Gathering(
            self,
            napari_viewer,
            self.files,
            lambda: self.controls.output.value,
            self._on_inputs,
            self._tell_failure,
        )
        layout = QVBoxLayout(self)
        for row in rows_above(self.controls):
            layout.addWidget(row)
        layout.addWidget(self.files, 1)
        layout.addWidget(self.controls.status.native)
        AsWide(self, SMALLEST_WIDTH)
        self._choices = read_choices(BatchChoices)
        recall(self.controls, self._choices)
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
    def inputs(self) -> list[str | FileImage | Micrograph]:
        """What is to be restored: paths, patterns, images of files and layers."""
        return self.gathering.inputs

    @property
    def running(self) -> bool:
        """Whether a batch is at work; a cancelled one ends within a second or two."""
        return self._worker is not None

    @property
    def problem(self) -> str:
        """What a batch still needs before it can begin, in one sentence; empty if there is all."""
        return batch_lacks(self.controls, self.inputs)

    @property
    def _ready(self) -> bool:
        """Whether a batch can begin."""
        return not self.running and not self.problem

    def add(self, *inputs: str | FileImage | Micrograph) -> None:
        """Put paths, patterns, images of files and micrographs on the list."""
        self.gathering.add(*inputs)

    def add_selected_layers(self) -> None:
        """Put the selected image layers on the list, as they are now; a multiscale one at full
        resolution.
        """
        self.gathering.add_selected_layers()

    def _pick_output(self) -> None:
        if folder := QFileDialog.getExistingDirectory(
            self, "Folder for the results", self.controls.output.value
        ):
            self.controls.output.value = folder

    def _on_inputs(self, words: str) -> None:
        self._say(words)
        self._refresh()

    def _take_output(self, paths: list[str]) -> None:
        """A folder that was dropped on the name of the output folder."""
        folders = [path for path in paths if folder_there(path)]
        if folders:
            self.controls.output.value = folders[0]
        else:
            self._tell_failure("Drop a folder on Output.")

    def _clear(self) -> None:
        self._stopped, self._notes = False, ()
        self.gathering.clear()
        self._said = ""
        self._refresh()

    def _remember(self) -> None:
        chosen = chosen_now(self.controls)
        if self._devices == Devices():  # not looked for yet: the last choice cannot be shown
            chosen = replace(chosen, device=self._choices.device)
        if chosen != self._choices:
            self._choices = chosen
            write_choices(chosen)

    def _connect(self) -> None:
        controls = self.controls
        for button, act in (
            (controls.add_files, self.gathering.pick_files),
            (controls.add_folder, self.gathering.pick_folder),
            (controls.add_layers, self.add_selected_layers),
            (controls.clear, self._clear),
            (controls.choose, self._pick_output),
            (controls.run, self.start),
            (controls.cancel, self.cancel),
            (controls.retry, self.retry),
            (controls.open, self.show_in_file_manager),
            (controls.table, self.show_table),
        ):
            button.changed.connect(lambda _=None, act=act: act())
        for name in REMEMBERED:
            getattr(controls, name).changed.connect(self._on_choice)
        for box in (controls.watch, controls.overwrite):
            box.changed.connect(lambda _: self._refresh())
        DropTarget(self, self.gathering.take_dropped, lambda: not self.running, self.files.hover)
        DropTarget(controls.output.native, self._take_output, lambda: not self.running)
        controls.same_pixels.changed.connect(lambda _: self._show_words())
        self.files.itemSelectionChanged.connect(self._tell_selected)
        self._watch = LifeWatch(self, self._on_show, self._on_close, self._at_work)

    def _on_choice(self, _: object = None) -> None:
        self._remember()
        self._refresh()

    @property
    def _chosen_cards(self) -> list[ModelCard]:
        names = self.controls.rgb_model.value, self.controls.grey_model.value
        return [card for card in self._cards if card.name in names]

    def _begin_with_pixels(self) -> None:
        """Tick **Same pixels** where a model was fine-tuned for these, and take the tick away with
        that model.
        """
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
        watch = self.controls.watch.value and not retry_failed
        self._settings = wished(self.controls, self._output_scale, retry_failed=retry_failed)
        output = self.controls.output.value.strip()
        order = BatchOrder(
            inputs=tuple(self.inputs), output=output, settings=self._settings, watch=watch
        )
        self._outcome, self._stopped, self._retrying, self._notes = None, False, retry_failed, ()
        self._so_far, self._watching = (0, 0), watch
        if watch:
            self.gathering.folders_become_files()
        else:
            self.gathering.look_no_more()
        self._expecting.forget()
        worker = self._worker = worker_of(
            self._viewer, InWords(run_order, RUNNING), order, _worker_class=JobWorker
        )
        worker.yielded.connect(self._on_step)
        worker.returned.connect(self._keep)
        worker.finished.connect(self._on_end)
        worker.start()
        self._say("Looking for the images…")
        show_bar(self.controls, None, "")
        self._refresh()

    def _expected(self) -> str:
        """How long the work will take, in words; empty where it lasts until it is stopped."""
        controls = self.controls
        if self.running or self.problem or controls.watch.value:
            return ""
        settings = wished(controls, self._output_scale, retry_failed=False)
        return self._expecting.told(self.inputs, controls.output.value.strip(), settings)

    def cancel(self) -> None:
        """Stop the work, within a second or two."""
        if self._worker is not None:
            self._stopped = True
            self._worker.quit()
            self._say("Cancelling…")
            self._refresh()

    def show_in_file_manager(self) -> None:
        """Open the output folder where the system shows folders."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._folder())))

    def show_table(self) -> None:
        """Open the table of all images in the browser."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._folder() / PAGE)))

    def _folder(self) -> Path:
        return at_home(self.controls.output.value.strip())

    # ---- what comes back

    def _on_step(self, step: Listed | Found | BatchProgress | Waiting) -> None:
        from napari_mdeblurgan.batch.watching import Found, Waiting

        if self._stopped:
            return
        if isinstance(step, Listed | Found):
            self._list(step)
            return
        self._so_far = step.done, step.failed
        if isinstance(step, Waiting):
            self.files.work_on(())
            show_bar(self.controls, 1.0)
            self.controls.progress.native.setFormat("waiting for images")
            self._say(wording.waiting_text(step.done, step.failed, step.growing, step.trouble))
            return
        self.files.work_on(step.current)
        if step.news is not None:
            self._on_news(step.news)
        show_bar(
            self.controls,
            step.fraction,
            wording.rate(step.mpix_per_s),
            wording.time_left(step.remaining_s),
        )
        waiting = "Waiting for workers… " if step.workers == 0 else ""
        self._say(
            f"{waiting}{wording.images_done(step.done, step.total)}{wording.failed(step.failed)}."
        )

    def _list(self, step: Listed | Found) -> None:
        """Show the images that were found."""
        if isinstance(step, Listed):
            self._results, self._notes = step.folder, step.notes
        alone = isinstance(step, Listed) and not self._retrying and not self._watching
        (self.files.offer if alone else self.files.offer_also)(name for name, _ in step.images)
        for name, is_there in step.images:
            if is_there:
                self.files.tell(name, DONE, wording.verdict(step.verdicts.get(name)))
            else:
                self.files.tell(name, WAITING)

    def _on_news(self, news: Any) -> None:
        from napari_mdeblurgan.batch import Failure

        if isinstance(news, Failure):
            self.files.tell(
                news.name, FAILED, wording.reason_first(news.reason, news.name, self._results)
            )
        else:
            self.files.tell(news.name, DONE, wording.verdict(news.verdict))
            if self._settings["workers"] is None and self._settings["scheduler"] is None:
                self._expecting.took(news, self._settings)
            for warning in news.warnings:
                show_warning(f"{news.name}: {warning}")

    def _keep(self, outcome: Finished | BatchStopped) -> None:
        self._outcome = outcome

    def _on_end(self) -> None:
        outcome, self._worker = self._outcome, None
        self._expecting.end()
        self.files.work_on(())
        if isinstance(outcome, BatchStopped):
            self._tell_failure(outcome.sentence)
        else:
            watched = (*self._so_far, self._results) if self._watching else None
            self._say(wording.ended(outcome, watched, self.files.reasons()))
        if isinstance(outcome, Finished) and outcome.failed:
            show_error(f"{outcome.failed} of the images failed; the Batch widget says why.")
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
        """What was said last, and what the run noticed."""
        untrained = (
            not_trained_for(output_factor(self._output_scale, card), card)
            for card in self._chosen_cards
        )
        said = (self._said, *self._notes, *(() if self.running else untrained))
        self.controls.status.value = "\n".join(filter(None, said))

    # ---- the widget's life

    def offer_models(self) -> None:
        """Offer the models that there are now."""
        self._cards = list_models()
        for box in (self.controls.rgb_model, self.controls.grey_model):
            box.reset_choices()
        self._refresh()

    def _on_show(self) -> None:
        self.offer_models()
        self._search.begin(read_settings().device)

    def _offer_devices(self, devices: Devices) -> None:
        wanted = self._choices.device
        with self.controls.device.changed.blocked():
            self._devices = devices
            self.controls.device.reset_choices()
            if wanted in self.controls.device.choices:
                self.controls.device.value = wanted

    def _at_work(self) -> str:
        if not self.running:
            return ""
        kept = f"the results so far are kept in {self._folder()}"
        return wording.closed_at_work("Batch", DOING, kept, "start it with the same images")

    def _on_close(self) -> None:
        worker, self._worker = self._worker, None
        unheard(worker, yielded=self._on_step, returned=self._keep, finished=self._on_end)
        if worker is not None:
            worker.quit()
        self.gathering.look_no_more()
        self._expecting.forget()
        self._search.abandon()

    def _refresh(self) -> None:
        """Bring everything that depends on the choices and on the work in line with them."""
        self._begin_with_pixels()
        controls, running = self.controls, self.running
        show_buttons(
            controls,
            ready=self._ready,
            cancellable=running and not self._stopped,
            stopped=self._stopped,
            failed=len(self.files.reasons()),
        )
        show_running(controls, running, self.problem or self._expected())
        show_place(controls)
        self._show_words()
        for control in (*gathering_controls(controls), controls.watch):
            control.enabled = not running
