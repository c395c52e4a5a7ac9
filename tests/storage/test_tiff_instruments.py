"""Sizes that programs of microscopes write into TIFF files, whose tags tell the density of a
screen: MetaMorph, FluoView, cellSens, electron microscopes of Zeiss and FEI.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_mdeblurgan.storage import Micrograph, open_image, read_image

PLANES = np.random.default_rng(0).integers(0, 4095, (3, 20, 24), np.uint16)
TEXT, LONG, FRACTION, BYTES = 2, 4, 5, 7  # types of tags
UIC1, UIC2 = 33628, 33629  # tags of MetaMorph's stacks
METASERIES = """<MetaData><PlaneInfo>
<prop id="spatial-calibration-state" type="bool" value="{state}"/>
<prop id="spatial-calibration-x" type="float" value="0.3225"/>
<prop id="spatial-calibration-y" type="float" value="0.645"/>
<prop id="spatial-calibration-units" type="string" value="{unit}"/>
</PlaneInfo></MetaData>"""
ZEISS = """0
0
2.234e-08
AP_PIXEL_SIZE
Pixel Size = 22.34 nm
AP_IMAGE_PIXEL_SIZE
Image Pixel Size = 11.17 {unit}
"""


def saved(path: Path, data: np.ndarray = PLANES[0], **more: Any) -> Path:
    """A plain TIFF with the density of a screen."""
    options = {"metadata": None, "photometric": "minisblack", "byteorder": "<"}
    tifffile.imwrite(path / "a.tif", data, resolution=(72, 72), **options, **more)
    return path / "a.tif"


def read(path: Path) -> Micrograph:
    image, opened = read_image(path), open_image(path)
    assert image.geometry == opened.geometry
    assert np.array_equal(image.data, opened.data.compute())
    return image


def counted(path: Path, tag: int, count: int) -> None:
    """Give a tag a count that says less than there is, as MetaMorph does."""
    with tifffile.TiffFile(path) as tif:
        at = tif.pages.first.tags[tag].offset
    content = bytearray(path.read_bytes())
    content[at + 4 : at + 8] = struct.pack("<I", count)
    path.write_bytes(content)


def test_metamorph_and_metaxpress(tmp_path: Path) -> None:
    text = METASERIES.format(state="on", unit="um")
    image = read(saved(tmp_path, description=text, software="MetaSeries"))
    assert (image.pixel_size, image.unit) == ({"X": 0.3225, "Y": 0.645}, "µm")


@pytest.mark.parametrize(("state", "unit"), [("off", "um"), ("on", "pixel"), ("on", "<garbled")])
def test_metamorph_without_a_calibration_tells_nothing(
    tmp_path: Path, state: str, unit: str
) -> None:
    text = METASERIES.format(state=state, unit=unit)
    assert read(saved(tmp_path, description=text, software="MetaSeries")).pixel_size == {}


def test_a_stack_of_metamorph(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        PLANES,
        extratags=[
            (UIC1, LONG, 8, (3, 1, 4, 0, 5, 0, 6, 0), True),
            (UIC2, FRACTION, 9, (3, 2, 0, 0, 0, 0) * 3, True),
        ],
    )
    values = struct.pack("<4I", 13, 100, 13, 100) + struct.pack("<I", 3) + b"um\0"
    end = path.stat().st_size
    content = path.read_bytes().replace(
        struct.pack("<8I", 3, 1, 4, 0, 5, 0, 6, 0),
        struct.pack("<8I", 3, 1, 4, end, 5, end + 8, 6, end + 16),
    )
    path.write_bytes(content + values)
    counted(path, UIC1, 4)
    counted(path, UIC2, 3)
    image = read(path.rename(tmp_path / "a.stk"))
    assert (image.axes, image.unit) == ("ZYX", "µm")
    assert image.pixel_size == pytest.approx({"X": 0.13, "Y": 0.13, "Z": 1.5})
    assert np.array_equal(image.data, PLANES)


def test_fluoview(tmp_path: Path) -> None:
    header = np.zeros(1, np.dtype(tifffile.TIFF.MM_HEADER))
    for number, (name, length, step, unit) in enumerate(
        [(b"X", 24, 0.2, b"um"), (b"Y", 20, 0.2, b"um"), (b"Z", 3, 0.5, b"um")]
    ):
        header["Dimensions"][0][number] = (name, length, 0.0, step, unit)
    tags = [
        (34361, BYTES, header.nbytes, header.tobytes(), True),
        (34362, 12, 8, (0.0,) * 8, True),
    ]
    image = read(saved(tmp_path, PLANES, extratags=tags))
    assert image.pixel_size == pytest.approx({"X": 0.2, "Y": 0.2, "Z": 0.5})


def test_cellsens(tmp_path: Path) -> None:
    def header(at: int) -> bytes:
        camera = struct.pack(
            "<10xhdd8xd2x34s32s", -6, 0.3225, 0.3225, 20.0, b"camera", b"fluorescence"
        )
        begin = struct.pack("<4s6xhhhhh6x32sH", b"SIS0", 0, 0, 1, 0, 120, b"name", 1)
        return begin + struct.pack("<hhI", 1, 1, at + len(begin) + 8) + camera

    path = saved(tmp_path, extratags=[(33560, BYTES, len(header(0)), header(0), True)])
    path.write_bytes(path.read_bytes().replace(header(0), header(path.read_bytes().index(b"SIS0"))))
    image = read(path)
    assert image.unit == "µm"
    assert image.pixel_size == pytest.approx({"X": 0.3225, "Y": 0.3225})


@pytest.mark.parametrize(("unit", "known"), [("nm", "nm"), ("pm", "pm"), ("\u00b5m", "µm")])
def test_electron_microscopes_of_zeiss(tmp_path: Path, unit: str, known: str) -> None:
    text = ZEISS.format(unit=unit).encode("latin-1")
    image = read(saved(tmp_path, extratags=[(34118, TEXT, None, text, True)]))
    assert (image.pixel_size, image.unit) == ({"X": 11.17, "Y": 11.17}, known)


def test_electron_microscopes_of_fei(tmp_path: Path) -> None:
    text = "[User]\r\nUser=me\r\n[Scan]\r\nPixelWidth=1.25e-008\r\nPixelHeight=1.5e-008\r\n"
    image = read(saved(tmp_path, extratags=[(34682, TEXT, None, text, True)]))
    assert image.unit == "µm"
    assert image.pixel_size == pytest.approx({"X": 0.0125, "Y": 0.015})


def test_slides_of_philips_are_as_fine_as_the_slide_and_not_as_its_overview(tmp_path: Path) -> None:
    def scanned(kind: str, *spacings: str) -> str:
        told = [f'<Attribute Name="DICOM_PIXEL_SPACING">{each}</Attribute>' for each in spacings]
        level = '<DataObject ObjectType="PixelDataRepresentation">'
        levels = "".join(f"{level}{each}</DataObject>" for each in told[1:])
        return (
            f'<DataObject ObjectType="DPScannedImage">{told[0]}<Attribute Name="Levels"><Array>'
            f'{levels}</Array></Attribute><Attribute Name="PIM_DP_IMAGE_TYPE">{kind}</Attribute>'
            "</DataObject>"
        )

    macro = scanned("MACROIMAGE", '"0.1" "0.1"')
    slide = scanned("WSI", '"0.00025" "0.000226"', '"0.00023" "0.00023"')
    xml = (
        '<DataObject ObjectType="DPUfsImport"><Attribute Name="PIM_DP_SCANNED_IMAGES"><Array>'
        f"{macro}{slide}</Array></Attribute></DataObject>"
    )
    path = saved(tmp_path, description=xml, software="Philips DP v1.0")
    image = read(path)
    assert image.unit == "µm"
    assert image.pixel_size == pytest.approx({"X": 0.226, "Y": 0.25})


@pytest.mark.parametrize("tag", [34118, 34680, 34682, 34361, 33560])
def test_tags_of_others_that_are_garbled_tell_nothing(tmp_path: Path, tag: int) -> None:
    path = saved(tmp_path, extratags=[(tag, TEXT, None, "[Scan]\nPixelWidth=wide", True)])
    assert read(path).pixel_size == {}
