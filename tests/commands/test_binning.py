"""`--bin`, from the outside: the same result in every route, lying where the image lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.storage import Micrograph, read_image, write_image

from .two_channels import FORMS, ROUTES, batched, write_source

pytestmark = pytest.mark.usefixtures("tiny_defaults")

Run = Callable[..., tuple[int, str, str]]
EXACT = ("--device", "cpu", "--precision", "float32", "--bin", 2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path)


def lies_on(result: Micrograph, source: Path) -> None:
    before = read_image(source)
    assert result.data.shape == (2, 120, 146)
    assert result.channel_names == before.channel_names
    for axis in "XY":
        assert result.pixel_size[axis] == pytest.approx(before.pixel_size[axis])
        assert result.position.get(axis, 0) == pytest.approx(before.position[axis])


def test_an_ome_zarr_equals_a_tiff_and_both_lie_on_the_image(
    run: Run, source: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert run("restore", source, tmp_path / "a.ome.tif", *EXACT, "--report", page)[0] == 0
    assert run("restore", source, tmp_path / "a.ome.zarr", *EXACT, "--trust")[0] == 0
    tiff, zarr = read_image(tmp_path / "a.ome.tif"), read_image(tmp_path / "a.ome.zarr")
    lies_on(tiff, source)
    lies_on(zarr, source)
    np.testing.assert_allclose(tiff.data.astype(int), zarr.data.astype(int), atol=40)
    assert "Binning</td><td>averaged 2 × 2 first" in page.read_text()
    consistency = read_image(tmp_path / "a.ome.zarr" / "trust" / "consistency.ome.zarr")
    assert (consistency.data.shape, consistency.pixel_size["X"]) == ((2, 60, 73), 1.0)


def test_a_result_of_another_binning_is_not_gone_on_with(
    run: Run, source: Path, tmp_path: Path
) -> None:
    assert run("restore", source, tmp_path / "a.ome.zarr", *EXACT)[0] == 0
    code, _, error = run("restore", source, tmp_path / "a.ome.zarr", *EXACT[:-1], 3, "--trust")
    assert (code, "is there already" in error) == (1, True)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("route", ROUTES)
def test_batches_bin_in_every_route(
    run: Run, source: Path, tmp_path: Path, form: str, route: str, request: pytest.FixtureRequest
) -> None:
    found = batched(source, tmp_path / "out", form, route, request, binning=2)
    lies_on(found, source)
    assert run("restore", source, tmp_path / "a.ome.tif", *EXACT)[0] == 0
    np.testing.assert_allclose(
        found.data.astype(int), read_image(tmp_path / "a.ome.tif").data.astype(int), atol=40
    )


def test_the_same_batch_with_another_binning_makes_results_anew(
    run: Run, source: Path, tmp_path: Path
) -> None:
    assert run("batch", source, "--output", tmp_path / "out", *EXACT)[0] == 0
    lies_on(read_image(tmp_path / "out" / "cells.ome.tif"), source)
    code, _, error = run(
        "batch", source, "--output", tmp_path / "out", "--device", "cpu", "--precision", "float32"
    )
    assert code in (1, 2)
    assert "--overwrite" in error


def test_an_image_that_is_too_small_is_refused_in_a_sentence(
    run: Run, source: Path, tmp_path: Path
) -> None:
    write_image(tmp_path / "small.tif", Micrograph(np.zeros((20, 24), np.uint8), "YX"))
    code, _, error = run("restore", tmp_path / "small.tif", tmp_path / "a.tif", "--bin", 16)
    assert (code, error.count("\n")) == (1, 1)
    assert "too few to be binned 16 × 16" in error
    assert run("restore", tmp_path / "small.tif", tmp_path / "a.tif", "--bin", 0)[0] == 2
