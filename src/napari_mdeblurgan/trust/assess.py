"""From a restoration to an assessment: what holds for the whole is estimated once, then the maps
are made tile by tile.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.arrays import as_array, read
from napari_mdeblurgan.restoration.crew import MOST_READERS
from napari_mdeblurgan.restoration.fitting import close_together, fine_grid, target
from napari_mdeblurgan.restoration.inference import network_on
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.progress import Progress
from napari_mdeblurgan.restoration.read_in_turn import read_in_turn
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.restoration.walk import Spot, TileArrays, Todo, walk
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.trust.estimates import Estimate
from napari_mdeblurgan.trust.explanation import ExplainedAnew, Explanation, ExplanationOnDisk
from napari_mdeblurgan.trust.figures import Figures, Sums
from napari_mdeblurgan.trust.mapped import BRIGHTNESS, Mapped
from napari_mdeblurgan.trust.maps import MAPS, TrustMap, map_factor, map_shape
from napari_mdeblurgan.trust.pieces import in_planes
from napari_mdeblurgan.trust.samples import grey
from napari_mdeblurgan.trust.summary import summarise
from napari_mdeblurgan.trust.trust_plan import AssessmentOptions, TrustPlan, planning_trust

if TYPE_CHECKING:
    from napari_mdeblurgan.trust.domain import Examination


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assessment:
    """How far a restoration can be trusted.

    Attributes
    ----------
    maps : tuple of TrustMap
    estimates : tuple of Estimate
    consistency : float
        Root mean square of what is left when the restored image, blurred again, is compared with
        the input, in units of the noise; 1 is what noise alone gives.
    inconsistent : float
        Share of the pixels where it is more than three times the noise.
    error, large_error : float or None
        Half-width of the interval that holds nine of ten errors, in grey levels: mean over the
        image, and what 95 % of the pixels stay below; None without a calibration.
    signal_error, signal_share : float or None
        Mean half-width over what is not background, in grey levels, and as a share of its signal:
        of the median distance of its brightness from the background's level. None without a
        calibration, and where no background, or nothing that stands out of it, can be told.
    calibrated : bool
        Whether the error bar was calibrated for these very weights.
    disagreement : float or None
        Mean standard deviation of the eight restorations, in grey levels.
    sentence : str
        All of it in words.
    """

    maps: tuple[TrustMap, ...]
    estimates: tuple[Estimate, ...]
    consistency: float
    inconsistent: float
    error: float | None
    large_error: float | None
    signal_error: float | None
    signal_share: float | None
    calibrated: bool
    disagreement: float | None
    sentence: str = ""

    def map(self, name: str) -> TrustMap | None:
        """The map of this name, if it was made."""
        return next((each for each in self.maps if each.name == name), None)


def assess(
    image: Any,
    restored: Any,
    plan: RestorationPlan,
    model: Model,
    wishes: AssessmentOptions | None = None,
) -> Assessment:
    """Assess a restoration in one call; see `plan_trust` and `assess_steps`."""
    image, restored = as_array(image), as_array(restored)
    trust = finished(planning_trust(image, restored, plan, model, wishes))
    return finished(assess_steps(image, restored, trust, model))


def assessing(
    image: Any,
    restored: Any,
    plan: RestorationPlan,
    model: Model,
    examinations: tuple[Examination, ...] | None = None,
    explanation: Explanation | None = None,
    spread: Any = None,
) -> Generator[Progress, None, Assessment]:
    """All of an assessment in memory: `plan_trust`, then `assess_steps`, whose arguments and yields
    it has.
    """
    wishes = AssessmentOptions(disagreement=spread is not None)
    trust = yield from planning_trust(image, restored, plan, model, wishes, examinations)
    return (yield from assess_steps(image, restored, trust, model, explanation, spread))


class Maps(Protocol):
    """Where the maps of an assessment go, tile by tile."""

    def known(self, index: tuple[int, ...], tile: Tile) -> Mapping[str, np.ndarray] | None:
        """All maps of a tile of one image of the stack, if they are there already from an earlier
        time.
        """

    def add(self, index: tuple[int, ...], tile: Tile, made: Mapping[str, np.ndarray]) -> None:
        """Keep the maps of a tile."""

    def finish(self) -> tuple[TrustMap, ...]:
        """All maps, once all tiles were added."""


class MapsInMemory:
    """Keeps maps as arrays in memory.

    Parameters
    ----------
    trust : TrustPlan
        Of the assessment.
    """

    def __init__(self, trust: TrustPlan) -> None:
        self._plan = trust.restoration
        self._arrays = {
            name: np.empty(map_shape(name, self._plan), MAPS[name].dtype) for name in trust.maps
        }

    def known(self, index: tuple[int, ...], tile: Tile) -> None:  # noqa: ARG002
        """None: there is nothing from an earlier time."""
        return

    def add(self, index: tuple[int, ...], tile: Tile, made: Mapping[str, np.ndarray]) -> None:
        """Keep the maps of a tile."""
        for name, values in made.items():
            place: tuple[Any, ...] = (
                *index,
                *target(tile, self._plan, map_factor(name, self._plan)),
            )
            self._arrays[name][place] = values

    def finish(self) -> tuple[TrustMap, ...]:
        """All maps."""
        return tuple(TrustMap(name, array) for name, array in self._arrays.items())


def assess_steps(
    image: Any,
    restored: Any,
    trust: TrustPlan,
    model: Model,
    explanation: Explanation | ExplanationOnDisk | None = None,
    spread: Any = None,
    maps: Maps | None = None,
) -> Generator[Progress, None, Assessment]:
    """Make the maps; yields at the start, every half second and after every tile. Closing the
    generator ends the work.

    Parameters
    ----------
    image, restored : array
        As for `plan_trust`; read tile by tile.
    trust : TrustPlan
        From `plan_trust`.
    model : Model
        That restored the image.
    explanation : Explanation or ExplanationOnDisk, optional
        What the network said of itself while it restored the image. Without it, and where it was
        not kept, the network is run once more, up to its approximation module: less than half of
        the restoration's cost.
    spread : array, optional
        In grey levels on the result's grid, from `ensemble_steps`, where `restored` is the mean of
        the eight orientations; else they are made here if the disagreement is wished for.
    maps : Maps, optional
        Where they go: in memory, or on disk with `stored.StoredMaps`.
    """
    plan, start = trust.restoration, time.perf_counter()
    maps = MapsInMemory(trust) if maps is None else maps
    lock = Lock()
    image, restored, spread = (read_in_turn(each, lock) for each in (image, restored, spread))
    sums = Sums()
    total = int(np.prod(plan.output_shape[: len(plan.leading) + 2], dtype=np.int64))
    done = 0

    def count(place: Spot, made: TileArrays) -> None:
        estimate = trust.estimate(place.index)
        sums.add(made, estimate.window.span, plan.factor)
        if "error" in made:
            values = made.get(BRIGHTNESS)
            if values is None:
                values = _brightness(restored, place, plan, estimate)
            sums.add_signal(
                plan.window_number(place.index), estimate, values, made["error"], plan.factor
            )

    def write(place: Spot, made: TileArrays) -> None:
        maps.add(place.index, place.tile, {name: made[name] for name in trust.maps})
        count(place, made)

    yield Progress(done, total, 0.0)
    todo = []
    for place in (
        Spot(index, tile)
        for index in np.ndindex(*plan.leading)
        for tile in close_together(fine_grid(plan))
    ):
        known = maps.known(place.index, place.tile)
        if known is None:
            todo.append(place)
            continue
        count(place, known)
        done += place.tile.pixels * plan.factor**2
        yield Progress(done, total, time.perf_counter() - start, done)
    before, network = done, network_on(model, plan.device)
    said: Explanation | ExplainedAnew | None = None
    if network.explains:
        if isinstance(explanation, Explanation):
            said = explanation
        else:
            said = ExplainedAnew(image, plan, network, explanation)
    places = Todo(todo)
    mapping = Mapped(image, restored, trust, model, said, spread)
    for made in walk(places, plan, mapping, write, ahead=MOST_READERS, behind=1):
        done += sum(place.tile.pixels for place in made) * plan.factor**2
        begun = int(places.begun * plan.factor**2)
        yield Progress(done + begun, total, time.perf_counter() - start, before)
    return assessment_of(trust, maps.finish(), sums.figures(), model)


def assessment_of(
    trust: TrustPlan, maps: tuple[TrustMap, ...], figures: Figures, model: Model
) -> Assessment:
    """What comes of maps and figures, with its sentence."""
    found = Assessment(
        maps=maps,
        estimates=trust.estimates,
        calibrated=trust.calibration is not None and trust.calibration.own,
        **dataclasses.asdict(figures),
    )
    return summarise(found, model.card)


def _brightness(
    restored: Any, place: Spot, plan: RestorationPlan, estimate: Estimate
) -> np.ndarray:
    """Of a tile of the result, whose maps were there already, as `BRIGHTNESS`: (y, x) float32 in
    windows, mean over the colours, NaN where it has no number.
    """
    block = read(restored, (*place.index, *target(place.tile, plan)))[
        :: plan.factor, :: plan.factor
    ]
    return grey(in_planes(block, plan, estimate.window))
