"""OME-TIFF whose own OME-XML does not do: sets with that of another file, beside planes that only
name it ("BinaryOnly"), and what XML cannot hold.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from napari_mdeblurgan.plain_text import REPLACEMENT, for_terminal
from napari_mdeblurgan.storage.claims import checked_xml
from napari_mdeblurgan.storage.formats import BIG_TIFF

if TYPE_CHECKING:
    from tifffile import TiffFile

LARGEST_BYTES = 256 * 2**20
DOCUMENTS, IMAGES = (
    (".ome", ".xml"),
    (".tif", ".tiff", *BIG_TIFF),
)  # endings of files that tell of a set
_MARK = "BinaryOnly"
_HEAD = 4096  # letters before which OME-XML begins
# what XML has no place for, and ampersands that are none of its signs
_MISPLACED = re.compile(
    r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
    r"|&(?:(?P<number>#\d{1,9}|#x[0-9A-Fa-f]{1,8});|(?!(?:amp|lt|gt|quot|apos);))"
)


def companion_xml(path: Path, tif: TiffFile) -> str | None:
    """The OME-XML of the set that a file belongs to, as if it were this file's own, or its own with
    names mended that XML cannot hold; None where there is neither.

    Only a file beside it is looked for. Other programs name a set by any of its files, so the
    document is given the identity of this one, by which tifffile knows it among those that it
    opens.

    Raises
    ------
    FileError
        If the other file defines entities.
    """
    name, identity = _named(path, tif)
    return _mended(path, tif) if name is None else _document(path, name, identity)


def _mended(path: Path, tif: TiffFile) -> str | None:
    """A file's own OME-XML that can be read once control characters are replaced and bare
    ampersands are written as XML wants them; None where it is read as it is, or not even so.
    """
    text = tif.pages.first.description if tif.is_ome else ""
    mended = _MISPLACED.sub(_well_placed, text)
    if mended == text or checked_xml(path, text) is not None:
        return None
    return None if checked_xml(path, mended) is None else mended


def _well_placed(found: re.Match[str]) -> str:
    told = found["number"]
    if told is None:
        return "&amp;" if found[0] == "&" else REPLACEMENT
    number = int(told[2:], 16) if told.startswith("#x") else int(told[1:])
    allowed = number <= 0x10FFFF and not _MISPLACED.fullmatch(chr(number))
    return found[0] if allowed or number == ord("&") else REPLACEMENT


def lacking_companion(path: Path, tif: TiffFile) -> tuple[str, ...]:
    """What is to be said where the file that tells of a set is named, and is not beside it, or
    where a file's own OME-XML is garbled; nothing otherwise.
    """
    name, identity = _named(path, tif)
    text = tif.pages.first.description  # tifffile takes what was cut off for no OME-XML
    unheeded = "<OME" in text[:_HEAD] and all(each.kind.lower() != "ome" for each in tif.series)
    if name is None and unheeded and checked_xml(path, text) is None:
        return (f"{path} has OME-XML that is garbled: what it tells is not known.",)
    if name is None or _document(path, name, identity) is not None:
        return ()
    told_by = (
        f"{for_terminal(name)[:80]}, which is not beside it"
        if name
        else "another file, which it does not name"
    )
    return (
        f"{path} is only a part of an image that is described in {told_by}: it is taken by itself, "
        "without the sizes, names and other planes that are told there.",
    )


def _named(path: Path, tif: TiffFile) -> tuple[str | None, str | None]:
    """The file that an image says tells of its set, and the identity of the image; None where it
    tells of itself.
    """
    own = tif.pages.first.description if tif.is_ome else ""
    root = checked_xml(path, own) if _MARK in own else None
    mark = None if root is None else root.find(f"{{*}}{_MARK}")
    if root is None or mark is None:
        return None, None
    return mark.get("MetadataFile", ""), root.get("UUID")


def _document(path: Path, name: str, identity: str | None) -> str | None:
    """What the file of that name beside an image tells, as if it were the image's own."""
    beside = path.parent / name
    if not name or Path(name).name != name or "\0" in name or not beside.is_file():
        return None
    document = checked_xml(beside, _text(beside))
    if document is None or not document.tag.endswith("OME"):
        return None
    document.attrib.pop("UUID", None)
    if identity:
        document.set("UUID", identity)
    return ElementTree.tostring(document, encoding="unicode")


def _text(beside: Path) -> str:
    """The OME-XML in a file that tells of a set: a document of its own, or one of its images."""
    import tifffile

    kind = beside.suffix.lower()
    if kind in IMAGES:
        try:
            with tifffile.TiffFile(beside) as tif:
                return tif.pages.first.description if tif.is_ome else ""
        except (tifffile.TiffFileError, OSError):
            return ""
    if kind not in DOCUMENTS or beside.stat().st_size > LARGEST_BYTES:
        return ""
    return beside.read_text(encoding="utf-8", errors="replace")
