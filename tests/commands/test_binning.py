"""`--bin`, from the outside: the same result in every route, lying where the image lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.binning import AUTO_BINNING
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from napari_mdeblurgan.trust import domain
from napari_mdeblurgan.trust.auto_binning import binned_as_wished

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
    for wrong, told in (("0", "from 1 (none) to 16"), ("x", "neither auto nor a whole number")):
        code, _, error = run("restore", tmp_path / "small.tif", tmp_path / "a.tif", "--bin", wrong)
        assert (code, error.count("\n"), told in error) == (2, 1, True)


def cells(path: Path, blur: float) -> Path:
    """A field of cells, blurred by a Gaussian of so many pixels, with a little noise."""
    random = np.random.default_rng(0)
    sharp = np.kron(random.random((20, 20)) > 0.6, np.ones((16, 16)))
    image = ndimage.gaussian_filter(sharp, blur) * 200 + random.normal(20, 0.4, sharp.shape)
    write_image(path, Micrograph(image.clip(0, 255).astype(np.uint8), "YX"))
    return path


AVERAGED = "Averaged 2 × 2 first, as its blur is large beside its pixels."
AUTO = (*EXACT[:-1], "auto")


@pytest.mark.parametrize(("blur", "binning"), [(3.0, 2), (0.7, 1)])
@pytest.mark.parametrize("ending", [".tif", ".ome.zarr"])
def test_an_image_is_averaged_if_it_needs_that(
    run: Run, tmp_path: Path, blur: float, binning: int, ending: str
) -> None:
    image, made, same = cells(tmp_path / "cells.tif", blur), tmp_path / f"a{ending}", tmp_path / "b"
    code, _, error = run("restore", image, made, *AUTO, "--region", "10:200,:")
    assert (code, AVERAGED in error) == (0, binning == 2)
    same = same.with_suffix(ending)
    assert run("restore", image, same, *EXACT[:-1], binning, "--region", "10:200,:")[0] == 0
    np.testing.assert_array_equal(read_image(made).data, read_image(same).data)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("route", ROUTES)
def test_of_a_batch_each_image_is_averaged_if_it_needs_that(
    tmp_path: Path, form: str, route: str, request: pytest.FixtureRequest
) -> None:
    for name, blur, edge in (("soft", 3.0, 320), ("sharp", 0.7, 640)):
        image = cells(tmp_path / f"{name}.tif", blur)
        result = batched(image, tmp_path / name, form, route, request, binning="auto")
        assert result.data.shape == (edge, edge)


def test_what_was_averaged_is_told_and_kept(run: Run, tmp_path: Path) -> None:
    for name, blur in (("soft", 3.0), ("sharp", 0.7)):
        cells(tmp_path / f"{name}.tif", blur)
    code, _, error = run("batch", tmp_path, "--output", tmp_path / "out", *AUTO, "--trust")
    assert (code, error.count(AVERAGED), f"soft.tif: {AVERAGED}" in error) == (0, 1, True)
    reports = [
        path.read_text(encoding="utf-8") for path in sorted((tmp_path / "out").glob("*.html"))
    ]
    assert sum("averaged 2 × 2 first" in report for report in reports) == 1


def test_what_is_too_small_to_be_averaged_stays_as_it_is(
    tmp_path: Path, tiny_model: Callable[..., Model]
) -> None:
    image = read_image(cells(tmp_path / "soft.tif", 3.0))
    for rows, kept in ((3, True), (4, False)):
        part = replace(image, data=image.data[:rows])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(domain, "binning_for", lambda *_, **__: 2)
            found = binned_as_wished(part, AUTO_BINNING, lambda: tiny_model().card)
        assert (found is part) is kept
