"""What is passed as an image is taken as what it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from scipy import sparse

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.arrays import as_array, check_order, read
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.storage import open_image


class Labelled:
    """An array with names of its axes, as xarray has them, which is not indexed as others are."""

    def __init__(self, data: Any, dims: tuple[str, ...] = ("y", "x")) -> None:
        self.data, self.dims, self.dtype, self.shape = data, dims, data.dtype, data.shape


@pytest.mark.parametrize("held", [np.ones((2, 3)), da.ones((2, 3))], ids=["numpy", "dask"])
def test_a_labelled_array_is_taken_as_what_it_holds(held: Any) -> None:
    assert as_array(Labelled(held)) is held


@pytest.mark.parametrize(
    ("dims", "shape"), [(("x", "y", "z"), (9, 8, 5)), (("Y", "X", "c"), (9, 8, 2))]
)
def test_named_axes_of_which_y_and_x_are_not_last_are_refused(
    dims: tuple[str, ...], shape: tuple[int, ...], tiny_model: Callable[..., Model]
) -> None:
    image = Labelled(np.zeros(shape, np.uint8), dims)
    with pytest.raises(ImageError, match=f"has its axes in the order {', '.join(dims)}"):
        restore(image, tiny_model(1))


@pytest.mark.parametrize(
    ("dims", "shape"),
    [(("z", "y", "x"), (5, 9, 8)), (("x", "y"), (9, 8)), (("a", "b", "c"), (5, 9, 8))],
)
def test_named_axes_of_which_y_and_x_are_last_or_unknown_are_fine(
    dims: tuple[str, ...], shape: tuple[int, ...]
) -> None:
    check_order(Labelled(np.zeros(shape, np.uint8), dims))
    check_order(Labelled(np.zeros((9, 8, 3), np.uint8), ("y", "x", "rgb")))


def test_masked_real_numbers_become_nan() -> None:
    masked = np.ma.masked_array(np.float32([[1, -9999], [3, 4]]), [[False, True], [False, False]])
    assert np.array_equal(as_array(masked), np.float32([[1, np.nan], [3, 4]]), equal_nan=True)


def test_masked_integers_are_refused() -> None:
    with pytest.raises(ImageError, match="1 pixel of the image is masked"):
        as_array(np.ma.masked_array(np.uint8([[1, 2]]), [[False, True]]))


def test_masked_pixels_of_one_of_several_planes_are_missing_too() -> None:
    plane = np.float32([[1, 2], [3, 4]])
    masked = np.ma.masked_array(np.where(plane == 2, np.float32(-9999), plane), plane == 2)
    right = np.stack([plane, np.where(plane == 2, np.float32(np.nan), plane)])
    for planes in ([plane, masked], (plane, Labelled(masked))):
        assert np.array_equal(as_array(planes), right, equal_nan=True)
    with pytest.raises(ImageError, match="1 pixel of the image is masked"):
        as_array([np.uint8([[1, 2]]), np.ma.masked_array(np.uint8([[1, 2]]), [[False, True]])])


def test_nothing_masked_is_an_image_like_any_other() -> None:
    assert type(as_array(np.ma.masked_array(np.uint8([[1, 2]])))) is np.ndarray


def test_masked_pixels_of_a_lazy_array_are_missing_and_stay_masked(
    tiny_model: Callable[..., Model],
) -> None:
    image = np.ma.masked_array(
        np.random.default_rng(0).random((40, 48)).astype(np.float32), np.eye(40, 48) > 0
    )
    lazy = da.from_array(image, chunks=20, asarray=False)
    assert np.array_equal(as_array(lazy).compute(), as_array(image), equal_nan=True)
    assert as_array(lazy).name == as_array(da.from_array(image, chunks=20, asarray=False)).name
    wishes: dict[str, Any] = {"device": "cpu", "precision": "float32", "tile": 64}
    with pytest.warns(UserWarning, match="40 values"):
        whole = restore(image, tiny_model(1), **wishes)
    found = restore(lazy, tiny_model(1), **wishes).compute()
    assert isinstance(found, np.ma.MaskedArray)
    np.testing.assert_array_equal(found.mask, whole.mask)
    assert found.mask.sum() == 4 * 40
    np.testing.assert_allclose(found.filled(0), whole.filled(0), atol=1e-4)


def test_masked_integers_of_a_lazy_array_are_refused_when_they_are_read() -> None:
    image = np.ma.masked_array(np.uint8([[1, 2]]), [[False, True]])
    with pytest.raises(ImageError, match="1 pixel of the image is masked"):
        as_array(da.from_array(image, asarray=False)).compute()
    nothing = np.ma.masked_array(np.uint8([[1, 2]]))
    assert type(as_array(da.from_array(nothing, asarray=False)).compute()) is np.ndarray


class Whole:
    """An array that is only given as a whole, as a column of a table is."""

    def __init__(self, held: np.ndarray) -> None:
        self.held = held
        self.dtype, self.shape, self.ndim = held.dtype, held.shape, held.ndim

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.held, dtype)


class Measured:
    """Numbers with a unit, as pint has them: what they do not know they ask the numbers for."""

    units = "counts"

    def __init__(self, magnitude: Any) -> None:
        self.magnitude = magnitude

    def __getattr__(self, name: str) -> Any:
        return getattr(self.magnitude, name)

    def compute(self) -> None:
        raise AttributeError("Method compute only implemented for dask arrays")


@pytest.mark.parametrize("held", [np.ones((2, 3)), da.ones((2, 3))], ids=["numpy", "dask"])
def test_numbers_with_a_unit_are_numbers(held: Any) -> None:
    assert as_array(Measured(held)) is held
    assert as_array(Labelled(Measured(held))) is held


class Sparse:
    """A sparse array of pydata, which numpy may not make dense."""

    def __init__(self, held: np.ndarray) -> None:
        self.held = held
        self.dtype, self.shape, self.ndim = held.dtype, held.shape, held.ndim

    def __getitem__(self, key: Any) -> Sparse:
        return Sparse(self.held[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise RuntimeError("Cannot convert a sparse array to dense automatically.")

    def todense(self) -> np.ndarray:
        return self.held


def test_what_is_lazy_and_sparse_is_made_dense_when_it_is_read() -> None:
    held = np.eye(4, dtype=np.uint16)
    lazy = da.from_array(held, chunks=2).map_blocks(
        sparse.coo_array, meta=sparse.coo_array((0, 0), dtype=held.dtype)
    )
    found = as_array(lazy).compute()
    assert isinstance(found, np.ndarray)
    assert np.array_equal(found, held)


def test_what_is_no_image_is_said_in_one_sentence() -> None:
    with pytest.raises(ImageError, match="is no image: it is shy; pass an array"):
        as_array(Shy())


class Levels(Sequence[Any]):
    """The levels of a pyramid, as the data of napari's layers have them."""

    def __init__(self, *levels: np.ndarray) -> None:
        self.levels = levels
        self.dtype, self.shape, self.ndim = (
            getattr(levels[0], name) for name in ("dtype", "shape", "ndim")
        )

    def __len__(self) -> int:
        return len(self.levels)

    def __getitem__(self, key: Any) -> Any:
        return self.levels[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.levels[-1]


@pytest.mark.parametrize("kind", [Levels, lambda *levels: list(levels)], ids=["levels", "list"])
def test_of_arrays_of_several_sizes_one_is_to_be_passed(kind: Callable[..., Any]) -> None:
    level = np.ones((6, 8))
    with pytest.raises(ImageError, match=r"of several sizes \(6 × 8, 3 × 4\); pass one of them"):
        as_array(kind(level, level[::2, ::2]))
    assert as_array(kind(level)).shape in ((6, 8), (1, 6, 8))


def test_names_of_files_and_groups_of_arrays_are_no_images(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "pyramid.zarr")
    group.create_array("0", data=np.ones((2, 3)))
    for strange in (group, ["a.tif", "b.tif"]):
        with pytest.raises(ImageError, match="is no image; pass an array of numbers"):
            as_array(strange)


class Shy:
    """Something that gives nothing away."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise RuntimeError("it is shy.")


@pytest.mark.parametrize(
    "kind",
    [Whole, Sparse, sparse.csr_matrix, sparse.coo_array],
    ids=lambda kind: kind.__name__,
)
def test_what_gives_no_parts_is_taken_whole(kind: Callable[[np.ndarray], Any]) -> None:
    found = as_array(kind(np.eye(4, dtype=np.uint16)))
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.uint16
    assert np.array_equal(found, np.eye(4))


class OnGpu:
    """As an array of CuPy, which numpy cannot take."""

    dtype = np.dtype(np.uint16)

    def __init__(self, shape: tuple[int, ...] = (64, 64)) -> None:
        self.shape, self.ndim = shape, len(shape)

    def __getitem__(self, key: Any) -> OnGpu:
        return OnGpu(np.empty(self.shape)[key].shape)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed")


def test_an_array_that_numpy_cannot_take_is_refused_in_a_sentence(
    tiny_model: Callable[..., Model],
) -> None:
    with pytest.raises(ImageError, match=r"OnGpu cannot be read: Implicit conversion .* in memory"):
        restore(OnGpu(), tiny_model(), device="cpu")


@pytest.mark.parametrize("mode", ["P", "CMYK", "YCbCr", "LA"])
def test_a_picture_of_pillow_whose_numbers_are_no_colours_is_refused(mode: str) -> None:
    colours = Image.new("RGB", (20, 30), (200, 30, 30))
    with pytest.raises(ImageError, match=rf"of the mode {mode}, .*`convert\(\"RGB\"\)`"):
        as_array(colours.convert(mode))
    assert as_array(colours).shape == (30, 20, 3)
    assert as_array(Image.fromarray(np.full((30, 20), 40_000, np.uint16))).max() == 40_000


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_plane_of_many_in_a_file_is_read_without_looking_through_all_others(
    compression: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = np.random.default_rng(0).integers(0, 4000, (7, 30, 40)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", stack, compression=compression, metadata=None)
    data = open_image(tmp_path / "stack.tif").data
    changed = [data + 1, data[1:], da.rechunk(data, (2, 30, 40))]
    parts = [read(each, (1, slice(3, 9), slice(None))) for each in changed]
    for part, expected in zip(parts, (stack[1] + 1, stack[2], stack[1]), strict=True):
        assert np.array_equal(part, expected[3:9])

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("dask was asked")

    monkeypatch.setattr(da.Array, "compute", asked)
    assert np.array_equal(read(data, (5, slice(3, 9))), stack[5, 3:9])
    assert np.array_equal(read(data, (-1, slice(None), slice(30, 40))), stack[6, :, 30:])
