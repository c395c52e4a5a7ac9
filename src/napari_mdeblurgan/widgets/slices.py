"""The controls for stacks: which slices along each slider are restored, and what has an intensity window of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from magicgui.widgets import ComboBox, Container, Label, RangeSlider
from napari.layers import Image

from napari_mdeblurgan.widgets.axes import channel_axis
from napari_mdeblurgan.widgets.controls import LABEL_WIDTH
from napari_mdeblurgan.widgets.view import image_shape

WINDOW_TIP = (
    "What the grey values are measured over. One window for the stack keeps its planes comparable; one per channel suits "
    "fluorescence; one per slice evens out bleaching, but blows up the noise of empty planes."
)
WHOLE, EACH = "One for the stack", "One per slice"


class Slices:
    """The controls; `widget` is to be laid out.

    Parameters
    ----------
    on_change : callable
        Called without arguments when the user has chosen other slices.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._shown: tuple[Any, ...] = ()
        self.ranges: dict[int, RangeSlider] = {}
        self._windows: list[tuple[str, Any]] = [(WHOLE, WHOLE)]
        self.window = ComboBox(choices=self._window_entries, label="Window", tooltip=WINDOW_TIP)
        self._rows: Container = Container(widgets=[], labels=False)
        self._rows.margins = (0, 0, 0, 0)
        self.widget = Container(widgets=[self._rows, _named("Window", self.window)], labels=False)
        self.widget.margins = (0, 0, 0, 0)
        self.widget.visible = False

    def offer(self, image: Image | None, *, one_plane: bool) -> None:
        """Offer what `image` has; nothing to choose from for one plane, but the window."""
        stack = image is not None and image.ndim > 2
        self.widget.visible = stack
        if image is None or not stack:
            self._shown = ()
            return
        labels, lengths = tuple(image.axis_labels[:-2]), image_shape(image)[:-2]
        if (id(image), labels, lengths) != self._shown:
            self._shown = id(image), labels, lengths
            self._offer_ranges(labels, lengths)
            self._offer_windows(labels, channel_axis(image.axis_labels))
        self._rows.visible = not one_plane and bool(self.ranges)

    def planes(self, image: Image) -> tuple[slice, ...]:
        """The chosen slices along each axis before y and x; empty for all."""
        spans = [slice(None)] * (image.ndim - 2)
        for axis, slider in self.ranges.items():
            first, last = (int(value) for value in slider.value)
            if (first, last) != (slider.min, slider.max):
                spans[axis] = slice(first, last + 1)
        return tuple(spans) if any(span != slice(None) for span in spans) else ()

    def window_axes(self, image: Image) -> tuple[int, ...]:
        """The axes whose entries have an intensity window each."""
        if image.ndim == 2 or self.window.value == WHOLE:
            return ()
        return tuple(range(image.ndim - 2)) if self.window.value == EACH else (int(self.window.value),)

    def of(self, image: Image) -> dict[str, Any]:
        """What a job takes from here; another image than the one that is offered is done whole, in the usual way."""
        if not self._shown or self._shown[0] != id(image):
            own = channel_axis(image.axis_labels)
            return {"planes": (), "window_axes": () if own is None else (own,)}
        return {"planes": self.planes(image), "window_axes": self.window_axes(image)}

    def _window_entries(self, _: object = None) -> list[tuple[str, Any]]:
        return list(self._windows)

    def _offer_ranges(self, labels: tuple[str, ...], lengths: tuple[int, ...]) -> None:
        self._rows.clear()
        self.ranges = {}
        for axis, (label, length) in enumerate(zip(labels, lengths, strict=True)):
            if length > 1:
                slider = RangeSlider(
                    min=0,
                    max=length - 1,
                    value=(0, length - 1),
                    tooltip=f"First and last slice along the slider {_spoken(label)} that are restored.",
                )
                slider.changed.connect(self._on_change)
                self.ranges[axis] = slider
                self._rows.append(_named(_spoken(label), slider))

    def _offer_windows(self, labels: tuple[str, ...], channels: int | None) -> None:
        per_axis = [(f"One per {_entry(label, axis == channels)}", axis) for axis, label in enumerate(labels)]
        several = [(EACH, EACH)] if len(labels) > 1 else []
        if not several:  # the only axis: an entry of it is a slice
            per_axis = [("One per channel" if channels == 0 else EACH, 0)]
        self._windows = [(WHOLE, WHOLE), *per_axis, *several]
        self.window.reset_choices()
        self.window.value = WHOLE if channels is None else channels


def _spoken(label: str) -> str:
    """An axis by its label; napari numbers those without one from behind."""
    return f"axis {label}" if label.lstrip("-").isdecimal() else label


def _entry(label: str, channels: bool) -> str:
    return f"channel ({label})" if channels else f"entry of {_spoken(label)}"


def _named(words: str, widget: Any) -> Container:
    label = Label(value=words, tooltip=widget.tooltip)
    label.min_width = label.max_width = LABEL_WIDTH
    row = Container(widgets=[label, widget], layout="horizontal", labels=False)
    row.margins = (0, 0, 0, 0)
    return row
