"""What PNG and JPEG hold beyond plain pixels."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

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
