"""The drop-down **Only here**: the whole image, or the shapes of a Shapes layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox
from napari.layers import Shapes
from qtpy.QtCore import QTimer

from napari_mdeblurgan.widgets import view
from napari_mdeblurgan.widgets.choices import Remembered
from napari_mdeblurgan.widgets.controls import LABEL_WIDTH, WIDER, let_shrink, named
from napari_mdeblurgan.widgets.only_here.parts import Found, count_in_words, parts_on

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

    from napari_mdeblurgan.widgets.job import Job

ONLY_HERE, WHOLE = "Only here", "Whole image"
TIP = (
    "Restore only the shapes of a Shapes layer: the selected ones, or all if none is selected. Each becomes a layer of its own, "
    "which lies in its place and is what it would be in the whole; of a stack, in the plane that is shown. What is in the box "
    "around an ellipse or a polygon and not in the shape stays empty."
)
EACH_A_FILE = "Each shape is saved to disk as a result of its own; of an ellipse or a polygon, the whole box around it."
SOON_MS = 30


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
        Called without arguments when there are other shapes in the chosen one, or others are selected.
    """

    def __init__(
        self,
        viewer: Viewer,
        remembered: Remembered,
        on_choice: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        self._viewer, self._remembered = viewer, remembered
        self._on_choice = on_choice
        self._chosen: Shapes | None = None
        self._soon = QTimer()
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self._soon.timeout.connect(on_change)
        self.box = ComboBox(label=ONLY_HERE, choices=self._entries, tooltip=TIP)
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
        return "" if self._chosen is None else count_in_words(self._chosen)

    def sentence(self, *, to_disk: bool) -> str:
        """What is to be known before the button is pressed."""
        return EACH_A_FILE if to_disk and self._chosen is not None else ""

    def follow(self) -> None:
        """Offer the layers that there are now, by their names; choose the one of the last time as soon as it is there."""
        layer = self._chosen if self._chosen in self._viewer.layers else None
        if layer is None and self._chosen is None:
            wanted = self._remembered.choices.only_here
            layer = next((each for each in self._offered() if each.name == wanted), None)
        elif layer is not None:
            self._remembered.change(only_here=layer.name)
        with self.box.changed.blocked():
            self.box.reset_choices()
            self.box.value = layer or WHOLE
        self._choose(layer)

    def found(self, image: Image, order: Sequence[int]) -> Found:
        """Where the shapes lie in an image whose axes are y and x last in `order`.

        Raises
        ------
        ImageError
            In one sentence, if none does, or the canvas shows no plane of y and x.
        """
        assert self._chosen is not None
        view.check_plane_shown(image, self._viewer, repr(ONLY_HERE), order)
        return parts_on(self._chosen, image, self._viewer, order)

    def note(self, jobs: Iterable[Job]) -> str:
        """What is to be known of the results of jobs; empty if nothing is."""
        on_disk = any(job.folder and job.part is not None and job.part.outline is not None for job in jobs)
        return EACH_A_FILE if on_disk else ""

    def close(self) -> None:
        """Hear nothing more of the shapes."""
        self._choose(None)
        with suppress(RuntimeError):  # the application ends, and Qt has deleted it
            self._soon.stop()

    def _offered(self) -> list[Shapes]:
        return [each for each in self._viewer.layers if isinstance(each, Shapes)]

    def _entries(self, _: object = None) -> list[tuple[str, Any]]:
        return [(WHOLE, WHOLE), *((each.name, each) for each in self._offered())]

    def _on_box(self, chosen: Any) -> None:
        layer = chosen if isinstance(chosen, Shapes) else None
        self._choose(layer)
        self._remembered.change(only_here="" if layer is None else layer.name)
        self._on_choice()

    def _choose(self, layer: Shapes | None) -> None:
        if layer is self._chosen:
            return
        for each, connected in ((self._chosen, False), (layer, True)):
            if each is not None:
                for event in (each.events.data, each.events.mode, each.selected_data.events.items_changed):
                    (event.connect if connected else event.disconnect)(self._change_soon)
        self._chosen = layer

    def _change_soon(self, *_: Any) -> None:
        self._soon.start()
