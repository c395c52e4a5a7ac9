"""PNG, JPEG and BMP as Pillow opens them, whatever others in this process have told it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.errors import FileError

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

PNG_LEVEL = 3  # of compression: twice as fast as the usual 6, and a tenth larger
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8\xff"
_JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers that bits and size stand behind
_BMP_START = b"BM"


@dataclass
class _Reading:
    """What reads pictures in one process.

    Attributes
    ----------
    lock : Lock
        Of what follows.
    count : int
        How many threads read.
    lenient : bool
        Whether Pillow was told to make the best of what is cut short.
    """

    lock: Any = field(default_factory=threading.Lock)
    count: int = 0
    lenient: bool = False


# by process: a child of a fork knows nothing of the threads that held a lock
_READING: dict[int, _Reading] = {}


def opened_picture(path: Path) -> PILImage:
    """A picture of which the header was read, whatever limit of pixels others have given Pillow:
    `check_picture` has its own.

    Raises
    ------
    FileError
        If it is none of PNG, JPEG and BMP, or a JPEG of more than 8 bits.
    """
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.JpegImagePlugin import jpeg_factory
    from PIL.PngImagePlugin import PngImageFile

    with path.open("rb") as file:
        start = file.read(len(PNG_SIGNATURE))
    kinds: dict[bytes, Any] = {
        PNG_SIGNATURE: PngImageFile,
        JPEG_START: jpeg_factory,
        _BMP_START: BmpImageFile,
    }
    for signature, kind in kinds.items():
        if start.startswith(signature):
            with suppress(SyntaxError):  # so Pillow calls what it cannot make out
                return kind(path)
    bits = _jpeg_bits(path) if start.startswith(JPEG_START) else 0
    if bits > 8:
        raise FileError(f"{path} is a JPEG of {bits} bits, which is not read; save it as TIFF.")
    raise FileError(
        f"{path} is not a PNG, JPEG or BMP image, whatever its name says; save it again."
    )


def _jpeg_bits(path: Path) -> int:
    """How many bits each number of a JPEG has; 0 where its header does not tell."""
    with path.open("rb") as file:
        file.seek(2)
        while len(segment := file.read(5)) == 5 and segment[0] == 0xFF:
            if segment[1] in _JPEG_SIZES:
                return segment[4]
            file.seek(int.from_bytes(segment[2:4], "big") - 3, os.SEEK_CUR)
    return 0


@contextmanager
def whole_pictures() -> Iterator[None]:
    """Have Pillow refuse a picture that is cut short, though somebody in this process has told it
    to make the best of such; that is put back once the last that reads has ended.
    """
    from PIL import ImageFile

    reading = _READING.setdefault(os.getpid(), _Reading())
    with reading.lock:
        if ImageFile.LOAD_TRUNCATED_IMAGES:
            ImageFile.LOAD_TRUNCATED_IMAGES, reading.lenient = False, True
        reading.count += 1
    try:
        yield
    finally:
        with reading.lock:
            reading.count -= 1
            if reading.lenient and not reading.count:
                ImageFile.LOAD_TRUNCATED_IMAGES, reading.lenient = True, False
