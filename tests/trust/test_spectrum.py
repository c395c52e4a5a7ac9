"""Does an image hold anything finer than two of its pixels?"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_mdeblurgan.model import model_path, read_card
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.trust.domain import examine_all
from napari_mdeblurgan.trust.spectrum import nothing_finer

NOISE = 0.006


def noisy(image: np.ndarray, noise: float = NOISE) -> np.ndarray:
    return (image + noise * np.random.default_rng(3).standard_normal(image.shape)).astype(
        np.float32
    )


@pytest.fixture
def enlarged(scene) -> np.ndarray:
    """(256, 256): an image of half as many pixels, enlarged, as a camera with too small pixels, or
    an interpolation, gives it; with the camera's noise.
    """
    small = ndimage.gaussian_filter(scene(128), 0.8)
    return noisy(ndimage.zoom(small, 2, order=3))


def test_what_is_soft_at_the_pixel_is_told_from_what_is_sharp(scene, enlarged) -> None:
    assert nothing_finer([enlarged])
    assert not nothing_finer([noisy(scene(256))])


@pytest.mark.parametrize("noise", [0.002, NOISE, 0.02])
def test_a_little_blur_is_no_softness(scene, blurred, noise: float) -> None:
    assert not nothing_finer([blurred(scene(512), 0.7, noise)])


def test_noise_that_hides_what_is_fine_is_not_taken_for_softness(scene, blurred) -> None:
    assert not nothing_finer([blurred(scene(512), 1.0, 0.1)])
    assert not nothing_finer([noisy(np.full((256, 256), 0.5))])


@pytest.mark.parametrize("empty", [np.zeros((256, 256)), np.zeros((40, 300)), None])
def test_nothing_is_said_where_nothing_can_be_seen(empty: np.ndarray | None) -> None:
    assert not nothing_finer([] if empty is None else [empty.astype(np.float32)])


def test_gaps_are_left_out(enlarged) -> None:
    enlarged[100, 100] = enlarged[30, 200] = np.nan
    assert nothing_finer([enlarged])


def test_places_are_judged_together(scene, enlarged) -> None:
    assert not nothing_finer([enlarged[:128, :128], noisy(scene(256))])


def test_such_an_image_is_to_be_halved_though_its_edges_look_nearly_sharp(enlarged) -> None:
    image, card = (
        np.rint(enlarged * 255).clip(0, 255).astype(np.uint8),
        read_card(model_path("gray-x2")),
    )
    (found,) = examine_all(image, make_plan(image, card), card)
    assert found.blur.sigma_px is not None
    assert found.blur.sigma_px < 2
    assert found.advised_binning == 2
    assert "Most of it shows nothing finer than two of its pixels" in found.sentence
