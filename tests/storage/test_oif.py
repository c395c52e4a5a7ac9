"""Olympus OIF, a folder of planes beside a file of settings, and OIB, the same in one compound
file; read by oiffile.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import images_in, open_image, read_image
from napari_mdeblurgan.storage.listing import image_files
from napari_mdeblurgan.storage.objective import Objective

pytest.importorskip("oiffile")
STACK = np.random.default_rng(0).integers(0, 4095, (2, 3, 2, 20, 24), np.uint16)  # t, z, c, y, x
SETTINGS = """[ProfileSaveInfo]
Name="FLUOVIEW"
Version="1"
[Axis Parameter Common]
AxisOrder="XYCZT"
[Axis 3 Parameters Common]
AxisCode="Z"
StartPosition=3000
EndPosition=4000
MaxSize=3
UnitName="nm"
[Axis 4 Parameters Common]
AxisCode="T"
StartPosition=0
EndPosition=2500
MaxSize=2
UnitName="ms"
[Reference Image Parameter]
WidthConvertValue=0.1
WidthUnit="um"
HeightConvertValue=0.2
HeightUnit="um"
[Acquisition Parameters Common]
Magnification=60
ObjectiveLens Name="PLAPON 60X O NA:1.42 Oil"
ObjectiveLens NAValue=1.42
[GUI Channel 1 Parameters]
CH Activate=1
DyeName="DAPI"
EmissionWavelength=460
[GUI Channel 2 Parameters]
CH Activate=0
DyeName="none"
EmissionWavelength=900
[GUI Channel 3 Parameters]
CH Activate=1
DyeName="GFP"
EmissionWavelength=520
"""


def utf16(text: str) -> bytes:
    return b"\xff\xfe" + text.replace("\n", "\r\n").encode("utf-16-le")


def planes() -> dict[str, bytes]:
    found = {}
    for t, z, c in np.ndindex(STACK.shape[:3]):
        file = io.BytesIO()
        tifffile.imwrite(file, STACK[t, z, c], photometric="minisblack", metadata=None)
        found[f"s_C{c + 1:03}Z{z + 1:03}T{t + 1:03}.tif"] = file.getvalue()
    return found | {"s_Thumb_C001.tif": b"a thumbnail", "s_LUT1.lut": b"[]"}


def write_oif(path: Path, settings: str = SETTINGS) -> Path:
    folder = path.with_name(path.name + ".files")
    folder.mkdir()
    path.write_bytes(utf16(settings))
    for name, content in planes().items():
        (folder / name).write_bytes(content)
    return path


def compound(files: Mapping[str, bytes]) -> bytes:
    """A compound file of version 3, all streams of which are in plain sectors,
    one after the other.
    """
    count = [-(-max(len(data), 1) // 512) for data in files.values()]
    tables = -(-(sum(count) + len(files) + 40) // 128)
    directory = -(-(len(files) + 1) // 4)
    table = (
        [0xFFFFFFFD] * tables
        + [number + 1 for number in range(tables, tables + directory - 1)]
        + [0xFFFFFFFE]
    )
    content, entries = b"", []
    for (name, data), sectors in zip(files.items(), count, strict=True):
        entries.append((name, 2, 0xFFFFFFFF, len(table), len(data)))
        table += [len(table) + number + 1 for number in range(sectors - 1)] + [0xFFFFFFFE]
        content += data.ljust(512 * sectors, b"\0")
    body = b""
    for number, (name, kind, child, start, size) in enumerate(
        [("Root Entry", 5, 1, 0xFFFFFFFE, 0), *entries]
    ):
        text = name.encode("utf-16-le")
        after = number + 1 if 0 < number < len(entries) else 0xFFFFFFFF
        body += struct.pack(
            "<64sHBBIII16sIQQIQ",
            text,
            len(text) + 2,
            kind,
            1,
            0xFFFFFFFF,
            after,
            child,
            b"",
            0,
            0,
            0,
            start,
            size,
        )
    told = struct.pack(
        "<HHHHHHIIIIIIIIII",
        0x3E,
        3,
        0xFFFE,
        9,
        6,
        0,
        0,
        0,
        tables,
        tables,
        0,
        0,
        0xFFFFFFFE,
        0,
        0xFFFFFFFE,
        0,
    )
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + told
    head += struct.pack("<109I", *range(tables), *(109 - tables) * [0xFFFFFFFF])
    fat = struct.pack(f"<{128 * tables}I", *table, *(128 * tables - len(table)) * [0xFFFFFFFF])
    return head + fat + body.ljust(512 * directory, b"\0") + content


def write_oib(path: Path, settings: str = SETTINGS) -> Path:
    files = {"cells.oif": utf16(settings)} | planes()
    streams = {f"Stream{number:05}": name for number, name in enumerate(files)}
    lines = ["[OibSaveInfo]", 'Name="OIB"', 'Version="1"', "MainFileName=Stream00000"]
    lines += [f"{stream}={name}" for stream, name in streams.items()]
    named = {stream: files[name] for stream, name in streams.items()}
    path.write_bytes(compound({"OibInfo.txt": utf16("\n".join(lines) + "\n")} | named))
    return path


BOTH = pytest.mark.parametrize(
    ("write", "ending"), [(write_oif, ".oif"), (write_oib, ".oib")], ids=["oif", "oib"]
)


@BOTH
def test_a_file_is_read_lazily_with_all_that_it_tells(
    tmp_path: Path, write: Callable[..., Path], ending: str
) -> None:
    path = write(tmp_path / f"cells [1]{ending}")
    image = open_image(path)
    assert isinstance(image.data, da.Array)
    assert (image.axes, image.name, image.data.dtype, images_in(path)) == (
        "TZCYX",
        "cells [1]",
        np.uint16,
        ("0",),
    )
    np.testing.assert_array_equal(np.asarray(image.data), STACK)
    np.testing.assert_array_equal(
        np.asarray(image.data[1, :, 0, 3:9, -5:]), STACK[1, :, 0, 3:9, -5:]
    )
    assert image.pixel_size == pytest.approx({"X": 0.1, "Y": 0.2, "Z": 0.5})
    assert (image.unit, image.time_step_s, image.channel_names) == ("µm", 2.5, ("DAPI", "GFP"))
    assert image.objective == Objective(1.42, 0.49, 60, "Oil")


def test_planes_beside_an_oif_are_no_images_of_their_own(tmp_path: Path) -> None:
    assert image_files(tmp_path) == []
    path = write_oif(tmp_path / "a.oif")
    assert image_files(tmp_path) == [path]


def test_an_oif_without_its_folder_says_so(tmp_path: Path) -> None:
    path = write_oif(tmp_path / "a.oif")
    path.with_name("a.oif.files").rename(tmp_path / "moved")
    with pytest.raises(
        FileError, match=r"a\.oif tells of planes in a folder a\.oif\.files that is not there"
    ):
        read_image(path)


def test_missing_planes_are_counted(tmp_path: Path) -> None:
    path = write_oif(tmp_path / "a.oif")
    (tmp_path / "a.oif.files" / "s_C001Z002T002.tif").unlink()
    with pytest.raises(
        FileError, match=r"a\.oif lacks planes: 11 of 12 are there; copy it again\.$"
    ):
        read_image(path)


def test_a_scan_of_lines_is_refused(tmp_path: Path) -> None:
    path = write_oif(tmp_path / "a.oif", SETTINGS.replace("XYCZT", "XTC"))
    with pytest.raises(FileError, match=r"a\.oif is a scan along XT, not of rows and columns"):
        read_image(path)


@pytest.mark.parametrize("share", [0.0001, 0.05, 0.5, 0.9])
def test_an_oib_that_is_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    path = write_oib(tmp_path / "a.oib")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(FileError, match=r"a\.oib .*\S$") as told:
        read_image(path)
    assert "error in this program" not in str(told.value)


def test_sectors_that_go_round_for_ever_are_refused(tmp_path: Path) -> None:
    path = write_oib(tmp_path / "a.oib")
    content = bytearray(path.read_bytes())
    table = np.frombuffer(content, "<u4", 128, 512)
    number = int(np.flatnonzero(table == np.arange(1, 129))[5])
    struct.pack_into("<I", content, 512 + 4 * number, number - 1)
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"a\.oib is damaged or cut short; copy it again\.$"):
        read_image(path)


@pytest.mark.parametrize("place", [44, 64, 72], ids=["tables", "small", "more"])
def test_a_claim_of_more_than_there_is_takes_no_memory(tmp_path: Path, place: int) -> None:
    path = write_oib(tmp_path / "a.oib")
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, place, 2_000_000_000)
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=r"a\.oib is damaged or cut short"):
            open_image(path)
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ending", [".oif", ".oib"])
def test_another_file_of_that_name_is_refused(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"a{ending}").write_bytes(b"RIFF" * 200)
    (tmp_path / "a.oif.files").mkdir()
    with pytest.raises(FileError, match=rf"a{ending} .*\.$") as told:
        read_image(tmp_path / f"a{ending}")
    assert "error in this program" not in str(told.value)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes with names of files")
def test_a_pipe_among_the_planes_of_an_oif_is_not_waited_for(tmp_path: Path) -> None:
    path = write_oif(tmp_path / "a.oif")
    plane = tmp_path / "a.oif.files" / "s_C001Z002T002.tif"
    plane.unlink()
    os.mkfifo(plane)
    with pytest.raises(
        FileError, match=r"a\.oif tells of s_C001Z002T002\.tif, which is a pipe and no file"
    ):
        open_image(path)
