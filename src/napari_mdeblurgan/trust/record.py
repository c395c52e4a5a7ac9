"""How far a result can be trusted, in values that JSON has, as a layer and the record of a file
keep it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_mdeblurgan.trust.assess import Assessment


def trust_record(
    assessment: Assessment,
    settings: Mapping[str, str],
    softness: float,
    pixel_size: float | None = None,
    unit: str = "",
    date: str = "",
) -> dict[str, Any]:
    """What was found out about a result, and how it was made in the words of a report.

    First the line that is said first, then the sentence, then the figures: bare, and as the report
    has them.

    Parameters
    ----------
    assessment : Assessment
    settings : mapping of str to str
        As in `Report`.
    softness : float
        Of the result that was assessed, σ in its pixels.
    pixel_size, unit, date
        As in `Report`.
    """
    from napari_mdeblurgan.trust.figures import Figures
    from napari_mdeblurgan.trust.headline import headline_of
    from napari_mdeblurgan.trust.report import figures_in_words

    return {
        "headline": headline_of(assessment).document(),
        "sentence": assessment.sentence,
        "softness": softness,
        "numbers": {each.name: getattr(assessment, each.name) for each in fields(Figures)},
        "figures": [list(row) for row in figures_in_words(assessment, pixel_size, unit)],
        "settings": dict(settings),
        "date": date,
    }


def verdict_of(trust: Any, softness: Any) -> str:
    """The sentence of a trust record for a result that is shown with some softness; empty where
    there is none.
    """
    sentence = trust.get("sentence") if isinstance(trust, Mapping) else None
    if not isinstance(sentence, str):
        return ""
    assessed = trust.get("softness")
    if isinstance(assessed, int | float) and isinstance(softness, int | float):
        try:
            return f"{found_for(assessed, softness)}{sentence}"
        except OverflowError:  # a whole number of hundreds of digits, which JSON may hold
            return sentence
    return sentence


def found_for(assessed: float, shown: float) -> str:
    """Where a result is shown softer or sharper by now than it was assessed, what to say before the
    sentence.
    """
    if assessed == shown:
        return ""
    return f"Found for softness {assessed:.2g} px, and it is shown with {shown:.2g} px now: "
