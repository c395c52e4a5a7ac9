"""What a walk does with a tile to assess it: all maps of it, from the image, the result and what
the network says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.restoration.arrays import Cutout, read
from napari_mdeblurgan.restoration.ensemble import ensemble, read_for_all
from napari_mdeblurgan.restoration.fitting import on_result, target
from napari_mdeblurgan.restoration.inference import network_on
from napari_mdeblurgan.restoration.walk import TileArrays, TilePlace
from napari_mdeblurgan.stopping import look_up, portion
from napari_mdeblurgan.trust.choice import choice
from napari_mdeblurgan.trust.consistency import Difference, compare, in_noise
from napari_mdeblurgan.trust.defocus import defocus_of_tile
from napari_mdeblurgan.trust.empty_areas import without_empty
from napari_mdeblurgan.trust.explanation import ExplainedAnew, Explanation
from napari_mdeblurgan.trust.features import details, features
from napari_mdeblurgan.trust.pieces import Piece, read_piece
from napari_mdeblurgan.trust.samples import grey
from napari_mdeblurgan.trust.trust_plan import TrustPlan

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model


# of the first of the result's pixels that one has become, in windows: no map, but what the error
# bar is held against
BRIGHTNESS = "brightness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the maps of a tile are made of.

    Attributes
    ----------
    place : TilePlace
    piece : Piece
        Of the image and of the result.
    whole : Piece
        The same without gaps.
    sigma : ndarray
        (y, x, colours): standard deviation of the image's noise, in windows.
    difference : Difference
        What sets the two apart.
    maps : dict
        Those that are made already.
    said : ndarray or None
        (y, x, 6): what the network says of the tile, where that is known.
    around : Cutout or None
        Of the image, where the eight orientations are to be made.
    apart : ndarray or None
        How far they lie apart, (y, x, 1) in windows, where that is known.
    """

    place: TilePlace
    piece: Piece
    whole: Piece
    sigma: np.ndarray
    difference: Difference
    maps: dict[str, np.ndarray]
    said: np.ndarray | None
    around: Cutout | None
    apart: np.ndarray | None


@dataclass(frozen=True, slots=True)
class Mapped:
    """All maps of a tile, by name: lengths in grey levels, NaN where the image has no number; and
    beside the error bar how bright the result is.

    Where the network need not be asked, they are made where the tile is read, so several tiles can
    be read side by side.

    Attributes
    ----------
    image, restored : array
        What was restored and what came of it; read tile by tile.
    trust : TrustPlan
    model : Model
        That restored the image.
    said : Explanation, ExplainedAnew or None
        What the network says of itself, if it says anything.
    spread : array or None
        How far the eight orientations lie apart, in grey levels on the result's grid, where that is
        known.
    """

    image: Any
    restored: Any
    trust: TrustPlan
    model: Model
    said: Explanation | ExplainedAnew | None
    spread: Any

    def read(self, place: TilePlace) -> Given | TileArrays:
        index, tile = place.index, place.tile
        plan, estimate = self.trust.restoration, self.trust.estimate(index)
        image = without_empty(self.image, estimate.examination.empty, rgb=plan.rgb)
        piece = read_piece(image, self.restored, index, tile, plan, estimate.window, estimate.psf)
        look_up()
        difference = compare(piece, estimate.psf, (-np.inf, estimate.examination.ceiling))
        look_up()
        whole = piece.filled()
        sigma = estimate.examination.noise.sigma(whole.blurred)
        seen = estimate.examination
        unsure = seen.unsure.sigma(whole.blurred) if seen.lost else sigma
        maps = {"consistency": in_noise(difference, unsure)[piece.inside]}
        blur = defocus_of_tile(
            image, index, tile, plan, estimate.window, estimate.examination.grey_noise
        )
        maps["defocus"] = _blank(blur, _gap(piece))
        look_up()
        around = apart = None
        if self.spread is not None:
            apart = read(self.spread, (*index, *target(tile, plan)))[..., None] / np.float32(
                estimate.window.span
            )
        elif "disagreement" in self.trust.maps:
            around = read_for_all(self.image, index, tile, plan)
        given = Given(
            place=place,
            piece=piece,
            whole=whole,
            sigma=sigma,
            difference=difference,
            maps=maps,
            said=None if self.said is None else self.said.kept(index, tile),
            around=around,
            apart=apart,
        )
        if self._asks(given) or around is not None:
            return given
        return self._maps(given, given.said, apart)

    def work(self, given: Sequence[Given | TileArrays]) -> Sequence[TileArrays]:
        return [self._all_of(each) if isinstance(each, Given) else each for each in given]

    def _asks(self, given: Given) -> bool:
        """Whether the network has something to say of a tile that is not known."""
        return self.said is not None and given.said is None

    def _all_of(self, given: Given) -> TileArrays:
        costs = self._asks(given), 16 * (given.around is not None), 1  # those of the maps are 1
        until = [sum(costs[:number]) / sum(costs) for number in range(4)]
        with portion(until[0], until[1]):
            said = self._said(given)
        with portion(until[1], until[2]):
            apart = self._apart(given)
        with portion(until[2], until[3]):
            return self._maps(given, said, apart)

    def finish(self, place: TilePlace, given: Any, made: TileArrays) -> TileArrays:  # noqa: ARG002
        return made

    def _said(self, given: Given) -> np.ndarray | None:
        if not isinstance(self.said, ExplainedAnew) or not self._asks(given):
            return given.said
        place = given.place
        return self.said.anew(place.index, place.tile, self.trust.estimate(place.index).window)

    def _apart(self, given: Given) -> np.ndarray | None:
        if given.around is None:
            return given.apart
        plan, place = self.trust.restoration, given.place
        window = self.trust.estimate(place.index).window
        return ensemble(
            given.around, place.tile, plan, window, network_on(self.model, plan.device)
        ).spread

    def _maps(self, given: Given, said: np.ndarray | None, spread: np.ndarray | None) -> TileArrays:
        trust, estimate = self.trust, self.trust.estimate(given.place.index)
        factor, span = trust.restoration.factor, np.float32(estimate.window.span)
        piece, maps = given.piece, dict(given.maps)
        gap = _gap(piece)
        if trust.calibration is not None:
            bar = trust.calibration.plain if spread is None else trust.calibration.with_disagreement
            maps[BRIGHTNESS] = grey(piece.restored[piece.result_inside][::factor, ::factor])
            seen = details(given.whole, given.difference, given.sigma)
            look_up()
            values = features(seen, piece.inside, factor, estimate.psf, said, spread)
            look_up()
            width = bar.half_width(values)
            if lost := estimate.examination.lost_width:
                width = np.hypot(width, np.float32(lost))
            maps["error"] = on_result(_blank(width * span, gap), factor)
        if spread is not None:
            on_fine = None if gap is None else on_result(gap, factor)
            maps["disagreement"] = _blank(spread.mean(axis=-1) * span, on_fine)
        if said is not None:
            maps["choice"] = choice(said, gap)
            if "weights" in trust.maps:
                maps["weights"] = _blank(said[..., :3], gap)
        return maps


def _gap(piece: Piece) -> np.ndarray | None:
    """(y, x) bool of the tile itself: where the image has no number, if it has any such place."""
    return None if piece.missing is None else piece.missing[piece.inside]


def _blank(values: np.ndarray, gap: np.ndarray | None) -> np.ndarray:
    """The same, NaN where there is a gap."""
    if gap is None:
        return values
    return np.where(gap if values.ndim == gap.ndim else gap[..., None], np.float32(np.nan), values)
