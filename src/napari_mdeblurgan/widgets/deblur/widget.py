"""The dock widget **Deblur + SR**: from an open image to a sharp one of more pixels lying exactly
on it.
"""

from __future__ import annotations

from typing import Any

from magicgui.widgets import Container
from napari.layers import Image
from napari.utils.notifications import show_error, show_warning

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.model import ModelCard
from napari_mdeblurgan.widgets.deblur.arrivals import Arrivals, Parts
from napari_mdeblurgan.widgets.deblur.begun import BegunSearch
from napari_mdeblurgan.widgets.deblur.chosen import Chosen
from napari_mdeblurgan.widgets.deblur.compare.comparison import CompareView
from napari_mdeblurgan.widgets.deblur.controls import (
    COMPARE_KEY,
    laid_out,
    make_controls,
    scrolling,
    show_cancelling,
    show_choices,
    show_image,
    show_life,
    show_scale,
    show_working,
)
from napari_mdeblurgan.widgets.deblur.keys import bind_key, release_key
from napari_mdeblurgan.widgets.deblur.model_choice import ModelChoice
from napari_mdeblurgan.widgets.deblur.only_here.drop_down import OnlyHere
from napari_mdeblurgan.widgets.deblur.orders import Orders
from napari_mdeblurgan.widgets.deblur.results_folder import ResultsFolder
from napari_mdeblurgan.widgets.deblur.scan_layers import ScanLayers, ScanOptions
from napari_mdeblurgan.widgets.deblur.sharpness import Sharpness
from napari_mdeblurgan.widgets.deblur.slices import Slices
from napari_mdeblurgan.widgets.deblur.verdict_panel import VerdictPanel
from napari_mdeblurgan.widgets.deblur.verdicts import Verdicts
from napari_mdeblurgan.widgets.keep.saver import ResultSaver
from napari_mdeblurgan.widgets.layers.origin import is_result_layer, marks
from napari_mdeblurgan.widgets.layers.result_pairs import Pairs
from napari_mdeblurgan.widgets.runs import trust
from napari_mdeblurgan.widgets.runs.job import Job
from napari_mdeblurgan.widgets.runs.runner import Runner
from napari_mdeblurgan.widgets.shared import offered_models, wording
from napari_mdeblurgan.widgets.shared.choices import Remembered
from napari_mdeblurgan.widgets.shared.closing import LifeWatch
from napari_mdeblurgan.widgets.shared.devices import DeviceChoice
from napari_mdeblurgan.widgets.shared.settings_page import read_settings


class DeblurWidget(Container):
    """Sharpens the chosen image layer; see `controls` for what the user sees.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer whose layers are offered and that gets the results.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:  # type: ignore[name-defined]  # noqa: F821
        viewer = self._viewer = napari_viewer
        self._remembered = Remembered()
        self._models = ModelChoice(self._remembered)
        self._devices = DeviceChoice(viewer, self._remembered)
        self._pairs = Pairs(viewer.layers)
        self._chosen = Chosen(viewer, self._pairs, self._models)
        self._verdicts = Verdicts(viewer, self._pairs)
        self._message = ""  # what is going on or has come of it, before what else is to be said
        self._begun = BegunSearch(viewer, self._look_for_begun, self._refresh)
        self.scans = ScanLayers(viewer, self._begun, self._options_of, self._pairs.results_of)
        self.slices = Slices(self._on_choice)
        self.results = ResultsFolder(viewer, self._remembered, self._on_choice, self.scans.paths)
        self.controls = self._models.controls = self._chosen.controls = make_controls(
            self._chosen.entries, self._models.entries, self._devices.entries
        )
        self._devices.box = self.controls.device
        self.only_here = OnlyHere(viewer, self._remembered, self._on_choice, self._refresh)
        self.comparison = CompareView(
            viewer,
            self._pairs,
            self.controls,
            self._remembered,
            lambda: self._chosen.compared,
            self._tell_failure,
            self._refresh,
        )
        self.sharpness = Sharpness(viewer, self._refresh)
        self._panel = VerdictPanel(
            viewer, self._verdicts, self.controls, self._remembered, self._refresh
        )
        parts = Parts(
            viewer=viewer,
            controls=self.controls,
            pairs=self._pairs,
            verdicts=self._verdicts,
            scans=self.scans,
            sharpness=self.sharpness,
            say=self._say,
            fail=self._tell_failure,
            refresh=self.reset_choices,
        )
        self._arrivals = Arrivals(parts, self._on_job_end)
        self._runner = Runner(self._arrivals.on_step, self._arrivals.on_end, viewer=viewer)
        self._arrivals.runner = self._runner
        self._orders = Orders(
            viewer,
            self.controls,
            self.slices,
            self.results,
            self.scans,
            self._card_for,
            self._output_scale_for,
            lambda: self.sharpness.group.microscope,
            self.only_here,
        )
        show_choices(self.controls, self._remembered.choices)
        super().__init__(labels=False)
        options = (
            self.only_here.widget,
            self.slices.widget,
            self.results.widget,
            self.sharpness.group.widget,
        )
        details = self._panel.fold.widget
        rows = laid_out(self.controls, *options, sharpness=self.sharpness.widget, details=details)
        self._rows = scrolling(self, rows)
        told = self._say, self._tell_failure, self.scans.paths, self._pairs.source_of
        self.saver = ResultSaver(viewer, self.controls.save, self.native, *told)
        self._connect()
        self._follow_active()
        self._models.choose_for(self.image)
        self._models.begin_with_pixels()
        self._refresh()

    # ---- what is offered

    def reset_choices(self, *_: Any) -> None:
        """Offer the layers that there are now; napari calls this whenever a layer comes, goes or is
        renamed.
        """
        image = self.image
        with self.controls.image.changed.blocked(), self.only_here.box.changed.blocked():
            self._rows.reset_choices()
            if image is not None and image in self.controls.image.choices:
                self.controls.image.value = image
        self.only_here.follow()
        if self.image is not image:
            self._on_image()
        self._refresh()

    # ---- what is chosen

    @property
    def image(self) -> Image | None:
        """The chosen image layer."""
        return self._chosen.image

    @property
    def card(self) -> ModelCard | None:
        """The chosen model's card."""
        return self._models.card

    @property
    def running(self) -> bool:
        """Whether an image is being restored."""
        return self._runner.running

    @property
    def problem(self) -> str | None:
        """Why nothing can be restored now, in one sentence; None if something can."""
        return self._chosen.problem

    @property
    def images(self) -> list[Image]:
        """The image layers that would be restored: all that are selected, if the chosen one is
        among them.
        """
        return self._chosen.images

    def _connect(self) -> None:
        controls = self.controls
        self._viewer.layers.selection.events.active.connect(self._follow_active)
        self._viewer.layers.selection.events.changed.connect(self._refresh)
        controls.image.changed.connect(self._on_image)
        controls.model.changed.connect(self._on_model)
        controls.device.changed.connect(self._devices.remember)
        controls.trust.changed.connect(
            lambda on: self._remembered.change(trust="yes" if on else "no")
        )
        controls.ensemble.changed.connect(lambda on: self._on_tick(ensemble=on))
        controls.halve.changed.connect(
            lambda on: self._on_tick(halve=on and self._orders.binning == 2)
        )
        controls.output.changed.connect(self._on_output)
        controls.halve_again.changed.connect(self.average_and_start)
        controls.strong_again.changed.connect(self.start_with_the_advised_model)
        controls.report.changed.connect(self.save_report)
        controls.save.changed.connect(self.save_result)
        self.slices.window.changed.connect(self._on_choice)
        controls.this_slice.changed.connect(self._on_choice)
        controls.preview.changed.connect(self.start_preview)
        controls.run.changed.connect(self.start)
        controls.cancel.changed.connect(self.cancel)
        bind_key(self._viewer, COMPARE_KEY, self.compare)
        marks.found.connect(self.reset_choices)
        self._watch = LifeWatch(self.native, self._on_show, self._on_close, self._arrivals.at_work)

    def _follow_active(self, _: object = None) -> None:
        active = self._chosen.active
        if isinstance(active, Image) and is_result_layer(
            active
        ):  # restored again only if it is chosen as the image
            active = self._pairs.source_of(active)
        if active is not None and active in self.controls.image.choices:
            self.controls.image.value = active
        self._refresh()

    def _on_image(self, _: object = None) -> None:
        self._models.choose_for(self.image)
        self._message = ""
        if warning := self._chosen.warning:
            show_warning(warning)
        self._on_choice()

    def _on_choice(self, _: object = None) -> None:
        """Another image or choice may have another interrupted result."""
        if not self.running:
            self._begun.look_soon(self.image)
        self._refresh()

    def _look_for_begun(self) -> None:
        """See whether an earlier session has left an interrupted result of the chosen image."""
        image, card = self.image, self.card
        if self.running or image is None or card is None or self.problem is not None:
            return
        if self._orders.may_be_left(image):
            return
        try:
            job = self._orders.in_folder(image)
        except MdeblurganError:
            return  # it is said when the job is to be started
        self._begun.begin(image, job, self._models.alike(card, image))

    def _on_tick(self, **ticked: bool) -> None:
        self._remembered.change(**{name: "yes" if on else "no" for name, on in ticked.items()})
        self._on_choice()

    def _on_model(self, name: str | None) -> None:
        if name:
            self._models.remember_model()
        self._models.begin_with_pixels()
        self._message = "" if not self.running else self._message
        self._on_choice()

    def _on_output(self, output: str | None) -> None:
        self._models.remember_output(output)
        if output:
            self._on_choice()

    def _card_for(self, image: Image) -> ModelCard | None:
        return self._models.card_for(image, self.image)

    def _options_of(self, image: Image) -> ScanOptions:
        return self._orders.options(image)

    def _output_scale_for(self, image: Image) -> int | None:
        return self._models.output_scale_for(image, self.image)

    # ---- what is done

    def start(self) -> None:
        """Restore the chosen layers: whole, some of their slices, or the plane that is shown if
        **This slice only** is ticked.
        """
        if not self._ready():
            return
        try:
            images, jobs, note = self._orders.jobs(self.images)
        except MdeblurganError as error:
            self._tell_failure(str(error))
            return
        self.only_here.uncover()
        self._start(images, jobs, note)

    def restore(self, image: Image) -> str:
        """Choose a layer and restore it; why that does not begin, in one sentence, or nothing."""
        if self.running:
            return f"{wording.RUN} is at work: choose {image.name!r} there when it is done."
        self.reset_choices()
        self.controls.image.value = image
        self.start()
        return "" if self.running else self._message or self.problem or ""

    def average_and_start(self) -> None:
        """Average images over as many pixels as is advised first, and do as `start` does."""
        self._orders.average_by(self._panel.advised_binning)
        self.start()

    def start_with_the_advised_model(self) -> None:
        """Choose the model that knows such a blur, and do as `start` does."""
        self.controls.model.value = self._panel.advised_model
        self.start()

    def start_preview(self) -> None:
        """Restore what the canvas shows."""
        image = self.image
        if image is None or not self._ready():
            return
        try:
            job, is_all = self._orders.preview(image)
        except MdeblurganError as error:
            self._tell_failure(str(error))
            return
        self._start([image], [job], "" if is_all else wording.CUT_PREVIEW)

    def _ready(self) -> bool:
        return not self.running and self.problem is None

    def _start(self, images: list[Image], jobs: list[Job], note: str) -> None:
        self.comparison.leave()
        self._arrivals.begin(images, jobs, note)
        for image in images:
            self._begun.forget(image)
        self._pairs.begin_run(images)
        self.controls.cancel.enabled = True
        show_life(self.controls)
        self._runner.start(*jobs)
        self._refresh()

    def cancel(self) -> None:
        """Stop the work, within a second or two."""
        if self.running:
            self._runner.cancel()
            self._say("Cancelling…")
            show_cancelling(self.controls)

    def compare(self) -> None:
        """Blink: switch the chosen image between before and after, and with it all others of its
        run.
        """
        self.comparison.blink()

    def save_result(self) -> None:
        """Ask where, and save the selected result, or the newest of the chosen image, with the
        channels of its run; or cancel.
        """
        results = self._chosen.kept
        self.saver.press(results, {each: trust.maps_of(each) for each in results})

    def save_report(self) -> None:
        """Ask where, and save the report on the selected result, or on the chosen image's newest
        that was assessed.
        """
        self._verdicts.save_report(self._reported(), self.native, self._say, self._tell_failure)

    def _reported(self) -> tuple[Image, trust.Trusted] | None:
        return self._verdicts.of(self._chosen.active, self._chosen.source)

    # ---- what comes back

    def _on_job_end(self, words: str) -> None:
        self.results.look_if_shown()
        self._message = words
        self._on_choice()

    def _tell_failure(self, sentence: str) -> None:
        self._say(sentence)
        show_error(sentence)

    def _say(self, message: str) -> None:
        """Show a message, and below it what is to be said besides, such as why nothing can be done;
        and the verdict.
        """
        self._message = message
        self._panel.show(self._chosen.active, self._chosen.source, self.image)
        begun = "" if message or self.running else self._begun.sentence(self.image, self.card)
        here = "" if self.running else self.only_here.sentence(to_disk=bool(self.results.wanted))
        untrained = "" if self.running else self._models.untrained()
        here = "" if here in message else here  # it was said of the run that has ended
        said = filter(
            None, (message, self.problem or "", begun, here, self._chosen.warning, untrained)
        )
        self.controls.status.value = "\n".join(said)

    # ---- the widget's life

    def offer_models(self, name: str = "") -> None:
        """Offer the models that there are now; choose `name`, if one of them has it."""
        self._models.reload(name)
        self.reset_choices()
        if name in self.controls.model.choices:
            self.controls.model.value = name
        else:
            self._models.choose_for(self.image)
        self._refresh()

    def _on_show(self) -> None:
        self.offer_models()
        self._on_choice()
        self.results.look_if_shown()
        self._devices.search.begin(read_settings().device, self.controls.model.value or "")

    def _on_close(self) -> None:
        self._runner.abandon()
        self.comparison.close()
        self._panel.close()
        self.saver.close()
        self.scans.close()
        self.results.abandon()
        self.only_here.close()
        self._devices.search.abandon()
        self._begun.abandon()
        self.sharpness.close()
        self._viewer.layers.selection.events.active.disconnect(self._follow_active)
        self._viewer.layers.selection.events.changed.disconnect(self._refresh)
        marks.found.disconnect(self.reset_choices)
        release_key(self._viewer, COMPARE_KEY, self.compare)

    def _refresh(self, _: object = None) -> None:
        """Bring everything that depends on the choices and on the work in line with them."""
        controls, image, card, problem = self.controls, self.image, self.card, self.problem
        images = self.images
        show_image(controls, "\n".join(layer.name for layer in images))
        controls.about.value = offered_models.summary(card) if card is not None else ""
        self._models.show_descriptions()
        show_scale(controls, card.scale if card is not None else 2)
        controls.this_slice.visible = image is not None and image.ndim > 2
        self.slices.offer(
            image, one_plane=controls.this_slice.value or self.only_here.layer is not None
        )
        self.results.require(
            problem is None and any(self._orders.is_large(layer) for layer in images)
        )
        resumable = not self.running and any(self.scans.can_resume(layer) for layer in images)
        controls.run.text = wording.run(len(images), resumable, self.only_here.count)
        ready = problem is None and not self.running
        show_working(controls, running=self.running, ready=ready)
        if not self.running:
            orders = self._orders.all_of(images) if problem is None else []
            controls.time.value = self._arrivals.run_times.told(orders)
        elif controls.time.value in (wording.TIME_UNKNOWN, wording.TIME_OF_LARGER_UNKNOWN):
            controls.time.value = ""  # the bar tells by now
        self.sharpness.show(self._pairs.following(self._chosen.active, self._chosen.source))
        self.comparison.follow()
        controls.report.enabled = self._reported() is not None
        self.saver.refresh(possible=bool(self._chosen.kept))
        self._say(self._message)
