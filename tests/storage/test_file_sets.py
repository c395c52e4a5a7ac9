"""OME-TIFF whose images or planes lie in several files, and colours as some programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import open_image, read_image

HEIGHT, WIDTH, PLANES = 12, 16, 2
SCHEMA = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
STACK = np.arange(2 * 20 * 24, dtype=np.uint16).reshape(2, 20, 24)
OME = (
    f'<OME {SCHEMA}><Image ID="Image:0">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="24" SizeY="20" SizeZ="1" '
    'SizeC="2" SizeT="1" PhysicalSizeX="0.25" PhysicalSizeY="0.25"><Channel ID="C:0" Name="DAPI"/>'
    '<Channel ID="C:1" Name="GFP"/><TiffData/></Pixels></Image></OME>'
)


def uuid(number: int) -> str:
    return f"urn:uuid:0000000{number}-0000-0000-0000-000000000000"


def image_xml(number: int, pixels: str, size_um: float = 0.5, planes: int = PLANES) -> str:
    return (
        f'<Image ID="Image:{number}" Name="pos{number}"><Pixels ID="Pixels:{number}" '
        'DimensionOrder="XYZCT" Type="uint8" '
        f'SizeX="{WIDTH}" SizeY="{HEIGHT}" SizeZ="{planes}" SizeC="1" SizeT="1" '
        f'PhysicalSizeX="{size_um}" '
        f'PhysicalSizeY="{size_um}"><Channel ID="Channel:{number}:0" '
        f'SamplesPerPixel="1"/>{pixels}</Pixels></Image>'
    )


def plane_xml(file: str, number: int, z: int, page: int) -> str:
    place = f'<UUID FileName="{file}">{uuid(number)}</UUID>'
    return (
        f'<TiffData FirstZ="{z}" FirstC="0" FirstT="0" IFD="{page}" '
        f'PlaneCount="1">{place}</TiffData>'
    )


def write_file(path: Path, number: int, images: str, values: list[int]) -> None:
    xml = (
        f'<?xml version="1.0" encoding="UTF-8"?><OME {SCHEMA} UUID="{uuid(number)}">{images}</OME>'
    )
    with tifffile.TiffWriter(path, ome=False) as file:
        for page, value in enumerate(values):
            description = None if page else xml.encode()
            plane = np.full((HEIGHT, WIDTH), value, np.uint8)
            file.write(plane, description=description, metadata=None, contiguous=False)


@pytest.fixture
def positions(tmp_path: Path) -> list[Path]:
    """One file for each of two positions; both tell of both."""
    images = "".join(
        image_xml(n, "".join(plane_xml(f"pos{n}.ome.tif", n, z, z) for z in range(PLANES)), 0.5 + n)
        for n in range(2)
    )
    paths = [tmp_path / f"pos{n}.ome.tif" for n in range(2)]
    for number, path in enumerate(paths):
        write_file(path, number, images, [50 + 100 * number + z for z in range(PLANES)])
    return paths


@pytest.fixture
def planes(tmp_path: Path) -> list[Path]:
    """A stack of which every plane has a file of its own."""
    images = image_xml(0, "".join(plane_xml(f"z{z}.ome.tif", z, z, 0) for z in range(PLANES)))
    paths = [tmp_path / f"z{z}.ome.tif" for z in range(PLANES)]
    for number, path in enumerate(paths):
        write_file(path, number, images, [50 + number])
    return paths


@pytest.mark.parametrize("read", [read_image, open_image])
def test_of_a_set_of_positions_that_of_the_file_itself_is_read(positions: list[Path], read) -> None:
    for number, path in enumerate(positions):
        image = read(path)
        assert np.asarray(image.data).mean(axis=(1, 2)).tolist() == [
            50 + 100 * number,
            51 + 100 * number,
        ]
        assert image.pixel_size["X"] == 0.5 + number


def test_a_position_needs_no_other_to_be_read(positions: list[Path]) -> None:
    positions[0].unlink()
    image = read_image(positions[1])
    assert image.data.mean() == 150.5
    assert image.pixel_size["X"] == 1.5


@pytest.mark.parametrize("read", [read_image, open_image])
def test_a_stack_in_several_files_is_read_whole_or_refused(planes: list[Path], read) -> None:
    assert np.asarray(read(planes[0]).data)[:, 0, 0].tolist() == [50, 51]
    planes[1].unlink()
    with pytest.raises(
        FileError, match="lacks 1 of its 2 planes; put the files that belong to it beside it"
    ):
        read(planes[0])


def test_an_image_without_pixels_in_the_description_is_passed_over(tmp_path: Path) -> None:
    own = image_xml(1, '<TiffData IFD="0" PlaneCount="1"/>', planes=1).replace("pos1", "pos0")
    write_file(tmp_path / "a.ome.tif", 0, image_xml(0, "<MetadataOnly/>", 9.0) + own, [7])
    assert read_image(tmp_path / "a.ome.tif").pixel_size["X"] == 0.5


@pytest.mark.parametrize("factor", [1, 257])
def test_a_colour_map_of_8_bits_is_taken_for_one_of_16(tmp_path: Path, factor: int) -> None:
    indices = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colours = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 9)]).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif", indices, photometric="palette", colormap=colours * factor, metadata=None
    )
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.tif").data, colours.astype(np.uint8).T[indices]
    )


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_ycbcr_that_no_decoder_converts_is_refused(tmp_path: Path, compression: str | None) -> None:
    picture = Image.fromarray(np.full((16, 16, 3), (200, 30, 30), np.uint8)).convert("YCbCr")
    picture.save(tmp_path / "a.tif", compression=compression)
    with pytest.raises(FileError, match="colours of the kind YCBCR; save it as RGB"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("told_by", ["set.companion.ome", "master.ome.tif"])
@pytest.mark.parametrize("read", [read_image, open_image])
def test_planes_that_only_name_the_file_that_tells_of_them_are_read_by_it(
    tmp_path: Path, told_by: str, read
) -> None:
    images = image_xml(0, "".join(plane_xml(f"z{z}.ome.tif", z, z, 0) for z in range(PLANES)))
    for z in range(PLANES):
        only = f'<BinaryOnly MetadataFile="{told_by}" UUID="{uuid(0)}"/>'
        write_file(tmp_path / f"z{z}.ome.tif", z, only, [50 + z])
    if told_by.endswith(".tif"):
        write_file(tmp_path / told_by, 9, images, [0])
    else:
        (tmp_path / told_by).write_text(
            f'<?xml version="1.0" encoding="UTF-8"?><OME {SCHEMA} UUID="{uuid(0)}">{images}</OME>'
        )
    for z in range(PLANES):
        image = read(tmp_path / f"z{z}.ome.tif")
        assert (image.axes, image.pixel_size) == ("ZYX", {"X": 0.5, "Y": 0.5})
        assert np.asarray(image.data)[:, 0, 0].tolist() == [50, 51]
    (tmp_path / "z1.ome.tif").unlink()
    with pytest.raises(FileError, match="lacks 1 of its 2 planes"):
        read(tmp_path / "z0.ome.tif")


@pytest.mark.parametrize(
    "named", ["../set.companion.ome", "/etc/hostname", "gone.companion.ome", "", "."]
)
def test_only_a_file_beside_it_tells_of_a_plane(tmp_path: Path, named: str) -> None:
    (tmp_path / "in").mkdir()
    images = image_xml(0, plane_xml("a.ome.tif", 0, 0, 0), planes=1)
    (tmp_path / "set.companion.ome").write_text(f"<OME {SCHEMA}>{images}</OME>")
    write_file(tmp_path / "in" / "a.ome.tif", 0, f'<BinaryOnly MetadataFile="{named}"/>', [50])
    image = read_image(tmp_path / "in" / "a.ome.tif")
    assert image.pixel_size == {}
    (said,) = image.remarks  # which a restoration tells
    assert "is only a part of an image that is described in" in said
    assert (f"described in {named}, which is not beside it" in said) == bool(named)


def test_entities_in_the_file_that_tells_of_a_set_are_refused(tmp_path: Path) -> None:
    (tmp_path / "set.companion.ome").write_text(
        f'<!DOCTYPE l [<!ENTITY a "aaaa">]><OME {SCHEMA}>&a;</OME>'
    )
    write_file(tmp_path / "a.ome.tif", 0, '<BinaryOnly MetadataFile="set.companion.ome"/>', [50])
    with pytest.raises(
        FileError, match=r"set\.companion\.ome is damaged: its XML defines entities"
    ):
        read_image(tmp_path / "a.ome.tif")


def test_the_document_of_a_set_is_told_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "set.companion.ome").write_text(f"<OME {SCHEMA}/>")
    with pytest.raises(FileError, match="describes the OME-TIFF files beside it; name one"):
        read_image(tmp_path / "set.companion.ome")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("scan\x01", "scan\ufffd"),
        ("\x1b[31m", "\ufffd[31m"),
        ("&#1;&#xD800;&#38;&#181;", "\ufffd\ufffd&µ"),
        ("live & dead &amp; fixed &nbsp;", "live & dead & fixed &nbsp;"),
    ],
)
@pytest.mark.parametrize("read", [read_image, open_image])
def test_names_that_xml_cannot_hold_cost_neither_axes_nor_sizes(
    tmp_path: Path, written: str, meant: str, read
) -> None:
    xml = OME.replace("DAPI", written).encode()
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, description=xml, metadata=None)
    image = read(tmp_path / "a.ome.tif")
    assert image.axes == "CYX"
    assert image.pixel_size == {"X": 0.25, "Y": 0.25}
    assert image.channel_names == (meant, "GFP")
    assert image.remarks == ()


@pytest.mark.parametrize("cut", [False, True])
def test_ome_xml_that_stays_garbled_is_told(tmp_path: Path, cut: bool) -> None:
    xml = OME.encode()[:300] if cut else OME.replace("DAPI", "a < b").encode()
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, description=xml, metadata=None)
    (remark,) = open_image(tmp_path / "a.ome.tif").remarks
    assert "a.ome.tif has OME-XML that is garbled" in remark
