"""From a restoration to an assessment: what holds for the whole is estimated once, then the maps are made tile by tile."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.restoration.engine import Progress
from napari_mdeblurgan.restoration.ensemble import ensemble, part_of
from napari_mdeblurgan.restoration.fitting import close_together, fine_grid, target, tiles_that_fit, within
from napari_mdeblurgan.restoration.inference import network_on
from napari_mdeblurgan.restoration.measuring import measured_windows
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.trust.choice import choice
from napari_mdeblurgan.trust.consistency import compare, in_noise
from napari_mdeblurgan.trust.defocus import defocus_of_tile
from napari_mdeblurgan.trust.domain import Examination, examine
from napari_mdeblurgan.trust.error_bar import Calibration, calibration_of
from napari_mdeblurgan.trust.estimates import Estimate, estimate_whole
from napari_mdeblurgan.trust.explanation import ExplainedAnew, Explanation, explains
from napari_mdeblurgan.trust.features import features
from napari_mdeblurgan.trust.figures import Figures, Sums
from napari_mdeblurgan.trust.maps import MAPS, TrustMap
from napari_mdeblurgan.trust.pieces import read_piece
from napari_mdeblurgan.trust.summary import summarise

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is to be assessed beyond what costs little.

    Attributes
    ----------
    disagreement : bool
        Restore everything eight times, flipped and turned: eight times the cost of the restoration.
    weights : bool
        Keep the weights of the candidates as well.
    """

    disagreement: bool = False
    weights: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustPlan:
    """All that is settled before the maps are made.

    Attributes
    ----------
    restoration : RestorationPlan
        That the result came from, with its windows.
    estimates : tuple of Estimate
        One, or one for each channel that has a window of its own.
    calibration : Calibration or None
        Of the error bar; without one there is none.
    maps : tuple of str
        Names of the maps, keys of `MAPS`.
    """

    restoration: RestorationPlan
    estimates: tuple[Estimate, ...]
    calibration: Calibration | None
    maps: tuple[str, ...]

    def estimate(self, index: tuple[int, ...]) -> Estimate:
        """Of the image at `index` of the leading axes."""
        return self.estimates[self.restoration.window_number(index)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """How far a restoration can be trusted.

    Attributes
    ----------
    maps : tuple of TrustMap
    estimates : tuple of Estimate
    consistency : float
        Root mean square of what is left when the restored image, blurred again, is compared with the input, in units of the
        noise; 1 is what noise alone gives.
    inconsistent : float
        Share of the pixels where it is more than three times the noise.
    error, large_error : float or None
        Half-width of the interval that holds nine of ten errors, in grey levels: mean over the image, and what 95 % of the
        pixels stay below; None without a calibration.
    signal_error, signal_share : float or None
        Mean half-width over what is not background, in grey levels, and as a share of its signal: of the median distance of
        its brightness from the background's level. None without a calibration, and where no background, or nothing that
        stands out of it, can be told.
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


def assess(image: Any, restored: Any, plan: RestorationPlan, model: Model, wishes: Wishes | None = None) -> Assessment:
    """Assess a restoration in one call; see `plan_trust` and `assess_steps`."""
    trust = plan_trust(image, restored, plan, model, wishes)
    steps = assess_steps(image, restored, trust, model)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def plan_trust(
    image: Any,
    restored: Any,
    plan: RestorationPlan,
    model: Model,
    wishes: Wishes | None = None,
    examinations: tuple[Examination, ...] | None = None,
) -> TrustPlan:
    """Estimate from a few places what holds for the whole, and settle what will be made.

    Parameters
    ----------
    image, restored : array
        What `plan` was made for, and its result; lazy ones are read at these places alone.
    plan : RestorationPlan
        From `make_plan`.
    model : Model
        That restored the image.
    wishes : Wishes, optional
        Beyond what costs little.
    examinations : tuple of Examination, optional
        Of the image, one for each window, if it was looked at before.

    Raises
    ------
    ImageError
        If the restored image is no result of the plan.
    """
    wishes = wishes or Wishes()
    if tuple(restored.shape) != plan.output_shape:
        raise ImageError(
            f"An image of shape {tuple(restored.shape)} is no result of this plan, which gives {plan.output_shape}; assess the "
            "image that it was made for."
        )
    windows = plan.windows or measured_windows(image, plan.rgb, plan.window_axes)
    calibration = calibration_of(model.card, plan.factor)
    channels = range(len(windows)) if plan.window_axes else (None,)
    if examinations is None:
        examinations = tuple(
            examine(image, plan, window, model.card, calibration, channel)
            for window, channel in zip(windows, channels, strict=True)
        )
    estimates = tuple(
        estimate_whole(image, restored, plan, window, examination, channel)
        for window, examination, channel in zip(windows, examinations, channels, strict=True)
    )
    speaks = explains(model.network)
    made = {
        "consistency": True,
        "defocus": True,
        "error": calibration is not None,
        "disagreement": wishes.disagreement,
        "choice": speaks,
        "weights": speaks and wishes.weights,
    }
    return TrustPlan(
        restoration=plan,
        estimates=estimates,
        calibration=calibration,
        maps=tuple(name for name in MAPS if made[name]),
    )


class Maps(Protocol):
    """Where the maps of an assessment go, tile by tile."""

    def known(self, index: tuple[int, ...], tile: Tile) -> Mapping[str, np.ndarray] | None:
        """All maps of a tile of one image of the stack, if they are there already from an earlier time."""

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
        self._arrays = {name: np.empty(map_shape(name, self._plan), MAPS[name].dtype) for name in trust.maps}

    def known(self, index: tuple[int, ...], tile: Tile) -> None:  # noqa: ARG002
        """None: there is nothing from an earlier time."""
        return

    def add(self, index: tuple[int, ...], tile: Tile, made: Mapping[str, np.ndarray]) -> None:
        """Keep the maps of a tile."""
        for name, values in made.items():
            place: tuple[Any, ...] = (*index, *target(tile, self._plan, map_factor(name, self._plan)))
            self._arrays[name][place] = values

    def finish(self) -> tuple[TrustMap, ...]:
        """All maps."""
        return tuple(TrustMap(name, array) for name, array in self._arrays.items())


def assess_steps(
    image: Any,
    restored: Any,
    trust: TrustPlan,
    model: Model,
    explanation: Explanation | None = None,
    spread: Any = None,
    maps: Maps | None = None,
) -> Generator[Progress, None, Assessment]:
    """Make the maps; yields once at the start and after every tile. Closing the generator ends the work.

    Parameters
    ----------
    image, restored : array
        As for `plan_trust`; read tile by tile.
    trust : TrustPlan
        From `plan_trust`.
    model : Model
        That restored the image.
    explanation : Explanation, optional
        What the network said of itself while it restored the image. Without it the network is run once more, up to its
        approximation module: less than half of the restoration's cost.
    spread : array, optional
        In grey levels on the result's grid, from `ensemble_steps`, where `restored` is the mean of the eight orientations; else
        they are made here if the disagreement is wished for.
    maps : Maps, optional
        Where they go: in memory, or on disk with `stored.StoredMaps`.
    """
    plan, start = trust.restoration, time.perf_counter()
    maps = MapsInMemory(trust) if maps is None else maps
    network = network_on(model, plan.device)
    anew = ExplainedAnew(image, plan, network) if explanation is None and explains(network) else None
    sums = Sums()
    total = int(np.prod(plan.output_shape[: len(plan.leading) + 2], dtype=np.int64))
    done = before = 0
    yield Progress(done, total, 0.0)
    for index in np.ndindex(*plan.leading):
        estimate = trust.estimate(index)

        def work(tile: Tile, index: tuple[int, ...] = index, estimate: Estimate = estimate) -> dict[str, np.ndarray]:
            said = None
            if anew is not None:
                said = anew.of(index, tile, estimate.window)
            elif explanation is not None and explains(network):
                said = explanation.of(index, tile)
            apart = None
            if spread is not None:
                apart = read(spread, (*index, *target(tile, plan)))[..., None] / np.float32(estimate.window.span)
            elif "disagreement" in trust.maps:
                part = lambda region: part_of(image, index, region)  # noqa: E731
                apart = ensemble(part, tile, plan, estimate.window, network).spread
            return maps_of_tile(image, restored, index, tile, trust, said, apart)

        for tile in close_together(fine_grid(plan)):
            made = maps.known(index, tile)
            pixels = tile.pixels * plan.factor**2
            if made is None:
                made = _in_one(tile, list(tiles_that_fit(plan, work, [tile])), plan)
                maps.add(index, tile, made)
            else:
                before += pixels
            sums.add(made, estimate.window.span)
            if "error" in made:
                values = _brightness(restored, index, tile, plan, estimate)
                sums.add_signal(plan.window_number(index), estimate, values, made["error"])
            done += pixels
            yield Progress(done, total, time.perf_counter() - start, before)
    return assessment_of(trust, maps.finish(), sums.figures(), model)


def assessment_of(trust: TrustPlan, maps: tuple[TrustMap, ...], figures: Figures, model: Model) -> Assessment:
    """What comes of maps and figures, with its sentence."""
    found = Assessment(
        maps=maps,
        estimates=trust.estimates,
        calibrated=trust.calibration is not None and trust.calibration.own,
        **dataclasses.asdict(figures),
    )
    return summarise(found, model.card)


def maps_of_tile(
    image: Any,
    restored: Any,
    index: tuple[int, ...],
    tile: Tile,
    trust: TrustPlan,
    said: np.ndarray | None,
    spread: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """All maps of one tile, by name: lengths in grey levels, NaN where the image has no number."""
    estimate, f = trust.estimate(index), trust.restoration.factor
    noise = estimate.examination.noise
    piece = read_piece(image, restored, index, tile, trust.restoration, estimate.window)
    difference = compare(piece, estimate.psf, (-np.inf, estimate.examination.ceiling))
    span = np.float32(estimate.window.span)
    gap = piece.missing[piece.inside]
    fine_gap = gap.repeat(f, axis=0).repeat(f, axis=1)
    made = {"consistency": in_noise(difference, piece, noise)[piece.inside]}
    blur = defocus_of_tile(image, index, tile, trust.restoration, estimate.window, estimate.examination.grey_noise)
    made["defocus"] = np.where(gap, np.float32(np.nan), blur)
    if trust.calibration is not None:
        bar = trust.calibration.plain if spread is None else trust.calibration.with_disagreement
        values = features(piece.filled(), difference, noise, estimate.psf, said, spread)
        made["error"] = np.where(fine_gap, np.float32(np.nan), bar.half_width(values) * span)
    if spread is not None:
        made["disagreement"] = np.where(fine_gap, np.float32(np.nan), spread.mean(axis=-1) * span)
    if said is not None:
        made["choice"] = choice(said, gap)
        if "weights" in trust.maps:
            made["weights"] = np.where(gap[..., None], np.float32(np.nan), said[..., :3])
    return made


def _brightness(
    restored: Any, index: tuple[int, ...], tile: Tile, plan: RestorationPlan, estimate: Estimate
) -> np.ndarray:
    """Of a tile of the result: (y, x) float32 in windows, mean over the colours, NaN where it has no number."""
    block = read(restored, (*index, *target(tile, plan)))
    colours = block[..., :3] if plan.rgb else block[..., None]
    return np.where(np.isfinite(colours), estimate.window.normalise(colours), np.float32(np.nan)).mean(axis=-1)


def map_factor(name: str, plan: RestorationPlan) -> int:
    """Pixels of a map for one of the image, along y and x."""
    return plan.factor if MAPS[name].finer else 1


def map_shape(name: str, plan: RestorationPlan) -> tuple[int, ...]:
    """Shape of a map of a plan's result."""
    area = ((stop - start) * map_factor(name, plan) for start, stop in plan.region)
    return (*plan.leading, *area, *MAPS[name].last_axis)


def _in_one(
    tile: Tile, parts: list[tuple[Tile, dict[str, np.ndarray]]], plan: RestorationPlan
) -> dict[str, np.ndarray]:
    """The maps of a tile from those of its parts, which it was cut into if memory ran out."""
    if len(parts) == 1:
        return parts[0][1]
    height, width = tile.y.stop - tile.y.start, tile.x.stop - tile.x.start
    whole = {}
    for name in parts[0][1]:
        f = map_factor(name, plan)
        whole[name] = np.empty((height * f, width * f, *MAPS[name].last_axis), MAPS[name].dtype)
        for part, made in parts:
            whole[name][within(part, tile, f)] = made[name]
    return whole
