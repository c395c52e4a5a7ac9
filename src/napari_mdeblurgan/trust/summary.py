"""An assessment in words."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from napari_mdeblurgan.model import ModelCard
from napari_mdeblurgan.short_numbers import short
from napari_mdeblurgan.trust.consistency import NOTABLE

if TYPE_CHECKING:
    from napari_mdeblurgan.trust.assess import Assessment

FEW = 0.002  # of the pixels: what chance and steep edges leave
UNCALIBRATED = "uncalibrated: relative only"


def summarise(assessment: Assessment, card: ModelCard) -> Assessment:
    """The same assessment with its sentence."""
    sentences = [_consistency(assessment), _error(assessment, card), *_domain(assessment)]
    return dataclasses.replace(assessment, sentence=" ".join(filter(None, sentences)))


def _consistency(assessment: Assessment) -> str:
    if not assessment.consistency >= 0:
        return "There is too little of the image to compare it with its restoration."
    figure = f"{assessment.consistency:.1f} × the noise"
    if assessment.inconsistent <= FEW:
        return f"Blurred again, the result agrees with the image ({figure})."
    share = f"{100 * assessment.inconsistent:.1f} %"
    return (
        f"Blurred again, the result differs from the image in {share} of its pixels by more than "
        f"{NOTABLE:g} × the noise: see the consistency map ({figure} overall)."
    )


def _error(assessment: Assessment, card: ModelCard) -> str:
    if assessment.error is None:
        return f"There is no error bar for {card.name}."
    if not assessment.calibrated:
        return f"The error bar is {UNCALIBRATED} for {card.name}."
    if assessment.signal_error is not None and assessment.signal_share is not None:
        percent, levels = short(100 * assessment.signal_share), short(assessment.signal_error)
        return (
            f"Error ±{percent} % of the signal (±{levels} grey levels), for nine of ten pixels "
            "outside the background."
        )
    return (
        f"Nine of ten pixels are predicted to lie within ±{short(assessment.error)} grey "
        "levels of the truth."
    )


def _domain(assessment: Assessment) -> list[str]:
    """One sentence, or one for each channel of which something else is to be said."""
    said = [estimate.examination.sentence for estimate in assessment.estimates]
    if len(said) == 1:
        return said
    return [f"Channel {number}: {sentence}" for number, sentence in enumerate(said)]
