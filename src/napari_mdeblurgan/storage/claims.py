"""What headers claim, held against the bytes that are there, or a stated limit, before anything is
made of that size.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import no_file

if TYPE_CHECKING:
    from tifffile import TiffFile

SMALLEST_PLANE = (
    10  # bytes that a plane takes in a TIFF file at least: the shortest entry of a directory has 12
)
SPARE_PLANES = 10_000
MOST_BLOCKS = 10_000_000  # some 40 terapixels
# of a picture: what Pillow refuses by itself, unless somebody has told it otherwise
_MOST_PIXELS = 178_956_970
PIXELS_PER_BYTE = 8500  # deflate makes 1032 bytes of one, each of which may be eight pixels
SPARE_PIXELS = 2**24
SMALLEST_FRAME = 12  # bytes of a chunk of PNG without content
COUNTS = ("SizeT", "SizeC", "SizeZ")
RANGE = (("Start", 0.0), ("End", 0.0), ("Step", 1.0))
PLACES = ("IFD", "PlaneCount", "NumPlanes", "FirstT", "FirstC", "FirstZ")


def check_claims(path: Path, tif: TiffFile) -> None:
    """Make sure that what a TIFF file says of its planes can be, before tifffile makes room for
    them.

    Raises
    ------
    FileError
        If it cannot.
    """
    if tif.is_ome:
        check_ome_claims(path, tif)


def check_ome_claims(path: Path, tif: TiffFile) -> None:
    """Make sure that the OME-XML of a TIFF file does not name more planes than can be in its files.

    Raises
    ------
    FileError
        If it does, or has what OME-XML never has.
    """
    root = checked_xml(path, tif.ome_metadata or "")
    if root is None:  # which tifffile makes the best of
        return
    files = {path, *(path.parent / name for name in _named_files(root))}
    for file in files:
        check_member(path, file)
    size = sum(file.stat().st_size for file in files if file.is_file())
    most = max(size // SMALLEST_PLANE, SPARE_PLANES)
    for claim in _claims(root, tif):
        if claim > most:
            raise FileError(
                f"{path} is damaged: its OME-XML claims to hold {claim:,.0f} planes in {size:,} "
                "bytes; copy it again."
            )


def check_member(path: Path, member: Path) -> None:
    """Make sure that another file of the image at `path` is none that may be waited for in vain.

    Raises
    ------
    FileError
        If it is a pipe, a device or the like.
    """
    if kind := no_file(member):
        raise FileError(
            f"{path} tells of {member.name}, which is {kind} and no file; copy both again."
        )


def checked_xml(path: Path, text: str) -> ElementTree.Element | None:
    """The root of a document in a file; None where it is garbled.

    Text is parsed as text, as tifffile does: an encoding that the document claims for its bytes is
    not heeded.

    Raises
    ------
    FileError
        If it defines entities, which can be made to grow without end.
    """
    if "<!ENTITY" in text:
        raise FileError(
            f"{path} is damaged: its XML defines entities, which no microscope writes; save it "
            "again."
        )
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        return None


def _named_files(root: ElementTree.Element) -> Iterator[str]:
    for uuid in root.iterfind("{*}Image/{*}Pixels/{*}TiffData/{*}UUID"):
        name = uuid.get("FileName", "")
        if name and "\0" not in name:
            yield name


def _claims(root: ElementTree.Element, tif: TiffFile) -> Iterator[float]:
    """All numbers of planes that the document names, one way or another."""
    for pixels in root.iterfind("{*}Image/{*}Pixels"):
        area = (
            _number(pixels.get("SizeX"))
            * _number(pixels.get("SizeY"))
            / _pixels_of_a_page(pixels, tif)
        )
        yield math.prod(max(_number(pixels.get(count)), 1.0) for count in COUNTS) * max(area, 1.0)
        for data in pixels.iterfind("{*}TiffData"):
            yield from (_number(data.get(place)) for place in PLACES)
    for along in root.iterfind("{*}StructuredAnnotations/*/*/*/*"):
        if "Along" in along.tag:
            start, end, step = (_number(along.get(each), default) for each, default in RANGE)
            yield abs((end - start) / step) if step else math.inf


def _pixels_of_a_page(pixels: ElementTree.Element, tif: TiffFile) -> int:
    """Of the page that an image begins with, as far as that is in this file, else of the first."""
    data = pixels.find("{*}TiffData")
    page: Any = tif.pages.first
    with contextlib.suppress(Exception):  # there is no such page, or it is damaged
        page = tif.pages.get(int(_number(data.get("IFD")))) if data is not None else page
    edges = page.imagewidth, page.imagelength
    return max(math.prod(edges), 1) if all(isinstance(edge, int) for edge in edges) else 1


def _number(text: str | None, default: float = 0.0) -> float:
    try:
        value = float(text) if text else default
    except ValueError:
        return default
    return value if math.isfinite(value) else default


def check_blocks(path: Path, shape: Sequence[int], blocks: Sequence[int]) -> None:
    """Make sure that an array is not of more blocks than are worked with.

    Raises
    ------
    FileError
        If it is.
    """
    count = math.prod(-(-length // edge) for length, edge in zip(shape, blocks, strict=True))
    if count > MOST_BLOCKS:
        raise FileError(
            f"{path} claims to have {' × '.join(f'{length:,}' for length in shape)} pixels, more "
            "than can be worked with; copy it again, or save it in parts."
        )


def check_picture(path: Path, size: tuple[int, int]) -> None:
    """Make sure that a PNG or JPEG file is not far too small for its pixels, nor these too many;
    whatever limit Pillow has.

    Raises
    ------
    FileError
        If it is.
    """
    count, there = size[0] * size[1], path.stat().st_size
    if count > _MOST_PIXELS:
        raise FileError(
            f"{path} claims to have {count / 1e6:,.0f} megapixels, too many for PNG or JPEG; save "
            "it as TIFF."
        )
    if count > PIXELS_PER_BYTE * there + SPARE_PIXELS:
        raise FileError(
            f"{path} is damaged: it claims to hold {size[0]:,} × {size[1]:,} pixels in {there:,} "
            "bytes; copy it again."
        )


def check_frames(path: Path, count: int) -> None:
    """Make sure that the pictures of an animation can be in its file.

    Raises
    ------
    FileError
        If they cannot.
    """
    if count > max(path.stat().st_size // SMALLEST_FRAME, 1):
        raise FileError(
            f"{path} is damaged: it claims to hold {count:,} pictures, more than its bytes can; "
            "copy it again."
        )
