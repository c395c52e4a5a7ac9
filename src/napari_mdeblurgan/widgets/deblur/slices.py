"""The controls for stacks: which axes make a plane, which slices are restored, and what has an
intensity window of its own.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from itertools import combinations
from typing import Any

from magicgui.widgets import ComboBox, Container, RangeSlider
from napari.layers import Image
from qtpy.QtWidgets import QAbstractSlider, QWidget

from napari_mdeblurgan.widgets.layers.axes import channel_axis, order_of, order_of_planes, spoken
from napari_mdeblurgan.widgets.layers.view import image_shape
from napari_mdeblurgan.widgets.shared.rows import in_a_row, name_of

WINDOW_TIP = (
    "What the intensity range is measured over. One for the stack keeps its planes comparable; "
    "one per channel suits fluorescence; one per slice evens out bleaching, but blows up the "
    "noise of empty planes."
)
PLANES_TIP = (
    "Which two axes are y and x: they make a plane, and the stack is restored plane by plane. "
    "Axes that are labelled y and x are chosen by themselves, else the last two."
)
KIND_TIP = (
    "Nothing tells what the first axis of this layer runs over. Each channel has an intensity "
    "range of its own; slices of a stack share one. The answer becomes the axis's label, z or c, "
    "which stays with the layer and its results."
)
UNTOLD, SLICES, CHANNELS = "slices or channels?", "slices", "channels"
LABEL_OF = {SLICES: "z", CHANNELS: "c"}
_FEW = range(2, 7)  # planes that may as well be channels as slices
FOR_STACK, PER_SLICE = "One for the stack", "One per slice"


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
        self._image: weakref.ref[Image] | None = None
        self._planes: list[tuple[str, tuple[int, ...]]] = []
        self.axes = ComboBox(choices=self._plane_entries, label="Planes", tooltip=PLANES_TIP)
        self.ranges: dict[int, RangeSlider] = {}
        self._windows: list[tuple[str, Any]] = [(FOR_STACK, FOR_STACK)]
        self.window = ComboBox(choices=self._window_entries, label="Intensity", tooltip=WINDOW_TIP)
        self.kind = ComboBox(choices=[UNTOLD, SLICES, CHANNELS], label="Stack of", tooltip=KIND_TIP)
        self._asked: weakref.WeakSet[Image] = (
            weakref.WeakSet()
        )  # what the first axis is, and answered or not
        self._kind_row = _named("Stack of", self.kind)
        self._rows: Container = Container(widgets=[], labels=False)
        self._rows.margins = (0, 0, 0, 0)
        rows = [
            self._kind_row,
            _named("Planes", self.axes),
            self._rows,
            _named("Intensity", self.window),
        ]
        self.widget = Container(widgets=rows, labels=False)
        self.widget.margins = (0, 0, 0, 0)
        self.widget.visible = False
        self.axes.changed.connect(self._on_axes)
        self.kind.changed.connect(self._on_kind)

    def offer(self, image: Image | None, *, one_plane: bool) -> None:
        """Offer what `image` has; nothing to choose from for one plane, but the window."""
        stack = image is not None and image.ndim > 2
        self.widget.visible = stack
        if image is None or not stack:
            self._shown, self._image = (), None
            return
        self._ask(image)
        if (id(image), image.axis_labels, image_shape(image)) != self._shown:
            self._shown, self._image = (
                (id(image), image.axis_labels, image_shape(image)),
                weakref.ref(image),
            )
            self._offer_planes(image.axis_labels)
            self._offer_slices(image)
        self._rows.visible = not one_plane and bool(self.ranges)

    def _ask(self, image: Image) -> None:
        """Let the user say what the first axis is, once, where nothing tells; the answer can be
        changed.
        """
        if is_untold(image):
            self._asked.add(image)
        self._kind_row.visible = image in self._asked
        told = {label: kind for kind, label in LABEL_OF.items()}
        with self.kind.changed.blocked():
            self.kind.value = told.get(image.axis_labels[0], UNTOLD)

    def _on_kind(self, kind: str) -> None:
        image = self._image() if self._image is not None else None
        if image is not None and image in self._asked and kind in LABEL_OF:
            image.axis_labels = (LABEL_OF[kind], "y", "x")
            self._on_change()
        elif image is not None:
            self._ask(image)

    def order(self, image: Image) -> tuple[int, ...]:
        """The image's axes, those that make a plane last: as they are chosen, or by the labels of
        one that is not offered.
        """
        offered = image.ndim > 2 and self._image is not None and self._image() is image
        return tuple(self.axes.value) if offered else order_of(image.axis_labels)

    def planes(self, image: Image) -> tuple[slice, ...]:
        """The chosen slices along each axis before y and x, in the order of the image; empty for
        all.
        """
        spans = [slice(None)] * (image.ndim - 2)
        for axis, slider in self.ranges.items():
            first, last = (int(value) for value in slider.value)
            if (first, last) != (slider.min, slider.max):
                spans[axis] = slice(first, last + 1)
        return tuple(spans) if any(span != slice(None) for span in spans) else ()

    def window_axes(self, image: Image) -> tuple[int, ...]:
        """The axes whose entries have an intensity window each."""
        if image.ndim == 2 or self.window.value == FOR_STACK:
            return ()
        return (
            tuple(range(image.ndim - 2))
            if self.window.value == PER_SLICE
            else (int(self.window.value),)
        )

    def of(self, image: Image) -> dict[str, Any]:
        """What a job takes from here; another image than the one that is offered is done whole, in
        the usual way.
        """
        order = self.order(image)
        if self._image is None or self._image() is not image:
            own = channel_axis(_in_order(image, order))
            return {"order": order, "planes": (), "window_axes": () if own is None else (own,)}
        return {
            "order": order,
            "planes": self.planes(image),
            "window_axes": self.window_axes(image),
        }

    def _plane_entries(self, _: object = None) -> list[tuple[str, tuple[int, ...]]]:
        return list(self._planes)

    def _on_axes(self, _: object = None) -> None:
        image = self._image() if self._image is not None else None
        if image is not None:
            self._offer_slices(image)
            self._on_change()

    def _offer_planes(self, labels: tuple[str, ...]) -> None:
        told, ndim = order_of(labels), len(labels)
        pairs = [
            told[-2:],
            *(pair for pair in combinations(range(ndim), 2) if set(pair) != set(told[-2:])),
        ]
        self._planes = [
            (f"{spoken(labels[y])}, {spoken(labels[x])}", order_of_planes(ndim, y, x))
            for y, x in pairs
        ]
        with self.axes.changed.blocked():
            self.axes.reset_choices()
            self.axes.value = told

    def _offer_slices(self, image: Image) -> None:
        order = self.order(image)
        labels = _in_order(image, order)
        self._offer_ranges(labels[:-2], image_shape(image, order)[:-2])
        self._offer_windows(labels[:-2], channel_axis(labels))

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
                    tooltip=f"First and last slice along the slider {spoken(label)} that are "
                    "restored.",
                )
                slider.changed.connect(self._on_change)
                self.ranges[axis] = slider
                self._rows.append(_named(spoken(label), slider))
        before: QWidget = self.axes.native  # the tab key goes through the rows from top to bottom
        for slider in self.ranges.values():
            handles = slider.native.findChild(QAbstractSlider)
            QWidget.setTabOrder(before, handles)
            before = handles

    def _offer_windows(self, labels: tuple[str, ...], channels: int | None) -> None:
        per_axis = [
            (f"One per {_entry(label, axis == channels)}", axis)
            for axis, label in enumerate(labels)
        ]
        several = [(PER_SLICE, PER_SLICE)] if len(labels) > 1 else []
        if not several:  # the only axis: an entry of it is a slice
            per_axis = [("One per channel" if channels == 0 else PER_SLICE, 0)]
        self._windows = [(FOR_STACK, FOR_STACK), *per_axis, *several]
        self.window.reset_choices()
        self.window.value = FOR_STACK if channels is None else channels


def is_untold(image: Image) -> bool:
    """Whether the first axis of a layer may run over channels or slices: there are a few planes,
    and no label tells.
    """
    named = any(not label.lstrip("-").isdecimal() for label in image.axis_labels)
    return image.ndim == 3 and not image.rgb and not named and image_shape(image)[0] in _FEW


def _in_order(image: Image, order: tuple[int, ...]) -> tuple[str, ...]:
    """The labels of the axes."""
    return tuple(image.axis_labels[axis] for axis in order)


def _entry(label: str, channels: bool) -> str:
    return f"channel ({label})" if channels else f"entry of {spoken(label)}"


def _named(words: str, widget: Any) -> Container:
    return in_a_row(name_of(words, widget.tooltip), widget)
