"""Grey images that are stored in colours, and the models for grey images."""

from __future__ import annotations

from collections.abc import Callable

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.pipeline import carry_out
from napari_mdeblurgan.request import Request
from napari_mdeblurgan.restoration.colourless import fitting_channels, is_colourless
from napari_mdeblurgan.restoration.engine import ensemble_steps, restore
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import Micrograph

Models = Callable[..., Model]
EXACT = {"precision": "float32", "device": "cpu", "tile": 64}
TYPES = pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "float32"])


def grey(*shape: int, dtype: str = "uint8") -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, shape)
    return values > 100 if dtype == "bool" else values.astype(dtype)


def in_colours(image: np.ndarray, *more: np.ndarray) -> np.ndarray:
    return np.stack([image, image, image, *more], axis=-1)


def with_one_colour(*shape: int) -> np.ndarray:
    """Grey in colours, but for the last pixel."""
    image = in_colours(grey(*shape))
    image[..., -1, -1, 0] ^= 1
    return image


@TYPES
def test_a_grey_model_makes_of_each_colour_what_it_makes_of_the_grey_image(
    tiny_model: Models, dtype: str
) -> None:
    image, model = grey(2, 90, 70, dtype=dtype), tiny_model()
    found = restore(in_colours(image), model, **EXACT)
    np.testing.assert_array_equal(found, in_colours(restore(image, model, **EXACT)))
    lazy = da.from_array(in_colours(image), chunks=(1, 40, 50, 3))
    np.testing.assert_array_equal(restore(lazy, model, **EXACT).compute(), found)


def test_what_is_missing_of_a_grey_image_in_colours_is_missing_in_the_result(
    tiny_model: Models,
) -> None:
    image, model = grey(60, 50, dtype="float32"), tiny_model()
    image[20, 30], image[40, 10] = np.nan, 1e6
    found = restore(in_colours(image), model, **EXACT)
    np.testing.assert_array_equal(found, in_colours(restore(image, model, **EXACT)))
    assert np.isnan(found[40:42, 60:62]).all()
    assert (found[80:82, 20:22] == 1e6).all()


def test_opacity_beside_greys_is_enlarged_as_beside_colours(tiny_model: Models) -> None:
    image, opacity = grey(60, 50), np.full((60, 50), 200, np.uint8)
    found = restore(in_colours(image, opacity), tiny_model(), **EXACT)
    np.testing.assert_array_equal(found[..., :3], in_colours(restore(image, tiny_model(), **EXACT)))
    assert (found[..., 3] == 200).all()


def test_eight_orientations_of_a_grey_image_in_colours(tiny_model: Models) -> None:
    image, model = grey(60, 50), tiny_model()
    coloured, plain = (
        finished(ensemble_steps(each, make_plan(each, model.card, **EXACT), model))
        for each in (in_colours(image), image)
    )
    np.testing.assert_array_equal(coloured[0], in_colours(plain[0]))
    np.testing.assert_array_equal(coloured[1], plain[1])


def test_binning_and_regions_of_a_grey_image_in_colours(tiny_model: Models) -> None:
    image, model = grey(80, 64), tiny_model()
    wishes = EXACT | {"binning": 2, "region": ((8, 32), (0, 24))}
    np.testing.assert_array_equal(
        restore(in_colours(image), model, **wishes), in_colours(restore(image, model, **wishes))
    )


def test_one_pixel_with_a_colour_is_refused_by_a_grey_model(tiny_model: Models) -> None:
    with pytest.raises(ImageError, match="for grey images and this image is RGB"):
        restore(with_one_colour(60, 50), tiny_model())
    lazy = restore(da.from_array(with_one_colour(60, 50), chunks=20), tiny_model())
    with pytest.raises(ImageError, match="for grey images and this image is RGB"):
        lazy.compute()


@pytest.mark.parametrize("ending", [".tif", ".ome.zarr"])
def test_a_grey_image_in_colours_is_as_sure_as_the_grey_one(
    tiny_model: Models, tmp_path, ending: str
) -> None:
    image, sentences = grey(96, 80), []
    for number, each in enumerate(
        (Micrograph(image, "YX", name="a"), Micrograph(in_colours(image), "YXS", name="a"))
    ):
        path = tmp_path / f"{number}{ending}"
        request = Request(output=path, options=EXACT, maps=True)
        steps = carry_out(each, tiny_model(), request)
        _, found = finished(steps)
        sentences.append(found.sentence)
    assert sentences[0] == sentences[1]


@TYPES
def test_images_without_a_colour_are_told_from_others(dtype: str) -> None:
    assert is_colourless(in_colours(grey(3, 20, 30, dtype=dtype)))
    assert is_colourless(in_colours(grey(20, 30, dtype=dtype), grey(20, 30, dtype=dtype)[::-1]))
    assert not is_colourless(grey(20, 30, 3, dtype=dtype))


def test_one_pixel_with_a_colour_is_found_wherever_it_is() -> None:
    large = with_one_colour(1500, 1300)
    assert not is_colourless(large)
    assert not is_colourless(da.from_array(large, chunks=(400, 400, 3)))
    large[-1, -1] = 0
    assert is_colourless(da.from_array(large, chunks=(400, 400, 3)))


def test_colours_that_are_no_numbers_are_alike() -> None:
    image = grey(20, 30, dtype="float32")
    image[3, 4] = np.nan
    assert is_colourless(in_colours(image))
    one = in_colours(image)
    one[3, 4, 0] = 1
    assert not is_colourless(one)


def test_the_kind_of_an_image_is_looked_for_once() -> None:
    read = []

    def block(block_info) -> np.ndarray:
        read.append(block_info)
        return in_colours(grey(64, 64))

    lazy = da.map_blocks(
        block, chunks=((64,) * 8, (64,) * 8, (3,)), dtype=np.uint8, meta=np.empty((0, 0, 0), "u1")
    )
    image = Micrograph(lazy, "YXS")
    assert fitting_channels(image) == 1
    looked = len(read)
    assert fitting_channels(image) == 1
    assert len(read) == looked
    assert fitting_channels(Micrograph(grey(9, 9, 3), "YXS")) == 3
    assert fitting_channels(Micrograph(grey(3, 9, 9), "CYX")) == 1


def test_of_a_slide_with_colours_little_is_read() -> None:
    read = []

    def block(block_info) -> np.ndarray:
        read.append(block_info)
        return grey(512, 512, 3)

    lazy = da.map_blocks(
        block,
        chunks=((512,) * 20, (512,) * 20, (3,)),
        dtype=np.uint8,
        meta=np.empty((0, 0, 0), "u1"),
    )
    assert not is_colourless(lazy)
    assert len(read) <= 4
