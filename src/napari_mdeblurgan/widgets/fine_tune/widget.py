"""The dock widget **Fine-tune**: gathers what the user chose, hands it to a process of its own, and
shows what comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.notifications import show_error

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.fine_tuning.folder import BegunTuning, FineTuneFolder, free_name
from napari_mdeblurgan.fine_tuning.settings import FineTuneSettings
from napari_mdeblurgan.model import ModelCard, list_models
from napari_mdeblurgan.widgets.fine_tune.given import all_of_folders
from napari_mdeblurgan.widgets.fine_tune.panel import (
    BAR_STEPS,
    PAIRS_PAGE,
    RESULT_PAGE,
    START_TIP,
    TRAINING_PAGE,
    FineTunePanel,
)
from napari_mdeblurgan.widgets.fine_tune.preparing import Preparing
from napari_mdeblurgan.widgets.fine_tune.process import TuningProcess
from napari_mdeblurgan.widgets.fine_tune.register_job import RegisterJob
from napari_mdeblurgan.widgets.fine_tune.registering import layers_of, registered, registered_anew
from napari_mdeblurgan.widgets.fine_tune.remembered import read_remembered, write_remembered
from napari_mdeblurgan.widgets.fine_tune.starting import (
    NOT_BEGUN,
    STOPPING,
    asked_of_base,
    begun_with,
    closed_while,
    refuse_taken_name,
    resumed_with,
    tuning_lacks,
    validated,
)
from napari_mdeblurgan.widgets.layers.origin import is_ours, marks
from napari_mdeblurgan.widgets.other_docks import deblur_widget, offer_models_anew
from napari_mdeblurgan.widgets.shared import offered_models, wording
from napari_mdeblurgan.widgets.shared.closing import LifeWatch, announced
from napari_mdeblurgan.widgets.shared.devices import Devices, DeviceSearch
from napari_mdeblurgan.widgets.shared.plain import literal
from napari_mdeblurgan.widgets.shared.settings_page import read_settings

if TYPE_CHECKING:
    from napari_mdeblurgan.widgets.fine_tune.given import PairStep


class FineTuneWidget(FineTunePanel):
    """From pairs to a model.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer whose layers are offered as pairs.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:  # type: ignore[name-defined]  # noqa: F821
        self._remembered = read_remembered()
        super().__init__(self._remembered)
        self._viewer = napari_viewer
        self._cards: list[ModelCard] = list_models()
        self._process: TuningProcess | None = None
        self._register_job = RegisterJob(napari_viewer)
        self._not_running_any_more: Callable[[], None] = lambda: None  # tells napari
        self._said = ""  # what is to be read, but for why nothing can begin
        self._working = ""  # what is being prepared on a thread
        self._preparing = Preparing(napari_viewer)
        self._folder: FineTuneFolder | None = None
        self._plain = "bicubic"  # what the network is compared with besides the base model
        self._search = DeviceSearch(napari_viewer, self._offer_devices)
        self._connect()
        self._offer_models()
        self._offer_layers()
        self.resume_button.look()
        self._refresh()

    def _connect(self) -> None:
        for event in self._changes_of_layers:
            event.connect(self._offer_layers)
        marks.found.connect(self._offer_layers)
        self.base.currentIndexChanged.connect(self._on_base)
        self._picked = False  # a base model, by the user
        self.base.activated.connect(self._on_picked)
        self.name.textEdited.connect(self._refresh)
        self.pairs.sources.asked.connect(self.register)
        self.pairs.sources.cancel.clicked.connect(self._register_job.cancel)
        self.pairs.swap.connect(self.swap)
        self._register_job.told.connect(self._on_left_out)
        self._register_job.found.connect(self._on_registered)
        self._register_job.ended.connect(self._on_all_registered)
        self.pairs.table.changed.connect(self._on_pairs)
        self._preparing.made.connect(self._on_prepared)
        self._preparing.left.connect(self._refresh)
        self.start_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.resume_button.chosen.connect(self.resume)
        self.tabs.currentChanged.connect(self.resume_button.look)
        self.result.use.clicked.connect(self.use)
        self._watch = LifeWatch(self, self._on_show, self._on_close, self._at_work)

    # ---- what is offered

    @property
    def _changes_of_layers(self) -> tuple[Any, ...]:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.renamed

    def _offer_layers(self, _: object = None) -> None:
        images = [
            each for each in self._viewer.layers if isinstance(each, Image) and not is_ours(each)
        ]
        self.pairs.sources.offer(images)

    def _offer_models(self) -> None:
        chosen = self.base.currentData() or self._remembered.base
        self.base.blockSignals(True)
        self.base.clear()
        for card in self._cards:
            self.base.addItem(card.name, card.name)
            self.base.setItemData(
                self.base.count() - 1, literal(offered_models.summary(card)), 3
            )  # Qt's role of a tooltip
        at = self.base.findData(chosen)
        self.base.setCurrentIndex(at if at >= 0 else 0)
        self.base.blockSignals(False)
        self._on_base()

    @property
    def card(self) -> ModelCard | None:
        """The base model's card."""
        return next((card for card in self._cards if card.name == self.base.currentData()), None)

    @property
    def running(self) -> bool:
        """Whether a fine-tuning is going on, or being prepared."""
        return self._process is not None or bool(self._working)

    def _on_base(self, _: object = None) -> None:
        if self.card is not None and not self.name.isModified():
            self.name.setText(free_name(f"{self.card.name}-tuned"))
        self._refresh()

    def _on_picked(self, _: object = None) -> None:
        self._picked = True

    def _on_pairs(self) -> None:
        used, card = self.pairs.table.used, self.card
        channels = None if card is None else asked_of_base(card, used, picked=self._picked)
        if channels is not None:
            self._choose_kind(channels)
        self._refresh()

    def _choose_kind(self, channels: int) -> None:
        name = offered_models.default_model(self._cards, (channels,))
        if name is not None:
            self.base.setCurrentIndex(self.base.findData(name))

    @property
    def problem(self) -> str:
        """Why no fine-tuning can begin now, in one sentence; empty if one can."""
        table = self.pairs.table
        return tuning_lacks(self.card, bool(table.outcomes), table.used, self.name.text().strip())

    # ---- registering

    def register(self) -> None:
        """Register what the user points at, on a thread, and add it to the table."""
        problem, card = self.pairs.sources.problem, self.card
        if problem or card is None or self._registering is not None:
            self._say(problem or self.problem)
            return
        source = self.pairs.sources.source
        try:
            layers = layers_of(source, self._viewer)
        except MdeblurganError as error:
            self._fail(str(error))
            return
        self._keep()
        self._begin_registering(registered, source, layers, card.scale)

    def swap(self, rows: list[int]) -> None:
        """Exchange low and high of the pairs in these rows, and register them anew."""
        table, sources, card = self.pairs.table, self.pairs.sources, self.card
        chosen = [
            (table.outcomes[row].name, given)
            for row in rows
            if (given := table.given[row]) is not None
        ]
        if not chosen or card is None or self._registering is not None:
            return
        for _, given in chosen:
            sources.exchange(given.names)
        folders = sources.low_folder.path, sources.high_folder.path
        if all_of_folders([given for _, given in chosen], table.given, *folders):
            sources.exchange_folders()
        self._keep()
        self._begin_registering(
            registered_anew, [(name, given.swapped) for name, given in chosen], card.scale
        )

    def _begin_registering(self, work: Any, *arguments: Any) -> None:
        self._say("Registering…")
        self._register_job.begin(work, *arguments)
        self._refresh()

    @property
    def _registering(self) -> Any:
        """The worker that registers now; None where none does."""
        return self._register_job.worker

    def register_layers(self, low: Image, high: Image) -> None:
        """Choose two layers as the images of a pair, and register them."""
        self.pairs.sources.choose(low, high)
        self.tabs.setCurrentIndex(PAIRS_PAGE)
        self.register()

    def _on_left_out(self, sentence: str) -> None:
        self._say(sentence)
        show_error(sentence)

    def _on_registered(self, step: PairStep) -> None:
        self.pairs.table.add(step.outcome, step.given, step.instead_of)
        self._say(self._register_job.summary)

    def _on_all_registered(self, sentence: str) -> None:
        self.pairs.show_swapped()
        self._refresh()
        if sentence:
            self._say(sentence)

    # ---- training

    def start(self) -> None:
        """Begin with the ticked pairs."""
        if self.running or self.problem or self._preparing.leaving:
            return
        card = self.card
        assert card is not None
        try:
            options = self.training.options
            options["device"] = read_settings().device_for(options["device"])
            settings = FineTuneSettings(base=card.name, name=self.name.text().strip(), **options)
            refuse_taken_name(settings)
        except MdeblurganError as error:
            self._fail(str(error))
            return
        self._keep()
        self._prepare("Writing the pairs…", begun_with, settings, card, self.pairs.table.used)

    def resume(self, begun: BegunTuning) -> None:
        """Go on with one that was begun; one whose time is over gets the time that is set now on
        top.
        """
        if self.running:
            return
        settings = begun.settings
        if begun.finished:
            settings = replace(
                settings, minutes=begun.seconds / 60 + self.training.minutes.value(), steps=0
            )
        self._prepare("Going on…", resumed_with, begun.folder, settings)

    def _prepare(self, words: str, work: Any, *arguments: Any) -> None:
        self._working = words
        self._say(words)
        self.training.curves.clear()
        self.training.preview.clear()
        self.result.clear()
        self.bar.setValue(0)
        self.bar.setFormat("")
        self._preparing.begin(work, *arguments)
        self._refresh()

    def _on_prepared(self, folder: FineTuneFolder | str) -> None:
        self._working = ""
        if isinstance(folder, str):
            self.resume_button.look()
            self._fail(folder)
            return
        self._folder = folder
        self._process = TuningProcess(folder)
        self._process.told.connect(self._on_event)
        self._process.ended.connect(self._on_end)
        name = folder.path.name
        words = f"Fine-tuning {name!r}; it saves what it has reached and can be resumed"
        self._not_running_any_more = announced(self._viewer, words, self._process.stop)
        self._say("Loading the model…")
        self.tabs.setCurrentIndex(TRAINING_PAGE)
        if folder.preview.exists():
            self.training.preview.show_file(folder.preview)
        self._refresh()

    def stop(self) -> None:
        """End after the step that is being taken, and the best so far becomes the model; or before
        anything was begun.
        """
        if self._preparing.running:
            self._preparing.leave()
            self._working = ""
            self.resume_button.look()
            self._say(NOT_BEGUN)
            self._refresh()
        elif self._process is not None:
            self._process.stop()
            self.show_stopping()
            self._say(STOPPING)

    # ---- what comes back

    def _on_event(self, event: dict[str, Any]) -> None:
        match event["kind"]:
            case "estimate" | "note":
                sentence = event["sentence"]
                self._say(sentence[:1].upper() + sentence[1:])
            case "history":
                self.training.curves.recall(event["losses"], event["validations"])
            case "begun":
                self._plain = event["plain"]
                self.training.curves.begin(event["base_db"], event["bicubic_db"], self._plain)
            case "preview":
                self.training.preview.show_file(Path(event["path"]))
            case "step":
                self._show_step(event)
            case "judging":
                self._say("Comparing with the base model…")
            case "done":
                assert self._folder is not None
                self.bar.setValue(round(BAR_STEPS * event["way"]))
                self.bar.setFormat("done" if event["finished"] else "stopped")
                self.result.show_outcome(event["outcome"], self._folder.comparison)
                self.tabs.setCurrentIndex(RESULT_PAGE)
                self._say(f"{event['outcome']['model']!r} is ready in {wording.RUN}.")
                self._announce()
            case "failed":
                self._fail(event["sentence"])

    def _show_step(self, event: dict[str, Any]) -> None:
        validation = event["validation"]
        psnr = validation["psnr_db"] if validation else None
        self.training.curves.add(event["seconds"] / 60, event["loss"], psnr)
        way = event["way"]
        self.bar.setValue(round(BAR_STEPS * way))
        by_time = event["budget_s"] - event["seconds"]
        left = min(by_time, event["seconds"] * (1 - way) / way) if way > 0 else by_time
        self.bar.setFormat(wording.on_bar(way, wording.time_left(left)))
        if validation:
            self._say(validated(event, self._plain))

    def _on_end(self) -> None:
        self._process = None
        if self._said == STOPPING:  # there was nothing to make a model of
            self._say(NOT_BEGUN)
        self.resume_button.look()
        self._not_running_any_more()
        if not self.name.isModified():
            self._on_base()
        self._refresh()

    def _announce(self) -> None:
        """Let all docks offer the new model."""
        self._cards = list_models()
        self._offer_models()
        offer_models_anew(self._viewer)

    def use(self) -> None:
        """Open Deblur + SR with the recommended model."""
        name = self.result.recommended
        deblur_widget(self._viewer, tabify=True).offer_models(name)
        self._say(f"{name!r} is chosen in {wording.RUN}.")

    # ---- the widget's life

    def _on_show(self) -> None:
        self._cards = list_models()
        self._offer_models()
        self._offer_layers()
        self.resume_button.look()
        self._search.begin(read_settings().device)

    def _offer_devices(self, devices: Devices) -> None:
        self.training.offer_devices(devices.entries)

    def _at_work(self) -> str:
        name = self._folder.path.name if self._process is not None and self._folder else ""
        return closed_while(name, starting=self.running, registering=self._registering is not None)

    def _on_close(self) -> None:
        """What is running stops with a checkpoint, and can be resumed."""
        self._keep()
        for event in self._changes_of_layers:
            event.disconnect(self._offer_layers)
        marks.found.disconnect(self._offer_layers)
        self._search.abandon()
        self._register_job.abandon()
        for picture in (self.pairs.overlay, self.training.preview, self.result.panels):
            picture.close_enlarged()
        self._preparing.abandon()
        if self._process is not None:
            self._process.abandon()
            self._not_running_any_more()

    def _keep(self) -> None:
        chosen = self.pairs.sources.remembered(self._remembered)
        chosen = replace(
            chosen, base=self.base.currentData() or "", minutes=self.training.minutes.value()
        )
        if chosen != self._remembered:
            self._remembered = chosen
            write_remembered(chosen)

    def _say(self, sentence: str) -> None:
        self._said = sentence
        self._show_words()

    def _show_words(self) -> None:
        """What was said last, and why nothing can begin where the button is grey."""
        lacking = "" if self.running or self._registering is not None else self.problem
        self.status.setText(" ".join(dict.fromkeys(filter(None, (self._said, lacking)))))

    def _fail(self, sentence: str) -> None:
        self._say(sentence)
        show_error(sentence)
        self._refresh()

    def _refresh(self, _: object = None) -> None:
        """Bring everything that depends on the choices and on the work in line with them."""
        running, problem = self.running, self.problem
        waits = running or self._registering is not None or self._preparing.leaving
        self.show_working(running=running, ready=not waits and not problem)
        self.resume_button.offer(running=running or self._preparing.leaving)
        registering = self._registering is not None
        self.pairs.sources.register.setEnabled(not registering and not running)
        self.pairs.sources.cancel.setEnabled(registering)
        self.pairs.set_busy(registering or running)
        self.base.setEnabled(not running)
        self.name.setEnabled(not running)
        self.training.set_running(running)
        self.bar.setVisible(running or self.bar.value() > 0)
        self.start_button.setToolTip(literal(problem or START_TIP))
        self._show_words()
