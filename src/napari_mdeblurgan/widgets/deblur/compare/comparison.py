"""The button **Compare** and the choice beside it: what they do, and when that ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.widgets.deblur.compare.arrangement import LayerPair
from napari_mdeblurgan.widgets.deblur.compare.curtain import Curtain
from napari_mdeblurgan.widgets.deblur.compare.napari_canvas import (
    NO_CANVAS,
    canvas_of,
    make_current,
)
from napari_mdeblurgan.widgets.deblur.compare.side_by_side import SideBySide
from napari_mdeblurgan.widgets.deblur.controls import BLINK, COMPARE_WAYS, CURTAIN, Controls
from napari_mdeblurgan.widgets.deblur.line_profile.line_profile import LineProfile
from napari_mdeblurgan.widgets.layers.origin import is_map
from napari_mdeblurgan.widgets.layers.result_pairs import Pairs
from napari_mdeblurgan.widgets.shared.choices import Remembered

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer

TOLD = {
    "removing",
    "removed",
    "inserted",
    "reordered",
    "visible",
    "enabled",
}  # events that can put an end to a comparison


class CompareView:
    """Shows before and after of the chosen image, and of all others of its run; lives on the main
    thread.

    Parameters
    ----------
    viewer : Viewer
    pairs : Pairs
        Which results belong to which source.
    controls : Controls
        With **Compare**, and by what.
    remembered : Remembered
        The last choices.
    meant : callable
        Gives the results that are meant, one of each source, that of the chosen image first.
    fail : callable
        Shows a sentence on why something cannot be done.
    refresh : callable
        Called without arguments when something else is shown.
    """

    def __init__(
        self,
        viewer: Viewer,
        pairs: Pairs,
        controls: Controls,
        remembered: Remembered,
        meant: Callable[[], Sequence[Image]],
        fail: Callable[[str], None],
        refresh: Callable[[], None],
    ) -> None:
        self._viewer = getattr(
            viewer, "__wrapped__", viewer
        )  # a plugin gets a proxy of it, whose layers are proxies too
        self._pairs, self._button, self._way = pairs, controls.compare, controls.compare_by
        self._remembered, self._meant, self._fail, self._refresh = remembered, meant, fail, refresh
        self.profile = LineProfile(self._viewer, controls.profile, self._meant_pairs)
        self.shown: Curtain | SideBySide | None = None
        self._changing = False
        if remembered.choices.compare in COMPARE_WAYS:
            self._way.value = remembered.choices.compare
        self._way.changed.connect(self._on_way)
        self._button.changed.connect(self.press)
        self._viewer.layers.events.connect(self._on_layers)
        self._viewer.canvas.grid.events.enabled.connect(self._on_layers)

    # ---- what the user does

    def press(self) -> None:
        """Do what the button says."""
        if self._way.value == BLINK:
            self.blink()
        elif self.shown is not None:
            self.leave()
        else:
            self._enter()

    def blink(self) -> None:
        """Switch the chosen image between before and after, and with it all others of its run."""
        self.leave()
        found = self._meant()
        source = self._pairs.source_of(found[0]) if found else None
        if source is not None:
            show = (
                self._pairs.show_before
                if self._pairs.shows_after(source)
                else self._pairs.show_after
            )
            for each in self._pairs.run_of(source):
                show(each)
            self._refresh()

    def _on_way(self, way: str) -> None:
        """Another way was chosen: it is taken at once, if there is something to be compared."""
        self._remembered.change(compare=way)
        self.leave()
        if way != BLINK and self._meant_pairs():
            self._enter()
        self._refresh()

    # ---- what is shown

    def _meant_pairs(self) -> list[LayerPair]:
        found = [(self._pairs.source_of(each), each) for each in self._meant()]
        return [
            (source, each) for source, each in found if source is not None and source is not each
        ]

    def _shown_pairs(self) -> list[LayerPair]:
        """The same; behind a curtain, the parts of an image that were restored beside each other
        are seen together.
        """
        pairs = self._meant_pairs()
        if self._way.value != CURTAIN:
            return pairs
        beside = [(source, each) for source, result in pairs for each in self._pairs.beside(result)]
        return pairs + [pair for pair in beside if pair not in pairs]

    def _enter(self) -> None:
        pairs = self._shown_pairs()
        canvas = canvas_of(self._viewer)
        if not pairs or self._changing:
            return
        if canvas is None and self._way.value == CURTAIN:
            self._fail(NO_CANVAS)
            return
        self._changing = True
        try:
            if self._way.value == CURTAIN:
                others: set[Layer] = {
                    each for source, _ in pairs for each in self._pairs.results_of(source)
                }
                others |= {each for each in self._viewer.layers if is_map(each)}
                self.shown = Curtain(self._viewer, canvas, pairs, others)
            else:
                self.shown = SideBySide(self._viewer, canvas, pairs)
        except ImageError as error:
            self._fail(str(error))
        finally:
            self._changing = False
        self._refresh()

    def leave(self) -> None:
        """Show all as it was before, if it is not blinking that was chosen."""
        shown, self.shown = self.shown, None
        if shown is not None:
            self._changing = True
            try:
                shown.leave()
            finally:
                self._changing = False
            self._refresh()

    def close(self) -> None:
        """The same for good, and hear nothing more of the layers."""
        self._viewer.layers.events.disconnect(self._on_layers)
        self._viewer.canvas.grid.events.enabled.disconnect(self._on_layers)
        self._refresh = lambda: None
        self.leave()
        self.profile.close()

    # ---- what happens meanwhile

    def _on_layers(self, event: Any) -> None:
        """Leave where a layer that is compared has gone, or something else is to be seen; all
        events of all layers come here.
        """
        if self.shown is None or self._changing or event.type not in TOLD:
            return
        if event.type == "removing":
            make_current(canvas_of(self._viewer))
            return
        there = all(each in self._viewer.layers for pair in self.shown.pairs for each in pair)
        if not there or not self.shown.holds:
            self.leave()

    def follow(self) -> None:
        """Bring what is shown, and what the button says, in line with what is chosen."""
        found = self._shown_pairs()
        if self.shown is not None and not self._changing and found != self.shown.pairs:
            again = {source for source, _ in self.shown.pairs} <= {source for source, _ in found}
            self.leave()
            if again:
                self._enter()
        self._button.enabled = bool(found)
        self._button.text = self._words(found)
        self.profile.follow()

    def _words(self, found: Sequence[LayerPair]) -> str:
        if self.shown is not None:
            return "End"
        if not found or self._way.value != BLINK:
            return "Show"
        return "Show before" if self._pairs.shows_after(found[0][0]) else "Show after"
