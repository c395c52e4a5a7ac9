"""What a walk does with a tile of a focus stack: choose what is sharp, or
follow what was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mdeblurgan.focus.energy import SCALES
from napari_mdeblurgan.focus.focus_progress import attended
from napari_mdeblurgan.focus.focusing import Focusing, FocusSteps, PlanePart
from napari_mdeblurgan.focus.fusing import fused_steps
from napari_mdeblurgan.focus.sharpest_plane import aligned_steps, filled, heights
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.restoration.walk import DoesNotFit, TilePlace

IMAGE, HEIGHT, CONFIDENCE = "image", "height", "confidence"


@dataclass(frozen=True, slots=True)
class Choose:
    """Put the planes together: gives image, height and confidence of a tile, see `AllInFocus`.

    Attributes
    ----------
    focusing : Focusing
        The stack.
    """

    focusing: Focusing

    def read(self, place: TilePlace) -> Any:
        part = self.focusing.around(place.tile)
        return _within(place.tile, part), *attended(
            self.focusing.planes_steps(part), len(self.focusing.order)
        )

    def work(self, given: Sequence[Any]) -> Sequence[Any]:
        steps = 3 * len(self.focusing.order) + SCALES
        return [_as_far_as_memory_goes(self._made_steps(*each), steps) for _, *each in given]

    def finish(self, place: TilePlace, given: Any, made: Any) -> dict[str, np.ndarray]:  # noqa: ARG002 - the walk names it
        image, height, confidence = (each[given[0]] for each in made)
        height = self.focusing.heights_of(height)
        return {IMAGE: self.focusing.as_read(image), HEIGHT: height, CONFIDENCE: confidence}

    def _made_steps(self, planes: np.ndarray, seen: np.ndarray) -> FocusSteps:
        """What is made of a tile and all around it: three steps for each plane, and one for each
        scale.
        """
        focusing = self.focusing
        share, belief, greys = yield from focusing.shares_steps(planes, seen)
        sharpest = np.take_along_axis(greys, share.argmax(axis=0)[None], axis=0)[0]
        share = yield from aligned_steps(share, sharpest, focusing.contrast)
        share[~seen] = 0
        rank, confidence = heights(share, belief, focusing.numbers)
        rank = filled(rank, confidence, focusing.order.index(focusing.reference))
        image = yield from fused_steps(planes, rank, confidence, focusing.depth)
        return image, rank, confidence


@dataclass(frozen=True, slots=True)
class Follow:
    """Put the planes together by heights that are known: gives the image of a tile.

    Attributes
    ----------
    focusing : Focusing
        The stack.
    height, confidence : array
        (y, x) of the whole, numpy or lazy; where the confidence is None, every height is sure.
    """

    focusing: Focusing
    height: Any
    confidence: Any = None

    def read(self, place: TilePlace) -> Any:
        part = self.focusing.around(place.tile)
        planes, _ = attended(self.focusing.planes_steps(part), len(self.focusing.order))
        sure = 1.0 if self.confidence is None else np.asarray(self.confidence[part])
        ranks = self.focusing.ranks_of(np.asarray(self.height[part]))
        return _within(place.tile, part), planes, ranks, sure

    def work(self, given: Sequence[Any]) -> Sequence[Any]:
        depth, steps = self.focusing.depth, len(self.focusing.order)
        return [
            _as_far_as_memory_goes(fused_steps(planes, ranks, sure, depth), steps)
            for _, planes, ranks, sure in given
        ]

    def finish(self, place: TilePlace, given: Any, made: Any) -> dict[str, np.ndarray]:  # noqa: ARG002 - the walk names it
        return {IMAGE: self.focusing.as_read(made[given[0]])}


def _as_far_as_memory_goes(steps: FocusSteps, total: int) -> Any:
    try:
        return attended(steps, total)
    except MemoryError as error:
        raise DoesNotFit(str(error)) from error


def _within(tile: Tile, outer: PlanePart) -> PlanePart:
    """Where a tile lies in what surrounds it."""
    rows, columns = (
        slice(s.start - o.start, s.stop - o.start)
        for s, o in zip((tile.y, tile.x), outer, strict=True)
    )
    return rows, columns
