"""Images binned before they are restored: the means of blocks, in the right place, whatever the
image is kept in.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.binning import binned, binned_micrograph
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.restoration.scan_job import source_identity
from napari_mdeblurgan.storage import Micrograph

Models = Callable[..., Model]


def test_a_pixel_is_the_mean_of_its_block_in_the_type_of_the_image() -> None:
    image = np.array([[1, 2, 9, 9, 7], [2, 2, 9, 9, 7], [0, 0, 4, 4, 7], [0, 1, 4, 5, 7]], np.uint8)
    assert binned(image, 2).tolist() == [[2, 9], [0, 4]]
    assert binned(image, 2).dtype == np.uint8
    assert binned(image[..., None].repeat(3, -1), 2, rgb=True)[..., 2].tolist() == [[2, 9], [0, 4]]
    assert binned(image > 3, 2).tolist() == [[False, True], [False, True]]
    assert binned(image, 1) is image


def test_where_a_pixel_has_no_number_its_block_has_none() -> None:
    image = np.ones((4, 4), np.float32)
    image[0, 1] = np.nan
    assert np.isnan(binned(image, 2)).tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize("kind", ["dask", "zarr"])
@pytest.mark.parametrize("binning", [2, 3])
@pytest.mark.parametrize("rgb", [False, True])
def test_a_lazy_image_is_binned_as_one_in_memory(
    tmp_path: Path, kind: str, binning: int, rgb: bool
) -> None:
    shape = (2, 43, 31, 3) if rgb else (2, 43, 31)
    image = np.random.default_rng(0).integers(0, 4000, shape, dtype=np.uint16)
    lazy = da.from_array(image, chunks=(1, 10, 7, *shape[3:]))
    if kind == "zarr":
        lazy = zarr.array(image, store=str(tmp_path / "a.zarr"), chunks=(1, 10, 7, *shape[3:]))
    whole, found = binned(image, binning, rgb=rgb), binned(lazy, binning, rgb=rgb)
    assert (found.shape, found.dtype) == (whole.shape, whole.dtype)
    np.testing.assert_array_equal(np.asarray(found), whole)
    np.testing.assert_array_equal(np.asarray(found[1, 2:9, 3:8]), whole[1, 2:9, 3:8])


def test_a_binned_lazy_image_is_known_again(tmp_path: Path) -> None:
    lazy = da.from_array(np.arange(10000).reshape(100, 100), chunks=30)
    assert source_identity(binned(lazy, 2)) == source_identity(binned(lazy, 2))
    assert len({source_identity(binned(lazy, n)) for n in (1, 2, 3)}) == 3


def test_the_pixels_of_a_binned_image_lie_where_its_own_lay() -> None:
    image = Micrograph(
        np.zeros((3, 8, 10), np.uint8),
        "ZYX",
        {"X": 0.5, "Y": -0.5, "Z": 2.0},
        "µm",
        position={"X": 10.0, "Y": 4.0},
    )
    found = binned_micrograph(image, 2)
    assert found.pixel_size == {"X": 1.0, "Y": -1.0, "Z": 2.0}
    assert (found.position["X"], found.position["Y"]) == (10.25, 3.75)
    again = found.frame(2)  # of a result with the image's own density
    assert (again["pixel_size"], again["position"]["X"]) == (image.pixel_size, 10.0)
    assert binned_micrograph(image, 1) is image


@pytest.mark.parametrize("binning", [0, -2, 1.5, True, 17, "2"])
def test_what_is_no_binning_is_refused(binning: object) -> None:
    with pytest.raises(ImageError, match="whole number from 1"):
        binned(np.zeros((40, 40)), binning)


def test_an_image_of_too_few_pixels_is_refused() -> None:
    with pytest.raises(ImageError, match="3 × 40 pixels, too few to be binned 2 × 2"):
        binned(np.zeros((3, 40)), 2)


def test_a_lazy_image_of_unknown_size_is_refused_with_the_remedy(tiny_model: Models) -> None:
    lazy = da.zeros((10, 10))[da.ones(10) > 0]
    with pytest.raises(ImageError, match=r"call its `compute_chunk_sizes\(\)` first"):
        restore(lazy, tiny_model(), binning=2)
    with pytest.raises(ImageError, match=r"call its `compute_chunk_sizes\(\)` first"):
        Micrograph(lazy, "YX")


def test_restoring_with_a_binning_is_restoring_the_binned_image(tiny_model: Models) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 50), dtype=np.uint8)
    model = tiny_model()
    found = restore(image, model, binning=2, device="cpu")
    np.testing.assert_array_equal(found, restore(binned(image, 2), model, device="cpu"))
    assert found.shape == image.shape
    lazy = restore(da.from_array(image, chunks=20), model, binning=2, device="cpu", window=(0, 255))
    np.testing.assert_array_equal(
        lazy.compute(), restore(image, model, binning=2, device="cpu", window=(0, 255))
    )


def test_the_wrong_kind_of_image_is_told_as_without_a_binning(tiny_model: Models) -> None:
    with pytest.raises(ImageError, match="for grey images and this image is RGB"):
        restore(np.arange(9000, dtype=np.float32).reshape(60, 50, 3), tiny_model(), binning=2)
