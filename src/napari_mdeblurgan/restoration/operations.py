"""What a walk does with a tile to restore it: once, in eight orientations, or with what the network
says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.restoration.arrays import Cutout, read
from napari_mdeblurgan.restoration.ensemble import Ensemble, ensemble, read_for_all
from napari_mdeblurgan.restoration.fitting import on_result
from napari_mdeblurgan.restoration.inference import (
    Prepared,
    apply,
    finish,
    network_on,
    prepare,
    restored_and_explained,
)
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.restoration.walk import TilePlace

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model

RESULT, DISAGREEMENT, EXPLANATION = "result", "disagreement", "explanation"
# takes the position along the axes before y, a tile, and what the network says of it
TellTile = Callable[[tuple[int, ...], Tile, np.ndarray], None]


@dataclass(frozen=True, slots=True)
class Once:
    """Restore a tile: gives the result.

    Attributes
    ----------
    image : array
        What the plan was made for; a lazy one is read tile by tile.
    plan : RestorationPlan
    windows : tuple of Window
        The plan's, or those measured since.
    model : Model
        The model that the plan was made for.
    """

    image: Any
    plan: RestorationPlan
    windows: tuple[Window, ...]
    model: Model

    def read(self, place: TilePlace) -> Any:
        tile = place.tile
        pixels = read(self.image, (*place.index, tile.y.source, tile.x.source))
        return prepare(pixels, tile, self.plan, self.window(place))

    def work(self, given: Sequence[Any]) -> Sequence[Any]:
        return apply(network_on(self.model, self.plan.device), given, self.plan)

    def finish(self, place: TilePlace, given: Any, made: Any) -> dict[str, np.ndarray]:
        return {RESULT: finish(made, given, self.plan, self.window(place))}

    def window(self, place: TilePlace) -> Window:
        return self.plan.window(place.index, self.windows)


class Explained(Once):
    """The same, and what the network says of it, see `inference.explanation`; of a network that
    says something.
    """

    __slots__ = ()

    def work(self, given: Sequence[Any]) -> Sequence[Any]:
        network = network_on(self.model, self.plan.device)
        return restored_and_explained(network, given, self.plan)

    def finish(self, place: TilePlace, given: Any, made: Any) -> dict[str, np.ndarray]:
        output, told = made
        return {RESULT: finish(output, given, self.plan, self.window(place)), EXPLANATION: told}


class Eightfold(Once):
    """Restore a tile in eight orientations: gives the mean as the result, and the disagreement in
    grey levels.

    The image is read once for all of them.
    """

    __slots__ = ()

    def read(self, place: TilePlace) -> tuple[TilePlace, Cutout, Prepared]:
        around = read_for_all(self.image, place.index, place.tile, self.plan)
        tile = place.tile
        upright = around[(tile.y.source, tile.x.source)]
        return place, around, prepare(upright, tile, self.plan, self.window(place))

    def work(self, given: Sequence[Any]) -> Sequence[Ensemble]:
        network = network_on(self.model, self.plan.device)
        return [
            ensemble(around, place.tile, self.plan, self.window(place), network)
            for place, around, _ in given
        ]

    def finish(self, place: TilePlace, given: Any, made: Ensemble) -> dict[str, np.ndarray]:
        window, upright = self.window(place), given[2]
        spread: np.ndarray = made.spread.mean(axis=-1) * np.float32(window.span)
        if upright.missing is not None:
            gap = upright.missing.any(axis=-1)
            spread[on_result(gap, self.plan.factor)] = np.nan
        return {RESULT: finish(made.mean, upright, self.plan, window), DISAGREEMENT: spread}


def restoring_operation(
    image: Any,
    plan: RestorationPlan,
    windows: tuple[Window, ...],
    model: Model,
    *,
    explain: bool = False,
) -> Once:
    """How a plan's tiles are restored; `explain` asks for what the network says of them, if it says
    anything.
    """
    kind = Explained if explain and network_on(model, plan.device).explains else Once
    return kind(image, plan, windows, model)
