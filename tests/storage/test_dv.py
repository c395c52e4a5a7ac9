"""DeltaVision DV: files in the layout of softWoRx, read by mrc."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import images_in, open_image, read_image
from napari_mdeblurgan.storage.objective import Objective

mrc = pytest.importorskip("mrc")
STACK = np.random.default_rng(0).integers(0, 60000, (2, 3, 2, 20, 24), np.uint16)  # t, z, c, y, x
ORDERS = {0: "CTZ", 1: "TZC", 2: "TCZ"}
TYPES = {"uint8": 0, "int16": 1, "float32": 2, "complex64": 4, "uint16": 6}
LENS = 10602  # Olympus 60X/1.40
SECONDS = 2.5


def write_dv(
    path: Path, data: np.ndarray = STACK, order: int = 2, byteorder: str = "<", **values: Any
) -> Path:
    """A file of (t, z, c, y, x), whose planes are in the order of that number, with a time for
    each.
    """
    count = dict(zip("TZC", data.shape, strict=False))
    axes = ORDERS[order]
    planes = data.transpose(*("TZC".index(axis) for axis in axes), 3, 4)
    sections = int(np.prod(data.shape[:3]))
    extended = b""
    for index in np.ndindex(planes.shape[:3]):
        time = SECONDS * index[axes.index("T")]
        extended += struct.pack(f"{byteorder}8i24f", *(8 * [0]), 0.0, time, *(22 * [0.0]))
    told = {
        "width": data.shape[4],
        "height": data.shape[3],
        "n_sections": sections,
        "pixel_type": TYPES[data.dtype.name],
    }
    told |= {
        "dx": 0.1,
        "dy": 0.2,
        "dz": 0.5,
        "ext_hdr_len": len(extended),
        "dvid": -16224,
        "n_ints": 8,
        "n_floats": 24,
    }
    told |= {
        "lens_num": LENS,
        "nt": count["T"],
        "nc": count["C"],
        "img_seq": order,
        "wave1": 460,
        "wave2": 520,
    } | values
    fields = [told.get(name, b"" if name == "blank" else 0) for name in mrc._new.Header._fields]
    header = struct.pack(byteorder + mrc._new.HDR_FORMAT, *fields, b"")
    pixels = planes.astype(data.dtype.newbyteorder(byteorder)).tobytes()
    path.write_bytes(header + extended + pixels)
    return path


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_file_is_read_lazily_with_all_that_it_tells(
    tmp_path: Path, order: int, byteorder: str
) -> None:
    image = open_image(write_dv(tmp_path / "cells.dv", order=order, byteorder=byteorder))
    assert isinstance(image.data, da.Array)
    assert (image.axes, image.name, image.data.dtype) == ("TZCYX", "cells", np.dtype("=u2"))
    np.testing.assert_array_equal(np.asarray(image.data), STACK)
    np.testing.assert_array_equal(
        np.asarray(image.data[1, :, 0, 3:9, -5:]), STACK[1, :, 0, 3:9, -5:]
    )
    assert image.pixel_size == pytest.approx({"X": 0.1, "Y": 0.2, "Z": 0.5})
    assert (image.unit, image.time_step_s) == ("µm", SECONDS)
    assert image.objective == Objective(1.4, 0.49, 60, "Oil")


def test_a_lens_of_an_unknown_number_is_not_made_up(tmp_path: Path) -> None:
    assert read_image(write_dv(tmp_path / "a.dv", lens_num=77)).objective is None


def test_a_single_plane_is_a_plane(tmp_path: Path) -> None:
    path = write_dv(tmp_path / "a.r3d", STACK[:1, :1, :1].astype(np.float32))
    image = read_image(path)
    assert (image.axes, image.data.dtype, image.time_step_s, images_in(path)) == (
        "YX",
        np.float32,
        None,
        ("0",),
    )
    np.testing.assert_array_equal(image.data, STACK[0, 0, 0])


@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.99])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    path = write_dv(tmp_path / "a.dv")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(FileError, match=r"a\.dv is damaged or cut short; copy it again\.$"):
        read_image(path)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"height": 2_000_000_000}, "is damaged or cut short"),
        ({"n_sections": 2_000_000_000}, "is damaged or cut short"),
        ({"nt": 0}, "is damaged or cut short"),
        ({"nt": 5}, "is damaged or cut short"),
        ({"ext_hdr_len": 2_000_000_000}, "is damaged or cut short"),
        ({"ext_hdr_len": -1}, "is damaged or cut short"),
        ({"pixel_type": 99}, "has pixels of a kind that is not read"),
        ({"pixel_type": 4, "width": 6}, "has pixels that are complex numbers"),
        ({"dvid": 1}, "is not a DV file"),
    ],
)
def test_what_is_not_read_is_refused_in_one_sentence(
    tmp_path: Path, values: dict[str, int], sentence: str
) -> None:
    path = write_dv(tmp_path / "a.dv", **values)
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=rf"a\.dv {sentence}.*\.$"):
            read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()
