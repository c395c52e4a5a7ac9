"""Folders that results are written to: checked before any work, and made; and paths that are none
of this machine.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from napari_mdeblurgan.atomic import reason_of
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import anything_there, at_home

ADDRESS = re.compile(r"^([a-z][a-z0-9+.-]+):[/\\]{1,3}(?=[^/\\])", re.IGNORECASE)


def local_path(given: str | Path) -> Path:
    """A path of this machine, with ``~`` resolved.

    Raises
    ------
    FileError
        If it is an address, such as one of the web, or no path at all.
    """
    if not isinstance(given, str | os.PathLike):
        raise FileError(
            f"This {type(given).__name__} is no path; give that of a file or a folder, as text or "
            "as a `Path`."
        )
    path = at_home(given)
    if (address := ADDRESS.match(str(given))) and not path.exists():
        scheme, rest = address[1], str(given)[address.end() :]
        root, advice = "", "download it first, or name the folder where it is mounted"
        if scheme.lower() == "file":
            root, advice = "/", f"give its path, /{rest}"
        raise FileError(
            f"{scheme}://{root}{rest} is an address, and only files and folders of this machine "
            f"are read and written; {advice}."
        )
    return path


def nearest(folder: Path) -> Path:
    """What is there already of a path: itself, or else the first above it."""
    return next(place for place in (folder, *folder.absolute().parents) if anything_there(place))


def check_output_folder(folder: Path, purpose: str, *, ours: bool) -> None:
    """Make sure that a folder holds earlier results of the same kind, is empty, or can be made.

    Parameters
    ----------
    folder : Path
        Where the results are to go.
    purpose : str
        What it is for: "the run", "the report".
    ours : bool
        Whether it is known for one of that kind, and may hold anything.

    Raises
    ------
    FileError
        If it is something else, or may not be written to.
    """
    there = nearest(local_path(folder))
    if not there.is_dir():
        raise FileError(f"{there} is a file; name a folder for {purpose}.")
    others = [each.name for each in folder.glob("[!.]*")] if folder.is_dir() and not ours else []
    if others:
        raise FileError(
            f"{folder} holds other files ({others[0]}, …); name a new or empty folder for "
            f"{purpose}."
        )
    if not os.access(there, os.W_OK):
        raise FileError(f"{there} may not be written to; choose another folder for {purpose}.")


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where it is not there.

    Raises
    ------
    FileError
        If it cannot be made, or is there and may not be written to.
    """
    path = local_path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder} cannot be made: {reason_of(error, folder.parent)}.") from error
    if not os.access(path, os.W_OK):
        raise FileError(f"{folder} may not be written to; choose another folder.")
