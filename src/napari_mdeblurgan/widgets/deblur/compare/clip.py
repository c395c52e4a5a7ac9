"""Draws only those pixels of a layer that lie on one side of the curtain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vispy.visuals.filters.base_filter import Filter

if TYPE_CHECKING:
    from napari.layers import Layer

EVERYWHERE = 1e9
# by blending, the colour that changes nothing below it; the others have none, and draw no pixel at
# all
_NOTHING = {
    "additive": 0.0,
    "minimum": 1.0,
    "multiplicative": 1.0,
}
DRAW_NOTHING = -1.0


class ColumnClip(Filter):
    """Draws only columns of pixels from `low` to `high`.

    The lowest layer of a canvas is laid over its background, whatever its blending; the layers
    above count on that. So where it is cut off, the colour that changes nothing is drawn in its
    stead.
    """

    SHADER = """
        void clip_columns() {
            if (gl_FragCoord.x < $low || gl_FragCoord.x >= $high) {
                if ($instead < 0.0) discard;
                gl_FragColor = vec4($instead, $instead, $instead, $instead);
            }
        }
    """

    def __init__(self) -> None:
        super().__init__(fcode=self.SHADER, fhook="post", fpos=100)
        self._said: tuple[float, float, float] | None = None
        self.say(-EVERYWHERE, EVERYWHERE, DRAW_NOTHING)

    def say(self, low: float, high: float, instead: float) -> None:
        """Where to draw, in pixels of the screen from the left, and what elsewhere."""
        if (low, high, instead) != self._said:
            self._said = low, high, instead
            for name, value in zip(("low", "high", "instead"), self._said, strict=True):
                self.fshader[name] = value


class ClippedLayer:
    """Keeps a layer on one side, whatever node napari shows it by.

    Parameters
    ----------
    layer : Layer
    nodes : mapping
        napari's nodes by their layers.
    """

    def __init__(self, layer: Layer, nodes: Any) -> None:
        self.layer, self._nodes = layer, nodes
        self._clips: list[tuple[Any, ColumnClip]] = []

    def draw(self, low: float, high: float) -> None:
        """Draw columns from `low` to `high` from now on; to be called before each drawing."""
        there = self._visuals()
        if [
            visual for visual, _ in self._clips
        ] != there:  # a larger image, or one in 3-D, has another node
            self.release()
            self._clips = [(visual, ColumnClip()) for visual in there]
            for visual, clip in self._clips:
                visual.attach(clip)
        for _, clip in self._clips:
            clip.say(low, high, _NOTHING.get(str(self.layer.blending), DRAW_NOTHING))

    def release(self) -> None:
        """Draw all of it again."""
        for visual, clip in self._clips:
            visual.detach(clip)
            visual.update()
        self._clips = []

    def _visuals(self) -> list[Any]:
        shown = self._nodes.get(self.layer)
        if shown is None:
            return []
        return list(getattr(shown.node, "adopted_children", [])) or [
            shown.node
        ]  # tiles of an image above the largest texture
