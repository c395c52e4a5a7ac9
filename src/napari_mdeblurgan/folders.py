"""Paths as they are given and as they are meant; and where the package keeps what it can fetch or
make again.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "MDEBLURGAN_CACHE"
NO_FILES = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def at_home(path: str | Path) -> Path:
    """A path with ``~`` resolved; as it is given where it names a user that is not there."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def real_path(path: str | Path) -> Path:
    """A path as a whole, with links followed as far as they lead somewhere; `Path.resolve` fails
    where they go in a circle.
    """
    return Path(os.path.realpath(path))


def anything_there(path: str | Path) -> bool:
    """Whether a path leads anywhere: not, where nobody can tell, as on a share that has gone, in a
    folder of somebody else, or of a name that is too long. `Path.exists` fails there.
    """
    return os.path.exists(path)  # noqa: PTH110


def folder_there(path: str | Path) -> bool:
    """Whether a path leads to a folder; see `anything_there`."""
    return os.path.isdir(path)  # noqa: PTH112


def file_there(path: str | Path) -> bool:
    """Whether a path leads to a file; see `anything_there`."""
    return os.path.isfile(path)  # noqa: PTH113


def no_file(path: str | Path) -> str | None:
    """What stands at a path, or where a link there leads, that is neither a file nor a folder: "a
    pipe"; None for all else.

    Reading from such a thing may wait for ever, and what takes its place may be missed by the whole
    system.
    """
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return "a link that goes in a circle" if error.errno == errno.ELOOP else None
    except ValueError:  # a NUL in it
        return None
    return NO_FILES.get(stat.S_IFMT(mode))


def cache_folder() -> Path:
    """The folder that MDEBLURGAN_CACHE of the environment names, or the user's cache folder; it may
    not be there yet.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    return at_home(chosen) if chosen else platformdirs.user_cache_path("napari-mdeblurgan")
