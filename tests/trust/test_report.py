"""The page for the lab book, and the pictures in it."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.trust.assess import assess
from napari_mdeblurgan.trust.made_with import settings_of
from napari_mdeblurgan.trust.maps import MAPS, TrustMap
from napari_mdeblurgan.trust.pictures import CHOICE_COLOURS, LARGEST, picture, reduced_map
from napari_mdeblurgan.trust.report import Report, report_html, write_report

LEAST_APART = 45  # of 255, of a layer half transparent


def test_each_estimate_has_a_colour_told_apart_half_transparent_and_by_the_colour_blind() -> None:
    colours = np.array(
        [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in CHOICE_COLOURS[1:]]
    )
    blue = colours @ (
        -0.5,
        -0.5,
        1,
    )  # less yellow: what who is blind for red or green sees, whatever lies below
    hues = colours - colours.mean(axis=1, keepdims=True)
    hues /= np.linalg.norm(hues, axis=1, keepdims=True)
    for one, other in itertools.combinations(range(3), 2):
        assert abs(blue[one] - blue[other]) / 2 > LEAST_APART
        assert (
            hues[one] @ hues[other] < 0.5
        )  # or the darker of two would be taken for the other over black


def test_a_verdict_is_put_in_words_without_the_library_that_draws() -> None:
    program = (
        "import sys, napari_mdeblurgan.trust.record, napari_mdeblurgan.trust.report\n"
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.fixture
def report(tiny_model: Callable[..., Model]) -> Report:
    image, model = np.random.default_rng(0).integers(0, 256, (90, 70), dtype=np.uint8), tiny_model()
    plan, after = make_plan(image, model.card), restore(image, model)
    return Report(
        source="<b>cells</b>",
        before=image,
        after=after,
        assessment=assess(image, after, plan, model),
        index=(),
        settings=settings_of(plan, model.card),
        pixel_size=0.5,
        unit="µm",
        date="2026-01-02",
    )


def test_names_cannot_write_into_the_page(report: Report) -> None:
    page = report_html(report)
    assert "&lt;b&gt;cells" in page
    assert "<b>cells" not in page


def test_a_name_that_is_not_utf_8_is_shown_as_far_as_it_is(report: Report, tmp_path: Path) -> None:
    strange = replace(
        report, source="caf\udce9.tif", settings=report.settings | {"model": "m\udce9.safetensors"}
    )
    write_report(tmp_path / "a.html", strange)
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "caf\N{REPLACEMENT CHARACTER}.tif" in page
    assert "m\N{REPLACEMENT CHARACTER}.safetensors" in page


def test_lengths_are_in_pixels_and_in_the_unit(report: Report) -> None:
    page = report_html(report)
    sigma = report.assessment.estimates[0].psf.sigma_px
    assert f"σ ≈ {sigma:.1f} px = {sigma / 2:.3g} µm" in page


def test_an_error_bar_without_a_calibration_says_so(report: Report) -> None:
    assert report_html(report).count("uncalibrated: relative only") == 4


def test_a_page_is_whole_or_not_there(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path / "a.html", report)
    assert (tmp_path / "a.html").read_text().rstrip().endswith("</html>")
    with pytest.raises(FileError, match=r"end in \.html"):
        write_report(tmp_path / "a.pdf", report)


@pytest.mark.parametrize("name", MAPS)
def test_every_map_can_be_drawn(name: str) -> None:
    kind = MAPS[name]
    data = np.random.default_rng(0).integers(0, 3, (2, 50, 60, *kind.last_axis)).astype(kind.dtype)
    drawn = Image.open(io.BytesIO(picture(TrustMap(name, data), (1,))))
    assert drawn.size[0] > 300


def test_a_hot_spot_survives_reduction() -> None:
    plane = np.zeros((3 * LARGEST, 2 * LARGEST), np.float32)
    plane[1001, 777] = 9
    plane[:3] = np.nan
    small = reduced_map(plane, (), (), largest_counts=True)
    assert max(small.shape) <= LARGEST
    assert np.nanmax(small) == 9
    assert np.isnan(small[0]).all()
    assert np.nanmax(reduced_map(plane, (), ())) == pytest.approx(1)
