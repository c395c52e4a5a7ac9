"""`--output-scale 1`, from the outside: sharp at the image's own pixels, the
same in every route.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_mdeblurgan.restoration import room
from napari_mdeblurgan.restoration.binning import block_means
from napari_mdeblurgan.storage import Micrograph, read_image
from napari_mdeblurgan.storage.map_places import map_path

from .two_channels import FORMS, ROUTES, batched, write_source

pytestmark = pytest.mark.usefixtures("tiny_defaults")

Run = Callable[..., tuple[int, str, str]]
EXACT = ("--device", "cpu", "--precision", "float32")
SAME = (*EXACT, "--output-scale", 1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path)


def lies_on(result: Micrograph, source: Path) -> None:
    before = read_image(source)
    assert result.data.shape == before.data.shape
    assert result.data.dtype == before.data.dtype
    assert result.channel_names == before.channel_names
    assert result.pixel_size == pytest.approx(before.pixel_size)
    assert {axis: result.position.get(axis, 0.0) for axis in "XY"} == pytest.approx(before.position)


def test_an_ome_tiff_an_ome_zarr_and_their_maps_lie_on_the_image(
    run: Run, source: Path, tmp_path: Path
) -> None:
    page, path = tmp_path / "page.html", tmp_path / "a.ome.tif"
    code, told, _ = run("restore", source, path, *SAME, "--trust", "--report", page)
    assert code == 0
    assert "the image's own pixels" in told
    assert "Factor</td><td>×1 along y and x" in page.read_text()
    assert run("restore", source, tmp_path / "a.ome.zarr", *SAME, "--trust")[0] == 0
    tiff, zarr = read_image(path), read_image(tmp_path / "a.ome.zarr")
    lies_on(tiff, source)
    lies_on(zarr, source)
    np.testing.assert_allclose(tiff.data.astype(int), zarr.data.astype(int), atol=1)
    maps = [map_path(path, name) for name in ("error", "consistency")]
    maps += [
        tmp_path / "a.ome.zarr" / "trust" / f"{name}.ome.zarr" for name in ("error", "consistency")
    ]
    for each in map(read_image, maps):
        assert (each.data.shape, each.pixel_size["X"]) == ((2, 121, 146), 0.5)


def test_it_is_the_means_of_the_larger_result(run: Run, source: Path, tmp_path: Path) -> None:
    assert run("restore", source, tmp_path / "a.tif", *SAME)[0] == 0
    assert run("restore", source, tmp_path / "b.tif", *EXACT)[0] == 0
    small, large = (read_image(tmp_path / name).data for name in ("a.tif", "b.tif"))
    inner = (large > 0) & (large < 65535)  # where the larger one was not cut off
    whole = inner.reshape(2, 121, 2, 146, 2).all(axis=(2, 4))
    means = block_means(large, binning=2, y=1).astype(int)
    np.testing.assert_allclose(small[whole].astype(int), means[whole], atol=1)


def test_binning_goes_before_it(run: Run, source: Path, tmp_path: Path) -> None:
    assert run("restore", source, tmp_path / "a.ome.tif", *SAME, "--bin", 2)[0] == 0
    found = read_image(tmp_path / "a.ome.tif")
    assert (found.data.shape, found.pixel_size["X"]) == ((2, 60, 73), 1.0)


@pytest.mark.parametrize("output", ["a.tif", "a.ome.zarr"])
def test_what_a_model_cannot_give_is_wrong_use_and_nothing_is_written(
    run: Run, source: Path, tmp_path: Path, output: str
) -> None:
    code, _, error = run("restore", source, tmp_path / output, "--output-scale", 3)
    assert (code, error.count("\n")) == (2, 1)
    assert "makes 2 pixels of one, and the output scale is 3; give 1" in error
    assert not list(tmp_path.glob("a.*"))
    code, _, error = run("batch", source, "--output", tmp_path / "out", "--output-scale", 3)
    assert (code, "the output scale is 3" in error) == (2, True)


def test_memory_is_asked_for_no_more_than_it_takes(
    run: Run, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = read_image(source).data.nbytes
    free = psutil.virtual_memory()._replace(available=int(size * 3 / room.SHARE_OF_FREE))
    monkeypatch.setattr(room.psutil, "virtual_memory", lambda: free)
    code, _, error = run("restore", source, tmp_path / "b.tif", *EXACT)
    assert (code, "are free; let it end in .ome.zarr" in error) == (1, True)
    assert run("restore", source, tmp_path / "a.tif", *SAME)[0] == 0


def test_a_result_of_other_pixels_is_not_gone_on_with(
    run: Run, source: Path, tmp_path: Path
) -> None:
    assert run("restore", source, tmp_path / "a.ome.zarr", *EXACT)[0] == 0
    code, _, error = run("restore", source, tmp_path / "a.ome.zarr", *SAME, "--trust")
    assert (code, "is there already" in error) == (1, True)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("route", ROUTES)
def test_batches_keep_the_pixels_in_every_route(
    run: Run, source: Path, tmp_path: Path, form: str, route: str, request: pytest.FixtureRequest
) -> None:
    found = batched(source, tmp_path / "out", form, route, request, output_scale=1)
    lies_on(found, source)
    assert run("restore", source, tmp_path / "a.ome.tif", *SAME)[0] == 0
    np.testing.assert_allclose(
        found.data.astype(int), read_image(tmp_path / "a.ome.tif").data.astype(int), atol=1
    )


def test_the_same_batch_at_other_pixels_makes_results_anew(
    run: Run, source: Path, tmp_path: Path
) -> None:
    assert run("batch", source, "--output", tmp_path / "out", *SAME)[0] == 0
    lies_on(read_image(tmp_path / "out" / "cells.ome.tif"), source)
    code, _, error = run("batch", source, "--output", tmp_path / "out", *EXACT)
    assert code in (1, 2)
    assert "--overwrite" in error
    assert run("batch", source, "--output", tmp_path / "out", *EXACT, "--overwrite")[0] == 0
    assert read_image(tmp_path / "out" / "cells.ome.tif").data.shape == (2, 242, 292)
