"""OME-TIFF sets whose OME-XML is in a file of its own, beside planes that only name it
("BinaryOnly").
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from napari_mdeblurgan.plain_text import for_terminal
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


def companion_xml(path: Path, tif: TiffFile) -> str | None:
    """The OME-XML of the set that a file belongs to, as if it were this file's own; None where
    there is no other file.

    Only a file beside it is looked for. Other programs name a set by any of its files, so the
    document is given the identity of this one, by which tifffile knows it among those that it
    opens.

    Raises
    ------
    FileError
        If the other file defines entities.
    """
    name, identity = _named(path, tif)
    return None if name is None else _document(path, name, identity)


def lacking_companion(path: Path, tif: TiffFile) -> tuple[str, ...]:
    """What is to be said where the file that tells of a set is named, and is not beside it; nothing
    otherwise.
    """
    name, identity = _named(path, tif)
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
