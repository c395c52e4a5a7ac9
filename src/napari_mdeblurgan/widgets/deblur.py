"""The dock widget **Deblur + SR**: from an open image to a sharp one of more pixels lying exactly on it."""

from __future__ import annotations

import weakref
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from magicgui.widgets import Container
from napari.layers import Image
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_warning

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.model import ModelCard, list_models
from napari_mdeblurgan.widgets import layers, models, trust, view, wording
from napari_mdeblurgan.widgets.choices import read_choices, write_choices
from napari_mdeblurgan.widgets.closing import LifeWatch
from napari_mdeblurgan.widgets.controls import (
    COMPARE_KEY,
    SMALLEST_WIDTH,
    THIS_SLICE,
    laid_out,
    make_controls,
    show_image,
    show_life,
    show_progress,
)
from napari_mdeblurgan.widgets.devices import Devices, find_devices
from napari_mdeblurgan.widgets.job import Failed, Restored
from napari_mdeblurgan.widgets.keys import bind_key, release_key
from napari_mdeblurgan.widgets.pairs import Pairs
from napari_mdeblurgan.widgets.runner import Runner
from napari_mdeblurgan.widgets.settings import read_settings

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_mdeblurgan.restoration.engine import Progress

PREVIEW_PIXELS = 1024 * 1024


class DeblurWidget(Container):
    """Sharpens the chosen image layer; see `controls` for what the user sees.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer whose layers are offered and that gets the results.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:  # type: ignore[name-defined]  # noqa: F821
        self._viewer = napari_viewer
        self._cards: list[ModelCard] = list_models()
        self._devices = Devices()
        self._looking_for_devices: Any = None
        self._choices = read_choices()
        self._pairs = Pairs(napari_viewer.layers)
        self._assessments = trust.Assessments()
        self._runner = Runner(self._on_step, self._on_end)
        self._told_problem: str | None = None
        self._kind: int | None = None  # channels of the image that a model was last picked for
        self._source: weakref.ref[Image] | None = None  # of the running job
        self._note = ""  # what the user should know of its result
        self.controls = make_controls(self._image_entries, self._model_entries, self._device_entries)
        self.controls.trust.value = self._choices.trust != "no"
        super().__init__(widgets=laid_out(self.controls), labels=False)
        self.native.setMinimumWidth(SMALLEST_WIDTH)
        self._connect()
        self._follow_active()
        self._choose_model()
        self._refresh()

    # ---- what is offered

    def _image_entries(self, _: object = None) -> list[tuple[str, Image]]:
        return [(i.name, i) for i in self._viewer.layers if isinstance(i, Image) and self._is_source(i)]

    def _is_source(self, layer: Image) -> bool:
        """Whether anybody would restore it."""
        return not (self._pairs.is_preview(layer) or trust.is_map(layer))

    def _model_entries(self, _: object = None) -> list[tuple[str, str]]:
        return [(card.name, card.name) for card in self._cards]

    def _device_entries(self, _: object = None) -> list[tuple[str, str]]:
        return list(self._devices.entries)

    def reset_choices(self, *_: Any) -> None:
        """Offer the layers that there are now; napari calls this whenever a layer comes, goes or is renamed."""
        image = self.image
        super().reset_choices()
        if image is not None and image in self.controls.image.choices:
            self.controls.image.value = image
        self._refresh()

    # ---- what is chosen

    @property
    def image(self) -> Image | None:
        """The chosen image layer."""
        return self.controls.image.value

    @property
    def card(self) -> ModelCard | None:
        """The chosen model's card."""
        return next((card for card in self._cards if card.name == self.controls.model.value), None)

    @property
    def running(self) -> bool:
        """Whether an image is being restored."""
        return self._runner.running

    @property
    def problem(self) -> str | None:
        """Why nothing can be restored now, in one sentence; None if something can."""
        image, card = self.image, self.card
        if image is None:
            return wording.nothing_to_restore(self._active(), self._viewer.layers)
        if card is None:
            return f"There is no model for {'colour' if image.rgb else 'grey'} images: install or train one first."
        return models.misfit(card, image)

    def _active(self) -> Layer | None:
        active = self._viewer.layers.selection.active
        return next((layer for layer in self._viewer.layers if layer == active), None)

    def _connect(self) -> None:
        controls = self.controls
        self._viewer.layers.selection.events.active.connect(self._follow_active)
        controls.image.changed.connect(self._on_image)
        controls.model.changed.connect(self._on_model)
        controls.device.changed.connect(self._on_device)
        controls.trust.changed.connect(lambda on: self._remember(trust="yes" if on else "no"))
        controls.report.changed.connect(self.save_report)
        controls.preview.changed.connect(self.start_preview)
        controls.run.changed.connect(self.start)
        controls.cancel.changed.connect(self.cancel)
        controls.compare.changed.connect(self.compare)
        bind_key(self._viewer, COMPARE_KEY, self.compare)
        self._watch = LifeWatch(self.native, self._on_show, self._on_close)

    def _follow_active(self, _: object = None) -> None:
        active = self._active()
        if active is not None and active in self.controls.image.choices:
            self.controls.image.value = active
        self._refresh()

    def _on_image(self, _: object = None) -> None:
        self._choose_model()
        self.controls.status.value = ""
        self._refresh()

    def _choose_model(self) -> None:
        image = self.image
        if image is None or (self._kind == models.channels_of(image) and self.card is not None):
            return
        self._kind = models.channels_of(image)
        remembered = self._choices.rgb_model if image.rgb else self._choices.grey_model
        name = models.default_model(self._cards, self._kind, remembered)
        if name is not None:
            with self.controls.model.changed.blocked():
                self.controls.model.value = name

    def _on_model(self, name: str | None) -> None:
        card = self.card
        if card is not None and name:
            kind = "rgb_model" if card.channels == 3 else "grey_model"
            self._remember(**{kind: name})
        self.controls.status.value = ""
        self._refresh()

    def _on_device(self, device: str | None) -> None:
        if device:
            self._remember(device=device)

    def _remember(self, **changes: str) -> None:
        changed = replace(self._choices, **changes)
        if changed != self._choices:
            self._choices = changed
            write_choices(changed)

    # ---- what is done

    def start(self) -> None:
        """Restore the whole layer, or the plane that is shown if **This slice only** is ticked."""
        image = self.image
        if image is None or not self._ready():
            return
        index = None
        if self.controls.this_slice.value and image.ndim > 2:
            try:
                view.check_plane_shown(image, self._viewer, f"{THIS_SLICE!r}")
            except MdeblurganError as error:
                self._tell_failure(str(error))
                return
            index = view.current_slice(image, self._viewer)
        self._start(image, index=index)

    def start_preview(self) -> None:
        """Restore what the canvas shows."""
        image = self.image
        if image is None or not self._ready():
            return
        try:
            region, is_all = view.visible_region(image, self._viewer, PREVIEW_PIXELS)
        except MdeblurganError as error:
            self._tell_failure(str(error))
            return
        index = view.current_slice(image, self._viewer) if image.ndim > 2 else None
        self._start(image, index=index, region=region, preview=True)
        self._note = "" if is_all else wording.CUT_PREVIEW

    def _ready(self) -> bool:
        return not self.running and self.problem is None

    def _start(self, image: Image, **part: Any) -> None:
        self._source = weakref.ref(image)
        self._note = ""
        part["trust"] = self.controls.trust.value and not part.get("preview", False)
        settings = read_settings()
        device = settings.device_for(self.controls.device.value)
        part |= {"precision": settings.precision, "tile_memory_mb": settings.tile_memory_mb}
        job = layers.job_on(image, self.controls.model.value, device, **part)
        self.controls.cancel.enabled = True
        show_life(self.controls)
        self._runner.start(job)
        self._refresh()

    def cancel(self) -> None:
        """Stop the work after the tile that is being worked on."""
        if self.running:
            self._runner.cancel()
            self.controls.status.value = "Cancelling…"
            self.controls.cancel.enabled = False

    def compare(self) -> None:
        """Switch the chosen image between before and after."""
        source = self._compared()
        if source is not None:
            (self._pairs.show_before if self._pairs.shows_after(source) else self._pairs.show_after)(source)
            self._refresh()

    def save_report(self) -> None:
        """Ask where, and save the report on the chosen image's newest result that was assessed."""
        found = self._reported()
        path = None if found is None else trust.ask_for_report_path(self.native, found[0].name)
        if found is None or path is None:
            return
        self.controls.status.value = "Saving the report…"
        create_worker(
            trust.save_report,
            path,
            found[1],
            found[0].data,
            _connect={
                "returned": lambda _: setattr(self.controls.status, "value", f"The report was saved as {path}."),
                "errored": lambda error: self._tell_failure(str(error)),
            },
        )

    def _reported(self) -> tuple[Image, trust.Trusted] | None:
        source = self._compared()
        return None if source is None else self._assessments.newest(self._pairs.results_of(source))

    def _compared(self) -> Image | None:
        return None if self.image is None else self._pairs.source_of(self.image)

    # ---- what comes back

    def _on_step(self, step: str | Progress) -> None:
        if isinstance(step, str):
            self.controls.status.value = step
        else:
            self.controls.status.value = "Restoring…"
            if step.done:
                show_progress(self.controls, step.fraction, wording.time_left(step.remaining_s))

    def _on_end(self, outcome: Restored | Failed | None) -> None:
        self._refresh()
        if outcome is None:
            self.controls.status.value = "Cancelled; nothing was added."
        elif isinstance(outcome, Failed):
            self._tell_failure(outcome.sentence)
        else:
            self._show(outcome)

    def _tell_failure(self, sentence: str) -> None:
        self.controls.status.value = sentence
        show_error(sentence)

    def _show(self, restored: Restored) -> None:
        source = self._source() if self._source is not None else None
        if source is not None:
            layers.remove_layers(self._viewer, self._pairs.previews_of(source))
        result = layers.add_result(self._viewer, restored, source)
        if source is not None:
            self._pairs.remember(source, result, preview=restored.preview)
            if source in self._viewer.layers:
                self._pairs.show_after(source)
        if restored.trusted is not None:
            trust.add_maps(self._viewer, restored.trusted, result)
            self._assessments.remember(result, restored.trusted)
        self.reset_choices()
        where = wording.place(restored.device)
        made = f"{result.name!r} was made in {wording.duration(restored.seconds)} on {where}."
        said = "" if restored.trusted is None else restored.trusted.assessment.sentence
        for warning in restored.warnings:
            show_warning(warning)
        self.controls.status.value = " ".join(filter(None, [made, self._note, *restored.warnings, said]))

    # ---- the widget's life

    def offer_models(self, name: str = "") -> None:
        """Offer the models that there are now; choose `name`, if one of them has it."""
        self._cards = list_models()
        self.reset_choices()
        if name in self.controls.model.choices:
            self.controls.model.value = name
        else:
            self._choose_model()
        self._refresh()

    def _on_show(self) -> None:
        self.offer_models()
        if self._looking_for_devices is None:
            self._looking_for_devices = create_worker(
                find_devices, read_settings().device, _connect={"returned": self._offer_devices}
            )

    def _offer_devices(self, devices: Devices) -> None:
        self._devices = devices
        wanted = self._choices.device
        with self.controls.device.changed.blocked():
            self.controls.device.reset_choices()
            if wanted in self.controls.device.choices:
                self.controls.device.value = wanted

    def _on_close(self) -> None:
        self._runner.abandon()
        if self._looking_for_devices is not None:
            with suppress(TypeError, RuntimeError):  # it has returned already
                self._looking_for_devices.returned.disconnect(self._offer_devices)
        self._viewer.layers.selection.events.active.disconnect(self._follow_active)
        release_key(self._viewer, COMPARE_KEY)

    def _refresh(self) -> None:
        """Bring everything that depends on the choices and on the work in line with them."""
        controls, image, card, problem = self.controls, self.image, self.card, self.problem
        show_image(controls, image.name if image is not None else "")
        controls.about.value = models.summary(card) if card is not None else ""
        controls.this_slice.visible = image is not None and image.ndim > 2
        controls.preview.enabled = controls.run.enabled = problem is None and not self.running
        controls.working.visible = self.running
        source = self._compared()
        controls.compare.enabled = source is not None
        controls.report.enabled = self._reported() is not None
        before = source is not None and self._pairs.shows_after(source)
        controls.compare.text = "Compare: show before" if before else "Compare: show after" if source else "Compare"
        if problem is not None or controls.status.value == self._told_problem:
            controls.status.value = problem or ""
        self._told_problem = problem
