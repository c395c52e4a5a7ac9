"""What JPEG has taken from an image: found from its pixels, and told by maps and sentence."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.trust.assess import assess
from napari_mdeblurgan.trust.compression import compression_loss
from napari_mdeblurgan.trust.domain import examine_all
from napari_mdeblurgan.trust.report import _figures_of

Models = Callable[..., Model]
LOST = "Lost by JPEG compression"


def micrograph(colours: int, edge: int = 256) -> np.ndarray:
    """Grain with the noise of a camera, (edge, edge, colours) uint8; colours change slowly."""
    random = np.random.default_rng(0)
    grain = ndimage.gaussian_filter(random.normal(size=(edge, edge, 1)), (1.5, 1.5, 0))
    tint = ndimage.gaussian_filter(random.normal(size=(edge, edge, colours)), (6, 6, 0))
    values = 120 + 35 * grain / grain.std() + 10 * tint / tint.std()
    return np.clip(np.rint(values + random.normal(size=values.shape)), 0, 255).astype(np.uint8)


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file)).reshape(image.shape)


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("quality", [95, 85, 70, 50])
@pytest.mark.parametrize("begin", [(0, 0), (3, 6)])
def test_about_as_much_is_found_as_was_lost(
    colours: int, quality: int, begin: tuple[int, int]
) -> None:
    image = micrograph(colours)
    kept = compressed(image, quality)
    lost = (kept.astype(float) - image).std(axis=(0, 1))
    y, x = begin
    found = compression_loss([kept[y:128, x:128], kept[y + 128 :, x + 128 :]])
    assert np.all(np.array(found) > 0.6 * lost)
    assert np.all(np.array(found) < 1.5 * lost)


def test_of_squares_that_are_too_small_nothing_is_found() -> None:
    assert compression_loss([np.zeros((20, 31, 3), np.uint8)]) == []


def test_flat_squares_have_lost_nothing() -> None:
    assert compression_loss([np.full((128, 128, 3), 200, np.uint8)]) == [0, 0, 0]


@pytest.mark.parametrize("colours", [1, 3])
def test_it_counts_as_noise_for_the_maps_and_widens_the_error_bar(colours: int) -> None:
    image = ndimage.gaussian_filter(micrograph(colours), (1.2, 1.2, 0))
    if colours == 1:
        image = image[..., 0]
    kept = compressed(image, 70)
    model = load_model("rgb-x2" if colours == 3 else "gray-x2")
    plan = make_plan(kept, model.card, device="cpu")
    (seen,) = examine_all(kept, plan, model.card)
    assert len(seen.lost) == colours
    assert min(seen.lost) > 2 * seen.noise.typical
    (other,) = examine_all(image, make_plan(image, model.card, device="cpu"), model.card)
    assert other.lost == ()
    assert other.unsure == other.noise
    found = assess(kept, restore(kept, model, device="cpu"), plan, model)
    assert "agrees with the image" in found.sentence
    (window,) = plan.windows
    assert np.nanmin(found.map("error").data) >= 0.99 * seen.lost_width * window.span
    assert "grey levels" in dict(_figures_of(found.estimates[0], None, ""))[LOST]


def test_of_an_image_that_was_not_compressed_the_report_says_nothing(tiny_model: Models) -> None:
    image, model = micrograph(1)[..., 0], tiny_model()
    plan = make_plan(image, model.card, device="cpu")
    found = assess(image, restore(image, model, device="cpu"), plan, model)
    assert LOST not in dict(_figures_of(found.estimates[0], None, ""))
