"""An assessment in one line, and how much doubt there is: what is said first. What shows it imports
no torch.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.short_numbers import short

if TYPE_CHECKING:
    from napari_mdeblurgan.trust.assess import Assessment

# by level: a sign, and a colour of Okabe and Ito, which all eyes tell apart, to be behind it
SIGNS = {
    "good": ("✓", "#009E73"),
    "caution": ("!", "#E69F00"),
    "poor": ("✗", "#D55E00"),
}
LEVELS = tuple(SIGNS)
_SEPARATOR = " · "


@dataclass(frozen=True, slots=True)
class Headline:
    """One line on a result.

    Attributes
    ----------
    level : str
        "good"; "caution" if the result differs from the image or the image is none of those that
        the model is known to know; "poor" if both are so.
    text : str
        The line.
    """

    level: str
    text: str

    def document(self) -> dict[str, str]:
        """As JSON has it."""
        return {"level": self.level, "text": self.text}


def headline_of(found: Assessment) -> Headline:
    """The line on an assessment."""
    from napari_mdeblurgan.trust.summary import FEW

    compared = bool(found.consistency >= 0)
    agrees = compared and found.inconsistent <= FEW
    known = all(estimate.examination.fits for estimate in found.estimates)
    parts = [_agreement(found, compared=compared, agrees=agrees), _error(found), _domain(found)]
    doubts = (not agrees) + (not known)
    return Headline(LEVELS[doubts], _SEPARATOR.join(parts))


def headline_from(document: Any) -> Headline | None:
    """What `Headline.document` made; None where it is something else."""
    match document:
        case {"level": str(level), "text": str(text)} if level in SIGNS:
            return Headline(level, text)
    return None


def headline_html(line: Headline) -> str:
    """The line with its sign, for a label that shows HTML."""
    sign, colour = SIGNS[line.level]
    words = html.escape(line.text).replace(
        " %", "&nbsp;%"
    )  # a line that is broken there tells a number of nothing
    return f'<span style="background-color:{colour};color:black">&nbsp;{sign}&nbsp;</span> {words}'


def headline_in(trust: Any) -> Headline | None:
    """The line in a trust record, see `trust.record`."""
    return headline_from(trust.get("headline")) if isinstance(trust, Mapping) else None


def _agreement(found: Assessment, *, compared: bool, agrees: bool) -> str:
    if not compared:
        return "Too little of your image to compare"
    return (
        "Agrees with your image"
        if agrees
        else f"Differs from your image in {100 * found.inconsistent:.1f} % of its pixels"
    )


def _domain(found: Assessment) -> str:
    unknown = [each.examination for each in found.estimates if not each.examination.fits]
    if not unknown:
        return "blur within what the model knows"
    if all(each.blur_sigma_px is None for each in unknown):
        return "too little detail to tell the blur"
    return "the image is outside what the model knows"


def _error(found: Assessment) -> str:
    if found.error is None:
        return "no error bar"
    if not found.calibrated:
        return "error bar relative only"
    if found.signal_share is not None:
        return f"error ±{short(100 * found.signal_share)} % of the signal"
    return f"error ±{short(found.error)} grey levels"
