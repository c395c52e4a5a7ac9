"""Single pixels of the camera, far brighter than any optics would let them be alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage, special

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.engine import ensemble_steps
from napari_mdeblurgan.restoration.intensity import hot_pixels, measure_window
from napari_mdeblurgan.restoration.measuring import measured_windows
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.steps import finished

HOT = ((5, 9), (31, 32), (63, 64), (64, 90), (80, 3))


def specimen(*shape: int) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, (4, 4, 0)[: len(shape)])
    return (1000 + 300 * smooth / smooth.std()).astype(np.uint16)


def spoilt(image: np.ndarray, value: int) -> np.ndarray:
    image = image.copy()
    for y, x in HOT:
        image[y, x, ...] = value
    return image


@pytest.mark.parametrize("value", [8000, 65535])
def test_a_hot_pixel_stays_and_changes_nothing_around_it(value: int) -> None:
    image, model = specimen(96, 100), load_model("gray-x2")
    plain, found = (
        restore(each, model, window=(200, 1900)) for each in (image, spoilt(image, value))
    )
    near = np.zeros(found.shape, bool)
    for y, x in HOT:
        assert (found[2 * y : 2 * y + 2, 2 * x : 2 * x + 2] == value).all()
        near[max(2 * y - 6, 0) : 2 * y + 8, max(2 * x - 6, 0) : 2 * x + 8] = True
    apart = np.abs(found.astype(float) - plain)[~near]
    assert apart.mean() < 2
    assert apart.max() < 40  # 334 and 1,777 where the network sees them


@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.5, 0.5), (0.3, -0.2)])
@pytest.mark.parametrize("sigma", [0.34, 0.57, 1.2])
def test_a_point_seen_through_optics_is_no_hot_pixel(
    sigma: float, centre: tuple[float, float]
) -> None:
    edges = np.arange(-8, 9) - 0.5
    y, x = (np.diff(special.erf((edges - at) / sigma / 2**0.5)) for at in centre)
    point = np.outer(y, x) / np.outer(y, x).max()
    noise = np.random.default_rng(0).random((16, 16))
    for peak in (2, 5, 50, 200):
        assert hot_pixels((peak * point + 0.3 * noise)[..., None].astype(np.float32)) is None


@pytest.mark.parametrize("photons", [0.02, 0.1, 0.3, 3])
@pytest.mark.parametrize("multiplied", [False, True])
def test_single_photons_are_no_hot_pixels(photons: float, *, multiplied: bool) -> None:
    rng = np.random.default_rng(0)
    counted = rng.poisson(photons, (1024, 1024)).astype(np.float32)
    if multiplied:  # as an EMCCD does: a gain that varies exponentially, and the noise of reading
        counted = np.where(counted > 0, rng.gamma(np.maximum(counted, 1), 100), 0)
        counted = (counted + rng.normal(0, 3, counted.shape)).astype(np.float32)
    found = hot_pixels(measure_window([counted]).normalise(counted)[..., None])
    assert found is None or len(found.values) < 5  # some 900 if one window were enough


STREAKS = {
    "two side by side": [(40, 40), (40, 41)],
    "a row": [(40, x) for x in range(30, 50)],
    "aslant": [(30 + x // 2, 30 + x) for x in range(12)],
    "diagonal": [(30 + x, 30 + x) for x in range(8)],
    "bent": [(40, 40), (40, 41), (41, 41), (42, 41), (42, 42)],
    "a cross": [(40, 39), (40, 40), (40, 41), (39, 40), (41, 40)],
    "at the edges": [(0, 0), (0, 50), (40, 99), (95, 0), (95, 60)],
}


@pytest.mark.parametrize("name", STREAKS)
def test_the_streak_of_a_cosmic_ray_is_one_of_hot_pixels(name: str) -> None:
    calm, spoilt = specimen(96, 100), specimen(96, 100).astype(float)
    rng = np.random.default_rng(1)
    for y, x in STREAKS[name]:
        spoilt[y, x] = rng.uniform(8000, 60_000)
    found = hot_pixels(((spoilt - 200) / 1700).astype(np.float32)[..., None])
    assert found is not None
    assert sorted(zip(*found.places[:2], strict=True)) == sorted(STREAKS[name])
    there = calm[found.places[:2]]
    np.testing.assert_allclose(found.values * 1700 + 200, there, atol=120)


@pytest.mark.parametrize("angle", [0, 20, 45, 90])
@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
def test_a_line_seen_through_optics_is_none(angle: int, offset: float) -> None:
    fine = (np.arange(-80, 80) + 0.5) / 10
    y, x = np.meshgrid(fine, fine, indexing="ij")
    turned = np.deg2rad(angle)
    apart = y * np.cos(turned) + x * np.sin(turned) - offset
    line = np.exp(-(apart**2) / 2 / 0.57**2)
    pixels = line.reshape(16, 10, 16, 10).mean((1, 3))
    noise = np.random.default_rng(0).random((16, 16))
    for peak in (2, 5, 50):
        assert hot_pixels((peak * pixels + 0.3 * noise)[..., None].astype(np.float32)) is None


@pytest.mark.parametrize("colours", [(), (3,), (4,)])
@pytest.mark.parametrize("wishes", [{}, {"output_scale": 1}, {"precision": "bfloat16"}])
def test_every_way_keeps_them(
    colours: tuple[int, ...], wishes: dict[str, Any], tiny_model: Callable[..., Model]
) -> None:
    image = spoilt(specimen(96, 100, *colours), 60_000)
    wishes = {"device": "cpu", "precision": "float32", "window": (200, 1900)} | wishes
    model, factor = tiny_model(3 if colours else 1), wishes.get("output_scale", 2)
    whole = restore(image, model, **wishes)
    lazy = da.from_array(image, (50, 40, *colours))
    plan = make_plan(image, model.card, **wishes)
    mean, _ = finished(ensemble_steps(image, plan, model))
    for found in (
        whole,
        restore(image, model, tile=64, **wishes),
        np.asarray(restore(lazy, model, tile=64, **wishes)),
        mean,
    ):
        for y, x in HOT:
            part = found[factor * y : factor * y + factor, factor * x : factor * x + factor]
            assert (part[..., :3] == 60_000).all()
    tiles = restore(image, model, tile=64, **wishes).astype(int)
    np.testing.assert_allclose(tiles, whole, atol=1 if "bfloat16" not in wishes.values() else 40)


@pytest.mark.parametrize("share", [0.002, 0.015])
@pytest.mark.parametrize("lazily", [False, True])
def test_however_many_they_are_they_do_not_set_the_range(share: float, *, lazily: bool) -> None:
    random = np.random.default_rng(0)
    image = ndimage.gaussian_filter(random.normal(size=(700, 600)), 2)
    image = (1000 + 800 * image / np.abs(image).max()).astype(np.uint16)
    (without,) = measured_windows(image, rgb=False)
    image[random.random(image.shape) < share] = 65535
    (window,) = measured_windows(da.from_array(image) if lazily else image, rgb=False)
    assert abs(window.low - without.low) < 0.05 * without.span
    assert abs(window.high - without.high) < 0.05 * without.span


@pytest.mark.parametrize("share", [0.0001, 0.005])
def test_what_lies_beside_the_places_that_are_looked_at_counts(share: float) -> None:
    random = np.random.default_rng(0)
    stack = random.poisson(100, (16, 500, 500)).astype(np.uint16)
    stack[:, :, :120] += (1200 * random.random((16, 500, 120))).astype(np.uint16)  # not the middle
    (without,) = measured_windows(stack, rgb=False)
    stack[random.random(stack.shape) < share] = 65535
    (window,) = measured_windows(stack, rgb=False)
    assert abs(window.high - without.high) < 0.05 * without.span


@pytest.mark.parametrize("blur", [0.5, 1.2])
def test_points_of_light_set_the_range(blur: float) -> None:
    random = np.random.default_rng(0)
    beads = ndimage.gaussian_filter((random.random((700, 600)) < 0.003).astype(float), blur)
    image = (random.poisson(100, beads.shape) + 20000 * beads).astype(np.uint16)
    assert measured_windows(image, rgb=False) == (measure_window([image]),)


@pytest.mark.parametrize(("height", "beads"), [(6000, 40000), (8000, 60000), (60000, 5000)])
def test_hot_pixels_hide_nothing_that_is_brighter_or_dimmer(height: int, beads: int) -> None:
    random = np.random.default_rng(0)
    spots = ndimage.gaussian_filter((random.random((700, 600)) < 0.0015).astype(float), 1)
    image = (random.poisson(100, spots.shape) + beads * spots / spots.max()).astype(np.uint16)
    (without,) = measured_windows(image, rgb=False)
    image[random.random(image.shape) < 0.005] += np.uint16(height)
    (window,) = measured_windows(image, rgb=False)
    assert abs(window.high - without.high) < 0.1 * without.span


def test_single_photons_set_the_range() -> None:
    image = np.random.default_rng(0).poisson(0.05, (700, 600)).astype(np.uint16)
    assert measured_windows(image, rgb=False) == (measure_window([image]),)


def test_they_do_not_change_what_lies_apart_from_them(tiny_model: Callable[..., Model]) -> None:
    random = np.random.default_rng(0)
    image = ndimage.gaussian_filter(random.normal(size=(200, 200)), 2)
    image = (1000 + 800 * image / np.abs(image).max()).astype(np.uint16)
    hot, many = image.copy(), random.random(image.shape) < 0.005
    hot[many] = 65535
    without, found = (
        restore(each, tiny_model(), device="cpu", precision="float32").astype(float)
        for each in (image, hot)
    )
    apart = ~ndimage.binary_dilation(np.kron(many, np.ones((2, 2), bool)), iterations=6)
    assert np.percentile(np.abs(found - without)[apart], 99) < 0.02 * np.ptp(image)
