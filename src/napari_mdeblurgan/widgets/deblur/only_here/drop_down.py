"""The drop-down **Only here**: the whole image, or the shapes of a Shapes layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
from magicgui.widgets import ComboBox
from napari.layers import Shapes
from napari.utils.colormaps.standardize_color import transform_color
from qtpy.QtCore import QTimer

from napari_mdeblurgan.widgets.deblur.only_here.shape_parts import (
    FoundParts,
    parts_on,
    with_an_area,
)
from napari_mdeblurgan.widgets.layers import view
from napari_mdeblurgan.widgets.layers.told_apart import told_apart
from napari_mdeblurgan.widgets.shared.choices import Remembered
from napari_mdeblurgan.widgets.shared.rows import LABEL_WIDTH, WIDER, let_shrink, named

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

    from napari_mdeblurgan.widgets.runs.job import Job

ONLY_HERE, _WHOLE = "Only here", "Whole image"
_TIP = (
    "Restore only the shapes of a Shapes layer: the selected ones, or all if none is selected. "
    "Each becomes a layer of its own, which lies in its place and is what it would be in the "
    "whole; of a stack, in the plane that is shown. What is in the box around an ellipse or a "
    "polygon and not in the shape stays empty. A white filling, which would veil it, is taken away."
)
EACH_A_FILE = (
    "Each shape is saved to disk as a result of its own; other programs than this one show the "
    "whole box around an ellipse or a polygon."
)
_SOON_MS = 30
DRAWING = "add_"  # how the modes of a Shapes layer begin in which shapes are drawn


class OnlyHere:
    """The drop-down; `widget` is to be laid out. Lives on the main thread.

    Parameters
    ----------
    viewer : Viewer
        Whose Shapes layers are offered.
    remembered : Remembered
        The last choices.
    on_choice : callable
        Called without arguments when another layer is chosen, or none.
    on_change : callable
        Called without arguments when there are other shapes in the chosen one, or others are
        selected.
    """

    def __init__(
        self,
        viewer: Viewer,
        remembered: Remembered,
        on_choice: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        self._viewer = getattr(
            viewer, "__wrapped__", viewer
        )  # a plugin may get a proxy of it, whose layers are proxies too
        self._remembered, self._on_choice = remembered, on_choice
        self._chosen: Shapes | None = None
        self._modes: WeakKeyDictionary[Shapes, str] = (
            WeakKeyDictionary()
        )  # of all Shapes layers, the last
        self._drawn: WeakSet[Shapes] = WeakSet()  # in which napari has selected what was drawn last
        self._soon = QTimer()
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MS)
        self._soon.timeout.connect(on_change)
        self.box = ComboBox(label=ONLY_HERE, choices=self._entries, tooltip=_TIP)
        let_shrink(self.box.native)
        self.widget = named(self.box, LABEL_WIDTH + WIDER)
        self.box.changed.connect(self._on_box)
        self.follow()

    @property
    def layer(self) -> Shapes | None:
        """The chosen layer; None for the whole image."""
        return self._chosen

    @property
    def count(self) -> str:
        """How many shapes would be restored, in words; empty for the whole image."""
        if self._chosen is None:
            return ""
        several, of = len(self._meant(self._chosen)), len(with_an_area(self._chosen))
        if not several:
            return "no shape"
        return f"{several} of {of} shapes" if several < of else f"{of} shape{'s' * (of > 1)}"

    def sentence(self, *, to_disk: bool) -> str:
        """What is to be known before the button is pressed."""
        return EACH_A_FILE if to_disk and self._chosen is not None else ""

    def follow(self) -> None:
        """Offer the layers that there are now, by their names; choose the one of the last time as
        soon as it is there.
        """
        for each in self._offered():
            if each not in self._modes:
                self._modes[each] = ""
                self._note_mode(each)
                each.events.mode.connect(self._on_mode)
        layer = self._chosen if self._chosen in self._viewer.layers else None
        if layer is None and self._chosen is None:
            wanted = self._remembered.choices.only_here
            layer = next((each for each in self._offered() if each.name == wanted), None)
        elif layer is not None:
            self._remembered.change(only_here=layer.name)
        with self.box.changed.blocked():
            self.box.reset_choices()
            self.box.value = layer or _WHOLE
        self._choose(layer)

    def found(self, image: Image, order: Sequence[int]) -> FoundParts:
        """Where the shapes lie in an image whose axes are y and x last in `order`.

        Raises
        ------
        ImageError
            In one sentence, if none does, or the canvas shows no plane of y and x.
        """
        assert self._chosen is not None
        view.check_plane_shown(image, self._viewer, repr(ONLY_HERE), order)
        return parts_on(self._chosen, self._meant(self._chosen), image, self._viewer, order)

    def uncover(self) -> None:
        """Take the white filling that napari gives shapes from those of the chosen layer, for it
        would veil what is restored below; any other colour is the user's own.
        """
        layer = self._chosen
        if layer is None:
            return
        colours = np.array(layer.face_color)
        if (white := (colours == 1).all(axis=-1)).any():
            colours[white] = 0
            layer.face_color = colours
        if np.all(transform_color(layer.current_face_color) == 1):
            with layer.block_update_properties():  # for shapes that are drawn from now on alone
                layer.current_face_color = "transparent"

    def note(self, jobs: Iterable[Job]) -> str:
        """What is to be known of the results of jobs; empty if nothing is."""
        on_disk = any(
            job.folder and job.part is not None and job.part.outline is not None for job in jobs
        )
        return EACH_A_FILE if on_disk else ""

    def close(self) -> None:
        """Hear nothing more of the shapes."""
        self._choose(None)
        for each in list(self._modes):
            each.events.mode.disconnect(self._on_mode)
        with suppress(RuntimeError):  # the application ends, and Qt has deleted it
            self._soon.stop()

    def _offered(self) -> list[Shapes]:
        return [each for each in self._viewer.layers if isinstance(each, Shapes)]

    def _entries(self, _: object = None) -> list[tuple[str, Any]]:
        return told_apart([(_WHOLE, _WHOLE), *((each.name, each) for each in self._offered())])

    def _on_box(self, chosen: Any) -> None:
        layer = chosen if isinstance(chosen, Shapes) else None
        self._choose(layer)
        self._remembered.change(only_here="" if layer is None else layer.name)
        self._on_choice()

    def _choose(self, layer: Shapes | None) -> None:
        if layer is self._chosen:
            return
        if self._chosen is not None:
            self._chosen.events.data.disconnect(self._change_soon)
            self._chosen.selected_data.events.items_changed.disconnect(self._on_selected)
        self._chosen = layer
        if layer is not None:
            layer.events.data.connect(self._change_soon)
            layer.selected_data.events.items_changed.connect(self._on_selected)

    def _meant(self, layer: Shapes) -> list[int]:
        """Indices of the shapes that are selected, but by drawing them; or else of all. Those that
        enclose nothing are none.
        """
        numbers = with_an_area(layer)
        if not layer.selected_data or layer in self._drawn:
            return numbers
        return [number for number in numbers if number in layer.selected_data]

    def _on_selected(self, *_: Any) -> None:
        if self._chosen is not None and not str(self._chosen.mode).startswith(DRAWING):
            self._drawn.discard(self._chosen)
        self._change_soon()

    def _on_mode(self, event: Any) -> None:
        self._note_mode(event.source)
        self._change_soon()

    def _note_mode(self, layer: Shapes) -> None:
        """Who draws a shape and then moves the view has selected nothing, though napari has; the
        tools for it show it.
        """
        mode, drawn = (
            str(layer.mode),
            layer in self._drawn or self._modes[layer].startswith(DRAWING),
        )
        if mode.startswith(DRAWING) or (mode == "pan_zoom" and drawn):
            self._drawn.add(layer)
        else:
            self._drawn.discard(layer)
        self._modes[layer] = mode

    def _change_soon(self, *_: Any) -> None:
        self._soon.start()
