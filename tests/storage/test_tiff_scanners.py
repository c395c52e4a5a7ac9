"""TIFF files of microscopes and slide scanners: Zeiss LSM, Aperio SVS, Hamamatsu NDPI."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import dask.array as da
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import images_in, open_image, read_image
from napari_mdeblurgan.storage.objective import Objective

NOISE = np.random.default_rng(0).integers(0, 60000, (2, 3, 3, 20, 24), np.uint16)  # t, z, c, y, x
LSM_TAG = 34412
COLOURS = ((255, 0, 0), (0, 128, 255), (255, 255, 255))
NAMES = ("Ch1-T1", "Ch2-T2", "T-PMT")


def text_entry(code: int, text: str) -> bytes:
    data = text.encode() + b"\0"
    return struct.pack("<III", code, 2, len(data)) + data


def scan_information(objective: str) -> bytes:
    """A recording with an objective and one track with one detector from 500 to 550 nm."""

    def begin(code: int) -> bytes:
        return struct.pack("<III", code, 0, 0)

    def number(code: int, value: float) -> bytes:
        return struct.pack("<IIId", code, 5, 8, value)

    end = begin(0xFFFFFFFF)
    detector = begin(0x70000000) + number(0x70000022, 500.0) + number(0x70000023, 550.0) + end
    track = begin(0x40000000) + begin(0x60000000) + detector + end + end
    return (
        begin(0x10000000)
        + text_entry(0x10000004, objective)
        + begin(0x20000000)
        + track
        + end
        + end
    )


def channel_colours() -> bytes:
    colours = b"".join(bytes((*each, 0)) for each in COLOURS)
    names = b"".join(struct.pack("<I", len(name) + 1) + name.encode() + b"\0" for name in NAMES)
    at = 24 + len(colours)
    return (
        struct.pack("<6I", at + len(names), len(COLOURS), len(NAMES), 24, at, 0) + colours + names
    )


def write_lsm(
    path: Path, frames: int = 2, objective: str = "Plan-Apochromat 63x/1.40 Oil DIC M27"
) -> Path:
    """A time series of stacks of three channels, each plane followed by its thumbnail, as Zeiss
    wrote them.
    """
    info = np.zeros(1, np.dtype(tifffile.TIFF.CZ_LSMINFO))
    options = {"photometric": "minisblack", "planarconfig": "separate", "metadata": None}
    with tifffile.TiffWriter(path, byteorder="<") as file:
        for number, planes in enumerate(NOISE.reshape(-1, 3, 20, 24)):
            info["MagicNumber"] = 67127628
            tag = [(LSM_TAG, 1, info.nbytes, info.tobytes(), True)] if number == 0 else []
            file.write(planes, extratags=tag, **options)
            file.write(planes[:, ::2, ::2], subfiletype=1, **options)
    written, scan, colours = path.read_bytes(), scan_information(objective), channel_colours()
    place = written.index(info.tobytes())
    values = {
        "StructureSize": info.nbytes,
        "DimensionX": 24,
        "DimensionY": 20,
        "DimensionZ": 3,
        "DimensionChannels": 3,
        "DimensionTime": frames,
        "VoxelSizeX": 0.1e-6,
        "VoxelSizeY": 0.2e-6,
        "VoxelSizeZ": 0.5e-6,
        "ScanType": 6,
        "TimeIntervall": 2.5,
        "OffsetScanInformation": len(written),
        "OffsetChannelColors": len(written) + len(scan),
    }
    for name, value in values.items():
        info[name] = value
    path.write_bytes(
        written[:place] + info.tobytes() + written[place + info.nbytes :] + scan + colours
    )
    return path


def test_an_lsm_is_read_with_all_that_it_tells(tmp_path: Path) -> None:
    image = open_image(write_lsm(tmp_path / "cells.lsm"))
    assert isinstance(image.data, da.Array)
    assert (image.axes, image.name) == ("TZCYX", "cells")
    np.testing.assert_array_equal(np.asarray(image.data), NOISE)
    assert image.pixel_size == pytest.approx({"X": 0.1, "Y": 0.2, "Z": 0.5})
    assert (image.unit, image.time_step_s) == ("µm", 2.5)
    assert image.channel_names == NAMES
    assert [each.color for each in image.display] == list(COLOURS)
    assert image.objective == Objective(1.4, 0.525, 63, "Oil")


def test_thumbnails_of_an_lsm_are_no_images(tmp_path: Path) -> None:
    assert len(images_in(write_lsm(tmp_path / "a.lsm"))) == 1


def test_an_lsm_without_a_known_objective_has_none(tmp_path: Path) -> None:
    assert read_image(write_lsm(tmp_path / "a.lsm", objective="unknown")).objective is None


@pytest.mark.parametrize("frames", [3, 2_000_000_000])
def test_an_lsm_that_lacks_planes_is_refused(tmp_path: Path, frames: int) -> None:
    with pytest.raises(FileError, match=r"a\.lsm is damaged.*; copy it again\.$"):
        read_image(write_lsm(tmp_path / "a.lsm", frames=frames))


def test_an_lsm_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = write_lsm(tmp_path / "a.lsm")
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(FileError, match=r"a\.lsm .*copy it again\.$"):
        read_image(path)


def write_svs(path: Path, more: str = "|AppMag = 20|MPP = 0.4990|Left = 3.5") -> np.ndarray:
    """A slide of three levels, with its thumbnail, label and overview."""
    data = np.random.default_rng(1).integers(0, 255, (256, 320, 3), np.uint8)
    told = f"Aperio Image Library v11.2.1 \r\n320x256 (64x64) none{more}"
    plain = {"photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path) as file:
        file.write(data, tile=(64, 64), description=told, **plain)
        file.write(data[::8, ::8], description="Aperio thumbnail", **plain)
        for step in (2, 4):
            file.write(data[::step, ::step], tile=(64, 64), description="Aperio level", **plain)
        file.write(data[:20, :20], subfiletype=1, description="Aperio label", **plain)
        file.write(data[:30, :40], subfiletype=9, description="Aperio macro", **plain)
    return data


def test_a_slide_is_its_finest_level_with_its_pixel_size(tmp_path: Path) -> None:
    data = write_svs(tmp_path / "slide.svs")
    assert len(images_in(tmp_path / "slide.svs")) == 1
    image = open_image(tmp_path / "slide.svs")
    assert (image.axes, image.data.shape, image.unit, image.name) == (
        "YXS",
        (256, 320, 3),
        "µm",
        "slide",
    )
    assert image.pixel_size == pytest.approx({"X": 0.499, "Y": 0.499})
    np.testing.assert_array_equal(np.asarray(image.data[100:140, 60:70]), data[100:140, 60:70])


def write_qptiff(path: Path, names: tuple[str, ...], colours: tuple[str, ...]) -> np.ndarray:
    """A page for each channel in two levels, with a thumbnail between them as Akoya has it."""
    data = np.random.default_rng(1).integers(0, 255, (len(names), 256, 320), np.uint8)
    told = (
        '<?xml version="1.0" encoding="utf-16"?><PerkinElmer-QPI-ImageDescription><ImageType>{}'
        "</ImageType><Name>{}</Name><Color>{}</Color></PerkinElmer-QPI-ImageDescription>"
    )
    plain = {"metadata": None, "resolutionunit": "CENTIMETER", "software": "PerkinElmer-QPI"}
    with tifffile.TiffWriter(path) as file:
        for step, kind in ((1, "FullResolution"), (4, "Thumbnail"), (2, "ReducedResolution")):
            if kind == "Thumbnail":
                small = np.zeros((64, 80, 3), np.uint8)
                file.write(small, description=told.format(kind, "", ""), photometric="rgb", **plain)
                continue
            for plane, name, colour in zip(data, names, colours, strict=True):
                file.write(
                    plane[::step, ::step],
                    tile=(64, 64),
                    description=told.format(kind, name, colour).encode(),
                    photometric="minisblack",
                    resolution=(20000 / step, 20000 / step),
                    subfiletype=int(step > 1),
                    **plain,
                )
    return data


@pytest.mark.parametrize("name", ["slide.qptiff", "slide.tif"])
def test_channels_of_a_slide_have_their_names_and_colours(tmp_path: Path, name: str) -> None:
    data = write_qptiff(tmp_path / name, ("DAPI", "CD8 µ"), ("0,0,255", "255, 128,0"))
    image = open_image(tmp_path / name)
    assert image.axes == "CYX"
    assert image.channel_names == ("DAPI", "CD8 µ")
    assert [each.color for each in image.display] == [(0, 0, 255), (255, 128, 0)]
    assert (image.pixel_size, image.unit) == ({"X": 0.5, "Y": 0.5}, "µm")
    np.testing.assert_array_equal(np.asarray(image.data), data)


def test_a_slide_of_one_channel_has_its_colour(tmp_path: Path) -> None:
    data = write_qptiff(tmp_path / "a.qptiff", ("DAPI",), ("0,0,255",))
    image = open_image(tmp_path / "a.qptiff")
    assert (image.axes, image.channel_names) == ("YX", ("DAPI",))
    assert [each.color for each in image.display] == [(0, 0, 255)]
    np.testing.assert_array_equal(np.asarray(image.data), data[0])


def test_channels_of_a_slide_whose_descriptions_are_garbled_have_none(tmp_path: Path) -> None:
    write_qptiff(tmp_path / "a.qptiff", ("<", ""), ("0,0", "red"))
    image = open_image(tmp_path / "a.qptiff")
    assert (image.channel_names, image.display) == ((), ())
    assert image.pixel_size == {"X": 0.5, "Y": 0.5}


def test_a_slide_of_leica_is_the_image_of_its_collection(tmp_path: Path) -> None:
    data = np.random.default_rng(1).integers(0, 255, (256, 320, 3), np.uint8)
    told = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">'
        '<collection><image name="image_1"><pixels sizeX="320" sizeY="256"><dimension sizeX="320" '
        'sizeY="256" r="0" ifd="0"/><dimension sizeX="80" sizeY="64" r="1" ifd="1"/></pixels>'
        "</image></collection></scn>"
    )
    plain = {"metadata": None, "photometric": "rgb", "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(tmp_path / "a.scn", bigtiff=True) as file:
        file.write(data, tile=(64, 64), description=told, resolution=(2e4, 2e4), **plain)
        file.write(data[::4, ::4], tile=(64, 64), resolution=(5e3, 5e3), **plain)
    image = open_image(tmp_path / "a.scn")
    assert (image.axes, image.pixel_size, image.unit) == ("YXS", {"X": 0.5, "Y": 0.5}, "µm")
    np.testing.assert_array_equal(np.asarray(image.data), data)


def test_a_slide_that_does_not_tell_its_pixel_size_has_none(tmp_path: Path) -> None:
    for number, more in enumerate(("", "|MPP = unknown", "|MPP = -1")):
        write_svs(tmp_path / f"{number}.svs", more)
        assert open_image(tmp_path / f"{number}.svs").pixel_size == {}


def test_a_slide_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    write_svs(tmp_path / "a.svs")
    (tmp_path / "a.svs").write_bytes((tmp_path / "a.svs").read_bytes()[:100_000])
    with pytest.raises(FileError, match=r"a\.svs.*; copy it again\.$"):
        read_image(tmp_path / "a.svs")


@pytest.mark.parametrize("told", ["rgb", "ycbcr"])
@pytest.mark.parametrize(("compression", "stored"), [(33003, "YCbCr"), (33005, "RGB")])
def test_a_slide_in_jpeg_2000_has_the_colours_of_its_compression_whatever_its_tags_name(
    tmp_path: Path, told: Any, compression: int, stored: str
) -> None:
    colours = np.repeat(np.array([(200, 50, 60), (30, 160, 90)], np.uint8), 32, axis=0)
    data = np.repeat(colours[:, None], 64, axis=1)
    written = np.asarray(Image.fromarray(data).convert(stored))
    tile = imagecodecs.jpeg2k_encode(written, codecformat="j2k", mct=False, level=0)
    described = "Aperio Image Library v11.2.1 \r\n64x64 J2K|MPP = 0.5"
    with tifffile.TiffWriter(tmp_path / "a.svs") as file:
        file.write(
            iter([tile]),
            shape=data.shape,
            dtype=data.dtype,
            tile=(64, 64),
            photometric=told,
            compression=34712,
            description=described,
            metadata=None,
        )
    with tifffile.TiffFile(tmp_path / "a.svs", mode="r+") as tif:
        tif.pages.first.tags["Compression"].overwrite(compression)
    np.testing.assert_allclose(read_image(tmp_path / "a.svs").data, data, atol=2)


def write_ndpi(path: Path) -> np.ndarray:
    """A slide of one level and an overview: classic TIFF, but offsets of directories have 64 bits,
    and values high words.
    """
    data = np.random.default_rng(2).integers(0, 255, (96, 128, 3), np.uint8)

    def directory(
        at: int, pixels: np.ndarray, offset: int, magnification: float, last: bool
    ) -> bytes:
        more = at + 2 + 13 * 12 + 8 + 13 * 4
        whole = struct.unpack("<I", struct.pack("<f", magnification))[0]
        height, width = pixels.shape[:2]
        entries = [
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 3, more),
            (259, 3, 1, 1),
            (262, 3, 1, 2),
            (273, 4, 1, offset),
            (277, 3, 1, 3),
            (278, 4, 1, height),
            (279, 4, 1, pixels.nbytes),
            (282, 5, 1, more + 6),
            (283, 5, 1, more + 14),
            (296, 3, 1, 3),
            (65421, 11, 1, whole),
        ]
        body = struct.pack("<H", len(entries)) + b"".join(
            struct.pack("<HHII", *entry) for entry in entries
        )
        body += struct.pack("<Q", 0 if last else more + 22) + bytes(4 * len(entries))
        return body + struct.pack("<3H4I", 8, 8, 8, 43_478, 1, 43_478, 1)

    small = np.ascontiguousarray(data[::4, ::4])
    begin = 12 + data.nbytes + small.nbytes
    first = directory(begin, data, 12, 40.0, last=False)
    second = directory(begin + len(first), small, 12 + data.nbytes, -1.0, last=True)
    header = b"II*\0" + struct.pack("<Q", begin)
    path.write_bytes(header + data.tobytes() + small.tobytes() + first + second)
    return data


def test_an_ndpi_is_its_slide_with_its_pixel_size(tmp_path: Path) -> None:
    data = write_ndpi(tmp_path / "slide.ndpi")
    image = read_image(tmp_path / "slide.ndpi", 0)
    assert (image.axes, image.unit) == ("YXS", "µm")
    np.testing.assert_array_equal(image.data, data)
    assert image.pixel_size == pytest.approx({"X": 0.23, "Y": 0.23}, rel=1e-4)
    assert images_in(tmp_path / "slide.ndpi")[0] != "Macro"
