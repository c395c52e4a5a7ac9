"""Images of any size, opened without being read."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.restoration.scan_job import source_identity
from napari_mdeblurgan.storage import Micrograph, open_image, read_image, write_image
from napari_mdeblurgan.storage import lazy_arrays as lazy

GREY = np.random.default_rng(0).integers(0, 2**16, (3, 300, 401), np.uint16)
COLOUR = np.random.default_rng(0).integers(0, 255, (300, 401, 3), np.uint8)
STORED: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "mapped": (GREY, {"photometric": "minisblack"}),
    "mapped big-endian": (GREY, {"photometric": "minisblack", "byteorder": ">"}),
    "imagej": (GREY, {"imagej": True, "metadata": {"axes": "TYX", "unit": "um", "finterval": 2.0}}),
    "strips": (
        GREY,
        {"photometric": "minisblack", "compression": "zlib", "rowsperstrip": 7, "predictor": True},
    ),
    "tiles": (GREY, {"photometric": "minisblack", "tile": (64, 48), "compression": "lzw"}),
    "pages": (GREY, {"photometric": "minisblack", "metadata": None, "compression": "zlib"}),
    "ome": (
        GREY,
        {
            "photometric": "minisblack",
            "ome": True,
            "tile": (64, 64),
            "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.5},
        },
    ),
    "jpeg": (COLOUR, {"compression": "jpeg", "tile": (64, 64), "photometric": "rgb"}),
    "planar": (
        np.moveaxis(COLOUR, -1, 0).copy(),
        {"photometric": "rgb", "planarconfig": "separate", "tile": (64, 64)},
    ),
    "colour": (COLOUR, {"photometric": "rgb"}),
    "inverted": (
        GREY[0],
        {"photometric": "miniswhite", "metadata": None, "compression": "zlib", "rowsperstrip": 8},
    ),
    "samples": (COLOUR, {"photometric": "minisblack", "planarconfig": "contig"}),
    "bits": (GREY > 30_000, {"photometric": "minisblack", "metadata": None}),
}


@pytest.mark.parametrize("kind", STORED)
def test_a_lazy_tiff_is_the_image_that_is_read(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lazy, "BLOCK_EDGE", 128)
    data, options = STORED[kind]
    tifffile.imwrite(tmp_path / "a.tif", data, **options)
    opened, read = open_image(tmp_path / "a.tif"), read_image(tmp_path / "a.tif")
    assert isinstance(opened.data, da.Array)
    assert opened.data.dtype == read.data.dtype
    assert opened.data.npartitions > 1
    np.testing.assert_array_equal(opened.data.compute(scheduler="sync"), read.data)
    assert [getattr(opened, name) for name in facts()] == [getattr(read, name) for name in facts()]


def facts() -> list[str]:
    return [name for name in Micrograph.__dataclass_fields__ if name != "data"]


def test_a_lazy_palette_becomes_rgb(tmp_path: Path) -> None:
    picture = Image.fromarray(COLOUR[..., 0]).convert("P")
    picture.putpalette(np.random.default_rng(1).integers(0, 255, 768, np.uint8).tobytes())
    picture.save(tmp_path / "a.tif")
    opened, read = open_image(tmp_path / "a.tif"), read_image(tmp_path / "a.tif")
    assert opened.axes == read.axes == "YXS"
    np.testing.assert_array_equal(opened.data.compute(scheduler="sync"), read.data)


def test_pictures_are_opened_in_memory(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    assert isinstance(open_image(tmp_path / "a.png").data, np.ndarray)


@pytest.mark.parametrize("kind", ["mapped", "tiles"])
def test_a_lazy_image_is_read_in_other_threads_and_processes(tmp_path: Path, kind: str) -> None:
    data, options = STORED[kind]
    tifffile.imwrite(tmp_path / "a.tif", data, **options)
    image = open_image(tmp_path / "a.tif").data
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda i: np.asarray(image[i % 3, i : i + 50]), range(24)))
    for i, part in enumerate(parts):
        np.testing.assert_array_equal(part, data[i % 3, i : i + 50])
    (tmp_path / "image").write_bytes(pickle.dumps(image))
    program = (
        f"import pickle; print(pickle.load(open({str(tmp_path / 'image')!r}, "
        "'rb')).sum().compute())"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(found.stdout) == data.sum()


def test_only_what_is_asked_for_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", GREY, photometric="minisblack", tile=(64, 64), compression="zlib"
    )
    monkeypatch.setattr(lazy, "BLOCK_EDGE", 64)
    pixels, original = [], lazy.StoredArray.__getitem__

    def counted(self: lazy.StoredArray, key: Any) -> np.ndarray:
        part = original(self, key)
        pixels.append(part.size)
        return part

    monkeypatch.setattr(lazy.StoredArray, "__getitem__", counted)
    image = open_image(tmp_path / "a.tif").data
    assert not pixels
    np.testing.assert_array_equal(
        image[1, 70:90, 130:140].compute(scheduler="sync"), GREY[1, 70:90, 130:140]
    )
    assert sum(pixels) == 64 * 64


LARGE = """
import dask.array, tifffile, zarr, yaozarrs
from napari_mdeblurgan.storage import open_image
start = time.perf_counter()
found = []
def work():
    image = open_image(sys.argv[1])
    part = image.data[..., 100_000:100_100, 50_000:50_100].compute(scheduler="sync")
    found.extend([image.data.nbytes // 2**30, part.max()])
print(watched(work), time.perf_counter() - start, *found)
"""


@pytest.mark.parametrize("kind", ["mapped", "zarr"])
def test_tens_of_gigabytes_are_opened_in_little_memory_and_time(
    tmp_path: Path, run_watched: Callable, kind: str
) -> None:
    shape = (150_000, 150_000)
    if kind == "mapped":
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, shape=shape, dtype=np.uint8, bigtiff=True)
        assert path.stat().st_blocks * 512 < 2**20 < 2**34 < path.stat().st_size
    else:
        path = tmp_path / "a.zarr"
        group(path, np.broadcast_to(np.uint8(0), shape), "yx", chunks=(1024, 1024))
    megabytes, seconds, gigabytes, largest = run_watched(LARGE, path)
    assert gigabytes >= 20
    assert megabytes < 60
    assert seconds < 10
    assert largest == 0


def group(
    path: Path,
    data: np.ndarray,
    axes: str,
    *,
    version: str = "0.5",
    chunks: tuple[int, ...] | None = None,
    units: dict[str, str] | None = None,
    scale: list[float] | None = None,
    multiscale: dict | None = None,
    **more: Any,
) -> zarr.Array:
    """An OME-Zarr of one level, as another program may write it."""
    kinds = {"t": {"type": "time"}, "c": {"type": "channel"}, "i": {}}
    described = [{"name": axis} | kinds.get(axis, {"type": "space"}) for axis in axes]
    described = [
        axis | ({"unit": units[axis["name"]]} if axis["name"] in (units or {}) else {})
        for axis in described
    ]
    transform = {"type": "scale", "scale": scale or [1.0] * len(axes)}
    dataset = {"path": "full", "coordinateTransformations": [transform]}
    ome = {"multiscales": [{"axes": described, "datasets": [dataset]} | (multiscale or {})]} | more
    root = zarr.create_group(str(path), zarr_format=3 if version == "0.5" else 2)
    if version == "0.5":
        root.attrs["ome"] = {"version": version} | ome
    else:
        ome["multiscales"][0]["version"] = version
        root.attrs.update(ome)
    array = root.create_array(
        "full", shape=data.shape, dtype=data.dtype, chunks=chunks or data.shape
    )
    if data.nbytes < 2**24:
        array[...] = data
    return array


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("open_or_read", [open_image, read_image])
def test_ome_zarr_is_read_with_its_axes_sizes_and_names(
    tmp_path: Path, version: str, open_or_read: Any
) -> None:
    data = np.random.default_rng(0).integers(0, 255, (2, 3, 4, 30, 40), np.uint16)
    units = {"t": "millisecond", "z": "micrometer", "y": "nanometer", "x": "nanometer"}
    path = tmp_path / "cells.ome.zarr"
    channels = [{"label": name} for name in ("DAPI", "GFP", "Cy5")]
    group(
        path,
        data,
        "tczyx",
        version=version,
        units=units,
        scale=[500, 1, 2, 250, 200],
        omero={"channels": channels},
    )
    image = open_or_read(path)
    assert (image.axes, image.name) == ("TCZYX", "cells")
    assert isinstance(image.data, np.ndarray) == (open_or_read is read_image)
    np.testing.assert_array_equal(np.asarray(image.data), data)
    assert image.pixel_size == pytest.approx({"X": 200, "Y": 250, "Z": 2000})
    assert image.unit == "nm"
    assert image.channel_names == ("DAPI", "GFP", "Cy5")
    assert image.time_step_s == pytest.approx(0.5)


def test_a_scale_common_to_all_levels_counts(tmp_path: Path) -> None:
    common = {"coordinateTransformations": [{"type": "scale", "scale": [3.0, 2.0]}]}
    units = {"y": "micrometer", "x": "micrometer"}
    group(tmp_path / "a.zarr", GREY[0], "yx", units=units, scale=[0.5, 0.25], multiscale=common)
    assert open_image(tmp_path / "a.zarr").pixel_size == pytest.approx({"Y": 1.5, "X": 0.5})


def test_scales_without_a_unit_of_length_are_plain_numbers(tmp_path: Path) -> None:
    group(tmp_path / "a.zarr", GREY[0], "yx", scale=[0.5, 0.25])
    image = open_image(tmp_path / "a.zarr")
    assert (image.pixel_size, image.unit) == ({"Y": 0.5, "X": 0.25}, None)
    assert image.physical() == ({}, None)


def test_axes_with_and_without_a_unit_are_told_apart_and_stay_so(tmp_path: Path) -> None:
    group(
        tmp_path / "a.zarr",
        GREY,
        "zyx",
        scale=[2.0, 500, 0.25],
        units={"y": "nanometer", "x": "micrometer"},
    )
    image = open_image(tmp_path / "a.zarr")
    assert image.pixel_size == pytest.approx({"Z": 2.0, "Y": 0.5, "X": 0.25})
    assert (image.unit, image.unitless) == ("µm", {"Z"})
    write_image(tmp_path / "b.zarr", image)
    assert open_image(tmp_path / "b.zarr").geometry == image.geometry


def test_axes_of_space_in_another_order_are_turned(tmp_path: Path) -> None:
    group(tmp_path / "a.zarr", GREY, "xyz")
    image = open_image(tmp_path / "a.zarr")
    assert image.axes == "ZYX"
    np.testing.assert_array_equal(np.asarray(image.data), GREY.transpose(2, 1, 0))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_axes_without_a_type_are_of_the_kind_of_their_name(tmp_path: Path, version: str) -> None:
    axes = [{"name": name} for name in "tczyx"]
    stack = GREY[None, None]
    group(tmp_path / "a.zarr", stack, "tczyx", version=version, multiscale={"axes": axes})
    image = open_image(tmp_path / "a.zarr")
    assert image.axes == "TCZYX"
    np.testing.assert_array_equal(np.asarray(image.data), stack)


def test_channels_named_red_green_and_blue_are_a_colour_image(tmp_path: Path) -> None:
    channels = [{"label": name} for name in ("Red", "Green", "Blue")]
    group(tmp_path / "a.zarr", np.moveaxis(COLOUR, -1, 0), "cyx", omero={"channels": channels})
    image = open_image(tmp_path / "a.zarr")
    assert image.axes == "YXS"
    np.testing.assert_array_equal(np.asarray(image.data), COLOUR)


def test_the_first_image_of_a_bioformats2raw_folder_is_opened(tmp_path: Path) -> None:
    root = zarr.create_group(str(tmp_path / "scan.zarr"), zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    group(tmp_path / "scan.zarr" / "0", GREY, "zyx", version="0.4")
    image = open_image(tmp_path / "scan.zarr")
    assert image.name == "scan"
    np.testing.assert_array_equal(np.asarray(image.data), GREY)


def test_zarr_without_metadata_is_refused(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "a.zarr"), shape=(4, 4), dtype="uint8")
    zarr.create_group(str(tmp_path / "b.zarr"))
    zarr.create_group(str(tmp_path / "c.zarr"), attributes={"ome": {"version": "0.5", "plate": {}}})
    (tmp_path / "d.zarr").mkdir()
    (tmp_path / "e.zarr").write_bytes(b"PK")
    sentences = {
        "a": "without the meta",
        "b": "without the meta",
        "c": "plate",
        "d": "without zarr",
        "e": "unpack",
    }
    for name, sentence in sentences.items():
        with pytest.raises(FileError, match=sentence):
            open_image(tmp_path / f"{name}.zarr")


def test_metadata_that_cannot_be_right_are_refused_in_a_sentence(tmp_path: Path) -> None:
    group(tmp_path / "a.zarr", GREY, "zyx", scale=[1.0, 1.0])
    group(tmp_path / "b.zarr", GREY, "yx")
    group(tmp_path / "c.zarr", GREY, "zyx", multiscale={"datasets": []})
    for name in "abc":
        with pytest.raises(FileError, match=r"^[^\n]*[abc]\.zarr [^\n]*\.$"):
            open_image(tmp_path / f"{name}.zarr")


def test_an_ome_zarr_larger_than_memory_is_opened_but_not_read(tmp_path: Path) -> None:
    group(
        tmp_path / "a.zarr",
        np.broadcast_to(np.uint8(0), (2_000_000, 2_000_000)),
        "yx",
        chunks=(1024, 1024),
    )
    assert open_image(tmp_path / "a.zarr").data.shape == (2_000_000, 2_000_000)
    with pytest.raises(
        FileError,
        match=r"3,725\.3 GiB \(2000000 × 2000000 pixels\), which does not fit into memory",
    ):
        read_image(tmp_path / "a.zarr")


def test_a_file_in_one_piece_larger_than_memory_is_refused(tmp_path: Path) -> None:
    group(tmp_path / "a.zarr", np.broadcast_to(np.uint8(0), (2_000_000, 2_000_000)), "yx")
    with pytest.raises(FileError, match=r"pieces of 3,725\.3 GiB"):
        open_image(tmp_path / "a.zarr")


@pytest.mark.parametrize("kind", ["mapped", "tiles"])
def test_a_file_that_changes_underneath_is_not_read_on(tmp_path: Path, kind: str) -> None:
    data, options = STORED[kind]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, **options)
    image = open_image(path).data
    os.utime(path, ns=(0, 0))
    with pytest.raises(FileError, match="changed since it was opened"):
        image[0].compute(scheduler="sync")
    path.unlink()
    with pytest.raises(FileError, match="no longer there"):
        image[0].compute(scheduler="sync")


@pytest.mark.parametrize("kind", ["mapped", "imagej", "pages"])
def test_a_stack_cut_short_is_not_opened_as_a_shorter_one(tmp_path: Path, kind: str) -> None:
    data, options = STORED[kind]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(FileError, match=r"cut short"):
        open_image(path)


def test_a_damaged_part_is_named_when_it_is_read(tmp_path: Path) -> None:
    array = group(tmp_path / "a.zarr", GREY, "zyx", chunks=(1, 300, 401))
    image = open_image(tmp_path / "a.zarr").data
    (tmp_path / "a.zarr/full/c/1/0/0").write_bytes(b"no longer what it was")
    np.testing.assert_array_equal(image[2].compute(scheduler="sync"), GREY[2])
    with pytest.raises(
        FileError, match=re.escape(f"A part of {tmp_path / 'a.zarr'} cannot be read")
    ):
        image[1].compute(scheduler="sync")
    assert array.shape == image.shape


def test_an_ome_zarr_that_was_written_anew_is_another_image(tmp_path: Path) -> None:
    path, before = tmp_path / "a.ome.zarr", Micrograph(np.full((40, 50), 7, np.uint8), "YX")
    write_image(path, before)
    opened = open_image(path)
    assert opened.data.compute().max() == 7
    shutil.rmtree(path)
    write_image(path, Micrograph(np.full((60, 30), 1000, np.uint16), "YX"))
    with pytest.raises(FileError, match="has changed since it was opened; open it again"):
        opened.data.compute()
    anew = open_image(path)
    np.testing.assert_array_equal(anew.data.compute(), np.full((60, 30), 1000, np.uint16))
    assert source_identity(anew.data) != source_identity(opened.data)


def test_what_tells_an_image_from_others_does_not_depend_on_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.ome.zarr", "a.tif"):
        write_image(tmp_path / name, Micrograph(np.full((40, 50), 7, np.uint8), "YX"))
        monkeypatch.chdir(tmp_path)
        relative = open_image(name)
        monkeypatch.chdir(tmp_path.parent)
        assert source_identity(relative.data) == source_identity(open_image(tmp_path / name).data)
        assert relative.data.compute().max() == 7
