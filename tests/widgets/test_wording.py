"""What the docks say of files that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_mdeblurgan.widgets.wording import reason_first

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
