"""What is written is read again: pixels, type, axes, sizes, names."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile
import yaozarrs
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import Micrograph, open_image, read_image, write_image
from napari_mdeblurgan.storage.tiff import tiff_writing
from napari_mdeblurgan.storage.writing import OME_DTYPES, TIFF_DTYPES

AXES = ("YX", "ZYX", "TYX", "CYX", "ZCYX", "CZYX", "TCZYX", "TZCYX", "YXS", "ZYXS", "TZYXS")
UNNAMED = ("IYX", "QYX", "IYXS")
MORE_AXES = (*UNNAMED, "QCYX", "TAYX", "TCZQYX")  # OME's modulo annotations
PLAIN_AXES = (*AXES, *UNNAMED)


def random_image(dtype: str, axes: str, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    shape = [3 if axis == "S" else int(random.integers(2, 5)) for axis in axes]
    if dtype == "bool":
        return random.random(shape) < 0.5
    if np.dtype(dtype).kind == "f":
        return random.standard_normal(shape).astype(dtype)
    return np.frombuffer(
        random.bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize), dtype
    ).reshape(shape)


def in_order(image: Micrograph, axes: str) -> np.ndarray:
    if "I" in axes and "Q" in image.axes:  # OME's "other"
        axes = axes.replace("I", "Q")
    assert sorted(image.axes) == sorted(axes)
    return image.data.transpose([image.axes.index(axis) for axis in axes])


@st.composite
def micrographs(draw: st.DrawFn, axes: tuple[str, ...], dtypes: frozenset[str]) -> Micrograph:
    chosen, dtype = draw(st.sampled_from(axes)), draw(st.sampled_from(sorted(dtypes)))
    if chosen.endswith("S") and dtype == "bool":
        dtype = "uint8"
    data = random_image(dtype, chosen, draw(st.integers(0, 2**32)))
    size = st.floats(1e-3, 50, allow_nan=False)
    sizes = {
        axis: draw(size)
        for axis in draw(st.sampled_from(["", "XY", "XYZ", "X", "YZ"]))
        if axis in chosen
    }
    names = ()
    if "C" in chosen and draw(st.booleans()):
        names = tuple(f"channel {i} µ" for i in range(data.shape[chosen.index("C")]))
    step = draw(st.one_of(st.none(), st.floats(0.01, 1e4))) if "T" in chosen else None
    unit = draw(st.sampled_from(["µm", "nm", "mm"])) if sizes else None
    if draw(st.booleans()):
        data = data.astype(data.dtype.newbyteorder(">"))
    return Micrograph(data, chosen, sizes, unit, names, "image", step)


def assert_round_trip(image: Micrograph, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"image{suffix}"
        write_image(path, image)
        again = read_image(path)
        assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert again.data.dtype == image.data.dtype.newbyteorder("=")
    np.testing.assert_array_equal(in_order(again, image.axes), np.asarray(image.data))
    sizes = image.pixel_size
    if suffix == ".ome.zarr":  # which has a scale for every axis
        sizes = {axis: sizes.get(axis, 1.0) for axis in "XYZ" if axis in image.axes}
        assert again.unitless == (sizes.keys() - image.pixel_size.keys() if image.unit else set())
    assert again.pixel_size == pytest.approx(sizes, rel=1e-6)
    assert again.unit == image.unit
    assert again.channel_names == image.channel_names
    assert again.time_step_s == pytest.approx(image.time_step_s)
    assert again.name == "image"


@given(micrographs(PLAIN_AXES, TIFF_DTYPES))
def test_tiff_holds_every_type_with_axes_and_sizes(image: Micrograph) -> None:
    assert_round_trip(image, ".tif")


@given(micrographs((*AXES, *MORE_AXES), OME_DTYPES))
def test_ome_tiff_holds_axes_and_sizes(image: Micrograph) -> None:
    assert_round_trip(image, ".ome.tif")


@settings(max_examples=settings().max_examples * 40 // 60)
@given(micrographs((*AXES, "IYX", "QYX"), TIFF_DTYPES), st.booleans())
def test_ome_zarr_holds_every_type_with_axes_and_sizes(image: Micrograph, lazy: bool) -> None:
    if lazy:
        image = replace(image, data=da.from_array(image.data, chunks=2))
    assert_round_trip(image, ".ome.zarr")


@settings(max_examples=settings().max_examples * 12 // 60)
@given(
    micrographs((*AXES, *UNNAMED), TIFF_DTYPES),
    st.booleans(),
    st.sampled_from([(200, 170), (128, 144)]),
)
def test_a_large_lazy_image_goes_into_tiff_and_back(
    image: Micrograph, ome: bool, chunk: tuple[int, int]
) -> None:
    if ome and image.data.dtype.name not in OME_DTYPES:
        ome = False
    y = image.axes.index("Y")
    repeats = [80 if axis in (y, y + 1) else 1 for axis in range(image.data.ndim)]
    whole = np.tile(image.data, repeats)
    lazy = da.from_array(
        whole, chunks=[chunk[axis - y] if axis in (y, y + 1) else -1 for axis in range(whole.ndim)]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_mdeblurgan.storage.writing.STREAMED_BYTES", 0)
        assert_round_trip(replace(image, data=lazy), ".ome.tif" if ome else ".tif")


@pytest.mark.parametrize("axes", AXES)
def test_ome_zarr_keeps_the_order_of_axes(tmp_path: Path, axes: str) -> None:
    data = random_image("uint16", axes)
    write_image(tmp_path / "a.ome.zarr", Micrograph(data, axes))
    yaozarrs.validate_zarr_store(str(tmp_path / "a.ome.zarr"))
    for again in (read_image(tmp_path / "a.ome.zarr"), open_image(tmp_path / "a.ome.zarr")):
        assert again.axes == axes
        np.testing.assert_array_equal(np.asarray(again.data), data)


@pytest.mark.parametrize("axes", [*AXES, "QYX", "TQYX", "QCYX", "TCZQYX"])
def test_ome_tiff_keeps_the_order_of_axes(tmp_path: Path, axes: str) -> None:
    data = random_image("uint16", axes)
    write_image(tmp_path / "a.ome.tiff", Micrograph(data, axes))
    again = read_image(tmp_path / "a.ome.tiff")
    assert again.axes == axes
    np.testing.assert_array_equal(again.data, data)


@pytest.mark.parametrize(
    ("dtype", "axes"), [("bool", "YX"), ("uint8", "YX"), ("uint16", "YX"), ("uint8", "YXS")]
)
def test_png_holds_a_plane_and_its_pixel_size(tmp_path: Path, dtype: str, axes: str) -> None:
    image = Micrograph(random_image(dtype, axes), axes, {"X": 0.1625, "Y": 0.325}, "µm")
    write_image(tmp_path / "a.png", image)
    again = read_image(tmp_path / "a.png")
    assert again.data.dtype == image.data.dtype
    np.testing.assert_array_equal(again.data, image.data)
    assert again.axes == axes
    assert again.pixel_size == pytest.approx(image.pixel_size, rel=1e-5)
    assert again.unit == "µm"


def test_png_holds_transparency(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 255, (5, 6, 4), np.uint8)
    write_image(tmp_path / "a.png", Micrograph(data, "YXS"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").data, data)


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
def test_tiff_holds_transparency(tmp_path: Path, suffix: str) -> None:
    data = np.random.default_rng(0).integers(0, 255, (5, 6, 4), np.uint8)
    write_image(tmp_path / f"a{suffix}", Micrograph(data, "YXS"))
    again = read_image(tmp_path / f"a{suffix}")
    assert again.axes == "YXS"
    np.testing.assert_array_equal(again.data, data)


def test_a_stack_for_imagej_is_one_uncompressed_piece_in_its_own_dialect(tmp_path: Path) -> None:
    image = Micrograph(random_image("uint16", "CZYX"), "CZYX", {"X": 0.2, "Y": 0.2, "Z": 0.5}, "µm")
    write_image(tmp_path / "a.tif", image)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_imagej
        assert tif.series[0].axes == "ZCYX"
        assert tif.imagej_metadata is not None
        assert tif.imagej_metadata["unit"] == "micron"
        assert tif.imagej_metadata["spacing"] == pytest.approx(0.5)
        assert tif.pages.first.compression == tifffile.COMPRESSION.NONE
        assert tif.series[0].dataoffset is not None


def test_a_single_plane_is_compressed(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", Micrograph(np.zeros((512, 512), np.uint16), "YX"))
    assert (tmp_path / "a.tif").stat().st_size < 20_000


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
def test_a_large_image_becomes_bigtiff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(tiff_writing, "CLASSIC_LIMIT_BYTES", 1000)
    image = Micrograph(
        random_image("uint16", "ZYX").repeat(20, axis=1),
        "ZYX",
        {"X": 0.2, "Y": 0.2, "Z": 0.5},
        "µm",
    )
    monkeypatch.setattr(tiff_writing, "CLASSIC_LIMIT_BYTES", image.data.nbytes - 1)
    write_image(tmp_path / f"large{suffix}", image)
    monkeypatch.setattr(tiff_writing, "CLASSIC_LIMIT_BYTES", image.data.nbytes)
    write_image(tmp_path / f"small{suffix}", image)
    with (
        tifffile.TiffFile(tmp_path / f"large{suffix}") as large,
        tifffile.TiffFile(tmp_path / f"small{suffix}") as small,
    ):
        assert large.is_bigtiff
        assert not small.is_bigtiff
    again = read_image(tmp_path / f"large{suffix}")
    np.testing.assert_array_equal(again.data, image.data)
    assert again.pixel_size == pytest.approx(image.pixel_size)


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".zarr"])
@pytest.mark.parametrize("dtype", ["uint8", "uint64"])  # which ImageJ knows and does not
def test_sizes_without_a_unit_of_length_are_plain_numbers_again(
    tmp_path: Path, suffix: str, dtype: str
) -> None:
    if dtype == "uint64" and suffix == ".ome.tif":
        dtype = "uint32"
    image = Micrograph(np.zeros((2, 3, 4), dtype), "ZYX", {"X": 0.5, "Y": 2.0, "Z": 3.0}, "pixel")
    write_image(tmp_path / f"a{suffix}", image)
    again = read_image(tmp_path / f"a{suffix}")
    assert again.pixel_size == pytest.approx(image.pixel_size)
    assert (again.unit, again.unitless) == (None, frozenset())


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".zarr"])
@pytest.mark.parametrize(
    "sizes", [{"X": 0.2, "Y": 0.2, "Z": -0.5}, {"X": -0.2, "Y": 0.2, "Z": 0.5}]
)
@pytest.mark.parametrize("unitless", [frozenset(), frozenset("Z")])
def test_direction_and_place_come_back_from_every_format_that_has_them(
    tmp_path: Path, suffix: str, sizes: dict[str, float], unitless: frozenset[str]
) -> None:
    place = {"X": 10.0, "Y": -3.0, "Z": 0.25}  # µm
    image = Micrograph(
        np.zeros((2, 3, 4), np.uint8), "ZYX", sizes, "µm", position=place, unitless=unitless
    )
    write_image(tmp_path / f"a{suffix}", image)
    again = read_image(tmp_path / f"a{suffix}")
    assert again.pixel_size == pytest.approx(sizes)
    assert again.position == pytest.approx(place)
    assert (again.unit, again.unitless) == ("µm", unitless)


@pytest.mark.parametrize(
    "data", [np.zeros((2, 3), np.int64), np.zeros((2, 3), np.float16), np.zeros((2, 3), np.uint64)]
)
def test_ome_tiff_refuses_what_it_cannot_hold_and_names_what_can(
    tmp_path: Path, data: np.ndarray
) -> None:
    with pytest.raises(FileError, match=r"a\.tif instead"):
        write_image(tmp_path / "a.ome.tif", Micrograph(data, "YX"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("dtype", "axes"),
    [("float32", "YX"), ("uint16", "YXS"), ("uint8", "ZYX"), ("int16", "YX"), ("bool", "YXS")],
)
def test_png_refuses_what_it_cannot_hold_and_names_what_can(
    tmp_path: Path, dtype: str, axes: str
) -> None:
    with pytest.raises(FileError, match=r"a\.tif instead"):
        write_image(tmp_path / "a.png", Micrograph(random_image(dtype, axes), axes))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_colour_pixels_of_one_bit_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match="uint8 first"):
        write_image(tmp_path / name, Micrograph(random_image("bool", "YXS"), "YXS"))


def test_complex_pixels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="complex64"):
        write_image(tmp_path / "a.tif", Micrograph(np.zeros((2, 3), np.complex64), "YX"))


def test_an_image_without_pixels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no pixels"):
        write_image(tmp_path / "a.tif", Micrograph(np.zeros((0, 3), np.uint8), "YX"))


LARGE = """
import dask.array as da, tifffile, zarr, yaozarrs
from napari_mdeblurgan import storage
from napari_mdeblurgan.storage import writing
writing.STREAMED_BYTES = 0
small = storage.Micrograph(da.zeros((64, 64), dtype=np.uint8), "YX")
storage.write_image(sys.argv[1].replace("a.", "small."), small)
image = da.random.default_rng(0).integers(0, 9, (14_000, 14_000), np.uint8, chunks=(1024, 1024))
print(watched(lambda: storage.write_image(sys.argv[1], storage.Micrograph(image, "YX"))))
"""


@pytest.mark.parametrize("name", ["a.ome.tif", "a.ome.zarr"])
def test_a_large_lazy_image_is_written_in_bounded_memory(
    tmp_path: Path, run_watched: Callable, name: str
) -> None:
    path = tmp_path / name
    (megabytes,) = run_watched(LARGE, path)
    assert megabytes < 100 < 14_000**2 / 2**20
    assert open_image(path).data.shape == (14_000, 14_000)
