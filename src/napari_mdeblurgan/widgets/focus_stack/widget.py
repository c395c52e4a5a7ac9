"""The dock widget **Focus stack**: from the planes of a stack to one image that is sharp
everywhere, and its heights.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from napari.layers import Image
from napari.utils.notifications import show_error

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.widgets.focus_stack.kept import (
    choices_of,
    fitting_axis,
    height_maps,
    source_name,
)
from napari_mdeblurgan.widgets.focus_stack.offers import (
    axes_of,
    offered_channels,
    problem_of,
    stacks_of,
)
from napari_mdeblurgan.widgets.focus_stack.showing import add_focused
from napari_mdeblurgan.widgets.focus_stack.source import stack_of, stack_of_layers, step_um
from napari_mdeblurgan.widgets.focus_stack.stack_job import Focused, FocusJob, run_focus
from napari_mdeblurgan.widgets.focus_stack.stack_panel import (
    STACK_TIP,
    FocusStackPanel,
    offer_names,
)
from napari_mdeblurgan.widgets.focus_stack.stack_preview import preview_part
from napari_mdeblurgan.widgets.layers.adding import remove_layers
from napari_mdeblurgan.widgets.layers.view import image_shape
from napari_mdeblurgan.widgets.other_docks import deblur_widget
from napari_mdeblurgan.widgets.runs.job import JobFailed
from napari_mdeblurgan.widgets.runs.runner import Runner
from napari_mdeblurgan.widgets.shared import wording
from napari_mdeblurgan.widgets.shared.choices import read_choices, write_choices
from napari_mdeblurgan.widgets.shared.closing import LifeWatch
from napari_mdeblurgan.widgets.shared.plain import literal
from napari_mdeblurgan.widgets.shared.run_times import RunTimes, Work

if TYPE_CHECKING:
    from napari_mdeblurgan.focus.focus_progress import FocusProgress
    from napari_mdeblurgan.widgets.focus_stack.source import StackSource

EARLIEST = 0.03  # of the work: before it, nobody can say how long it will last
CANCELLED, CANCELLED_REST = "Cancelled; nothing was added.", "Cancelled the rest."


@dataclass(frozen=True, slots=True)
class FocusStackChoices:
    """What the user chose last: whether planes are registered and in order, and whether Deblur + SR
    follows.
    """

    register: str = "yes"
    ordered: str = "yes"
    onward: str = "no"


class FocusStackWidget(FocusStackPanel):
    """Puts focus stacks together; see `panel` for what the user sees.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer whose layers are offered and that gets the results.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:  # type: ignore[name-defined]  # noqa: F821
        super().__init__()
        self._viewer = napari_viewer
        step, end, work = cast(Any, (self._on_progress, self._on_end, run_focus))
        self._runner = Runner(step, end, work, "the focus stack", self._viewer)
        self._stacks: list[tuple[weakref.ref[Image], ...]] = []
        self._axes: list[int | None] = []
        self._maps: list[weakref.ref[Image]] = []
        self._fitting: list[tuple[weakref.ref[Image], int]] = []
        self._shown: tuple[Any, ...] = ()  # the stack that axes and channels are offered of
        self._watched: Image | None = None
        self._sources: list[tuple[weakref.ref[Image], ...]] = []  # of the running jobs
        self._previewed: weakref.ref[Image] | None = None
        self._message = ""  # what is going on or has come of it
        self._told: list[str] = []
        self._times = RunTimes()
        self._work: Work | None = None  # of the stack that is put together
        self._choices = read_choices(FocusStackChoices)
        for box, wish in self._remembered:
            box.setChecked(wish == "yes")
        self._connect()
        self._follow()

    @property
    def _remembered(self) -> tuple[tuple[Any, str], ...]:
        kept = self._choices
        return (
            (self.register, kept.register),
            (self.ordered, kept.ordered),
            (self.onward, kept.onward),
        )

    def _connect(self) -> None:
        for event in self._changes:
            event.connect(self._offer)
        self._viewer.layers.selection.events.changed.connect(self._follow)
        self.stack.currentIndexChanged.connect(self._on_stack)
        self.axis.currentIndexChanged.connect(self._on_axis)
        self.heights.currentIndexChanged.connect(self._offer_followers)
        for box, _ in self._remembered:
            box.clicked.connect(self._remember)
            box.toggled.connect(self._refresh)
        self.preview.clicked.connect(self.start_preview)
        self.run.clicked.connect(self.start)
        self.cancel.clicked.connect(self.stop)
        self.follow.clicked.connect(self.start_following)
        self._watch = LifeWatch(self, self._offer, self._on_close, self._at_work)

    @property
    def _changes(self) -> tuple[Any, ...]:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.renamed

    # ---- what is offered

    def _offer(self, _: object = None) -> None:
        """Offer the stacks that there are now."""
        self._choose(self.layers)

    def _follow(self, _: object = None) -> None:
        """Choose the stack that is selected in the layer list, or the planes that are."""
        active = next(
            (each for each in self._viewer.layers if each == self._viewer.layers.selection.active),
            None,
        )
        chosen = self.layers
        self._choose(
            next((layers for _, layers in stacks_of(self._viewer) if active in layers), chosen)
        )

    def _choose(self, chosen: tuple[Image, ...]) -> None:
        """Offer the stacks that there are now, and choose one of them."""
        found = stacks_of(self._viewer)
        stacks = [layers for _, layers in found]
        if chosen not in stacks:
            chosen = stacks[0] if stacks else ()
        self._stacks = [tuple(map(weakref.ref, layers)) for layers in stacks]
        offer_names(self.stack, [name for name, _ in found], stacks.index(chosen) if stacks else -1)
        self.stack.setToolTip(
            literal("\n".join(filter(None, (self.stack.currentText(), STACK_TIP))))
        )
        self._offer_maps()
        self._on_stack()

    def _on_stack(self, _: object = None) -> None:
        layers = self.layers
        layer = layers[0] if len(layers) == 1 else None
        self._watch_layer(layer)
        shown = (
            tuple(map(id, layers))
            if layer is None
            else (
                id(layer),
                layer.axis_labels,
                image_shape(layer),
                tuple(layer.units),
                *layer.scale,
            )
        )
        if layer is None:
            self._axes = []
            offer_names(self.axis, [], -1)
        elif shown != self._shown:
            entries, chosen = axes_of(layer)
            self._axes = [axis for _, axis in entries]
            offer_names(self.axis, [words for words, _ in entries], self._axes.index(chosen))
        if shown != self._shown and not self.running:
            self._message = ""  # it was of another stack
        if shown != self._shown or layer is None:
            self._shown = shown
            self._on_axis()
        self._refresh()

    def _on_axis(self, _: object = None) -> None:
        layers, axis = self.layers, self.depth_axis
        layer = layers[0] if len(layers) == 1 else None
        entries = [] if layer is None else offered_channels(layer, axis)
        offer_names(self.channel, [words for words, _ in entries], 0 if entries else -1)
        self.step.setValue(step_um(layer, axis) if layer is not None and axis is not None else 0.0)
        self._refresh()

    def _watch_layer(self, layer: Image | None) -> None:
        """Hear of what changes about the chosen layer."""
        if layer is self._watched:
            return
        for watched, act in ((self._watched, "disconnect"), (layer, "connect")):
            if watched is not None:
                for name in ("axis_labels", "units", "scale", "set_data"):
                    getattr(getattr(watched.events, name), act)(self._on_stack)
        self._watched = layer

    def _offer_maps(self) -> None:
        before, maps = self._chosen_map, height_maps(self._viewer.layers)
        self._maps = list(map(weakref.ref, maps))
        names = [source_name(each) for each in maps]
        offer_names(
            self.heights, names, maps.index(before) if before in maps else 0 if maps else -1
        )
        self._offer_followers()

    def _offer_followers(self, _: object = None) -> None:
        heights = self._chosen_map
        layers = [] if heights is None else list(self._viewer.layers)
        fitting = [(layer, fitting_axis(heights, layer)) for layer in layers if heights is not None]
        there = [
            (layer, axis)
            for layer, axis in fitting
            if isinstance(layer, Image) and axis is not None
        ]
        before = self.follower.currentText()
        self._fitting = [(weakref.ref(layer), axis) for layer, axis in there]
        names = [layer.name for layer, _ in there]
        names += [f"All {len(names)} that fit"] if len(names) > 1 else []
        offer_names(
            self.follower, names, names.index(before) if before in names else len(names) - 1
        )
        self._refresh()

    # ---- what is chosen

    @property
    def layers(self) -> tuple[Image, ...]:
        """The chosen layer with a stack, or several that are a plane each; none if there is no
        stack.
        """
        at = self.stack.currentIndex()
        return self._there(self._stacks[at]) if 0 <= at < len(self._stacks) else ()

    def _there(self, references: Sequence[weakref.ref[Image]]) -> tuple[Image, ...]:
        """Those of some layers that are still in the viewer."""
        layers = (reference() for reference in references)
        return tuple(
            layer for layer in layers if layer is not None and layer in self._viewer.layers
        )

    @property
    def depth_axis(self) -> int | None:
        """The chosen layer's axis along which the focus changes."""
        at = self.axis.currentIndex()
        return self._axes[at] if 0 <= at < len(self._axes) else None

    @property
    def _chosen_map(self) -> Image | None:
        at = self.heights.currentIndex()
        found = self._there(self._maps[at : at + 1]) if at >= 0 else ()
        return found[0] if found else None

    @property
    def running(self) -> bool:
        """Whether a stack is being put together."""
        return self._runner.running

    @property
    def problem(self) -> str:
        """Why nothing can be put together now, in one sentence; empty if something can."""
        return problem_of(self._viewer, self.layers, self.depth_axis)

    def _remember(self, _: object = None) -> None:
        names = ("register", "ordered", "onward")
        ticked = {name: "yes" if getattr(self, name).isChecked() else "no" for name in names}
        self._choices = replace(self._choices, **ticked)
        write_choices(self._choices)

    # ---- what is done

    def start(self) -> None:
        """Put the chosen stack together."""
        self._start(preview=False)

    def start_preview(self) -> None:
        """Put together what the canvas shows."""
        self._start(preview=True)

    def _start(self, *, preview: bool) -> None:
        if self.running or self.problem:
            return
        try:
            stack, note = self._stack(preview=preview)
        except MdeblurganError as error:
            self._fail(str(error))
            return
        job = FocusJob(
            stack=stack,
            registered=not self.register.isChecked(),
            ordered=self.ordered.isChecked(),
            channel=self.channel.currentIndex() - 1 if self.channel.currentIndex() > 0 else None,
            step_um=self.step.value(),
            preview=preview,
        )
        work = None if preview else self._expected()
        self._begin([job], [self.layers], note, work)

    def _stack(self, *, preview: bool) -> tuple[StackSource, str]:
        layers, axis = self.layers, self.depth_axis
        part, is_all = preview_part(layers, self._viewer, axis) if preview else (None, True)
        stack = (
            stack_of(layers[0], axis, part) if axis is not None else stack_of_layers(layers, part)
        )
        return stack, "" if is_all else wording.CUT_PREVIEW

    def start_following(self) -> None:
        """Make images of other stacks by the choice that was made for one."""
        heights, at = self._chosen_map, self.follower.currentIndex()
        if self.running or heights is None or at < 0:
            return
        wanted = self._fitting[at : at + 1] or self._fitting
        pairs = [(self._there([reference]), axis) for reference, axis in wanted]
        choices = partial(choices_of, heights)
        try:
            jobs = [
                FocusJob(stack=stack_of(layers[0], axis), choices=choices)
                for layers, axis in pairs
                if layers
            ]
        except MdeblurganError as error:
            self._fail(str(error))
            return
        self._begin(jobs, [layers for layers, _ in pairs if layers], "")

    def _expected(self) -> Work:
        """What the time of putting the chosen stack together depends on."""
        values = sum(
            math.prod(image_shape(layer)) * (3 if layer.rgb else 1) for layer in self.layers
        )
        ways = [
            name
            for name, box in (("registered", self.register), ("ordered", self.ordered))
            if box.isChecked()
        ]
        named = " ".join(["focus stack", *ways]), "cpu", "", None
        return Work(values, *named, ensemble=False, trust=False, on_disk=False)

    def _begin(
        self,
        jobs: list[FocusJob],
        sources: list[tuple[Image, ...]],
        note: str,
        work: Work | None = None,
    ) -> None:
        self._work = work
        self._sources = [tuple(map(weakref.ref, layers)) for layers in sources]
        self._told = [note] if note else []
        self.show_life()
        self._runner.start(*jobs)
        self._message = "Looking at the planes…"
        self._refresh()

    def stop(self) -> None:
        """Let go of the work, which ends with the step that it is at."""
        if self.running:
            self._runner.abandon()
            self._on_end(None)

    # ---- what comes back

    def _on_progress(self, step: FocusProgress) -> None:
        elapsed = self._runner.elapsed
        left = elapsed * (1 - step.fraction) / step.fraction if step.fraction > EARLIEST else None
        self.show_progress(step.fraction, wording.time_left(left))
        count = len(self._sources)
        which = f"Stack {self._runner.position + 1} of {count}: " if count > 1 else ""
        self._say(f"{which}{step.words}")

    def _on_end(self, outcome: Focused | JobFailed | None) -> None:
        if isinstance(outcome, Focused):
            self._show(outcome)
        elif isinstance(outcome, JobFailed):
            show_error(outcome.sentence)
            self._told.append(outcome.sentence)
        else:
            self._told.append(CANCELLED_REST if self._told else CANCELLED)
        self._message = " ".join(self._told)
        self.show_life()
        self._refresh()

    def _show(self, made: Focused) -> None:
        stack = self._sources[self._runner.position]
        if self._previewed is not None:
            remove_layers(self._viewer, list(self._there([self._previewed])))
        image = add_focused(self._viewer, made, [each() for each in stack])
        self._previewed = weakref.ref(image) if made.preview else None
        if self._work is not None:
            self._times.keep(self._work, "cpu", self._runner.elapsed)
        self._told.append(f"{image.name!r} was made in {wording.duration(self._runner.elapsed)}.")
        self._told += made.notes
        if made.maps and self.onward.isChecked():
            self._viewer.layers.selection.active = image  # which Deblur + SR follows
            words = deblur_widget(self._viewer).restore(image)
            self._told.append(words or f"{wording.RUN} goes on with it.")

    def _fail(self, sentence: str) -> None:
        self._say(sentence)
        show_error(sentence)

    def _say(self, message: str) -> None:
        self._message = message
        lacking = "" if self.running else self.problem
        self.status.setText("\n".join(filter(None, (message, lacking))))

    # ---- the widget's life

    def _at_work(self) -> str:
        if not self.running:
            return ""
        doing, press = self._runner.doing, f"press {self.run.text()}"
        return wording.closed_at_work("Focus stack", doing, wording.NOTHING_KEPT, press)

    def _on_close(self) -> None:
        self._runner.abandon()
        self._watch_layer(None)
        for event in self._changes:
            event.disconnect(self._offer)
        self._viewer.layers.selection.events.changed.disconnect(self._follow)

    def _refresh(self, _: object = None) -> None:
        """Bring everything that depends on the choices and on the work in line with them."""
        self.time.setText(
            self._times.told_of([self._expected()])
            if self.layers and not self.running and not self.problem
            else ""
        )
        running, ready = self.running, not self.running and not self.problem
        several = len(self.layers) > 1
        self.show_row(self.axis, shown=not several)
        self.show_row(self.channel, shown=self.channel.count() > 0)
        self.step.setEnabled(bool(self.layers))
        self.following.setVisible(self.follower.count() > 0)
        self.show_working(running=running, ready=ready)
        self._say(self._message)
