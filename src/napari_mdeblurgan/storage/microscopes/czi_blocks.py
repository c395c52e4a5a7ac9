"""The blocks of a Zeiss CZI file: where each lies, in the file and in the image, and its pixels.

Read by the published layout of the segments (ZISRAW), as the libraries libCZI and czifile do.
Neither serves here: libCZI's Python package is under the LGPL, and czifile knows neither pyramids
nor Zstandard, in which ZEN writes by now, unless Python is 3.12 or newer.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from napari_mdeblurgan.errors import FileError

HEADER = struct.Struct(
    "<16sqq"
)  # of every segment: what it is, bytes that are kept for it, and bytes that are used
FILE = struct.Struct("<iiii16s16siqqiq")
ENTRY = struct.Struct("<2siqiiBB4si")
DIMENSION = struct.Struct("<4siifi")
SUBBLOCK = struct.Struct("<iiq")
ENTRIES_AT = 128  # behind the header of the directory
PIXELS_AT = 256  # behind the header of a block, at least, and its metadata
XML_AT = 256
ATTACHMENT = struct.Struct("<2s10sqi16s8s80s")
ATTACHMENTS_AT, ATTACHED_AT = 256, 256  # behind the headers of their directory, and of each
RAW, JPEG, LZW, JPEG_XR, ZSTD, ZSTD_HEADED = 0, 1, 2, 4, 5, 6  # compressions
CZI_PIXELS = {
    0: ("<u1", 1),
    1: ("<u2", 1),
    2: ("<f4", 1),
    3: ("<u1", 3),
    4: ("<u2", 3),
    8: ("<f4", 3),
    9: ("<u1", 4),
    12: ("<i4", 1),
}
_HIGHEST_COMPRESSION = 50_000  # Zstandard makes some 30,000 bytes of one where all are the same
_SPARE_BYTES = 2**20
MOST_DIMENSIONS = 32


@dataclass(frozen=True, slots=True)
class CziBlock:
    """A rectangle of one plane.

    Attributes
    ----------
    position : int
        Of its segment in the file.
    pixels : int
        Number of the pixel type.
    compression : int
        Number of the compression.
    part : int
        Of a set of files the one that it lies in.
    start, size : dict of str to int
        Where it lies, and how far it reaches, along each dimension: X, Y, C, Z, T, S for the scene,
        M for the tile, …
    reduced : bool
        Whether it is a coarser copy of others.
    """

    position: int
    pixels: int
    compression: int
    part: int
    start: dict[str, int]
    size: dict[str, int]
    reduced: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and samples."""
        return self.size["Y"], self.size["X"], CZI_PIXELS[self.pixels][1]


@dataclass(frozen=True)
class CziContent:
    """What a file holds: its blocks, its metadata, and seconds of the time points as far as they
    are kept apart from these.
    """

    blocks: list[CziBlock] = field(default_factory=list)
    xml: str = ""
    seconds: tuple[float, ...] = ()


def read_content(path: Path) -> CziContent:
    """The blocks of a file, without their pixels, and its metadata.

    Raises
    ------
    FileError
        If it is no CZI, damaged, cut short, not finished, or one of a set of files.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        name, _, _ = _unpacked(path, file, HEADER, 0)
        if not name.startswith(b"ZISRAWFILE"):
            raise FileError(f"{path} is not a CZI file, whatever its name says; save it again.")
        told = _unpacked(path, file, FILE, HEADER.size)
        part, directory, metadata, pending, attachments = told[6:]
        if pending:
            raise FileError(
                f"{path} is not finished: what was writing it has not ended; open it there, and "
                "save it again."
            )
        if part:
            raise _of_a_set(path)
        blocks = _directory(path, file, directory, size)
        xml = _metadata(file, metadata, size)
        return CziContent(blocks, xml, _time_stamps(file, attachments, size))


def _unpacked(path: Path, file: BinaryIO, layout: struct.Struct, at: int) -> tuple:
    file.seek(at)
    found = file.read(layout.size)
    if len(found) < layout.size:
        raise cut_short(path)
    return layout.unpack(found)


def _directory(path: Path, file: BinaryIO, at: int, size: int) -> list[CziBlock]:
    if not 0 < at < size:
        raise cut_short(path)
    name, _, _ = _unpacked(path, file, HEADER, at)
    (count,) = _unpacked(path, file, struct.Struct("<i"), at + HEADER.size)
    begin = at + HEADER.size + ENTRIES_AT
    if not name.startswith(b"ZISRAWDIRECTORY") or count < 0 or begin + count * ENTRY.size > size:
        raise cut_short(path)
    blocks = []
    for _ in range(count):
        kind, pixels, position, part, compression, pyramid, _, _, dimensions = _unpacked(
            path, file, ENTRY, begin
        )
        if kind != b"DV" or not 0 <= dimensions <= MOST_DIMENSIONS or not 0 < position < size:
            raise cut_short(path)
        content = file.read(dimensions * DIMENSION.size)
        if len(content) < dimensions * DIMENSION.size:
            raise cut_short(path)
        begin += ENTRY.size + len(content)
        along = {
            each[0].rstrip(b"\0").decode("latin-1"): each[1:]
            for each in DIMENSION.iter_unpack(content)
        }
        known = all(len(axis) == 1 and "A" <= axis <= "Z" for axis in along)
        if (
            not known
            or not {"X", "Y"} <= along.keys()
            or any(each[1] <= 0 for each in along.values())
        ):
            raise cut_short(path)
        stored = {axis: (each[3] or each[1]) for axis, each in along.items()}
        reduced = bool(pyramid) or any(stored[axis] != along[axis][1] for axis in "XY")
        start, sizes = ({axis: each[n] for axis, each in along.items()} for n in (0, 1))
        blocks.append(CziBlock(position, pixels, compression, part, start, sizes, reduced))
    return blocks


def _metadata(file: BinaryIO, at: int, size: int) -> str:
    """The XML; empty where there is none, without which the pixels are still there."""
    if not 0 < at < size:
        return ""
    file.seek(at)
    name = file.read(HEADER.size)[:14]
    length = int.from_bytes(file.read(4), "little", signed=True)
    if name != b"ZISRAWMETADATA" or not 0 < length <= size:
        return ""
    file.seek(at + HEADER.size + XML_AT)
    return file.read(length).decode("utf-8", "replace").strip("\0")


def _time_stamps(file: BinaryIO, at: int, size: int) -> tuple[float, ...]:
    """Seconds of the time points, from the attachment that holds them; none
    where there is no such.
    """
    if not 0 < at < size:
        return ()
    file.seek(at)
    name, count = file.read(HEADER.size)[:12], int.from_bytes(file.read(4), "little", signed=True)
    if name != b"ZISRAWATTDIR" or not 0 < count <= size // ATTACHMENT.size:
        return ()
    file.seek(at + HEADER.size + ATTACHMENTS_AT)
    entries = file.read(count * ATTACHMENT.size)
    for number in range(len(entries) // ATTACHMENT.size):
        _, _, place, _, _, kind, _ = ATTACHMENT.unpack_from(entries, number * ATTACHMENT.size)
        if kind.rstrip(b"\0") == b"CZTIMS" and 0 < place < size:
            file.seek(place + HEADER.size + ATTACHED_AT + 4)
            length = int.from_bytes(file.read(4), "little", signed=True)
            data = file.read(8 * max(min(length, size // 8), 0))
            return tuple(np.frombuffer(data[: len(data) // 8 * 8], "<f8").tolist())
    return ()


def read_block(path: Path, file: BinaryIO, block: CziBlock) -> np.ndarray:
    """The pixels of a block: (y, x, samples), colours in the order red, green, blue.

    Raises
    ------
    FileError
        If they are not all there, or compressed in a way that is not read.
    """
    name, _, _ = _unpacked(path, file, HEADER, block.position)
    if not name.startswith(b"ZISRAWSUBBLOCK"):
        raise cut_short(path)
    metadata, _, length = _unpacked(path, file, SUBBLOCK, block.position + HEADER.size)
    dtype, shape = np.dtype(CZI_PIXELS[block.pixels][0]), block.shape
    wanted = math.prod(shape) * dtype.itemsize
    entry = ENTRY.size + len(block.size) * DIMENSION.size
    file.seek(
        block.position + HEADER.size + max(PIXELS_AT, SUBBLOCK.size + entry) + max(metadata, 0)
    )
    there = path.stat().st_size - file.tell()
    if not 0 <= length <= there or wanted > _HIGHEST_COMPRESSION * length + _SPARE_BYTES:
        raise cut_short(path)
    data = file.read(length)
    if block.compression in (JPEG, JPEG_XR):
        pixels = _decoded_picture(data, block.compression, shape, dtype)
    else:
        pixels = np.frombuffer(
            _decoded(path, data, block.compression, wanted, dtype.itemsize), dtype
        )
    if pixels.size != math.prod(shape):
        raise cut_short(path)
    pixels = pixels.reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    if shape[2] > 1:
        pixels = pixels[..., :3] if block.compression in (JPEG, JPEG_XR) else pixels[..., 2::-1]
    return pixels


def _decoded_picture(
    data: bytes, compression: int, shape: tuple[int, int, int], dtype: np.dtype
) -> np.ndarray:
    """Pixels in a place of that size, whatever size the picture itself claims."""
    import imagecodecs

    out = np.empty(shape if shape[2] > 1 else shape[:2], dtype)
    decode = imagecodecs.jpeg_decode if compression == JPEG else imagecodecs.jpegxr_decode
    return decode(data, out=out)


def _decoded(path: Path, data: bytes, compression: int, wanted: int, itemsize: int) -> bytes:
    import imagecodecs

    apart = False
    decoded: bytes | bytearray = data
    if compression == LZW:
        decoded = imagecodecs.lzw_decode(data, out=wanted)
    elif compression in (ZSTD, ZSTD_HEADED):
        begin = (data[0] if data else 0) if compression == ZSTD_HEADED else 0
        apart = (
            begin == 3 and data[1] == 1 and bool(data[2] & 1)
        )  # low bytes come before high bytes
        decoded = imagecodecs.zstd_decode(data[begin:], out=wanted)
    elif compression != RAW:
        raise FileError(
            f"{path} has a compression that is not read (number {compression}); save it as "
            "OME-TIFF."
        )
    if len(decoded) < wanted:
        raise cut_short(path)
    if apart and itemsize == 2:
        return np.frombuffer(decoded, np.uint8, wanted).reshape(2, -1).T.tobytes()
    return bytes(decoded[:wanted])


def cut_short(path: Path) -> FileError:
    """What is said of a file that is not whole."""
    return FileError(f"{path} is damaged or cut short; copy it again.")


def _of_a_set(path: Path) -> FileError:
    return FileError(
        f"{path} is one of a set of files, which are not read together; save the image as a "
        "single file."
    )


def check_single(path: Path, blocks: list[CziBlock]) -> None:
    """Make sure that all blocks lie in the file itself.

    Raises
    ------
    FileError
        If some lie in others.
    """
    if any(block.part for block in blocks):
        raise _of_a_set(path)
