"""Results at the image's own pixels: the means of what the model makes, in every route, lying
exactly on the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import psutil
import pytest

from napari_mdeblurgan.errors import FileError, ImageError
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration import room
from napari_mdeblurgan.restoration.binning import binned, block_means
from napari_mdeblurgan.restoration.engine import ensemble_steps, restore
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.restoration.scan import open_scan
from napari_mdeblurgan.restoration.softened_result import softened_plane
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import Micrograph, open_image, read_image
from napari_mdeblurgan.storage.map_places import maps_path

Models = Callable[..., Model]
EXACT: dict[str, Any] = {"precision": "float32", "device": "cpu"}
SAME: dict[str, Any] = EXACT | {"output_scale": 1}
PLANE = np.random.default_rng(0).integers(0, 4000, (150, 170), np.uint16)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [2, 4])
def test_a_result_at_the_same_pixels_is_the_means_of_the_models(
    tiny_model: Models, channels: int, scale: int
) -> None:
    image = noise(*((61, 83, 3) if channels == 3 else (61, 83)))
    model = tiny_model(channels, scale)
    same = restore(image, model, **SAME)
    assert same.shape == image.shape
    large = restore(image, model, **EXACT)
    np.testing.assert_allclose(
        same, block_means(large, binning=scale, y=0), rtol=0, atol=1e-5 * np.ptp(large)
    )


def test_a_model_of_four_times_the_pixels_can_give_twice_as_many(tiny_model: Models) -> None:
    image, model = noise(40, 50), tiny_model(1, 4)
    twice = restore(image, model, **EXACT, output_scale=2)
    large = restore(image, model, **EXACT)
    np.testing.assert_allclose(
        twice, block_means(large, binning=2, y=0), rtol=0, atol=1e-5 * np.ptp(large)
    )


def test_tiles_and_regions_fit_to_what_one_piece_gives(tiny_model: Models) -> None:
    image, model = noise(210, 190), tiny_model()
    whole = restore(image, model, **SAME, tile=4096)
    np.testing.assert_allclose(
        restore(image, model, **SAME, tile=64), whole, rtol=0, atol=1e-5 * np.ptp(whole)
    )
    part = restore(image, model, **SAME, region=((37, 120), (61, 175)))
    np.testing.assert_allclose(part, whole[37:120, 61:175], rtol=0, atol=1e-5 * np.ptp(whole))


def test_softness_is_in_pixels_of_the_result(tiny_model: Models) -> None:
    image, model = noise(120, 130), tiny_model()
    soft = restore(image, model, **SAME, softness=1.5, tile=64)
    expected = softened_plane(restore(image, model, **SAME), 1.5, rgb=False)
    inner = (slice(8, -8),) * 2  # at the rim the network knows a little more
    np.testing.assert_allclose(soft[inner], expected[inner], rtol=0, atol=1e-5 * np.ptp(expected))


def test_where_the_objective_is_not_known_it_is_as_soft_as_the_models_result_averaged(
    tiny_model: Models,
) -> None:
    card = replace(tiny_model().card, softness=0.5)
    assert make_plan(PLANE, card, **EXACT).softness.sigma == 0.5
    assert make_plan(PLANE, card, **SAME).softness.sigma == 0.25


def test_type_alpha_and_gaps_are_the_images_own(tiny_model: Models) -> None:
    image = np.random.default_rng(1).integers(0, 255, (40, 50, 4)).astype(np.uint8)
    same = restore(image, tiny_model(3), **SAME)
    assert same.dtype == np.uint8
    np.testing.assert_array_equal(same[..., 3], image[..., 3])
    holes = noise(40, 50)
    holes[3:5, 7] = np.nan
    with pytest.warns(UserWarning, match="NaN"):
        same = restore(holes, tiny_model(), **SAME)
    np.testing.assert_array_equal(np.isnan(same), np.isnan(holes))


def test_binned_first_it_has_the_binned_pixels(tiny_model: Models) -> None:
    image, model = noise(64, 80), tiny_model()
    same = restore(image, model, binning=2, **SAME)
    np.testing.assert_allclose(
        same, restore(binned(image, 2), model, **SAME), rtol=0, atol=1e-6 * np.ptp(same)
    )
    assert same.shape == (32, 40)


def test_a_lazy_image_gives_the_same(tiny_model: Models) -> None:
    stack, model = noise(2, 150, 130), tiny_model()
    lazy = restore(da.from_array(stack, chunks=(1, 70, 70)), model, window=(-3, 3), tile=64, **SAME)
    assert lazy.shape == stack.shape
    expected = restore(stack, model, window=(-3, 3), **SAME)
    np.testing.assert_allclose(lazy.compute(), expected, rtol=0, atol=1e-5 * np.ptp(expected))


def test_the_mean_of_eight_orientations_and_its_spread_have_the_images_pixels(
    tiny_model: Models,
) -> None:
    image, model = noise(70, 90), tiny_model()
    plan = make_plan(image, model.card, **SAME)
    mean, spread = finished(ensemble_steps(image, plan, model))
    assert mean.shape == spread.shape == image.shape
    large, _ = finished(ensemble_steps(image, make_plan(image, model.card, **EXACT), model))
    np.testing.assert_allclose(
        mean, block_means(large, binning=2, y=0), rtol=0, atol=1e-5 * np.ptp(large)
    )


def test_the_plan_keeps_pixel_size_and_place(tiny_model: Models) -> None:
    known: dict[str, Any] = {"scale": (0.5, 0.25), "translate": (7, 9)}
    plan = make_plan(PLANE, tiny_model().card, **SAME, **known, region=((10, 50), (20, 70)))
    assert plan.scale == (0.5, 0.25)
    assert plan.translate == (7 + 10 * 0.5, 9 + 20 * 0.25)
    assert plan.output_shape == (40, 50)
    assert "the image's own pixels" in plan.described


@pytest.mark.parametrize("wrong", [3, 0, -1, True, 1.0, "1"])
def test_what_the_model_cannot_give_is_refused_in_words(tiny_model: Models, wrong: Any) -> None:
    with pytest.raises(
        ImageError, match=r"makes 2 pixels of one, .*; give 1 for the image's own pixels"
    ):
        restore(PLANE, tiny_model(), output_scale=wrong)


def test_memory_and_disk_are_asked_for_no_more_than_the_result_takes(
    tiny_model: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    monkeypatch.setattr(
        psutil, "virtual_memory", lambda: SimpleNamespace(available=2 * PLANE.nbytes)
    )
    with pytest.raises(ImageError, match="of memory are free"):
        make_plan(PLANE, model.card, **EXACT)
    plan = make_plan(PLANE, model.card, **SAME)
    large = make_plan(PLANE, model.card, **EXACT, in_memory=False)
    monkeypatch.setattr(
        room.shutil, "disk_usage", lambda _: SimpleNamespace(free=0.5 * PLANE.nbytes)
    )
    room.check_room(tmp_path / "a.zarr", plan.output_shape, plan.dtype)
    with pytest.raises(FileError, match="make room"):
        room.check_room(tmp_path / "a.zarr", large.output_shape, large.dtype)


def test_a_scan_lies_on_its_source_pixel_on_pixel(tiny_model: Models, tmp_path: Path) -> None:
    place = {"X": 30.0, "Y": -2.0}
    source = Micrograph(
        da.from_array(PLANE, chunks=70), "YX", {"X": 0.5, "Y": 0.25}, "µm", position=place
    )
    path, model = tmp_path / "a.zarr", tiny_model()
    scan = open_scan(source, model, path, ensemble=True, tile=128, **SAME)
    finished(scan.steps())
    found = read_image(path)
    assert (found.data.shape, found.pixel_size, found.position) == (
        PLANE.shape,
        {"X": 0.5, "Y": 0.25},
        place,
    )
    assert open_image(maps_path(path, "disagreement")).pixel_size == {"X": 0.5, "Y": 0.25}
    windows = [(window.low, window.high) for window in scan.plan.windows or ()]
    plan = make_plan(PLANE, model.card, window=windows, **SAME)
    mean, _ = finished(ensemble_steps(PLANE, plan, model))
    np.testing.assert_allclose(found.data.astype(int), mean.astype(int), rtol=0, atol=1)


@pytest.mark.parametrize(("begun", "other"), [(SAME, EXACT), (EXACT, SAME)])
def test_an_interrupted_scan_is_gone_on_with_at_its_own_pixels_alone(
    tiny_model: Models, tmp_path: Path, begun: dict[str, Any], other: dict[str, Any]
) -> None:
    source = Micrograph(PLANE, "YX", {"X": 0.5, "Y": 0.5}, "µm")
    path, model = tmp_path / "a.zarr", tiny_model()
    steps = open_scan(source, model, path, tile=64, **begun).steps()
    for _ in range(3):
        next(steps)
    steps.close()
    assert 0 < open_scan(source, model, path, tile=64, **begun).fraction < 1
    anew = open_scan(source, model, path, tile=64, **other)
    assert anew.fraction == 0
    finished(anew.steps())
    expected = restore(PLANE, model, **other)
    np.testing.assert_allclose(
        read_image(path).data.astype(int), expected.astype(int), rtol=0, atol=1
    )
