"""`mdeblurgan restore --trust --report --ensemble`, from the outside."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.commands.trust import map_path
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.storage import Micrograph, read_image, write_image

pytestmark = pytest.mark.usefixtures("tiny_defaults")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    data = np.random.default_rng(0).integers(100, 4000, (3, 2, 40, 48)).astype(np.uint16)
    image = Micrograph(data, "ZCYX", {"X": 0.5, "Y": 0.5, "Z": 1.0}, "µm", ("DAPI", "GFP"))
    write_image(tmp_path / "cells <1>.ome.tif", image)
    return tmp_path / "cells <1>.ome.tif"


def test_maps_are_written_beside_the_output_with_axes_and_pixel_sizes(run: Run, stack: Path, tmp_path: Path) -> None:
    code, out, error = run("restore", stack, tmp_path / "sharp.ome.tif", "--trust", "--device", "cpu")
    assert (code, error) == (0, "")
    error_map, consistency = (read_image(tmp_path / f"sharp-{name}.tif") for name in ("error", "consistency"))
    assert error_map.data.shape == (3, 2, 80, 96)
    assert consistency.data.shape == (3, 2, 40, 48)
    assert error_map.pixel_size["X"] == pytest.approx(0.25)
    assert consistency.pixel_size["X"] == pytest.approx(0.5)
    assert set(np.unique(read_image(tmp_path / "sharp-choice.tif").data)) <= {1, 2, 3}
    assert not (tmp_path / "sharp-disagreement.tif").exists()
    assert "Channel 1:" in out.splitlines()[-1]


def test_a_report_is_one_file_with_all_in_it(
    run: Run, stack: Path, tmp_path: Path, tiny_model: Callable[..., Model]
) -> None:
    code, out, _ = run("restore", stack, tmp_path / "sharp.tif", "--report", tmp_path / "page.html", "--device", "cpu")
    assert code == 0
    assert "page.html" in out
    page = (tmp_path / "page.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert page.count("data:image/png;base64,") == 4
    assert "cells &lt;1&gt;" in page
    assert "<1>" not in page
    assert tiny_model().card.weights_sha256 in page
    assert "px = " in page
    assert not (tmp_path / "sharp-error.tif").exists()


def test_the_mean_of_eight_orientations_is_another_result_with_its_disagreement(
    run: Run, stack: Path, tmp_path: Path
) -> None:
    arguments = ("--device", "cpu", "--precision", "float32")
    assert run("restore", stack, tmp_path / "one.tif", *arguments)[0] == 0
    assert run("restore", stack, tmp_path / "eight.tif", "--ensemble", "--trust", *arguments)[0] == 0
    one, eight = (read_image(tmp_path / f"{name}.tif").data.astype(float) for name in ("one", "eight"))
    spread = read_image(tmp_path / "eight-disagreement.tif").data
    assert spread.shape == one.shape
    assert 0 < np.abs(one - eight).mean() < 3 * spread.mean()


@pytest.mark.parametrize("taken", ["sharp-error.tif", "page.html"])
def test_nothing_is_overwritten_unasked(run: Run, stack: Path, tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    code, _, error = run("restore", stack, tmp_path / "sharp.tif", "--trust", "--report", tmp_path / "page.html")
    assert code == 2
    assert taken in error
    assert (tmp_path / taken).read_text() == "mine"
    assert not (tmp_path / "sharp.tif").exists()


def test_a_report_that_is_no_page_is_refused_before_any_work(run: Run, stack: Path, tmp_path: Path) -> None:
    code, _, error = run("restore", stack, tmp_path / "sharp.tif", "--report", tmp_path / "page.pdf")
    assert (code, error.count("\n")) == (2, 1)
    assert "end in .html" in error


def test_names_of_the_maps() -> None:
    assert map_path(Path("a/sharp.ome.tif"), "error") == Path("a/sharp-error.tif")
    assert map_path(Path("s.1.png"), "choice") == Path("s.1-choice.tif")
