"""Stacks of Micro-Manager, made byte by byte as it writes them."""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import Micrograph, open_image, read_image, write_image
from napari_mdeblurgan.storage.objective import Objective

HEIGHT, WIDTH = 6, 8
SUMMARY: dict[str, Any] = {
    "MicroManagerVersion": "2.0.1",
    "Prefix": "run",
    "Channels": 2,
    "Slices": 2,
    "Frames": 3,
    "Positions": 1,
    "PixelSize_um": 0.1,
    "z-step_um": -0.5,
    "Interval_ms": 2000.0,
    "ChNames": ["DAPI", "GFP"],
    "ChColors": [-16776961, -16711936],
    "ChContrastMin": [100, 200],
    "ChContrastMax": [1000, 2000],
    "TimeFirst": True,
    "SlicesFirst": True,
}
Plane = tuple[int, int, int, int]  # channel, slice, frame, position


def value_of(plane: Plane) -> int:
    channel, z, time, position = plane
    return 1000 * (position + 1) + 100 * channel + 10 * z + time


def write_stack(
    path: Path, planes: Sequence[Plane], summary: dict[str, Any] | None = None, described: str = ""
) -> None:
    """Header, summary, the planes, and the map of them."""
    text = json.dumps(SUMMARY | (summary or {})).encode()
    text += b" " * (len(text) % 2)
    out = bytearray(
        struct.pack("<2sHI8I", b"II", 42, 0, 54773648, 0, 0, 0, 99384722, 0, 2355492, len(text))
        + text
    )
    index = [
        (*plane, at) for plane, at in zip(planes, add_planes(out, planes, described), strict=True)
    ]
    struct.pack_into("<I", out, 12, len(out))
    out += struct.pack("<2I", 3453623, len(index)) + b"".join(
        struct.pack("<5I", *entry) for entry in index
    )
    path.write_bytes(bytes(out))


def add_planes(out: bytearray, planes: Sequence[Plane], described: str = "") -> list[int]:
    """A directory of 162 bytes before the pixels of each plane; gives the places of the
    directories.
    """
    link, places = 4, []
    description = described.encode() + b"\0"
    for plane in planes:
        places.append(len(out))
        struct.pack_into("<I", out, link, len(out))
        pixels = np.full((HEIGHT, WIDTH), value_of(plane), "<u2").tobytes()
        start = len(out) + 162
        after = start + len(pixels)
        tags = [
            (256, 4, 1, WIDTH),
            (257, 4, 1, HEIGHT),
            (258, 3, 1, 16),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (270, 2, len(description), after + 18),
            (273, 4, 1, start),
            (278, 3, 1, HEIGHT),
            (279, 4, 1, len(pixels)),
            (282, 5, 1, after),
            (283, 5, 1, after + 8),
            (296, 3, 1, 3),
            (51123, 2, 2, after + 16),
        ]
        link = len(out) + 2 + 13 * 12
        out += (
            struct.pack("<H", 13) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
        )
        out += pixels + struct.pack("<4I", 100_000, 1, 100_000, 1) + b"{}" + description
        out += b" " * (len(out) % 2)
    return places


def write_ndtiff(folder: Path, planes: Sequence[Plane]) -> Path:
    """NDTiff of version 3: a stack with a header of its own, and beside it an index that tells
    where each plane is.
    """
    text = json.dumps({"PixelSize_um": 0.25, "ChNames": ["DAPI", "GFP"]}).encode()
    text += b" " * (len(text) % 2)
    out = bytearray(struct.pack("<2sHI5I", b"II", 42, 0, 483729, 3, 0, 2355492, len(text)) + text)
    index = bytearray()
    for (channel, z, time, position), place in zip(planes, add_planes(out, planes), strict=True):
        axes = json.dumps({"position": position, "time": time, "z": z, "channel": channel}).encode()
        index += struct.pack("<I", len(axes)) + axes + struct.pack("<I", 7) + b"nd.tiff"
        index += struct.pack("<IiiiiIii", place + 162, WIDTH, HEIGHT, 1, 0, 0, 0, 0)
    path = folder / "nd.tiff"
    path.write_bytes(bytes(out))
    (folder / "NDTiff.index").write_bytes(bytes(index))
    return path


def grid(channels: int, slices: int, frames: int, position: int = 0) -> list[Plane]:
    return [
        (c, z, t, position) for t in range(frames) for z in range(slices) for c in range(channels)
    ]


def values(image: Micrograph) -> np.ndarray:
    data = np.asarray(image.data)
    assert (data == data[..., :1, :1]).all()
    return data[..., 0, 0]


def expected(channels: int, slices: int, frames: int, position: int = 0) -> list[int]:
    return [value_of(plane) for plane in grid(channels, slices, frames, position)]


@pytest.fixture(params=[read_image, open_image])
def read(request: pytest.FixtureRequest) -> Callable[[Path], Micrograph]:
    return request.param


def test_a_whole_stack_is_read_with_what_its_summary_says(tmp_path: Path, read: Callable) -> None:
    write_stack(tmp_path / "run_MMStack_Pos0.ome.tif", grid(2, 2, 3))
    image = read(tmp_path / "run_MMStack_Pos0.ome.tif")
    assert image.axes == "TZCYX"
    assert values(image).ravel().tolist() == expected(2, 2, 3)
    assert image.pixel_size == {"X": 0.1, "Y": 0.1, "Z": -0.5}
    assert (image.unit, image.channel_names, image.time_step_s) == ("µm", ("DAPI", "GFP"), 2.0)
    assert image.objective is None
    assert [channel.color for channel in image.display] == [(0, 0, 255), (0, 255, 0)]
    assert [channel.limits for channel in image.display] == [(100, 1000), (200, 2000)]
    assert not image.remarks


def test_the_label_of_the_objective_tells_its_aperture(tmp_path: Path, read: Callable) -> None:
    path = tmp_path / "run_MMStack_Pos0.ome.tif"
    write_stack(path, grid(2, 2, 3), {"TINosePiece-Label": "Plan Apo 20x/0.75"})
    assert read(path).objective == Objective(0.75)


def test_planes_may_be_recorded_in_any_order(tmp_path: Path, read: Callable) -> None:
    write_stack(tmp_path / "run_MMStack.ome.tif", sorted(grid(2, 2, 3)))  # channel by channel
    assert values(read(tmp_path / "run_MMStack.ome.tif")).ravel().tolist() == expected(2, 2, 3)


def test_the_whole_time_points_of_a_stopped_acquisition_are_read_and_it_is_said(
    tmp_path: Path, read: Callable
) -> None:
    write_stack(tmp_path / "run_MMStack_Pos0.ome.tif", grid(2, 2, 3)[:9])
    image = read(tmp_path / "run_MMStack_Pos0.ome.tif")
    assert values(image).ravel().tolist() == expected(2, 2, 2)
    (remark,) = image.remarks
    assert "9 of 12 planes are there, and the first 2 whole time points are read" in remark


def test_a_single_stack_that_was_stopped_keeps_its_whole_slices(
    tmp_path: Path, read: Callable
) -> None:
    write_stack(
        tmp_path / "run_MMStack_Pos0.ome.tif", grid(2, 5, 1)[:7], {"Frames": 1, "Slices": 5}
    )
    image = read(tmp_path / "run_MMStack_Pos0.ome.tif")
    assert image.axes == "ZCYX"
    assert values(image).ravel().tolist() == expected(2, 3, 1)
    assert "7 of 10 planes are there, and the first 3 whole slices are read" in image.remarks[0]


def test_a_plane_that_is_cut_off_is_none(tmp_path: Path, read: Callable) -> None:
    path = tmp_path / "run_MMStack_Pos0.ome.tif"
    write_stack(path, grid(2, 2, 3))
    whole = path.read_bytes()
    index = len(whole) - 8 - 12 * 20
    torn = bytearray(whole[:index])
    del torn[-300:]  # the last plane's pixels
    struct.pack_into("<I", torn, 12, len(torn))
    path.write_bytes(bytes(torn) + whole[index:])
    image = read(path)
    assert values(image).ravel().tolist() == expected(2, 2, 2)
    assert "of 12 planes are there" in image.remarks[0]


def test_a_stack_that_ends_before_its_index_is_refused(tmp_path: Path, read: Callable) -> None:
    path = tmp_path / "run_MMStack_Pos0.ome.tif"
    write_stack(path, grid(2, 2, 3))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(
        FileError,
        match="was cut short: the index of its planes is missing, and some of its 12 planes",
    ):
        read(path)


def test_planes_that_lack_in_the_midst_are_refused(tmp_path: Path, read: Callable) -> None:
    planes = grid(2, 2, 3)
    del planes[5]
    write_stack(tmp_path / "run_MMStack_Pos0.ome.tif", planes)
    with pytest.raises(FileError, match="lacks 1 of its 12 planes, and not at its end"):
        read(tmp_path / "run_MMStack_Pos0.ome.tif")


def test_each_file_of_several_positions_has_its_own_planes(tmp_path: Path, read: Callable) -> None:
    for position in range(2):
        path = tmp_path / f"run_MMStack_Pos{position}.ome.tif"
        write_stack(path, grid(2, 2, 3, position), {"Positions": 2})
    for position in range(2):
        image = read(tmp_path / f"run_MMStack_Pos{position}.ome.tif")
        assert image.axes == "TZCYX"
        assert values(image).ravel().tolist() == expected(2, 2, 3, position)
        assert not image.remarks


def test_a_stack_goes_on_in_the_files_beside_it(tmp_path: Path, read: Callable) -> None:
    planes = grid(2, 2, 3)
    write_stack(tmp_path / "run_MMStack_Pos0.ome.tif", planes[:5])
    write_stack(tmp_path / "run_MMStack_Pos0_1.ome.tif", planes[5:8])
    write_stack(tmp_path / "run_MMStack_Pos0_2.ome.tif", planes[8:])
    image = read(tmp_path / "run_MMStack_Pos0.ome.tif")
    assert values(image).ravel().tolist() == expected(2, 2, 3)
    assert not image.remarks
    (tmp_path / "run_MMStack_Pos0_1.ome.tif").unlink()
    image = read(tmp_path / "run_MMStack_Pos0.ome.tif")
    assert values(image).ravel().tolist() == expected(2, 2, 1)
    assert "5 of 12 planes are there" in image.remarks[0]


OME = """<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
{}</OME>"""
IMAGE = """<Image ID="Image:{0}" Name="run_{0}">
<Pixels ID="Pixels:{0}" DimensionOrder="XYCZT" Type="uint16" SizeX="8" SizeY="6"
SizeZ="2" SizeC="2" SizeT="3" PhysicalSizeX="{1}" PhysicalSizeY="{1}" PhysicalSizeZ="0.75">
<Channel ID="Channel:0:0" Name="Cy3" Color="-16776961"/>
<Channel ID="Channel:0:1" Name="Cy5" Color="65535"/>
<TiffData IFD="0" FirstC="0" FirstZ="0" FirstT="0" PlaneCount="1">
<UUID FileName="run_MMStack_Pos{0}.ome.tif">urn:uuid:{0}</UUID>
</TiffData></Pixels></Image>"""


def test_the_ome_xml_counts_before_the_summary(tmp_path: Path, read: Callable) -> None:
    xml = OME.format(IMAGE.format(0, 0.2) + IMAGE.format(1, 0.3))
    for position in range(2):
        path = tmp_path / f"run_MMStack_Pos{position}.ome.tif"
        write_stack(path, grid(2, 2, 3, position), {"Positions": 2}, xml)
        image = read(path)
        assert values(image).ravel().tolist() == expected(2, 2, 3, position)
        assert image.pixel_size == pytest.approx(
            {"X": 0.2 + 0.1 * position, "Y": 0.2 + 0.1 * position, "Z": -0.75}
        )
        assert image.channel_names == ("Cy3", "Cy5")
        assert [channel.color for channel in image.display] == [(255, 0, 0), (0, 0, 255)]
        assert image.time_step_s == 2.0


def test_a_channel_that_was_never_reached_is_none(tmp_path: Path, read: Callable) -> None:
    write_stack(tmp_path / "run_MMStack_Pos0.ome.tif", [(1, 0, 0, 0)], {"Frames": 1, "Slices": 1})
    image = read(tmp_path / "run_MMStack_Pos0.ome.tif")
    assert image.axes == "YX"
    assert image.channel_names == ("GFP",)
    assert "1 of 2 planes are there, and they are all read" in image.remarks[0]


def test_what_is_said_of_a_stack_is_said_of_its_restoration(
    tmp_path: Path, tiny_model: Any
) -> None:
    from napari_mdeblurgan.restoration.micrographs import plan_micrograph

    write_stack(tmp_path / "run_MMStack_Pos0.ome.tif", grid(2, 2, 3)[:9])
    image = read_image(tmp_path / "run_MMStack_Pos0.ome.tif")
    assert plan_micrograph(image, tiny_model(1, 2).card).warnings == image.remarks
    write_image(tmp_path / "a.ome.tif", image)
    assert not read_image(tmp_path / "a.ome.tif").remarks


@pytest.mark.filterwarnings("ignore::napari_mdeblurgan.storage.SeveralImagesWarning")
def test_positions_of_ndtiff_are_images_of_their_own(tmp_path: Path) -> None:
    path = write_ndtiff(tmp_path, grid(2, 2, 2) + grid(2, 2, 2, 1))
    for name, position in (("Pos0", 0), ("Pos1", 1)):
        for read in (read_image, open_image):
            image = read(path, name)
            assert image.axes == "TZCYX"
            assert values(image).ravel().tolist() == expected(2, 2, 2, position)
            assert image.pixel_size == {"X": 0.25, "Y": 0.25}
            assert image.channel_names == ("DAPI", "GFP")


def test_a_file_of_ndtiff_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write_ndtiff(tmp_path, [(0, 0, 0, 0)])
    renamed = path.rename(path.with_name("cells.tif"))
    with pytest.raises(FileError, match=r"cells\.tif needs nd\.tiff, which is not there"):
        read_image(renamed)


def test_planes_that_ndtiff_lacks_are_no_zeros(tmp_path: Path, read: Callable) -> None:
    image = read(write_ndtiff(tmp_path, grid(2, 2, 3)[:9]))
    assert values(image).ravel().tolist() == expected(2, 2, 2)
    assert (
        "9 of 12 planes are there, and the first 2 whole time points are read" in image.remarks[0]
    )
    planes = grid(2, 2, 3)
    del planes[5]
    with pytest.raises(FileError, match="lacks 1 of its 12 planes, and not at its end"):
        read(write_ndtiff(tmp_path, planes))


@pytest.mark.parametrize("name", [b"../a.ti", b"nd.tif/", b"a/b.tif"])
def test_an_index_that_names_files_elsewhere_is_damaged(
    tmp_path: Path, read: Callable[[Path], Micrograph], name: bytes
) -> None:
    path = write_ndtiff(tmp_path, grid(2, 2, 3))
    index = (tmp_path / "NDTiff.index").read_bytes()
    (tmp_path / "NDTiff.index").write_bytes(index.replace(b"nd.tiff", name))
    with pytest.raises(FileError, match=r"NDTiff\.index is damaged: it names no files beside it"):
        read(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes with names of files")
def test_a_pipe_in_the_place_of_the_index_of_ndtiff_is_not_waited_for(tmp_path: Path) -> None:
    path = write_ndtiff(tmp_path, grid(2, 2, 3))
    (tmp_path / "NDTiff.index").unlink()
    os.mkfifo(tmp_path / "NDTiff.index")
    with pytest.raises(FileError, match=r"tells of NDTiff\.index, which is a pipe and no file"):
        open_image(path)
