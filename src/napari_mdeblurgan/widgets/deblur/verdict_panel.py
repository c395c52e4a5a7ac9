"""What the dock says of how far a result can be trusted: one line, its maps, and the details folded
away below it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari_mdeblurgan.widgets.deblur.controls import Controls, tell_averaging
from napari_mdeblurgan.widgets.deblur.map_layers import add_map, map_arguments, maps_there
from napari_mdeblurgan.widgets.deblur.verdicts import Verdicts
from napari_mdeblurgan.widgets.layers.appearance import show_alone
from napari_mdeblurgan.widgets.layers.origin import is_map
from napari_mdeblurgan.widgets.runs import trust
from napari_mdeblurgan.widgets.shared.choices import Remembered
from napari_mdeblurgan.widgets.shared.fold import Fold
from napari_mdeblurgan.widgets.shared.rows import show_line

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer

DETAILS = "Details"
DETAILS_TIP = (
    "All that was found out: how well the result agrees with the image, its error, the "
    "image's blur and noise."
)
STRONG_TIP = (
    "Restore the image with the model {}, which knows such a blur. If the specimen is soft even in "
    "focus, halve the image instead."
)


class VerdictPanel:
    """Lives on the main thread; `fold.widget` is to be laid out, the rest lies among the controls.

    Attributes
    ----------
    advised_model : str or None
        Name of the model that knows the blur of the chosen image, where that of its result does
        not.

    Parameters
    ----------
    viewer : Viewer
    verdicts : Verdicts
        What is known of which result.
    controls : Controls
    remembered : Remembered
        The last choices.
    refresh : callable
        Called when a map is shown or hidden.
    """

    def __init__(
        self,
        viewer: Viewer,
        verdicts: Verdicts,
        controls: Controls,
        remembered: Remembered,
        refresh: Callable[[], None],
    ) -> None:
        self._viewer = getattr(
            viewer, "__wrapped__", viewer
        )  # a plugin gets a proxy of it, whose layers are proxies too
        self._verdicts, self._controls = verdicts, controls
        self._remembered, self._refresh = remembered, refresh
        self._changing = False
        self._result: ref[Image] | None = None
        self.advised_model: str | None = None
        self.advised_binning = 1
        self.fold = Fold(
            [controls.details],
            DETAILS_TIP,
            open_=remembered.choices.details == "open",
            on_fold=self._on_fold,
        )
        self.fold.tell(DETAILS)
        controls.maps.changed.connect(self._on_maps)
        controls.which_map.changed.connect(self._on_which)
        self._viewer.layers.events.connect(self._on_layers)

    def close(self) -> None:
        """Hear nothing more of the layers."""
        self._viewer.layers.events.disconnect(self._on_layers)

    # ---- what is said

    def show(self, active: Layer | None, source: Image | None, chosen: Image | None = None) -> None:
        """Say what is known of the result that is selected, or else of the newest one of the chosen
        image, or of the last.
        """
        controls = self._controls
        result = self._verdicts.told_of(active, source)
        self._result = None if result is None else ref(result)
        show_line(controls.headline, self._verdicts.headline(active, source, chosen))
        controls.details.value = self._verdicts.sentence(active, source)
        self.fold.widget.visible = bool(controls.details.value)
        noted = self._verdicts.noted(active, source)
        self.advised_binning = 1 if noted is None else noted.advised_binning
        controls.halve_again.visible = self.advised_binning > 1
        tell_averaging(controls.halve_again, self.advised_binning, " and run again")
        self.advised_model = None if noted is None else noted.stronger_model
        controls.strong_again.visible = self.advised_model in controls.model.choices
        controls.strong_again.tooltip = STRONG_TIP.format(self.advised_model)
        self._show_maps()
        show_line(
            controls.legend, trust.legend() if trust.shows_choice(self._viewer.layers) else ""
        )

    def _on_fold(self) -> None:
        self._remembered.change(details="open" if self.fold.open else "folded")
        self.fold.tell(DETAILS)

    # ---- its maps

    def _maps(self) -> tuple[Image | None, dict[str, Any], dict[str, Layer]]:
        """The result that is told of, what its maps are made from, and those that are layers
        already, by their names.
        """
        result = None if self._result is None else self._result()
        if result is None or result not in self._viewer.layers:
            return None, {}, {}
        trusted = trust.KNOWN_TRUST.get(result)
        return (
            result,
            map_arguments(trusted) if trusted else {},
            maps_there(self._viewer, result, trusted),
        )

    def _show_maps(self) -> None:
        from napari_mdeblurgan.trust.maps import MAPS

        controls = self._controls
        _, arguments, there = self._maps()
        names = [name for name in MAPS if name in arguments or name in there]
        seen = [name for name in names if name in there and there[name].visible]
        entries = [(MAPS[name].title, name) for name in names]
        wanted = seen[0] if len(seen) == 1 else self._remembered.choices.map
        with controls.maps.changed.blocked(), controls.which_map.changed.blocked():
            controls.maps.value = bool(seen)
            if tuple(value for _, value in entries) != controls.which_map.choices:
                controls.which_map.choices = entries
            if wanted in controls.which_map.choices:
                controls.which_map.value = wanted
        controls.maps_row.visible = bool(names)

    def _on_maps(self, on: bool) -> None:
        self._let_see(self._controls.which_map.value if on else "")

    def _on_which(self, name: str | None) -> None:
        if name:
            self._remembered.change(map=name)
            if self._controls.maps.value:
                self._let_see(name)

    def _let_see(self, wanted: str | None) -> None:
        """Show one of the maps and none of the others; it is made a layer if it is none yet."""
        result, arguments, there = self._maps()
        if result is None:
            return
        self._changing = True
        try:
            if wanted in arguments and wanted not in there:
                later = list(arguments)[list(arguments).index(wanted) + 1 :]
                below = [result, *(there[name] for name in later if name in there)]
                there[wanted] = add_map(self._viewer, arguments[wanted], below)
            for name, layer in there.items():
                show_alone(layer, visible=name == wanted)
        finally:
            self._changing = False
        self._refresh()

    def _on_layers(self, event: Any) -> None:
        """Follow the eyes of the maps in the layer list; all events of all layers come here."""
        index = getattr(event, "index", None)  # of the layer that has told it
        if event.type != "visible" or index is None or self._changing:
            return
        if is_map(self._viewer.layers[index]):
            self._refresh()
