"""From a restoration to an assessment: what holds for the whole is estimated once, then the maps are made tile by tile."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration.engine import Progress
from napari_mdeblurgan.restoration.inference import network_on
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.measuring import measured_windows
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.trust.choice import choice
from napari_mdeblurgan.trust.consistency import NOTABLE, compare, in_noise
from napari_mdeblurgan.trust.disagreement import ensemble, part_of
from napari_mdeblurgan.trust.domain import Examination, examine
from napari_mdeblurgan.trust.error_bar import Calibration, calibration_of
from napari_mdeblurgan.trust.explanation import Explanation, explained, explains
from napari_mdeblurgan.trust.features import features
from napari_mdeblurgan.trust.maps import MAPS, TrustMap
from napari_mdeblurgan.trust.pieces import read_piece
from napari_mdeblurgan.trust.psf import PointSpread, estimate_psf
from napari_mdeblurgan.trust.resolution import resolution_px
from napari_mdeblurgan.trust.samples import Place, normalised, read, rich_places
from napari_mdeblurgan.trust.summary import summarise
from napari_mdeblurgan.trust.tiles import NewArray, in_memory, target, tiles_that_fit

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model

ERROR_BINS = np.geomspace(1e-5, 10, 300)  # of half-widths in windows


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


@dataclass(frozen=True, slots=True)
class Estimate:
    """What holds for the whole image, or for one of its channels.

    Attributes
    ----------
    window : Window
    examination : Examination
        Of the input, noise included.
    psf : PointSpread
        From the restored image back to the input.
    resolution_before, resolution_after : float or None
        Period of the finest detail, in pixels of the input.
    """

    window: Window
    examination: Examination
    psf: PointSpread
    resolution_before: float | None
    resolution_after: float | None


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
    calibration = calibration_of(model.card)
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


def assess_steps(
    image: Any,
    restored: Any,
    trust: TrustPlan,
    model: Model,
    explanation: Explanation | None = None,
    spread: Any = None,
    new_array: NewArray = in_memory,
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
    new_array : callable
        Makes the arrays of the maps, in memory or on disk.
    """
    plan, start = trust.restoration, time.perf_counter()
    arrays = {name: _array(name, plan, new_array) for name in trust.maps}
    network = network_on(model, plan.device)
    sums = _Sums()
    total = int(np.prod(plan.output_shape[: len(plan.leading) + 2], dtype=np.int64))
    done = 0
    yield Progress(done, total, 0.0)
    for index in np.ndindex(*plan.leading):
        estimate = trust.estimate(index)

        def work(tile: Tile, index: tuple[int, ...] = index, estimate: Estimate = estimate) -> dict[str, np.ndarray]:
            said = None
            if explains(network):
                if explanation is None:
                    block = read(image, (*index, tile.y.source, tile.x.source))
                    said = explained(block, tile, plan, estimate.window, network)
                else:
                    said = explanation.of(index, tile)
            apart = None
            if spread is not None:
                apart = read(spread, (*index, *target(tile, plan)))[..., None] / np.float32(estimate.window.span)
            elif "disagreement" in trust.maps:
                part = lambda region: part_of(image, index, region)  # noqa: E731
                apart = ensemble(part, tile, plan, estimate.window, network).spread
            return maps_of_tile(image, restored, index, tile, trust, said, apart)

        for tile, made in tiles_that_fit(plan, work):
            for name, values in made.items():
                arrays[name][(*index, *target(tile, plan, None if MAPS[name].finer else 1))] = values
            sums.add(made, estimate.window.span)
            done += tile.pixels * plan.factor**2
            yield Progress(done, total, time.perf_counter() - start)
    assessment = sums.assessment(trust, tuple(TrustMap(name, arrays[name]) for name in trust.maps))
    return summarise(assessment, model.card)


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


def _array(name: str, plan: RestorationPlan, new_array: NewArray) -> Any:
    kind = MAPS[name]
    factor = plan.factor if kind.finer else 1
    area = tuple((stop - start) * factor for start, stop in plan.region)
    return new_array(name, (*plan.leading, *area, *kind.last_axis), np.dtype(kind.dtype))


def estimate_whole(
    image: Any,
    restored: Any,
    plan: RestorationPlan,
    window: Window,
    examination: Examination,
    channel: int | None = None,
) -> Estimate:
    """From a few places of an image and of its restoration, or of one channel, to what holds for all of it."""
    places = rich_places(image, plan, channel)
    blurred = [normalised(place, image, plan, window) for place in places]
    result = [_in_result(place, restored, plan, window) for place in places]
    whole = [
        at
        for at, (b, r) in enumerate(zip(blurred, result, strict=True))
        if np.isfinite(b).all() and np.isfinite(r).all()
    ]
    grey = [blurred[at].mean(axis=-1) for at in whole]
    fine = [result[at].mean(axis=-1) for at in whole]
    if not whole:
        return Estimate(window, examination, PointSpread(np.ones((1, 1)), plan.factor), None, None)
    sigma = [examination.noise.sigma(blurred[at]).mean(axis=-1) for at in whole]
    after = resolution_px(fine)
    return Estimate(
        window=window,
        examination=examination,
        psf=estimate_psf(fine, grey, sigma, plan.factor),
        resolution_before=resolution_px(grey),
        resolution_after=None if after is None else after / plan.factor,
    )


def _in_result(place: Place, restored: Any, plan: RestorationPlan, window: Window) -> np.ndarray:
    """The same place in the restored image: (y, x, colours) float32 in windows, NaN where it has no number."""
    f = plan.factor
    area = (
        slice((part.start - start) * f, (part.stop - start) * f)
        for part, (start, _) in zip((place.y, place.x), plan.region, strict=True)
    )
    block = read(restored, (*place.index, *area))
    colours = block[..., :3] if plan.rgb else block[..., None]
    return np.where(np.isfinite(colours), window.normalise(colours), np.float32(np.nan))


@dataclass(slots=True)
class _Sums:
    """Figures of the whole, gathered tile by tile."""

    squares: float = 0.0
    notable: int = 0
    compared: int = 0
    errors: float = 0.0
    barred: int = 0
    histogram: dict[float, np.ndarray] = field(default_factory=dict)  # by grey levels in a window
    spreads: float = 0.0
    spread_pixels: int = 0

    def add(self, made: dict[str, np.ndarray], span: float) -> None:
        z = made["consistency"][np.isfinite(made["consistency"])].astype(np.float64)
        self.squares += float(np.square(z).sum())
        self.notable += int(np.count_nonzero(z > NOTABLE))
        self.compared += z.size
        if "error" in made:
            widths = made["error"][np.isfinite(made["error"])]
            self.errors += float(widths.sum(dtype=np.float64))
            self.barred += widths.size
            counts = np.histogram(np.clip(widths / span, ERROR_BINS[0], ERROR_BINS[-1]), ERROR_BINS)[0]
            self.histogram[span] = self.histogram.get(span, np.zeros(len(counts), np.int64)) + counts
        if "disagreement" in made:
            known = made["disagreement"][np.isfinite(made["disagreement"])]
            self.spreads += float(known.sum(dtype=np.float64))
            self.spread_pixels += known.size

    def assessment(self, trust: TrustPlan, maps: tuple[TrustMap, ...]) -> Assessment:
        return Assessment(
            maps=maps,
            estimates=trust.estimates,
            consistency=(self.squares / self.compared) ** 0.5 if self.compared else float("nan"),
            inconsistent=self.notable / self.compared if self.compared else 0.0,
            error=self.errors / self.barred if self.barred else None,
            large_error=self._quantile(0.95) if self.barred else None,
            calibrated=trust.calibration is not None and trust.calibration.own,
            disagreement=self.spreads / self.spread_pixels if self.spread_pixels else None,
        )

    def _quantile(self, share: float) -> float:
        widths = np.concatenate([np.sqrt(ERROR_BINS[1:] * ERROR_BINS[:-1]) * span for span in self.histogram])
        counts = np.concatenate(list(self.histogram.values()))
        order = np.argsort(widths)
        reached = np.cumsum(counts[order])
        return float(widths[order][np.searchsorted(reached, share * reached[-1])])
