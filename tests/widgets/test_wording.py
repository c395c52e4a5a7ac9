"""What the docks say of files that failed, and of how much is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_mdeblurgan.widgets.shared.wording import on_bar, reason_first

NAME = str(Path("in", "b.tif"))
OUT = Path("sharp")


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (f"{NAME} is damaged; copy it again.", f"Is damaged; copy it again. — {NAME}"),
        (
            f"A part of {NAME} cannot be read (bad data).",
            f"A part of it cannot be read (bad data). — {NAME}",
        ),
        (
            f"{NAME}.files is not there; put it beside {NAME}",
            f"{NAME}.files is not there; put it beside it — {NAME}",
        ),
        (f"{OUT / 'b.ome.tif'} is there already.", f"b.ome.tif is there already. — {NAME}"),
    ],
)
def test_why_an_image_failed_begins_with_the_reason_and_names_it_once(
    reason: str, told: str
) -> None:
    assert reason_first(reason, NAME, OUT) == told


def test_no_bar_says_that_all_is_done_before_it_is() -> None:
    assert on_bar(0.0) == "0 %"
    assert on_bar(0.996, "1 s left") == "99 % · 1 s left"
    assert on_bar(1.0, "", "") == "100 %"
    assert on_bar(0.5, "", "3 s left") == "50 % · 3 s left"
