"""The slider **Sharpness**: how sharp the selected result is shown, at once and without another
run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from magicgui.widgets import CheckBox, Container, Label, Slider
from napari.utils.notifications import show_error
from qtpy.QtCore import QEvent, QObject, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QSlider, QWidget

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.widgets.deblur.microscope import MicroscopeGroup
from napari_mdeblurgan.widgets.layers import view
from napari_mdeblurgan.widgets.layers.live_layer import show_levels
from napari_mdeblurgan.widgets.runs.job import noted
from napari_mdeblurgan.widgets.runs.known_optics import known_softness, layer_pixel_um
from napari_mdeblurgan.widgets.runs.soft_results import (
    KNOWN_SOFT,
    Done,
    Seen,
    Softener,
    SoftResult,
    of_layer,
)
from napari_mdeblurgan.widgets.shared.rows import LABEL_WIDTH, in_a_row, wrap

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

    from napari_mdeblurgan.restoration.softness import Softness

_SOFTEST = 3.0  # pixels, at the left end of the slider
_STEPS = 60
_DRAW_MS = 30
_REST = 2  # times as long as refreshing and drawing has taken, nothing is refreshed
_TIP = (
    "How sharp the selected result is shown, at once: at the right the bare network's result, at "
    f"the left blurred by a Gaussian of σ = {_SOFTEST:g} pixels of the result. All channels of its "
    "run follow. Double-click for Auto."
)
AUTO_TIP = (
    "As sharp as an objective of the result's magnification would show it: by the objective that "
    "the file tells, or else by Your microscope. Where neither is known, as soft as the model is "
    "set to be then. A fine-tuned model has learned it."
)
_NO_RESULT = "There is no result yet, or it was not made in this session."
BY_HAND = "by hand"


class DoubleClick(QObject):
    """Tells when a widget is clicked twice, and keeps the second click from it.

    Parameters
    ----------
    watched : QWidget
        Which widget.
    """

    happened = Signal()

    def __init__(self, watched: QWidget) -> None:
        super().__init__(watched)
        watched.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Watch for it."""
        if event is None or event.type() != QEvent.Type.MouseButtonDblClick:
            return super().eventFilter(watched, event)
        self.happened.emit()
        return True


class Sharpness(QObject):
    """The slider, its box **Auto** and the group of the microscope; lives on the main thread.

    Parameters
    ----------
    viewer : Viewer
        Whose view says what is blurred first.
    on_change : callable
        Called without arguments when a result is another one from now on.

    Attributes
    ----------
    widget : Container
        The slider and its box, to be laid out.
    group : MicroscopeGroup
        Its `widget` is to be laid out as well.
    """

    _done = Signal(object)

    def __init__(self, viewer: Viewer, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._viewer, self._on_change = viewer, on_change
        self._layers: list[ref[Image]] = []  # the one that is shown here, then those that follow it
        self._softener = Softener(self._done.emit)
        self._done.connect(self._on_done)
        self._stale: dict[
            ref[Image], bool
        ] = {}  # what is to be drawn anew, and whether with its thumbnail
        self._drawn_at = self._took = 0.0
        self._draw = QTimer(self)
        self._draw.setSingleShot(True)
        self._draw.timeout.connect(self._refresh)
        self.group = MicroscopeGroup(self._on_microscope)
        self.slider = Slider(min=0, max=_STEPS, value=_STEPS, readout=False, tooltip=_TIP)
        for part in self.slider.native.findChildren(
            QWidget
        ):  # also the hidden field for its number
            part.setToolTip(_TIP)
        self.auto = CheckBox(text="Auto", value=True, tooltip=AUTO_TIP)
        self.told = Label(value="", tooltip=_TIP)
        wrap(self.told)
        label = Label(value="Sharpness", tooltip=_TIP)
        label.min_width = LABEL_WIDTH
        row = in_a_row(label, self.slider, self.auto)
        self.widget: Container = Container(widgets=[row, self.told], labels=False)
        self.widget.margins = (0, 0, 0, 0)
        self.handle: QSlider = self.slider.native.findChild(QSlider)
        DoubleClick(self.handle).happened.connect(self._on_double_click)
        self.slider.changed.connect(self._on_slider)
        self.auto.changed.connect(self._on_auto)
        self.show([])

    # ---- which results

    def adopt(self, layer: Image, result: SoftResult, levels: Sequence[Any] = ()) -> None:
        """Take a new result up, as it is shown; `levels` are those of one on disk, which an earlier
        layer may show already.
        """
        if levels and layer.data[0] is not levels[0]:
            if of_layer(layer) is not None:
                return
            show_levels(layer, levels)
        result.settled = result.softness
        KNOWN_SOFT[layer] = result

    def show(self, layers: Sequence[Image]) -> None:
        """Show the softness of the first of these results; all of them follow the slider."""
        mine = [layer for layer in layers if of_layer(layer) is not None]
        if layers and (not mine or mine[0] is not layers[0]):
            mine = []
        self._layers = [ref(layer) for layer in mine]
        for layer in mine:
            result = of_layer(layer)
            if (
                result is not None
                and result.settled is None
                and not (result.problem or self._softener.is_at(result))
            ):
                self._ask(layer, result)
        self._tell()

    def _results(self) -> list[tuple[Image, SoftResult]]:
        there = [
            layer
            for each in self._layers
            if (layer := each()) is not None and layer in self._viewer.layers
        ]
        return [(layer, result) for layer in there if (result := of_layer(layer)) is not None]

    def _tell(self) -> None:
        found = self._results()
        self.slider.enabled = self.auto.enabled = bool(found)
        if not found:
            self.told.value = ""
            self.told.visible = False
            return
        layer, result = found[0]
        with self.slider.changed.blocked(), self.auto.changed.blocked():
            self.slider.value = _STEPS - round(
                min(result.softness.sigma, _SOFTEST) * _STEPS / _SOFTEST
            )
            self.auto.value = result.auto
        self.told.value = _in_words(result.softness, pixel_um(layer, result))
        self.told.visible = True

    # ---- what the user wants

    def _on_slider(self, value: int) -> None:
        from napari_mdeblurgan.restoration.softness import Softness

        sigma = round((_STEPS - value) * _SOFTEST / _STEPS, 3)
        self._want([(each, Softness(sigma, BY_HAND), False) for each in self._results()])

    def _on_double_click(self) -> None:
        """Go back to what is known."""
        if self.slider.enabled:
            self.auto.value = True

    def _on_auto(self, on: bool) -> None:
        from napari_mdeblurgan.restoration.softness import Softness

        found = self._results()
        if on:
            self._want([(each, self.known(each[1]), True) for each in found])
        else:
            self._want([(each, Softness(each[1].softness.sigma, BY_HAND), False) for each in found])

    def _on_microscope(self) -> None:
        """Let all results that follow what is known follow it."""
        layers = [layer for layer in list(KNOWN_SOFT) if layer in self._viewer.layers]
        found = [
            (layer, result)
            for layer in layers
            if (result := of_layer(layer)) is not None and result.auto
        ]
        self._want([(each, self.known(each[1]), True) for each in found])

    def known(self, result: SoftResult) -> Softness:
        """How soft a result is by all that is known."""
        return known_softness(result.optics, self.group.microscope, result.unknown)

    def _want(self, wanted: list[tuple[tuple[Image, SoftResult], Softness, bool]]) -> None:
        for (layer, result), softness, auto in wanted:
            blur = softness.sigma != result.softness.sigma or result.settled is None
            result.softness, result.auto = softness, auto
            if blur:
                result.settled = None
                self._ask(layer, result)
            else:
                self._note(layer, softness)
        self._tell()
        self._on_change()

    def _ask(self, layer: Image, result: SoftResult) -> None:
        self._softener.ask(result, seen_of(layer, self._viewer, result))

    # ---- what comes back

    def _on_done(self, done: Done) -> None:
        layer = next((each for each in list(KNOWN_SOFT) if KNOWN_SOFT[each] is done.result), None)
        if done.problem:
            show_error(done.problem)
        if layer is None or of_layer(layer) is not done.result:
            return
        if (
            done.result.shown is not None
            and layer.data is not None
            and not _shows(layer, done.result)
        ):
            layer.data = done.result.pixels
        if done.whole:
            self._note(layer, done.softness)
        self._stale[ref(layer)] = self._stale.get(ref(layer), False) or done.whole
        self._draw_soon()
        if done.whole:
            self._on_change()

    def _note(self, layer: Image, softness: Softness) -> None:
        """Let the layer tell how soft it is, and why."""
        made = layer.metadata.get("mdeblurgan", {})
        layer.metadata = {**layer.metadata, "mdeblurgan": {**made, **noted(softness)}}

    def _draw_soon(self) -> None:
        if not self._draw.isActive():
            rest = self._drawn_at + _REST * self._took - time.perf_counter()
            self._draw.start(max(_DRAW_MS, round(1000 * rest)))

    def _refresh(self) -> None:
        stale, self._stale = self._stale, {}
        start = time.perf_counter()
        for each, thumbnail in stale.items():
            layer = each()
            if layer is not None and layer in self._viewer.layers:
                layer.refresh(extent=False, highlight=False, thumbnail=thumbnail)
        QTimer.singleShot(_DRAW_MS, lambda: self._drawn(start))

    def _drawn(self, start: float) -> None:
        """Drawing follows the refresh as an event of its own, which made this call late."""
        self._drawn_at = time.perf_counter()
        self._took = max(self._drawn_at - start - _DRAW_MS / 1000, 0.0)

    def close(self) -> None:
        """Leave all results as they are from now on."""
        self._softener.close()
        self._draw.stop()
        self._done.disconnect(self._on_done)


def _shows(layer: Image, result: SoftResult) -> bool:
    return result.shown is not None and np.may_share_memory(layer.data, result.shown)


def seen_of(layer: Image, viewer: Viewer, result: SoftResult) -> Seen | None:
    """What of a result is on the canvas; None where it shows no planes of y and x, or nothing of
    it.
    """
    try:
        region, _ = view.visible_region(layer, viewer, 2**62, result.order)
    except ImageError:
        return None
    plane = view.current_slice(layer, viewer, result.order)
    if not layer.multiscale:
        return Seen(plane, region)
    level, coarsest = layer.data_level, len(layer.level_shapes) - 1
    low, high = (corner[list(result.order[-2:])] for corner in layer.corner_pixels)
    here = tuple(slice(int(first), int(last) + 1, 1) for first, last in zip(low, high, strict=True))
    index = _on_level(plane, layer, level, result.order)
    return Seen(
        plane,
        region,
        ((level, (*index, *here)), (coarsest, _on_level(plane, layer, coarsest, result.order))),
    )


def _on_level(
    plane: tuple[int, ...], layer: Image, level: int, order: Sequence[int]
) -> tuple[int, ...]:
    factors = layer.downsample_factors[level]
    return tuple(int(at / factors[axis]) for at, axis in zip(plane, order, strict=False))


def pixel_um(layer: Image, result: SoftResult) -> float | None:
    """Edge of a result's pixel in µm, if its layer knows it."""
    axis = result.order[-1]
    return layer_pixel_um(layer.scale[axis], layer.units[axis])


def _in_words(softness: Softness, pixel: float | None) -> str:
    """A softness for people, with its length in the specimen where that is known."""
    if not softness.sigma:
        return f"Sharpest: the bare network's result ({softness.reason})."
    length = softness.sigma * pixel if pixel else None
    told = (
        ""
        if length is None
        else f" = {length * 1000:.0f} nm"
        if length < 1
        else f" = {length:.2f} µm"
    )
    return f"σ = {softness.sigma:.2f} px{told} ({softness.reason})."
