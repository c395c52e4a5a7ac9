"""Headers that promise far more than there are bytes: one sentence, before any memory is taken."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import Micrograph, open_image, read_image, write_image
from napari_mdeblurgan.storage.tiff.tiff_ome import NAMESPACE

N = 2_000_000_000
PATIENT_BYTES = 100 * 2**20
SIZES = 'SizeC="1" SizeZ="1" SizeT="1"'
ONE = '<TiffData IFD="0" PlaneCount="1"/>'
PLAIN = np.zeros((64, 64), np.uint8)


@pytest.fixture(autouse=True)
def _modest() -> Iterator[None]:
    """No case takes more memory than a small image does."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < PATIENT_BYTES
    finally:
        tracemalloc.stop()


def ome(
    path: Path, sizes: str = SIZES, planes: str = ONE, more: str = "", encoding: str = "UTF-8"
) -> Path:
    """A small OME-TIFF that says so of itself."""
    width = "" if "SizeX" in sizes else 'SizeX="64"'
    xml = (
        f'<?xml version="1.0" encoding="{encoding}"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'{more}<Image ID="Image:0"><AnnotationRef ID="A:0"/><Pixels ID="P:0" '
        f'DimensionOrder="XYCZT" Type="uint8" {width} '
        f'SizeY="64" {sizes}><Channel ID="C:0" SamplesPerPixel="1"/>{planes}</Pixels></Image></OME>'
    )
    tifffile.imwrite(path, PLAIN, description=xml, metadata=None)
    return path


MODULO = (
    '<StructuredAnnotations><XMLAnnotation ID="A:0" '
    'Namespace="openmicroscopy.org/omero/dimension/modulo"><Value><Modulo>'
    f'<ModuloAlongT Type="phase" Start="0" End="{N}" '
    'Step="1"/></Modulo></Value></XMLAnnotation></StructuredAnnotations>'
)


@pytest.mark.parametrize("reader", [read_image, open_image])
@pytest.mark.parametrize(
    ("sizes", "planes", "more"),
    [
        (f'SizeC="1" SizeZ="1" SizeT="{N}"', ONE, ""),
        ('SizeC="60000" SizeZ="60000" SizeT="60000"', ONE, ""),
        (SIZES, f'<TiffData IFD="0" PlaneCount="{N}"/>', ""),
        (f'{SIZES.replace("1", "2")} SizeX="{N}"', ONE, ""),
        (
            f'SizeC="1" SizeZ="{N}" SizeT="1"',
            f'<TiffData IFD="0" FirstZ="{N - 1}" PlaneCount="1"/>',
            "",
        ),
        (SIZES, ONE, MODULO),
    ],
    ids=["frames", "all", "count", "width", "first", "modulo"],
)
def test_planes_that_cannot_be_in_an_ome_tiff_are_refused(
    tmp_path: Path, reader: Callable[..., Micrograph], sizes: str, planes: str, more: str
) -> None:
    with pytest.raises(
        FileError, match=r"its OME-XML claims to hold .* planes in [\d,]+ bytes; copy it again"
    ):
        reader(ome(tmp_path / "a.ome.tif", sizes, planes, more))


@pytest.mark.parametrize("encoding", ["UTF-16", "ISO-8859-1", "utf-7", "none"])
def test_an_encoding_that_is_claimed_hides_no_claim(tmp_path: Path, encoding: str) -> None:
    path = ome(tmp_path / "a.ome.tif", f'SizeC="1" SizeZ="1" SizeT="{N}"', encoding=encoding)
    with pytest.raises(FileError, match="its OME-XML claims to hold 2,000,000,000 planes"):
        open_image(path)


def test_a_set_of_files_is_measured_by_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    write_image(path, Micrograph(np.zeros((20, 8, 8), np.uint8), "TYX"))
    assert read_image(path).data.shape == (20, 8, 8)


def with_dimensions(path: Path, values: dict[int, int], **options: object) -> Path:
    """A small TIFF with other numbers in some of its tags."""
    tifffile.imwrite(path, PLAIN, **options)
    with tifffile.TiffFile(path) as tif:
        places = {code: tif.pages[0].tags[code].valueoffset for code in values}
    content = bytearray(path.read_bytes())
    for code, place in places.items():
        content[place : place + 4] = struct.pack("<I", values[code])
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("reader", [read_image, open_image])
@pytest.mark.parametrize("compression", [None, "zlib", "jpeg", "lzma"])
@pytest.mark.parametrize("dimensions", [{256: 2**30, 257: 2**30}, {256: 2**31 - 1}])
def test_a_width_that_cannot_be_in_a_tiff_is_refused(
    tmp_path: Path,
    reader: Callable[..., Micrograph],
    compression: str | None,
    dimensions: dict[int, int],
) -> None:
    path = with_dimensions(tmp_path / "a.tif", dimensions, compression=compression, tile=(64, 64))
    with pytest.raises(FileError, match="is damaged"):
        reader(path)


@pytest.mark.parametrize("reader", [read_image, open_image])
@pytest.mark.parametrize(
    "said", [f"images={N}\nslices={N}", f"images=2\nchannels=60000\nslices=60000\nframes={N}"]
)
def test_images_that_cannot_be_in_an_imagej_tiff_are_refused(
    tmp_path: Path, reader: Callable[..., Micrograph], said: str
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, PLAIN, description=f"ImageJ=1.54f\n{said}\nhyperstack=true\n", metadata=None
    )
    with pytest.raises(FileError, match="is damaged"):
        reader(path)


@pytest.mark.parametrize("size", [(2**30, 2**30), (13_000, 13_000)])
def test_pixels_that_cannot_be_in_a_png_are_refused_whatever_limit_pillow_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    def part(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    image = (
        signature
        + part(b"IHDR", header)
        + part(b"IDAT", zlib.compress(b"\0" * 100))
        + part(b"IEND", b"")
    )
    (tmp_path / "a.png").write_bytes(image)
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", None)
    with pytest.raises(FileError, match=r"claims to (have|hold)"):
        read_image(tmp_path / "a.png")
    animated = part(b"acTL", struct.pack(">II", N, 0))
    small = header.replace(struct.pack(">II", *size), struct.pack(">II", 8, 8))
    (tmp_path / "b.png").write_bytes(
        image.replace(part(b"IHDR", header), part(b"IHDR", small) + animated)
    )
    with pytest.raises(FileError, match=r"claims to hold .* pictures"):
        read_image(tmp_path / "b.png")


def ome_zarr(path: Path, shape: list[int], chunk: list[int] | None = None) -> Path:
    """A small OME-Zarr that says so of its finest level."""
    write_image(path, Micrograph(PLAIN, "YX"))
    document = json.loads((path / "0/zarr.json").read_text())
    document["shape"] = shape
    if chunk:
        document["chunk_grid"]["configuration"]["chunk_shape"] = chunk
    (path / "0/zarr.json").write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("reader", [read_image, open_image])
@pytest.mark.parametrize(
    ("shape", "chunk"),
    [
        ([2**40, 2**40], None),
        ([2**62, 2**62], None),
        ([1, 2**40], None),
        ([2**40, 2**40], [2**40, 2**40]),
    ],
)
def test_pixels_that_nobody_works_with_are_refused_in_an_ome_zarr(
    tmp_path: Path, reader: Callable[..., Micrograph], shape: list[int], chunk: list[int] | None
) -> None:
    with pytest.raises(FileError, match=r"more than can be worked with|does not fit into memory"):
        reader(ome_zarr(tmp_path / "a.ome.zarr", shape, chunk))


def test_blocks_of_tiny_chunks_are_no_more_pieces_than_can_be_asked_for_at_once(
    tmp_path: Path,
) -> None:
    data = open_image(ome_zarr(tmp_path / "a.ome.zarr", [2**13, 2**13], [1, 1])).data
    assert max(data.chunks[0]) * max(data.chunks[1]) <= 65_536


def test_a_tiff_of_more_axes_than_have_names_is_refused(tmp_path: Path) -> None:
    shape = [1] * 40 + [64, 64]
    tifffile.imwrite(
        tmp_path / "a.tif", PLAIN, description=json.dumps({"shape": shape}), metadata=None
    )
    with pytest.raises(FileError, match=r"has 42 axes .* save it with fewer"):
        open_image(tmp_path / "a.tif")


def test_a_tower_of_json_is_refused(tmp_path: Path) -> None:
    path = ome_zarr(tmp_path / "a.ome.zarr", [64, 64])
    (path / "zarr.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    with pytest.raises(FileError):
        open_image(path)


def test_a_tower_of_json_beside_sound_pixels_tells_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tower = '{"a":' * 100_000 + "1" + "}" * 100_000
    annotation = {"Namespace": NAMESPACE, "image": tower}
    metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "MapAnnotation": annotation}
    tifffile.imwrite(path, PLAIN, ome=True, metadata=metadata)
    image = open_image(path)
    assert (image.pixel_size, image.data.shape) == ({"X": 0.5}, PLAIN.shape)


def test_a_huge_image_of_missing_chunks_is_still_opened(tmp_path: Path) -> None:
    path = ome_zarr(tmp_path / "a.ome.zarr", [2**18, 2**18])
    assert zarr.open_array(str(path / "0"), mode="r").shape == (2**18, 2**18)
    assert open_image(path).data[-1, -1].compute() == 0
