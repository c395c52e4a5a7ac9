"""What the scores on real images say: gains over bicubic enlargement, by set and by distance from
focus.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from napari_mdeblurgan.evaluation.real.contenders import BICUBIC
from napari_mdeblurgan.evaluation.real.scoring import RealScore


@dataclass(frozen=True, slots=True)
class Gain:
    """How much closer to the truth a contender comes than bicubic enlargement.

    Attributes
    ----------
    score : RealScore
        Of the contender.
    psnr_db, ssim, gmsd : float
        Its figure less that of bicubic enlargement; of GMSD, less is better.
    frc, frc_limit : float
        The same; NaN where they were not measured.
    """

    score: RealScore
    psnr_db: float
    ssim: float
    gmsd: float
    frc: float
    frc_limit: float


MEASURES = ("psnr_db", "ssim", "gmsd", "frc", "frc_limit")


def real_gains(scores: Iterable[RealScore]) -> list[Gain]:
    """One for every score but those of bicubic enlargement itself."""
    listed = list(scores)
    plain = {score.image_id: score for score in listed if score.method == BICUBIC}
    found = []
    for score in listed:
        base = plain.get(score.image_id)
        if base is None or score.method == BICUBIC:
            continue
        found.append(Gain(score, *(_difference(score, base, measure) for measure in MEASURES)))
    return found


def _difference(score: RealScore, base: RealScore, measure: str) -> float:
    one, other = getattr(score, measure), getattr(base, measure)
    return float("nan") if one is None or other is None else float(one - other)


def mean_gain(found: Sequence[Gain], measure: str) -> float:
    """The mean of those that were measured; NaN where none was."""
    values = np.array([getattr(gain, measure) for gain in found], float)
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def summary_lines(scores: Sequence[RealScore]) -> list[str]:
    """A table in words for a terminal: for each set and contender the mean gains, and the worst
    image.
    """
    lines = []
    found = real_gains(scores)
    for name in dict.fromkeys(score.set for score in scores):
        of_set = [gain for gain in found if gain.score.set == name]
        images = len({gain.score.image_id for gain in of_set})
        lines.append(
            f"{name} ({images} image{'s' if images != 1 else ''}), gains over bicubic enlargement:"
        )
        width = max(len(gain.score.method) for gain in of_set)
        for method in dict.fromkeys(gain.score.method for gain in of_set):
            own = [gain for gain in of_set if gain.score.method == method]
            worst = min(own, key=lambda gain: gain.psnr_db)
            lines.append(
                f"  {method:{width}}  PSNR {mean_gain(own, 'psnr_db'):+.2f} dB  SSIM "
                f"{mean_gain(own, 'ssim'):+.4f}  GMSD {mean_gain(own, 'gmsd'):+.4f}  FRC "
                f"{mean_gain(own, 'frc'):+.3f}  worst {worst.psnr_db:+.2f} dB ({worst.score.image})"
            )
    return lines
