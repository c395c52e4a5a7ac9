"""Empty areas of stitched images: known by their value, and no part of any figure."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.model import load_model
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.samples import sample_path
from napari_mdeblurgan.storage import read_image
from napari_mdeblurgan.trust.assess import Assessment, assess
from napari_mdeblurgan.trust.empty_areas import WithoutEmpty, empty_level

EMPTY_ROWS, EMPTY_COLUMNS = slice(100, 180), slice(300, 340)


def nuclei() -> np.ndarray:
    return np.asarray(read_image(sample_path("nuclei")).data)


def stitched(image: np.ndarray, level: float = 0) -> np.ndarray:
    """With two strips in which no picture was taken."""
    image = image.copy()
    image[EMPTY_ROWS] = level
    image[:, EMPTY_COLUMNS] = level
    return image


def level_of(image: Any) -> float | None:
    model = load_model("rgb-x2" if image.shape[-1] == 3 else "gray-x2")
    return empty_level(image, make_plan(image, model.card))


def test_areas_of_one_value_apart_from_all_else_are_empty() -> None:
    image = nuclei()
    assert level_of(stitched(image)) == 0
    assert level_of(stitched(image, 65535)) == 65535
    assert level_of(stitched(image).astype(np.float32)) == 0
    assert level_of(stitched(image).astype(np.int16)) == 0
    assert level_of(da.from_array(stitched(image), chunks=64)) == 0
    colour = np.stack([(image // 8).clip(0, 200).astype(np.uint8)] * 3, axis=-1)
    assert level_of(stitched(colour, 255)) == 255


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        lambda image: np.maximum(image.astype(int) - 150, 0).astype(np.uint16),  # cut off at 0
        lambda image: np.minimum(image * 200.0, 65535).astype(np.uint16),  # too bright
        lambda image: stitched(image, 500),  # a value that the camera may have seen
        lambda image: np.where(np.random.default_rng(0).random(image.shape) < 0.01, 0, image),
        np.zeros_like,
        lambda image: image > 400,
    ],
    ids=[
        "a plain image",
        "a background at 0",
        "too bright",
        "another value",
        "dead pixels",
        "nothing at all",
        "a mask",
    ],
)
def test_nothing_else_is_empty(change: Any) -> None:
    assert level_of(change(nuclei())) is None


def test_empty_areas_have_no_number_whatever_part_is_read() -> None:
    image = stitched(nuclei())
    empty = image == 0
    image[5, 5] = 0  # a dead pixel is no area
    seen = WithoutEmpty(image, 0.0, rgb=False)
    assert seen.dtype == np.float32
    whole = seen[:, :]
    np.testing.assert_array_equal(np.isnan(whole), empty)
    np.testing.assert_array_equal(seen[90:130, 280:348], whole[90:130, 280:348])


def test_a_stitched_image_agrees_with_its_result_as_its_pictures_do() -> None:
    model, image = load_model("gray-x2"), nuclei()
    plain, found = (_assessed(each, model) for each in (image, stitched(image)))
    assert plain.inconsistent < 0.002
    assert found.inconsistent < 0.02  # what is left lies along the edges of the strips
    assert found.error == pytest.approx(plain.error, rel=0.2)
    empty = stitched(np.ones_like(image)) == 0
    for name in ("consistency", "defocus"):
        values = found.map(name)
        assert values is not None
        assert np.isnan(values.data[empty]).all()
    bars = found.map("error")
    assert bars is not None
    assert np.isnan(bars.data[::2, ::2][empty]).all()
    assert np.isfinite(bars.data[::2, ::2][~empty]).all()


def _assessed(image: np.ndarray, model: Any) -> Assessment:
    plan = make_plan(image, model.card)
    return assess(image, restore(image, model), plan, model)
