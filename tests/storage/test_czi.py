"""Zeiss CZI: pixels, scenes and mosaics, what ZEN tells of them, and files that are damaged."""

from __future__ import annotations

import pickle
import struct
import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask.array as da
import imagecodecs
import numpy as np
import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import SeveralImagesWarning, images_in, open_image, read_image
from napari_mdeblurgan.storage.objective import Objective

TYPES = {
    ("uint8", 1): 0,
    ("uint16", 1): 1,
    ("float32", 1): 2,
    ("uint8", 3): 3,
    ("uint16", 3): 4,
    ("uint8", 4): 9,
}
BLOCK = np.arange(20 * 24, dtype=np.uint16).reshape(20, 24)


@dataclass
class Part:
    """A block as it is written: colours are red, green and blue here."""

    pixels: np.ndarray
    at: dict[str, int] = field(default_factory=dict)
    compression: int = 0
    data: bytes | None = None  # what is written instead of the pixels
    type: int | None = None
    reduced_by: int = 1
    part: int = 0


def _entry(part: Part, position: int) -> bytes:
    height, width = part.pixels.shape[:2]
    samples = part.pixels.shape[2] if part.pixels.ndim == 3 else 1
    kind = TYPES[part.pixels.dtype.name, samples] if part.type is None else part.type
    along = {"X": 0, "Y": 0} | part.at
    sizes = {"X": width, "Y": height}
    entry = struct.pack(
        "<2siqiiBB4si", b"DV", kind, position, part.part, part.compression, 0, 0, b"", len(along)
    )
    for axis, start in along.items():
        stored = sizes.get(axis, 1)
        entry += struct.pack(
            "<4siifi",
            axis.encode(),
            start,
            stored * (part.reduced_by if axis in sizes else 1),
            0,
            stored,
        )
    return entry


def _segment(name: bytes, body: bytes) -> bytes:
    return struct.pack("<16sqq", name, len(body), len(body)) + body


def write_czi(
    path: Path,
    parts: Sequence[Part],
    xml: str = "",
    pending: int = 0,
    file_part: int = 0,
    seconds: Sequence[float] = (),
) -> Path:
    """A file of these blocks, in the layout of the segments."""
    written, positions = b"", []
    for part in parts:
        positions.append(32 + 512 + len(written))
        order = (
            part.pixels[..., [2, 1, 0, 3][: part.pixels.shape[2]]]
            if part.pixels.ndim == 3
            else part.pixels
        )
        data = np.ascontiguousarray(order).tobytes() if part.data is None else part.data
        head = struct.pack("<iiq", 0, 0, len(data)) + _entry(part, positions[-1])
        written += _segment(b"ZISRAWSUBBLOCK", head.ljust(256, b"\0") + data)
    directory = struct.pack("<i", len(parts)).ljust(128, b"\0")
    directory += b"".join(map(_entry, parts, positions))
    text = xml.encode()
    at = 32 + 512 + len(written)
    tail = _segment(b"ZISRAWDIRECTORY", directory)
    metadata = at + len(tail) if xml else 0
    tail += (
        _segment(b"ZISRAWMETADATA", struct.pack("<ii", len(text), 0).ljust(256, b"\0") + text)
        if xml
        else b""
    )
    attachments = 0
    if seconds:
        place = at + len(tail)
        entry = struct.pack("<2s10sqi16s8s80s", b"A1", b"", place, 0, b"", b"CZTIMS", b"TimeStamps")
        data = struct.pack(f"<ii{len(seconds)}d", 8 + 8 * len(seconds), len(seconds), *seconds)
        head = struct.pack("<i12s", len(data), b"") + entry
        tail += _segment(b"ZISRAWATTACH", head.ljust(256, b"\0") + data)
        attachments = at + len(tail)
        tail += _segment(b"ZISRAWATTDIR", struct.pack("<i", 1).ljust(256, b"\0") + entry)
    head = struct.pack(
        "<iiii16s16siqqiq", 1, 0, 0, 0, b"", b"", file_part, at, metadata, pending, attachments
    )
    path.write_bytes(_segment(b"ZISRAWFILE", head.ljust(512, b"\0")) + written + tail)
    return path


XML = """<ImageDocument><Metadata>
<Information><Image>
<ObjectiveSettings><ObjectiveRef Id="Objective:2"/></ObjectiveSettings>
<Dimensions><Channels>
<Channel Id="Channel:0" Name="DAPI"><EmissionWavelength>460</EmissionWavelength></Channel>
<Channel Id="Channel:1"><Fluor>GFP</Fluor><EmissionWavelength>520</EmissionWavelength>
<Color>#FF00FF00</Color></Channel>
</Channels>
<T><Positions><Interval><Start>0</Start><Increment>2.5</Increment></Interval></Positions></T>
<S><Scenes><Scene Index="0" Name="P1"/><Scene Index="1" Name="P2"/></Scenes></S></Dimensions>
</Image>
<Instrument><Objectives>
<Objective Id="Objective:1"><LensNA>0.3</LensNA></Objective>
<Objective Id="Objective:2" Name="Plan-Apochromat 63x/1.40 Oil"><LensNA>1.4</LensNA>
<NominalMagnification>63</NominalMagnification><Immersion>Oil</Immersion></Objective>
</Objectives></Instrument></Information>
<DisplaySetting><Channels><Channel Id="Channel:0"><Color>#FF0000FF</Color><Low>0.1</Low>
<High>0.5</High></Channel>
</Channels></DisplaySetting>
<Scaling><Items><Distance Id="X"><Value>1E-07</Value></Distance><Distance Id="Y">
<Value>2E-07</Value></Distance>
<Distance Id="Z"><Value>5E-07</Value></Distance></Items></Scaling></Metadata></ImageDocument>"""


def planes() -> tuple[np.ndarray, list[Part]]:
    """A time series of stacks of two channels, which begins at a row and a
    column that are not 0.
    """
    data = np.random.default_rng(0).integers(0, 60000, (2, 3, 2, 20, 24), np.uint16)
    places = np.ndindex(data.shape[:3])
    parts = [
        Part(data[t, z, c], {"C": c, "Z": z, "T": t, "X": 100, "Y": -30}) for t, z, c in places
    ]
    return data, parts[::-1]  # the order in the file is not that of the planes


def test_a_file_is_read_lazily_with_all_that_it_tells(tmp_path: Path) -> None:
    data, parts = planes()
    image = open_image(write_czi(tmp_path / "cells.czi", parts, XML))
    assert isinstance(image.data, da.Array)
    assert (image.axes, image.name) == ("TZCYX", "cells")
    np.testing.assert_array_equal(np.asarray(image.data), data)
    assert image.pixel_size == pytest.approx({"X": 0.1, "Y": 0.2, "Z": 0.5})
    assert (image.unit, image.time_step_s, image.channel_names) == ("µm", 2.5, ("DAPI", "GFP"))
    assert [each.color for each in image.display] == [(0, 0, 255), (0, 255, 0)]
    assert image.display[0].limits == pytest.approx((6553.5, 32767.5))
    assert image.objective == Objective(1.4, 0.49, 63, "Oil")


@pytest.mark.parametrize("xml", ["", XML.replace("Interval", "Nothing")])
def test_the_time_step_is_that_of_the_time_stamps_where_no_other_is_told(
    tmp_path: Path, xml: str
) -> None:
    path = write_czi(tmp_path / "a.czi", planes()[1], xml, seconds=(10.0, 13.5))
    assert open_image(path).time_step_s == pytest.approx(3.5)


def test_parts_of_it_are_what_numpy_would_give(tmp_path: Path) -> None:
    data, parts = planes()
    lazy = open_image(write_czi(tmp_path / "a.czi", parts)).data
    for key in (np.s_[1], np.s_[0, 1:, 1, 3:17:2, ::5], np.s_[..., -3:], np.s_[:, ::2, 0, 4, 5:6]):
        np.testing.assert_array_equal(np.asarray(lazy[key]), data[key])


def test_it_may_be_read_in_another_process_and_in_several_threads(tmp_path: Path) -> None:
    data, parts = planes()
    lazy = pickle.loads(pickle.dumps(open_image(write_czi(tmp_path / "a.czi", parts)).data))  # noqa: S301
    with ThreadPoolExecutor(4) as pool:
        for index, read in zip(
            np.ndindex(2, 3),
            pool.map(lambda at: np.asarray(lazy[at]), np.ndindex(2, 3)),
            strict=True,
        ):
            np.testing.assert_array_equal(read, data[index])


def test_a_file_that_changes_once_it_is_open_is_not_read_on(tmp_path: Path) -> None:
    lazy = open_image(write_czi(tmp_path / "a.czi", [Part(BLOCK)])).data
    write_czi(tmp_path / "a.czi", [Part(BLOCK), Part(BLOCK, {"Z": 1})])
    with pytest.raises(
        FileError, match=r"a\.czi has changed since it was opened; open it again\.$"
    ):
        np.asarray(lazy)


def test_without_metadata_only_what_is_known_is_told(tmp_path: Path) -> None:
    image = read_image(write_czi(tmp_path / "a.czi", [Part(BLOCK)]))
    assert (image.axes, image.pixel_size, image.unit, image.objective, image.channel_names) == (
        "YX",
        {},
        None,
        None,
        (),
    )


def test_scenes_are_images_of_their_own(tmp_path: Path) -> None:
    path = write_czi(
        tmp_path / "a.czi", [Part(BLOCK + s, {"S": s, "X": 1000 * s}) for s in (1, 0)], XML
    )
    assert images_in(path) == ("P1", "P2")
    with pytest.warns(SeveralImagesWarning, match='holds 2 images, of which "P1" is taken'):
        np.testing.assert_array_equal(read_image(path).data, BLOCK)
    image = read_image(path, "P2")
    np.testing.assert_array_equal(image.data, BLOCK + 1)
    assert image.name == "a P2"


def test_tiles_lie_where_they_were_taken_later_ones_on_top(tmp_path: Path) -> None:
    parts = [
        Part(np.full((20, 24), m, np.uint16), {"M": m, "X": 16 * (m - 1), "Y": 5 * (m - 1)})
        for m in (3, 2, 1)
    ]
    data = read_image(write_czi(tmp_path / "a.czi", parts)).data
    assert data.shape == (30, 56)
    assert [data[0, 0], data[5, 15], data[5, 16], data[10, 31], data[10, 32], data[29, 55]] == [
        1,
        1,
        2,
        2,
        3,
        3,
    ]
    assert data[0, 55] == 0


@pytest.mark.parametrize("samples", [3, 4])
def test_colours_are_red_green_and_blue(tmp_path: Path, samples: int) -> None:
    data = np.random.default_rng(1).integers(0, 255, (20, 24, samples), np.uint8)
    image = read_image(write_czi(tmp_path / "a.czi", [Part(data)]))
    assert image.axes == "YXS"
    np.testing.assert_array_equal(image.data, data[..., :3])


def low_and_high(block: np.ndarray) -> bytes:
    return bytes((3, 1, 1)) + imagecodecs.zstd_encode(
        block.view(np.uint8).reshape(-1, 2).T.tobytes()
    )


@pytest.mark.parametrize(
    ("compression", "encode"),
    [
        (4, imagecodecs.jpegxr_encode),
        (5, lambda block: imagecodecs.zstd_encode(block.tobytes())),
        (6, lambda block: bytes((1,)) + imagecodecs.zstd_encode(block.tobytes())),
        (6, low_and_high),
    ],
    ids=["jpeg-xr", "zstd", "zstd-headed", "zstd-bytes-apart"],
)
def test_compressed_pixels_are_those_that_were_written(
    tmp_path: Path, compression: int, encode: Callable[[np.ndarray], bytes]
) -> None:
    part = Part(BLOCK, compression=compression, data=encode(BLOCK))
    np.testing.assert_array_equal(read_image(write_czi(tmp_path / "a.czi", [part])).data, BLOCK)


def test_compressed_colours_are_red_green_and_blue(tmp_path: Path) -> None:
    data = np.random.default_rng(1).integers(0, 255, (20, 24, 3), np.uint8)
    bgr = np.ascontiguousarray(data[..., ::-1])
    for compression, written in (
        (4, imagecodecs.jpegxr_encode(data)),
        (5, imagecodecs.zstd_encode(bgr.tobytes())),
    ):
        part = Part(data, compression=compression, data=written)
        np.testing.assert_array_equal(read_image(write_czi(tmp_path / "a.czi", [part])).data, data)


def test_coarser_copies_are_no_part_of_the_image(tmp_path: Path) -> None:
    parts = [Part(BLOCK), Part(np.zeros((10, 12), np.uint16), reduced_by=2)]
    np.testing.assert_array_equal(read_image(write_czi(tmp_path / "a.czi", parts)).data, BLOCK)


def test_channels_of_different_types_get_one_that_holds_both(tmp_path: Path) -> None:
    parts = [Part(BLOCK, {"C": 0}), Part(np.full((20, 24), 7, np.uint8), {"C": 1})]
    image = read_image(write_czi(tmp_path / "a.czi", parts))
    assert (image.axes, image.data.dtype) == ("CYX", np.uint16)
    assert (image.data[1] == 7).all()


def test_a_part_of_a_file_is_read_without_the_others(tmp_path: Path) -> None:
    path = write_czi(tmp_path / "a.czi", [Part(BLOCK, {"Z": z}) for z in range(3)])
    content = path.read_bytes()
    last = content.rindex(b"ZISRAWSUBBLOCK")
    path.write_bytes(content[:last] + b"XXXXXXX" + content[last + 7 :])
    lazy = open_image(path).data
    np.testing.assert_array_equal(np.asarray(lazy[1]), BLOCK)
    with pytest.raises(FileError, match=r"a\.czi is damaged or cut short; copy it again\.$"):
        np.asarray(lazy[2])


@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    path = write_czi(tmp_path / "a.czi", planes()[1], XML)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    if share == 0.999:  # of the metadata the end is missing: the pixels are there
        assert read_image(path).pixel_size == {}
        return
    with pytest.raises(FileError, match=r"a\.czi is damaged or cut short; copy it again\.$"):
        read_image(path)


@pytest.mark.parametrize(
    ("parts", "options", "sentence"),
    [
        ([Part(BLOCK)], {"pending": 1}, "is not finished"),
        ([Part(BLOCK)], {"file_part": 1}, "is one of a set of files"),
        ([Part(BLOCK, part=1)], {}, "is one of a set of files"),
        ([Part(BLOCK, type=10)], {}, "has pixels of a kind that is not read"),
        ([Part(BLOCK, compression=77)], {}, r"has a compression that is not read \(number 77\)"),
        ([Part(BLOCK, reduced_by=2)], {}, "holds no image"),
        ([], {}, "holds no image"),
        (
            [Part(BLOCK)],
            {"xml": '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'},
            "is damaged: its XML defines entities",
        ),
        ([Part(BLOCK, compression=5, data=b"nothing")], {}, "cannot be read"),
        (
            [Part(BLOCK, compression=4, data=imagecodecs.jpegxr_encode(BLOCK[:8, :8]))],
            {},
            "cannot be read",
        ),
    ],
)
def test_what_is_not_read_is_refused_in_one_sentence(
    tmp_path: Path, parts: list[Part], options: dict[str, Any], sentence: str
) -> None:
    path = write_czi(tmp_path / "a.czi", parts, **options)
    with pytest.raises(FileError, match=rf"a\.czi {sentence}.*\S$") as told:
        read_image(path)
    assert "\n" not in str(told.value)


def test_another_file_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.czi").write_bytes(b"RIFF" * 100)
    with pytest.raises(FileError, match=r"a\.czi is not a CZI file, whatever its name says"):
        images_in(tmp_path / "a.czi")


@pytest.mark.parametrize("where", ["far", "large", "compressed", "planes"])
def test_a_claim_of_more_than_there_is_takes_no_memory(tmp_path: Path, where: str) -> None:
    huge = 2_000_000_000
    parts = {
        "far": [Part(BLOCK), Part(BLOCK, {"X": huge})],
        "planes": [Part(BLOCK), Part(BLOCK, {"T": huge})],
        "large": [Part(BLOCK)],
        "compressed": [Part(BLOCK, compression=5, data=imagecodecs.zstd_encode(bytes(10)))],
    }[where]
    path = write_czi(tmp_path / "a.czi", parts)
    if where in ("large", "compressed"):
        content = path.read_bytes()
        path.write_bytes(
            content.replace(struct.pack("<4sii", b"X", 0, 24), struct.pack("<4sii", b"X", 0, huge))
        )
        path.write_bytes(
            path.read_bytes().replace(struct.pack("<fi", 0, 24), struct.pack("<fi", 0, huge))
        )
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=r"a\.czi .*\S$"):
            np.asarray(open_image(path).data[..., :1, :1])
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()


def test_files_of_zeiss_own_library_are_read(tmp_path: Path) -> None:
    """An independent writer, which is under the LGPL and therefore only used here, where it is
    installed.
    """
    czi = pytest.importorskip("pylibCZIrw.czi")
    data, _ = planes()
    path = tmp_path / "a.czi"
    with czi.create_czi(
        str(path), compression_options="zstd1:ExplicitLevel=2;PreProcess=HiLoByteUnpack"
    ) as file:
        for t, z, c in np.ndindex(data.shape[:3]):
            file.write(
                data[t, z, c][..., None] // 256, plane={"T": t, "Z": z, "C": c}, location=(7, -9)
            )
        file.write_metadata(
            "a", channel_names={0: "DAPI", 1: "GFP"}, scale_x=1e-7, scale_y=2e-7, scale_z=5e-7
        )
    image = read_image(path)
    np.testing.assert_array_equal(image.data, data // 256)
    assert (image.axes, image.unit, image.channel_names) == ("TZCYX", "µm", ("DAPI", "GFP"))
    assert image.pixel_size == pytest.approx({"X": 0.1, "Y": 0.2, "Z": 0.5})
