"""What PNG and JPEG hold beyond plain pixels."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import images_in, read_image

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize(("bits", "lossless"), [(12, False), (12, True), (16, True)])
def test_a_jpeg_of_more_than_8_bits_is_told(tmp_path: Path, bits: int, lossless: bool) -> None:
    pixels = np.kron(GREY, np.ones((8, 8), int)).astype(np.uint16) * 100
    content = imagecodecs.jpeg8_encode(pixels, bitspersample=bits, lossless=lossless)
    (tmp_path / "a.jpg").write_bytes(content)
    for reading in read_image, images_in:
        with pytest.raises(FileError, match=rf"a\.jpg is a JPEG of {bits} bits, which is not read"):
            reading(tmp_path / "a.jpg")


def test_a_lossless_jpeg_of_8_bits_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(GREY, lossless=True))
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg").data, GREY)


@pytest.mark.parametrize(
    "content", [b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\0\0\0", b"\xff\xd8\xffx"]
)
def test_a_jpeg_without_a_header_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(FileError, match="not a PNG, JPEG or BMP image"):
        read_image(tmp_path / "a.jpg")


def test_a_grey_that_a_png_calls_transparent_is_so(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png", transparency=5)
    image = read_image(tmp_path / "a.png")
    assert image.axes == "YXS"
    np.testing.assert_array_equal(image.data[..., :3], np.stack([GREY] * 3, -1))
    np.testing.assert_array_equal(image.data[..., 3], np.where(GREY == 5, 0, 255))
    Image.fromarray(GREY).save(tmp_path / "b.png", transparency=99)
    np.testing.assert_array_equal(read_image(tmp_path / "b.png").data, GREY)


def test_a_16_bit_grey_that_a_png_calls_transparent_is_told(tmp_path: Path) -> None:
    data = GREY.astype(np.uint16) * 1000
    Image.fromarray(data).save(tmp_path / "a.png", transparency=5000)
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.data, data)
    assert image.remarks == (
        "a.png calls pixels of the value 5000 transparent; they are shown as grey.",
    )


def _png(pixels: np.ndarray) -> bytes:
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))


def _chunk(name: bytes, content: bytes) -> bytes:
    summed = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + summed


def _with_chunk(png: bytes, name: bytes, content: bytes) -> bytes:
    """A PNG with one chunk more, right behind its header."""
    return png[:33] + _chunk(name, content) + png[33:]


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_grey_of_a_few_bits_that_a_png_calls_transparent_is_so(tmp_path: Path, bits: int) -> None:
    greys = np.arange(24).reshape(3, 8) % 2**bits
    rows = np.unpackbits(greys.astype(np.uint8)[..., None], axis=-1)[..., -bits:].reshape(3, -1)
    packed = b"".join(b"\0" + np.packbits(row).tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", 8, 3, bits, 0, 0, 0, 0)
    parts = (
        _chunk(b"IHDR", header),
        _chunk(b"tRNS", b"\0\1"),
        _chunk(b"IDAT", zlib.compress(packed)),
    )
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + _chunk(b"IEND", b""))
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.data[..., 0], greys * (255 // (2**bits - 1)))
    np.testing.assert_array_equal(image.data[..., 3], np.where(greys == 1, 0, 255))


DEEP = np.random.default_rng(0).integers(0, 2**16, (4, 5, 4), dtype=np.uint16)


@pytest.mark.parametrize("samples", [3, 4])
def test_colours_of_16_bits_in_a_png_are_read_whole(tmp_path: Path, samples: int) -> None:
    colours = DEEP[..., :samples]
    png = _png(colours)
    png = _with_chunk(png, b"gAMA", struct.pack(">I", 100_000))  # how it is shown, not what it is
    png = _with_chunk(png, b"pHYs", struct.pack(">IIB", 4_000_000, 2_000_000, 1))
    (tmp_path / "a.png").write_bytes(png)
    image = read_image(tmp_path / "a.png")
    assert (image.axes, image.data.dtype) == ("YXS", np.uint16)
    np.testing.assert_array_equal(image.data, colours)
    assert (image.pixel_size, image.unit) == ({"X": 0.25, "Y": 0.5}, "µm")


def test_greys_of_16_bits_with_opacity_in_a_png_are_read_whole(tmp_path: Path) -> None:
    grey, opacity = DEEP[..., 0], DEEP[..., 1]
    (tmp_path / "a.png").write_bytes(_png(DEEP[..., :2]))
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.png").data, np.stack([grey, grey, grey, opacity], -1)
    )
    opaque = np.stack([grey, np.full_like(grey, 2**16 - 1)], -1)
    (tmp_path / "b.png").write_bytes(_png(opaque))
    np.testing.assert_array_equal(read_image(tmp_path / "b.png").data, grey)


def test_a_colour_of_16_bits_that_a_png_calls_transparent_is_so(tmp_path: Path) -> None:
    hidden = struct.pack(">HHH", *map(int, DEEP[1, 2, :3]))
    png = _with_chunk(_png(DEEP[..., :3]), b"tRNS", hidden)
    (tmp_path / "a.png").write_bytes(png)
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.data[..., :3], DEEP[..., :3])
    assert np.argwhere(image.data[..., 3] == 0).tolist() == [[1, 2]]
    assert image.remarks == ()


def test_an_animation_in_colours_of_16_bits_is_refused_rather_than_reduced(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(imagecodecs.apng_encode(np.stack([DEEP[..., :3]] * 2)))
    with pytest.raises(FileError, match="an animation in colours of 16 bits"):
        read_image(tmp_path / "a.png", 0)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_exif_says(tmp_path: Path, orientation: int, deep: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(DEEP[..., :3].astype(np.uint8))
    stored.save(tmp_path / "a.png", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
    if deep:
        png = _png(DEEP[..., :3] & 255)
        (tmp_path / "a.png").write_bytes(_with_chunk(png, b"eXIf", exif.tobytes()[6:]))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").data, expected)
