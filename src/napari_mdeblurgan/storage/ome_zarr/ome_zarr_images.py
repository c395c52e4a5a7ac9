"""Which images an OME-Zarr holds: itself, the fields of a plate or a well, those of any other
collection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import file_there, folder_there, no_file, real_path
from napari_mdeblurgan.storage.several import FileImage, unique_names

DEEPEST = 4  # folders below the one that is named: plate, row, well and field
METADATA = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
_LABELS = "labels"  # name of the group that they are in
NO_IMAGES = (_LABELS, "OME")  # names of groups that hold something else


@dataclass(frozen=True, slots=True)
class ZarrImage:
    """An image of an OME-Zarr.

    Attributes
    ----------
    name : str
        Its path within the folder that was looked through; of a folder that is an image itself,
        what the metadata call it.
    path : Path
        Its own folder.
    number : int
        Which of the multiscale images that the metadata of its folder describe.
    own : str or None
        Its name among these, where they are several.
    """

    name: str
    path: Path
    number: int = 0
    own: str | None = None


def is_zarr(path: Path) -> bool:
    """Whether a path is a folder with zarr inside."""
    return folder_there(path) and any(file_there(path / name) for name in METADATA)


def is_image_folder(path: Path) -> bool:
    """Whether a folder is to be read as OME-Zarr: also a part of one that has no metadata, such as
    the row of a plate.
    """
    if is_zarr(path):
        return True
    named = any(each.suffix.lower() == ".zarr" for each in (path, *path.absolute().parents))
    return named and folder_there(path) and bool(zarr_images(path))


def zarr_images(path: Path) -> list[ZarrImage]:
    """The images of a folder in the order of its metadata, or else by name; labels are none. Pixels
    are not looked at.
    """
    return list(_images(path, path, DEEPEST))


def file_images(path: Path) -> list[FileImage]:
    """The same, each named by its own folder, and by a name only where its folder describes
    several.
    """
    found = zarr_images(path)
    return [FileImage(each.path, each.own, each.name if len(found) > 1 else "") for each in found]


def zarr_root(path: Path) -> Path:
    """The outermost OME-Zarr that a folder belongs to; itself where it lies in no other."""
    path = path.absolute()
    outermost = next(
        (parent for parent in reversed(path.parents) if parent.suffix.lower() == ".zarr"), None
    )
    if outermost is not None:
        return outermost
    while is_zarr(path.parent):
        path = path.parent
    return path


def zarr_title(path: Path) -> str:
    """What an image is called: its OME-Zarr, and where it lies in that; "plate A/1/0"."""
    root = zarr_root(path)
    name = re.sub(r"(\.ome)?\.zarr$", "", root.name, flags=re.IGNORECASE)
    place = path.absolute().relative_to(root).as_posix()
    return name if place == "." else f"{name} {place}"


def refuse_labels(path: Path, attributes: Mapping[str, Any]) -> None:
    """Make sure that a group does not hold labels, whose numbers are names of objects.

    Raises
    ------
    FileError
        If it does.
    """
    if _is_label(path, attributes):
        raise FileError(
            f"{path} holds labels, whose numbers are names of objects and no intensities; name "
            "the image that they belong to."
        )


def _is_label(path: Path, attributes: Mapping[str, Any]) -> bool:
    ome = _ome(attributes)
    if (
        "image-label" in ome
        or "image-label" in attributes
        or (_labels(attributes) and "multiscales" not in ome)
    ):
        return True
    place = real_path(path)  # labels that a link leads to are labels
    listed = place.name in _labels(_attributes(place.parent))
    return listed or (place.parent.name == _LABELS and bool(_labels(_attributes(place.parent))))


def _labels(attributes: Mapping[str, Any]) -> list[Any]:
    """Names of the label images of a group, as its metadata list them."""
    found = _ome(attributes).get("labels", attributes.get("labels"))
    return found if isinstance(found, list) else []


def _images(path: Path, top: Path, depth: int) -> Iterator[ZarrImage]:
    attributes = _attributes(path)
    ome = _ome(attributes)
    multiscales = ome.get("multiscales")
    if _is_array(path) or _is_label(path, attributes):
        return
    if isinstance(multiscales, list) and multiscales:
        yield from _own_images(path, top, multiscales)
    elif depth > 0:
        for child in _children(path, ome):
            yield from _images(child, top, depth - 1)


def _own_images(path: Path, top: Path, multiscales: list[Any]) -> Iterator[ZarrImage]:
    """The images that the metadata of one folder describe: mostly one."""
    place = "" if path == top else path.relative_to(top).as_posix()
    if len(multiscales) == 1 and place:
        yield ZarrImage(place, path)
        return
    names = unique_names(
        str(each.get("name") or "") if isinstance(each, Mapping) else "" for each in multiscales
    )
    for number, name in enumerate(names):
        own = name if len(names) > 1 else None
        yield ZarrImage(f"{place}/{name}" if place else name, path, number, own)


def _children(path: Path, ome: Mapping[str, Any]) -> list[Path]:
    """The folders that a group's metadata name, as far as they are there; all that may hold images,
    where they name none.
    """
    named = _named(path, ome)
    if named is not None:
        return [
            child for child in (path / name for name in named if _within(name)) if child.is_dir()
        ]
    try:
        folders = [child for child in path.iterdir() if child.is_dir()]
    except OSError:
        return []
    kept = [
        child for child in folders if not child.name.startswith(".") and child.name not in NO_IMAGES
    ]
    return sorted((child for child in kept if not _is_array(child)), key=_counted)


def _named(path: Path, ome: Mapping[str, Any]) -> list[str] | None:
    """Paths of the wells of a plate, the fields of a well, the series of a conversion; None for
    anything else.
    """
    match ome:
        case {"plate": {"wells": list(entries)}} | {"well": {"images": list(entries)}}:
            return [
                str(entry["path"])
                for entry in entries
                if isinstance(entry, Mapping) and "path" in entry
            ]
        case {"bioformats2raw.layout": _}:
            series = _ome(_attributes(path / "OME")).get("series")
            return [str(name) for name in series] if isinstance(series, list) else None
    return None


def _within(name: str) -> bool:
    place = PurePosixPath(name)
    return (
        not place.is_absolute()
        and ".." not in place.parts
        and "\\" not in name
        and bool(place.parts)
    )


def _is_array(path: Path) -> bool:
    return (path / ".zarray").is_file() or _document(path / "zarr.json").get("node_type") == "array"


def _attributes(path: Path) -> Mapping[str, Any]:
    """The attributes of a group; none where there is no group, or they cannot be read."""
    document = _document(path / "zarr.json")
    if not document:
        return _document(path / ".zattrs")
    attributes = document.get("attributes")
    return attributes if isinstance(attributes, Mapping) else {}


def _document(path: Path) -> Mapping[str, Any]:
    if no_file(path):
        return {}
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _ome(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    ome = attributes.get("ome", attributes)
    return ome if isinstance(ome, Mapping) else {}


def _counted(path: Path) -> list[tuple[int, str]]:
    """Names as people sort them: 2 before 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"(\d+)", path.name)
    ]
