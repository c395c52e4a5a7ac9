"""Strips of TIFF whose own header claims more than the strip has are refused before room is made
for it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import open_image, read_image
from napari_mdeblurgan.storage.tiff import tiff_pieces
from napari_mdeblurgan.storage.tiff.tiff_pieces import claimed_pixels

GREY = np.random.default_rng(0).integers(0, 255, (64, 72), np.uint8)
LARGE = np.zeros((300, 500, 3), np.uint8)
CODECS: dict[str, Callable[[np.ndarray], bytes]] = {
    "jpeg": imagecodecs.jpeg8_encode,
    "jpeg2000": lambda data: imagecodecs.jpeg2k_encode(data, codecformat="j2k"),
    "jp2": lambda data: imagecodecs.jpeg2k_encode(data, codecformat="jp2"),
    "png": imagecodecs.png_encode,
    "webp": lambda data: imagecodecs.webp_encode(data, lossless=True),
    "webp, lossy": lambda data: imagecodecs.webp_encode(data, lossless=False),
    "lerc": lambda data: imagecodecs.lerc_encode(data[..., 0]),
}


@pytest.mark.parametrize("codec", CODECS)
def test_the_size_that_a_picture_claims_is_known_from_its_header(codec: str) -> None:
    written = CODECS[codec](LARGE)
    assert claimed_pixels(written) == 300 * 500
    assert claimed_pixels(written[:9]) == 0


@pytest.mark.parametrize("words", [b"", b"abc", bytes(200), b"\xff\xd8\xff", b"\xff" * 200])
def test_what_is_no_picture_claims_nothing(words: bytes) -> None:
    assert claimed_pixels(words) == 0


@pytest.mark.parametrize("codec", ["jpeg", "jpeg2000", "png", "lerc"])
def test_a_strip_that_claims_more_than_there_is_is_refused(
    tmp_path: Path, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, metadata=None, compression=codec, photometric="minisblack")
    assert read_image(path).data.shape == GREY.shape
    written, end = CODECS[codec](LARGE), path.stat().st_size
    with path.open("ab") as file:
        file.write(written)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages.first.tags["StripOffsets"].overwrite([end])
        tif.pages.first.tags["StripByteCounts"].overwrite([len(written)])
    monkeypatch.setattr(tiff_pieces, "SPARE_PIXELS", 0)
    with pytest.raises(FileError, match="a part of it claims to hold 150,000 pixels"):
        open_image(path).data.compute()
