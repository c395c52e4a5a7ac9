"""Strips and tiles of TIFF that are pictures with a header of their own, which may claim any size,
and hold other colours than the file tells: JPEG, JPEG 2000, PNG, WebP, LERC.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.claims import SPARE_PIXELS
from napari_mdeblurgan.storage.pillow import JPEG_START, PNG_SIGNATURE

if TYPE_CHECKING:
    from tifffile import TiffPage

_SPARE = 4  # times the pixels of a piece, of which the last may be cut short
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of JPEG before a size
_SCAN = 0xDA
APERIO_YCBCR, APERIO_RGB = 33003, 33005  # compressions: JPEG 2000, whatever colours the tags name
_J2K_START = b"\xff\x4f\xff\x51"
_J2K_STYLE, _MIXES = b"\xff\x52", 8  # begin of the style of coding; where it tells of mixed samples
_COLOUR_STEP = 46  # where JPEG 2000 tells how many columns share a value of its second sample
_TO_RGB = np.array([[1, 1, 1], [0, -0.344136, 1.772], [1.402, -0.714136, 0]], np.float32)


def check_pieces(path: Path, page: TiffPage) -> None:
    """Have each piece of a page, and of those that are like it, refused before room is made for
    more than there can be in it; those that hold luminance and differences of colour become RGB.
    """
    decode: Any = page.decode
    most = _SPARE * math.prod(page.chunks) + SPARE_PIXELS
    three = page.samplesperpixel == 3 and page.bitspersample == 8
    ycbcr = three and page.compression == APERIO_YCBCR

    def checked(data: bytes | None, *arguments: Any, **options: Any) -> Any:
        claimed = claimed_pixels(data or b"")
        if claimed > most:
            raise FileError(
                f"{path} is damaged: a part of it claims to hold {claimed:,} pixels in "
                f"{len(data or b''):,} bytes; copy it again."
            )
        pixels, *place = decode(data, *arguments, **options)
        return (_rgb(pixels) if ycbcr and data and not _made_rgb(data) else pixels, *place)

    page.__dict__["decode"] = checked  # a cached property: this is what everybody is given


def _made_rgb(data: bytes) -> bool:
    """Whether the decoder of JPEG 2000 makes RGB by itself: where colours are coarser than the
    luminance, or the code says that it was made of RGB.
    """
    if not data.startswith(_J2K_START):
        return False
    at = data.find(_J2K_STYLE)
    mixed = at >= 0 and data[at + _MIXES : at + _MIXES + 1] == b"\1"
    return mixed or data[_COLOUR_STEP : _COLOUR_STEP + 1] != b"\1"


def _rgb(pixels: np.ndarray) -> np.ndarray:
    """Red, green and blue of luminance and differences of colour as JPEG has them, uint8."""
    colours = (pixels - np.array([0, 128, 128], np.float32)) @ _TO_RGB
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)


def claimed_pixels(data: bytes) -> int:
    """Width times height that the header of a picture tells; 0 where it does not, or is cut
    short.
    """
    try:
        return math.prod(_size(data))
    except struct.error:
        return 0


def _size(data: bytes) -> tuple[int, ...]:
    if data.startswith(JPEG_START):
        return _of_jpeg(data)
    if data.startswith(_J2K_START):  # JPEG 2000 without a file around it
        return struct.unpack_from(">2I", data, 8)
    if data[4:8] == b"jP  ":
        return struct.unpack_from(">2I", data, data.find(b"ihdr", 0, 1024) + 4)
    if data.startswith(PNG_SIGNATURE):
        return struct.unpack_from(">2I", data, 16)
    if data.startswith(b"Lerc2 "):
        (version,) = struct.unpack_from("<i", data, 6)
        return struct.unpack_from("<2I", data, 14 if version >= 3 else 10)
    if data[8:12] == b"WEBP":
        return _of_webp(data)
    return (0,)


def _of_jpeg(data: bytes) -> tuple[int, ...]:
    at = 2
    while True:
        fill, marker, length = struct.unpack_from(">BBH", data, at)
        if fill != 0xFF or marker == _SCAN:
            return (0,)
        if marker in _FRAMES:
            return struct.unpack_from(">2H", data, at + 5)
        at += 1 if marker == 0xFF else 2 + length


def _of_webp(data: bytes) -> tuple[int, ...]:
    match data[12:16]:
        case b"VP8 ":
            return tuple(edge & 0x3FFF for edge in struct.unpack_from("<2H", data, 26))
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8X":
            width, high, height, top = struct.unpack_from("<HBHB", data, 24)
            return 1 + width + (high << 16), 1 + height + (top << 16)
    return (0,)
