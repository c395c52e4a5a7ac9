"""Leica LIF: files in the published layout, read by liffile."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import images_in, open_image, read_image
from napari_mdeblurgan.storage.objective import Objective

pytest.importorskip("liffile")
STACK = np.random.default_rng(0).integers(0, 60000, (2, 3, 2, 20, 24), np.uint16)  # t, z, c, y, x
IDS = {"X": 1, "Y": 2, "Z": 3, "T": 4}
PROPERTY = "<ChannelProperty><Key>DyeName</Key><Value>{}</Value></ChannelProperty>"
SETTING = (
    '<Attachment Name="HardwareSetting"><ATLConfocalSettingDefinition ObjectiveName="HC PL APO '
    'CS2 63x/1.40 OIL" '
    'NumericalAperture="1.4" Magnification="63" Immersion="OIL"><Spectro><MultiBand '
    'LeftWorld="430" RightWorld="470"/>'
    '<MultiBand LeftWorld="500" '
    'RightWorld="540"/></Spectro></ATLConfocalSettingDefinition></Attachment>'
)


def element(
    name: str, data: np.ndarray, axes: str, block: str, more: str = "", dyes: Sequence[str] = ()
) -> str:
    """The description of an image, whose channels lie plane by plane, and
    colours pixel by pixel.
    """
    size = data.itemsize
    strides = dict(zip(axes, data.strides, strict=True))
    sizes = dict(zip(axes, data.shape, strict=True))
    kind = "C" if "C" in axes else "S"
    channels = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="{n + 1 if kind == "S" else 0}" '
        f'Resolution="{8 * size}" '
        'NameOfMeasuredQuantity="" Min="0" Max="1" Unit="" '
        f'LUTName="{("Blue", "Green", "Red")[n]}" IsLUTInverted="0" '
        f'BytesInc="{n * strides.get(kind, 0)}" '
        f'BitInc="0">{PROPERTY.format(dyes[n]) if dyes else ""}</ChannelDescription>'
        for n in range(sizes.get(kind, 1))
    )
    steps = {"X": 1e-7, "Y": 2e-7, "Z": 5e-7, "T": 2.5}
    dimensions = "".join(
        f'<DimensionDescription DimID="{IDS[axis]}" NumberOfElements="{sizes[axis]}" Origin="0" '
        f'Length="{steps[axis] * (sizes[axis] - 1)}" Unit="{"s" if axis == "T" else "m"}" '
        'BitInc="0" '
        f'BytesInc="{strides[axis]}"/>'
        for axis in axes
        if axis in IDS
    )
    return (
        f'<Element Name="{name}"><Data><Image><ImageDescription><Channels>{channels}</Channels>'
        f"<Dimensions>{dimensions}</Dimensions></ImageDescription>{more}</Image></Data>"
        f'<Memory Size="{data.nbytes}" MemoryBlockID="{block}"/>'
        "</Element>"
    )


def text(value: str) -> bytes:
    return value.encode("utf-16-le")


def write_lif(path: Path, elements: Sequence[str], blocks: Sequence[np.ndarray]) -> Path:
    xml = '<LMSDataContainerHeader Version="2"><Element Name="project"><Children>'
    xml += "".join(elements) + "</Children></Element></LMSDataContainerHeader>"
    content = struct.pack("<IIBI", 0x70, 2 * len(xml) + 5, 0x2A, len(xml)) + text(xml)
    for number, block in enumerate(blocks):
        name = f"MemBlock_{number}"
        content += struct.pack(
            "<IIBQBI", 0x70, 14 + 2 * len(name), 0x2A, block.nbytes, 0x2A, len(name)
        )
        content += text(name) + block.tobytes()
    path.write_bytes(content)
    return path


def write_stack(path: Path) -> Path:
    one = element("Series001", STACK, "TZCYX", "MemBlock_0", SETTING, ("DAPI", "GFP"))
    return write_lif(path, [one], [STACK])


def test_a_file_is_read_lazily_with_all_that_it_tells(tmp_path: Path) -> None:
    image = open_image(write_stack(tmp_path / "cells.lif"))
    assert isinstance(image.data, da.Array)
    assert (image.axes, image.name, image.data.dtype) == ("TZCYX", "cells", np.uint16)
    np.testing.assert_array_equal(np.asarray(image.data), STACK)
    np.testing.assert_array_equal(
        np.asarray(image.data[1, :, 0, 3:9, -5:]), STACK[1, :, 0, 3:9, -5:]
    )
    assert image.pixel_size == pytest.approx({"X": 0.1, "Y": 0.2, "Z": 0.5})
    assert (image.unit, image.time_step_s, image.channel_names) == ("µm", 2.5, ("DAPI", "GFP"))
    assert [each.color for each in image.display] == [(0, 0, 255), (0, 255, 0)]
    assert image.objective == Objective(1.4, 0.485, 63, "OIL")


def test_images_are_called_by_their_names(tmp_path: Path) -> None:
    planes = [STACK[0, 0, 0], STACK[0, 0, 1, :10]]
    elements = [
        element(name, data, "YX", f"MemBlock_{n}")
        for n, (name, data) in enumerate(zip("AB", planes, strict=True))
    ]
    path = write_lif(tmp_path / "a.lif", elements, planes)
    assert images_in(path) == ("A", "B")
    image = read_image(path, "B")
    np.testing.assert_array_equal(image.data, planes[1])
    assert (image.name, image.objective, image.time_step_s) == ("a B", None, None)


def test_colours_are_red_green_and_blue(tmp_path: Path) -> None:
    data = np.random.default_rng(1).integers(0, 255, (20, 24, 3), np.uint8)
    image = read_image(
        write_lif(tmp_path / "a.lif", [element("A", data, "YXS", "MemBlock_0")], [data])
    )
    assert (image.axes, image.channel_names, image.display) == ("YXS", (), ())
    np.testing.assert_array_equal(image.data, data)


@pytest.mark.parametrize("share", [0.0001, 0.05, 0.5, 0.99])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    path = write_stack(tmp_path / "a.lif")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(FileError, match=r"a\.lif .*copy it again\.$"):
        read_image(path)


def test_a_claim_of_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    path = write_stack(tmp_path / "a.lif")
    path.write_bytes(
        path.read_bytes().replace(text('NumberOfElements="2"'), text('NumberOfElements="9"'))
    )
    tracemalloc.start()
    try:
        with pytest.raises(
            FileError,
            match=r"a\.lif is damaged or cut short: Series001 claims to "
            r"hold [\d,]+ bytes",
        ):
            open_image(path)
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()


def test_a_file_that_tells_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.lif").write_text(
        '<?xml version="1.0"?><LMSDataContainerHeader Version="2">'
        '<Element Name="a"><Data><Image/></Data><Memory Size="1" MemoryBlockID="m">'
        '<Frame File="/etc/passwd" Offset="0" '
        'Size="1"/></Memory></Element></LMSDataContainerHeader>',
        "utf-8",
    )
    with pytest.raises(FileError, match=r"a\.lif only tells of other files"):
        read_image(tmp_path / "a.lif")


def test_another_file_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.lif").write_bytes(b"RIFF" * 100)
    with pytest.raises(FileError, match=r"a\.lif cannot be read, it may be damaged or cut short"):
        images_in(tmp_path / "a.lif")
