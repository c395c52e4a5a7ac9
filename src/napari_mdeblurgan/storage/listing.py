"""The images in a folder, and in the folders in it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.plain_text import for_utf8
from napari_mdeblurgan.storage import FileImage, listed_images
from napari_mdeblurgan.storage.formats import holds_parts, is_readable

ZARR = ".zarr"
_NOT_OF_THE_USER = re.compile(r"\..*|\$recycle\.bin|[@#]recycle|@eadir|__macosx", re.IGNORECASE)


def image_files(folder: Path) -> list[Path]:
    """The images in a folder and in the folders in it, by name; an OME-Zarr is one image. Hidden
    ones are left out, and so are folders that hold parts of a file beside them, and those that a
    system keeps for what was deleted, for thumbnails and the like.

    Raises
    ------
    FileError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise FileError(f"{folder} is not a folder; name one that holds images.")
    found: list[Path] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        within = [
            name
            for name in folders
            if not _NOT_OF_THE_USER.fullmatch(name) and not holds_parts(name)
        ]
        images = [name for name in within if name.lower().endswith(ZARR)]
        images += [name for name in names if is_readable(name) and not name.startswith(".")]
        found += [Path(place, name) for name in images]
        seen.add(os.path.realpath(place))
        folders[:] = [
            name
            for name in within
            if not name.lower().endswith(ZARR)
            and os.path.realpath(os.path.join(place, name)) not in seen  # noqa: PTH118
        ]
    return sorted(found)


def folder_images(folder: Path, file: Path) -> list[tuple[str, FileImage]]:
    """The images of a file in a folder, with the name of each there: mostly there is one. What
    cannot be read is one, too.
    """
    found = []
    for one in listed_images(file):
        place = for_utf8(one.path.relative_to(folder).as_posix())
        found.append((place if one.image is None else f"{place} [{one.image}]", one))
    return found
