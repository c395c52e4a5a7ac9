"""Folders for work in places where others may write too: never a link, never somebody else's.

What lies in a shared folder may have been put there by anybody. So a folder for work is looked at
without following links, it must belong to the user, it must stay the one that it was, and nothing
is removed from it but what was named.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from napari_mdeblurgan.atomic import reason_of
from napari_mdeblurgan.errors import FileError

LINKS = {
    getattr(stat, f"IO_REPARSE_TAG_{kind}", None) for kind in ("SYMLINK", "MOUNT_POINT")
}  # of Windows


def is_link(path: str | Path) -> bool:
    """Whether a path is a symbolic link, or a junction of Windows; one that
    leads nowhere included.
    """
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return False
    return _is_link(status)


def _is_link(status: os.stat_result) -> bool:
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) in LINKS


def refuse_links(paths: Iterable[Path]) -> None:
    """Make sure that none of the files that are about to be written or removed is a link.

    Raises
    ------
    FileError
        Naming the first that is one.
    """
    for path in paths:
        if is_link(path):
            raise FileError(
                f"{path} is a link to something else; remove the link, and start again."
            )


def open_own(path: Path, mode: str) -> IO[Any]:
    """Open a file as `open` does, but not what a link leads to.

    Raises
    ------
    FileError
        If it is a link.
    OSError
        As from `open`.
    """
    refuse_links([path])
    no_link = getattr(os, "O_NOFOLLOW", 0)  # where there is one, not even a link that has just come
    return open(path, mode, opener=lambda name, flags: os.open(name, flags | no_link, 0o666))


def make_own(folder: Path, mode: int = 0o777) -> os.stat_result:
    """Make a folder, or make sure that the one that is there is no link and the user's own; gives
    what it is known by.

    Raises
    ------
    FileError
        If it is a link, a file or another user's, or cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode)
        status = os.lstat(folder)
        if _is_link(status):
            refuse_links([folder])
        if not stat.S_ISDIR(status.st_mode):
            raise FileError(f"{folder} is a file; remove it, or choose another folder.")
        if not _is_ours(status, folder):
            raise FileError(
                f"{folder} belongs to another user; choose another folder, or have it removed."
            )
    except OSError as error:
        raise FileError(f"{folder} cannot be made: {reason_of(error, folder.parent)}.") from error
    return status


def _is_ours(status: os.stat_result, folder: Path) -> bool:
    """Whether a folder has the owner of what we make; on some file systems that is the same one for
    everybody.
    """
    if not hasattr(os, "geteuid") or status.st_uid == os.geteuid():
        return True
    probe = tempfile.mkdtemp(prefix=".", dir=folder.parent)
    try:
        return os.lstat(probe).st_uid == status.st_uid
    finally:
        Path(probe).rmdir()


class OwnFolder:
    """A folder that is made, or found to be the user's own, and from which nothing is removed but
    by name.

    Attributes
    ----------
    path : Path
        Of the folder.

    Raises
    ------
    FileError
        See `make_own`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = make_own(path)

    def make(self, name: str) -> Path:
        """Make a folder in it, or make sure that the one that is there is no link and the user's
        own.

        Raises
        ------
        FileError
            If it is something else, or cannot be made.
        """
        self._still_there()
        make_own(self.path / name)
        return self.path / name

    def names(self, *parts: str) -> list[str]:
        """What lies in it, or in a folder in it that is none behind a link; empty where there is
        none.
        """
        if not self._leads_within(parts):
            return []
        with contextlib.suppress(OSError):
            return sorted(os.listdir(self.path.joinpath(*parts)))  # noqa: PTH208 - names alone
        return []

    def remove(self, *parts: str) -> None:
        """Remove a file, a link or a folder with all that is in it, as far as that can be done; no
        link is followed.
        """
        if not self._leads_within(parts[:-1]):
            return
        path = self.path.joinpath(*parts)
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(os.lstat(path).st_mode) and not is_link(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def remove_empty(self, *parts: str) -> None:
        """Remove a folder in it if there is nothing in that."""
        if self._leads_within(parts):
            with contextlib.suppress(OSError):
                self.path.joinpath(*parts).rmdir()

    def _still_there(self) -> None:
        try:
            status = os.lstat(self.path)
        except OSError as error:
            raise FileError(
                f"{self.path} cannot be used: {reason_of(error, self.path.parent)}."
            ) from error
        if not os.path.samestat(status, self._known):
            raise FileError(f"{self.path} was replaced by another folder meanwhile; start again.")

    def _leads_within(self, parts: tuple[str, ...]) -> bool:
        """Whether the folder is the one that it was, and `parts` are folders in it that are no
        links.
        """
        try:
            self._still_there()
        except FileError:
            return False
        places = [self.path.joinpath(*parts[: n + 1]) for n in range(len(parts))]
        return all(place.is_dir() and not is_link(place) for place in places)
