"""Before and after: which results belong to which source, and which of them are shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet, ref

from napari.layers import Image

from napari_mdeblurgan.widgets.layers.appearance import hides_what_is_below, show_alone
from napari_mdeblurgan.widgets.layers.origin import is_result_layer

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Layer

_SOURCES: WeakKeyDictionary[Image, ref[Image]] = (
    WeakKeyDictionary()
)  # by result, of all docks: a dock that is opened anew knows them, whatever they are called by now


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
        self._runs: WeakKeyDictionary[Image, WeakSet[Image]] = (
            WeakKeyDictionary()
        )  # by source, all of its last run
        self._beside: WeakKeyDictionary[Image, WeakSet[Image]] = (
            WeakKeyDictionary()
        )  # by result, those of its order
        self._parts: WeakKeyDictionary[Image, WeakSet[Image]] = (
            WeakKeyDictionary()
        )  # by source, of its last run
        self._take_up()

    def begin_run(self, sources: Iterable[Image]) -> None:
        """Note that `sources` are restored in one run; each belongs to the last of its runs."""
        run = WeakSet(sources)
        for source in run:
            self._runs.get(source, WeakSet()).discard(source)
            self._runs[source] = run
            self._parts[source] = WeakSet()

    def run_of(self, source: Image) -> list[Image]:
        """`source`, and those of its last run that have results."""
        others = (each for each in self._runs.get(source, ()) if each is not source)
        return [
            source,
            *(each for each in others if each in self._layers and self.results_of(each)),
        ]

    def is_open(self, layer: Image) -> bool:
        """Whether `layer` is in the viewer."""
        return layer in self._layers

    def remember(self, source: Image, result: Image, *, preview: bool) -> None:
        """Note that `result` was made from `source`."""
        self._results.setdefault(source, []).append(ref(result))
        _SOURCES[result] = ref(source)
        if preview:
            self._previews.add(result)
        elif part_of_image(result) is not None:
            group = self._beside[result] = self._parts.setdefault(source, WeakSet())
            group.add(result)

    def beside(self, result: Image) -> list[Image]:
        """Other parts of the same image that were restored in the same run and are still open."""
        return [
            each
            for each in self._beside.get(result, ())
            if each is not result and each in self._layers
        ]

    def _take_up(self) -> None:
        """Remember what another widget has made, in an earlier session by what the layers tell of
        themselves.
        """
        named = {layer.name: layer for layer in reversed(self._layers)}
        for layer in self._layers:
            made = layer.metadata.get("mdeblurgan")
            if not isinstance(made, dict) or "preview" not in made or not is_result_layer(layer):
                continue  # of one from a file nobody knows which layer its source is
            known = _SOURCES.get(layer)
            source = named.get(made.get("source")) if known is None else known()
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
        """The source that `layer` was made from; `layer` itself if it has results; None if it has
        no part in this.
        """
        if self.results_of(layer):
            return layer
        return next(
            (s for s in list(self._results) if s in self._layers and layer in self.results_of(s)),
            None,
        )

    def together(self, active: Layer | None, source: Image | None) -> list[Image]:
        """The result that is selected, else the newest of `source`; then the newest ones of the
        others of its run.
        """
        first = active if isinstance(active, Image) and is_result_layer(active) else None
        own = source if first is None else self.source_of(first)
        run = [self.results_of(each) for each in (self.run_of(own) if own is not None else ())]
        meant = first or next((made[-1] for made in run if made), None)
        newest = [_like(meant, made) for made in run if made and first not in made]
        return newest if first is None else [first, *newest]

    def following(self, active: Layer | None, source: Image | None) -> list[Image]:
        """The same, and the parts beside each of them."""
        found = self.together(active, source)
        return found + [
            each for result in found for each in self.beside(result) if each not in found
        ]

    def compared(self, active: Layer | None, source: Image | None) -> list[Image]:
        """The same, but for a selected result of which no source is open: then
        those of `source`.
        """
        found = self.together(active, source)
        return (
            found if found and self.source_of(found[0]) is not None else self.together(None, source)
        )

    def shows_after(self, source: Image) -> bool:
        """Whether any result of `source` is visible."""
        return any(layer.visible for layer in self.results_of(source))

    def show_before(self, source: Image) -> None:
        """Show the source and none of its results."""
        for layer in self.results_of(source):
            show_alone(layer, visible=False)
        show_alone(source, visible=True)

    def show_after(self, source: Image) -> None:
        """Show the newest result; what lies below stays visible only where it
        cannot shine through.
        """
        *older, newest = self.results_of(source)
        shown = [newest, *self.beside(newest)]
        for layer in shown:
            show_alone(layer, visible=True)
        if not hides_what_is_below(newest):
            for layer in (source, *older):
                show_alone(layer, visible=layer in shown)


def part_of_image(result: Layer | None) -> tuple[Any, ...] | None:
    """What tells a part of an image that was restored for a shape from every other part; None for
    all other layers.
    """
    made = None if result is None else result.metadata.get("mdeblurgan")
    if not isinstance(made, dict) or made.get("part") is None:
        return None
    return made["part"], made.get("region"), made.get("outline")


def _like(meant: Image | None, made: list[Image]) -> Image:
    """The newest of results, or of those of the same part of their images as is meant, if there are
    any.
    """
    alike = [each for each in made if part_of_image(each) == part_of_image(meant)]
    return (alike or made)[-1]
