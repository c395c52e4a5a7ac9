"""What a table says of a result: the line that is said first, and a figure for each of the things
that it rests on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.trust.headline import SIGNS, Headline, headline_of

if TYPE_CHECKING:
    from napari_mdeblurgan.trust.assess import Assessment


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A result judged in a line and a few figures, of several channels the largest of each.

    Attributes
    ----------
    level, text : str
        Of the headline, see `Headline`.
    blur_px : float or None
        Gaussian-equivalent σ of the image's blur, in its pixels; None if there is nothing to see it
        by.
    noise : float or None
        Standard deviation of the image's noise at half brightness, as a share of the intensity
        range.
    error : float or None
        Half-width of the error bar outside the background, as a share of the signal; None without a
        calibrated one, or where no background can be told.
    error_levels : float or None
        The same in grey levels; where no background can be told, over the whole image.
    inconsistent : float or None
        Share of the pixels in which the result differs from the image; None where too little could
        be compared.
    """

    level: str
    text: str
    blur_px: float | None = None
    noise: float | None = None
    error: float | None = None
    error_levels: float | None = None
    inconsistent: float | None = None

    @property
    def headline(self) -> Headline:
        """The line that is said first."""
        return Headline(self.level, self.text)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def verdict_on(found: Assessment) -> Verdict:
    """The verdict of an assessment."""
    line, seen = headline_of(found), [estimate.examination for estimate in found.estimates]
    blurs = [each.blur_sigma_px for each in seen if each.blur_sigma_px is not None]
    return Verdict(
        level=line.level,
        text=line.text,
        blur_px=_number(max(blurs, default=None)),
        noise=_number(max((each.noise_share for each in seen), default=None)),
        error=_number(found.signal_share) if found.calibrated else None,
        error_levels=_number(found.error if found.signal_error is None else found.signal_error)
        if found.calibrated
        else None,
        inconsistent=_number(found.inconsistent) if found.consistency >= 0 else None,
    )


def verdict_from(document: Any) -> Verdict | None:
    """What `Verdict.document` made; None where it is something else."""
    if not isinstance(document, Mapping):
        return None
    level, text = document.get("level"), document.get("text")
    if level not in SIGNS or not isinstance(text, str):
        return None
    figures = [each.name for each in fields(Verdict) if each.name not in ("level", "text")]
    return Verdict(
        level=level, text=text, **{name: _number(document.get(name)) for name in figures}
    )


def _number(value: Any) -> float | None:
    """A finite number of 0 or more; None for all else."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None
