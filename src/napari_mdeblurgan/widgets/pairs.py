"""Before and after: which results belong to which source, and which of them are shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet, ref

from napari.layers import Image

from napari_mdeblurgan.widgets.appearance import hides_what_is_below
from napari_mdeblurgan.widgets.origin import is_result

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Layer


class Pairs:
    """Remembers, without keeping any layer alive, what was made from what.

    Parameters
    ----------
    layers : LayerList
        Of the viewer; a layer that left it takes part in nothing.
    """

    def __init__(self, layers: LayerList) -> None:
        self._layers = layers
        self._results: WeakKeyDictionary[Image, list[ref[Image]]] = WeakKeyDictionary()
        self._previews: WeakSet[Image] = WeakSet()
        self._runs: WeakKeyDictionary[Image, WeakSet[Image]] = WeakKeyDictionary()  # by source, all of its last run
        self._take_up()

    def begin_run(self, sources: Iterable[Image]) -> None:
        """Note that `sources` are restored in one run; each belongs to the last of its runs."""
        run = WeakSet(sources)
        for source in run:
            self._runs.get(source, WeakSet()).discard(source)
            self._runs[source] = run

    def run_of(self, source: Image) -> list[Image]:
        """`source`, and those of its last run that have results."""
        others = (each for each in self._runs.get(source, ()) if each is not source)
        return [source, *(each for each in others if each in self._layers and self.results_of(each))]

    def is_open(self, layer: Image) -> bool:
        """Whether `layer` is in the viewer."""
        return layer in self._layers

    def remember(self, source: Image, result: Image, *, preview: bool) -> None:
        """Note that `result` was made from `source`."""
        self._results.setdefault(source, []).append(ref(result))
        if preview:
            self._previews.add(result)

    def _take_up(self) -> None:
        """Remember what another widget has made, by what the layers tell of themselves."""
        named = {layer.name: layer for layer in reversed(self._layers)}
        for layer in self._layers:
            made = layer.metadata.get("mdeblurgan")
            if not isinstance(made, dict) or "preview" not in made or not is_result(layer):
                continue  # of one from a file nobody knows which layer its source is
            source = named.get(made.get("source"))
            if isinstance(source, Image) and isinstance(layer, Image) and source is not layer:
                self.remember(source, layer, preview=bool(made["preview"]))
            elif made["preview"]:
                self._previews.add(layer)

    def is_preview(self, layer: Layer) -> bool:
        """Whether `layer` is a passing look, which nobody would restore again."""
        return layer in self._previews

    def previews_of(self, source: Image) -> list[Image]:
        """The previews of `source` that are still open."""
        return [layer for layer in self.results_of(source) if layer in self._previews]

    def results_of(self, source: Image) -> list[Image]:
        """All that was made from `source` and is still open, oldest first."""
        made = [reference() for reference in self._results.get(source, [])]
        return [layer for layer in made if layer is not None and layer in self._layers]

    def source_of(self, layer: Image) -> Image | None:
        """The source that `layer` was made from; `layer` itself if it has results; None if it has no part in this."""
        if self.results_of(layer):
            return layer
        return next((s for s in list(self._results) if s in self._layers and layer in self.results_of(s)), None)

    def together(self, active: Layer | None, source: Image | None) -> list[Image]:
        """The result that is selected, else the newest of `source`; then the newest ones of the others of its run."""
        first = active if isinstance(active, Image) and is_result(active) else None
        own = source if first is None else self.source_of(first)
        run = [self.results_of(each) for each in (self.run_of(own) if own is not None else ())]
        newest = [made[-1] for made in run if made and first not in made]
        return newest if first is None else [first, *newest]

    def compared(self, active: Layer | None, source: Image | None) -> list[Image]:
        """The same, but for a selected result of which no source is open: then those of `source`."""
        found = self.together(active, source)
        return found if found and self.source_of(found[0]) is not None else self.together(None, source)

    def shows_after(self, source: Image) -> bool:
        """Whether any result of `source` is visible."""
        return any(layer.visible for layer in self.results_of(source))

    def show_before(self, source: Image) -> None:
        """Show the source and none of its results."""
        for layer in self.results_of(source):
            layer.visible = False
        source.visible = True

    def show_after(self, source: Image) -> None:
        """Show the newest result; what lies below stays visible only where it cannot shine through."""
        *older, newest = self.results_of(source)
        newest.visible = True
        if not hides_what_is_below(newest):
            for layer in (source, *older):
                layer.visible = False
