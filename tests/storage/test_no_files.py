"""What has the name of an image and is no file: pipes, sockets, devices, links that go in a circle.
Nothing waits for them.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_mdeblurgan.batch import BatchSettings, open_batch
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import Micrograph, check_writable, open_image, readable, write_image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")

IMAGE = Micrograph(
    np.random.default_rng(0).integers(0, 255, (40, 48)).astype(np.uint8),
    "YX",
    {"X": 1.0, "Y": 1.0},
    "µm",
)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))


def circle(path: Path) -> None:
    path.symlink_to(path.name)


KINDS = {"a pipe": pipe, "a socket": listening, "a link that goes in a circle": circle}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [".tif", ".czi", ".zarr", ".png"])
def test_it_is_called_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, ending: str
) -> None:
    assert ending in readable()
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    KINDS[kind](Path(f"a{ending}"))
    with pytest.raises(FileError, match=rf"a{ending} is {kind} and no image file; name a file\."):
        open_image(f"a{ending}")


@pytest.mark.parametrize("place", ["zarr.json", "0/zarr.json", "0/c/0/0"])
def test_a_pipe_within_an_ome_zarr_is_not_waited_for(tmp_path: Path, place: str) -> None:
    write_image(tmp_path / "a.ome.zarr", IMAGE)
    (tmp_path / "a.ome.zarr" / place).unlink()
    os.mkfifo(tmp_path / "a.ome.zarr" / place)
    with pytest.raises(FileError, match=r"a\.ome\.zarr.*"):
        np.asarray(open_image(tmp_path / "a.ome.zarr").data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [".tif", ".ome.tif", ".png"])
def test_it_is_never_replaced_by_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, ending: str
) -> None:
    monkeypatch.chdir(tmp_path)
    KINDS[kind](Path(f"a{ending}"))
    before = os.lstat(f"a{ending}")
    for write in (
        lambda path: write_image(path, IMAGE),
        lambda path: check_writable(path, "YX", "uint8"),
    ):
        with pytest.raises(FileError, match=f"it is {kind} and no file; choose another name"):
            write(f"a{ending}")
    Path(f"linked{ending}").symlink_to(f"a{ending}")
    with pytest.raises(FileError, match=f"it is {kind} and no file"):
        write_image(f"linked{ending}", IMAGE)
    after = os.lstat(f"a{ending}")
    assert (after.st_ino, stat.S_IFMT(after.st_mode)) == (
        before.st_ino,
        stat.S_IFMT(before.st_mode),
    )


def test_a_device_that_a_link_leads_to_stays_one(tmp_path: Path) -> None:
    linked = tmp_path / "a.tif"
    linked.symlink_to(os.devnull)
    with pytest.raises(FileError, match="it is a device and no file"):  # found before any work
        check_writable(linked, "YX", "uint8")


def test_in_a_batch_it_is_a_failure_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.tif", IMAGE)
    pipe(tmp_path / "in" / "b.tif")
    circle(tmp_path / "in" / "c.tif")
    (tmp_path / "in" / "d.tif").symlink_to("gone.tif")
    with open_batch([tmp_path / "in"], tmp_path / "out") as batch:
        for _ in batch.steps():
            pass
        reasons = {Path(failure.name).name: failure.reason for failure in batch.failures}
    assert (tmp_path / "out" / "a.ome.tif").is_file()
    assert set(reasons) == {"b.tif", "c.tif", "d.tif"}
    assert "is a pipe and no image file" in reasons["b.tif"]
    assert "is a link that goes in a circle" in reasons["c.tif"]


def test_a_pipe_in_the_place_of_a_result_is_not_replaced_by_a_batch(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", IMAGE)
    (tmp_path / "out").mkdir()
    pipe(tmp_path / "out" / "a.ome.tif")
    with open_batch([tmp_path / "a.tif"], tmp_path / "out", BatchSettings(overwrite=True)) as batch:
        for _ in batch.steps():
            pass
        (failure,) = batch.failures
    assert "it is a pipe and no file" in failure.reason
    assert stat.S_ISFIFO(os.lstat(tmp_path / "out" / "a.ome.tif").st_mode)


def test_a_pipe_among_the_files_of_an_ome_tiff_is_not_waited_for(tmp_path: Path) -> None:
    place = '<UUID FileName="b.ome.tif">urn:uuid:00000001-0000-0000-0000-000000000000</UUID>'
    pixels = (
        '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="48" SizeY="40" '
        'SizeZ="2" SizeC="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        '<TiffData FirstZ="0" IFD="0" PlaneCount="1"/>'
        f'<TiffData FirstZ="1" IFD="0" PlaneCount="1">{place}</TiffData></Pixels>'
    )
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><OME '
        'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        'UUID="urn:uuid:00000000-0000-0000-0000-000000000000">'
        f'<Image ID="Image:0" Name="a">{pixels}</Image></OME>'
    )
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=False) as file:
        file.write(IMAGE.data, description=xml.encode(), metadata=None)
    pipe(tmp_path / "b.ome.tif")
    with pytest.raises(
        FileError, match=r"a\.ome\.tif tells of b\.ome\.tif, which is a pipe and no file; copy both"
    ):
        open_image(tmp_path / "a.ome.tif")
