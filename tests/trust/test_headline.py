"""The one line that is said first: what it says, how much doubt it tells of, and what is taken from
files.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from napari_mdeblurgan.trust.headline import (
    SIGNS,
    Headline,
    headline_from,
    headline_html,
    headline_in,
    headline_of,
)


def found(
    *, fits: tuple[bool, ...] = (True,), blur_sigma_px: float | None = 1.0, **more: Any
) -> Any:
    """An assessment of which no more is asked than its figures, its blur and whether the image is
    known.
    """
    figures = {
        "consistency": 1.0,
        "inconsistent": 0.0,
        "error": 9.0,
        "calibrated": True,
        "signal_share": 0.04,
    }
    estimates = [
        SimpleNamespace(examination=SimpleNamespace(fits=each, blur_sigma_px=blur_sigma_px))
        for each in fits
    ]
    return SimpleNamespace(**figures | more, estimates=estimates)


@pytest.mark.parametrize(
    ("assessment", "level", "text"),
    [
        (
            found(),
            "good",
            "Agrees with your image · error ±4 % of the signal · blur within what the model knows",
        ),
        (
            found(signal_share=None),
            "good",
            "Agrees with your image · error ±9 grey levels · blur within what the model knows",
        ),
        (
            found(inconsistent=0.034, calibrated=False),
            "caution",
            "Differs from your image in 3.4 % of its pixels · error bar relative only · blur "
            "within what the model knows",
        ),
        (
            found(fits=(True, False), error=None),
            "caution",
            "Agrees with your image · no error bar · the image is outside what the model knows",
        ),
        (
            found(fits=(True, False), blur_sigma_px=None),
            "caution",
            "Agrees with your image · error ±4 % of the signal · too little detail to tell the "
            "blur",
        ),
        (
            found(consistency=float("nan"), fits=(False,)),
            "poor",
            "Too little of your image to compare · error ±4 % of the signal · the image is "
            "outside what the model knows",
        ),
    ],
)
def test_a_line_says_agreement_error_and_domain_and_its_sign_how_many_doubts(
    assessment: Any, level: str, text: str
) -> None:
    assert headline_of(assessment) == Headline(level, text)


def test_each_level_has_a_sign_and_a_colour_of_its_own() -> None:
    signs, colours = zip(*SIGNS.values(), strict=True)
    assert len(set(signs)) == len(set(colours)) == 3
    for level, (sign, colour) in SIGNS.items():
        shown = headline_html(Headline(level, "words"))
        assert sign in shown
        assert colour in shown


def test_a_number_and_its_percent_sign_stay_on_one_line() -> None:
    assert headline_html(Headline("good", "error ±21 % of it")).endswith(" error ±21&nbsp;% of it")


def test_a_line_from_a_file_is_shown_letter_by_letter_or_not_at_all() -> None:
    line = Headline("good", "<img src=x> & more")
    assert headline_from(line.document()) == line
    assert "<img" not in headline_html(line)
    assert headline_in({"headline": line.document()}) == line
    for odd in (None, "good", {}, {"level": "best", "text": "x"}, {"level": "good", "text": 3}):
        assert headline_from(odd) is None
        assert headline_in({"headline": odd}) is None
    assert headline_in(None) is None
