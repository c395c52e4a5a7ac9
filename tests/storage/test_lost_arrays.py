"""Arrays of zarr whose folder is gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_mdeblurgan import restore
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.focus import all_in_focus
from napari_mdeblurgan.storage.lost_arrays import check_not_lost

GONE = r"The zarr array file://.*scan\.zarr is no longer there; put it back"


@pytest.fixture(params=[2, 3], ids=["zarr 2", "zarr 3"])
def array(tmp_path: Path, request: pytest.FixtureRequest) -> zarr.Array:
    pixels = np.random.default_rng(0).integers(1, 60000, (3, 64, 64)).astype(np.uint16)
    kwargs = {"chunks": (1, 32, 32), "zarr_format": request.param}
    return zarr.create_array(tmp_path / "scan.zarr", data=pixels, **kwargs)


def remove(array: zarr.Array) -> None:
    shutil.rmtree(str(array.store_path).removeprefix("file://"))


AS: dict[str, Callable[[zarr.Array], Any]] = {
    "zarr": lambda array: array,
    "dask": da.from_array,
    "dask inlined": lambda array: da.from_array(array, inline_array=True),
    "computed by dask": lambda array: da.stack([da.from_zarr(array)[:, 1:] + 1])[0],
}


@pytest.mark.parametrize("kind", AS)
def test_what_is_gone_is_told_not_restored_as_zeros(
    array: zarr.Array, kind: str, tiny_model: Any
) -> None:
    image, model = AS[kind](array), tiny_model(1, 2)
    remove(array)
    with pytest.raises(FileError, match=GONE):
        np.asarray(restore(image, model, device="cpu"))


@pytest.mark.parametrize("kind", [kind for kind in AS if kind != "zarr"])
def test_what_goes_before_a_chunk_of_a_lazy_result_is_asked_for_is_told(
    array: zarr.Array, kind: str, tiny_model: Any
) -> None:
    result = restore(AS[kind](array), tiny_model(1, 2), device="cpu", window=(0, 60000))
    assert result[0].compute().any()
    remove(array)
    with pytest.raises(FileError, match=GONE):
        result[1].compute()


def test_planes_of_a_focus_stack_that_are_gone_are_told(array: zarr.Array) -> None:
    remove(array)
    with pytest.raises(FileError, match=GONE):
        all_in_focus(da.from_zarr(array))


def test_an_array_with_nothing_in_it_is_restored_as_it_is(tmp_path: Path, tiny_model: Any) -> None:
    empty = zarr.create_array(tmp_path / "empty.zarr", shape=(32, 32), dtype="u2")
    assert not np.asarray(restore(empty, tiny_model(1, 2), device="cpu")).any()
    check_not_lost(np.zeros((2, 2)), zarr.create_array({}, shape=(2, 2), dtype="u1"))


def test_only_what_a_part_is_made_of_is_looked_for(array: zarr.Array, tmp_path: Path) -> None:
    other = zarr.create_array(tmp_path / "other.zarr", shape=(3, 64, 64), dtype="u2")
    both = da.stack([da.from_zarr(array), da.from_zarr(other)])
    remove(array)
    check_not_lost(np.zeros((64, 64)), both[1, 0])
    with pytest.raises(FileError, match=GONE):
        check_not_lost(np.zeros((64, 64)), both[0, 0])
