"""Files and folders that are either whole or not there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import no_file, real_path

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LOST_DRIVE = {  # a drive, or the way to it
    number
    for name in ("EIO", "ESTALE", "ENODEV", "EREMOTEIO", "EHOSTDOWN", "ENOTCONN")
    if (number := getattr(errno, name, None)) is not None
}
_MENDS = {
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit (`ulimit -n`)",
    **dict.fromkeys(LOST_DRIVE, "see that its drive is connected and in order, and start again"),
}
PART = re.compile(r"\.[0-9a-f]{16}\.part")  # the names of files that are being written


@contextmanager
def replacing(path: str | Path, *, make_folders: bool = False) -> Iterator[BinaryIO]:
    """Open a hidden file beside `path`; once all is written and safe on disk, it takes the place of
    `path`.

    A file that is replaced hands on who may read and write it. If anything goes wrong on the way,
    cancelling included, the hidden file is removed and `path` stays what it was.

    Raises
    ------
    FileError
        If the folder is missing (unless `make_folders`) or not writable, the disk is full, or a
        device or the like has that name.
    """
    refuse_no_file(path)
    target = real_path(path)
    part = target.with_name(f".{_mark(target)}{secrets.token_hex(4)}.part")
    try:
        if make_folders:
            target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("x+b") as handle:
                take_permissions(part, target)
                _hold(handle)
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            part.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FileError(f"{path} cannot be written: {reason_of(error, target.parent)}.") from error


def remove_parts(path: Path) -> None:
    """Remove what a killed process has left of `path`, half-written by `replacing`; what a running
    one is writing stays.
    """
    own = re.compile(rf"\.{_mark(path)}[0-9a-f]{{8}}\.part")
    with contextlib.suppress(OSError):
        for each in path.parent.iterdir():
            if own.fullmatch(each.name):
                with contextlib.suppress(OSError):
                    with each.open("r+b") as handle:
                        held = not _hold(handle)
                    if not held:
                        each.unlink()


def _hold(handle: BinaryIO) -> bool:
    """Take an open file for this process, until it ends or closes it; gives whether that was
    possible. Where a system has no such locks, nothing that is open can be removed.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _mark(target: Path) -> str:
    """By which a hidden file tells what it is to become."""
    return hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]


def take_permissions(new: Path, old: Path) -> None:
    """Let only those read and write a new file who may do so with the one that it replaces, if
    there is one.
    """
    if os.name == "posix":
        with contextlib.suppress(OSError):
            shutil.copymode(old, new)


@contextmanager
def writing_errors(path: Path) -> Iterator[None]:
    """What stands in the way of writing, said in one sentence."""
    try:
        yield
    except OSError as error:
        raise FileError(f"{path} cannot be written: {reason_of(error, path.parent)}.") from error


def refuse_no_file(path: str | Path) -> None:
    """Make sure that nothing that is no file, such as a device, is about to be replaced by one.

    Raises
    ------
    FileError
        If there is such a thing, or a link leads to it.
    """
    if kind := no_file(path):
        raise FileError(f"{path} cannot be written: it is {kind} and no file; choose another name.")


@contextmanager
def all_or_none(folder: Path) -> Iterator[Path]:
    """Make a hidden folder within `folder`; once all is written, what lies in it takes its names in
    `folder`, replacing others.

    If anything goes wrong on the way, cancelling included, the hidden folder is removed and
    `folder` stays what it was.

    Raises
    ------
    FileError
        If `folder` is missing or not writable, or the disk is full.
    """
    work = folder / f".{secrets.token_hex(8)}.part"
    new, old = work / "new", work / "old"
    try:
        try:
            for each in (work, new, old):
                each.mkdir()
            yield new
            for each in sorted(new.iterdir()):
                _take_place(each, folder / each.name, old / each.name)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise FileError(
            f"Folder {folder} cannot be written to: {reason_of(error, folder)}."
        ) from error


def _take_place(new: Path, target: Path, old: Path) -> None:
    """Give something its name; a folder that has it goes to `old`, and comes back if that fails."""
    refuse_no_file(target)
    replaces_folder = target.is_dir()
    if replaces_folder:
        target.rename(old)
    else:
        take_permissions(new, target)
    try:
        new.replace(target)
    except OSError:
        if replaces_folder:
            old.rename(target)
        raise


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for what is needed on the way; it is gone afterwards.

    Raises
    ------
    FileError
        If there is no room for it.
    """
    if lacking := no_temporary_folder():
        raise FileError(f"{lacking[:1].upper()}{lacking[1:]}.")
    place = Path(tempfile.gettempdir())
    try:
        with tempfile.TemporaryDirectory(prefix="mdeblurgan-") as name:
            yield Path(name)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise FileError(
            f"Temporary files cannot be written to {place}: {reason_of(error, place)} with TMPDIR."
        ) from error


def no_temporary_folder() -> str:
    """What is to be mended where no folder for temporary files can be written to; else nothing.

    Libraries fail without one, each with words of its own.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        return (
            "no folder for temporary files can be written to; make room on the disk, or name a "
            "folder with TMPDIR"
        )
    return ""


def in_words(error: OSError) -> str:
    """What an error says, to go on in a sentence, and how to mend it where that is plain."""
    mend = _MENDS.get(error.errno or 0)
    return f"{as_said(error)}; {mend}" if mend else as_said(error)


def as_said(error: OSError) -> str:
    """What an error says, to go on in a sentence."""
    missing = error.filename is None and error.errno in (None, errno.ENOENT)
    if missing and (lacking := no_temporary_folder()):
        return lacking
    text = " ".join((error.strerror or str(error) or type(error).__name__).split()).rstrip(".")
    first = text.split()[0] if text else ""
    return text if first[1:].isupper() else f"{text[:1].lower()}{text[1:]}"  # NAS stays NAS


def reason_of(error: OSError, folder: Path) -> str:
    """Why something cannot be written to `folder`, and how to mend it."""
    match error.errno:
        case errno.ENOENT if error.filename is None and no_temporary_folder():
            return in_words(error)
        case errno.ENOSPC | errno.EDQUOT:
            return "the disk is full; make room or choose another folder"
        case errno.EFBIG:
            return "it would be larger than a file may be there; choose another folder"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
            return f"folder {there} may not be written to; choose another"
        case errno.ENOENT | errno.ENOTDIR | errno.EEXIST if taken := _file_among(
            error.filename, folder
        ):
            return f"{taken} is a file; choose another folder"
        case errno.ENOENT if error.filename and Path(error.filename).parent.is_dir():
            return f"nothing can be made in {Path(error.filename).parent}; choose another folder"
        case errno.ENOENT | errno.EEXIST | errno.ELOOP if link := _lost_among(
            error.filename, folder
        ):
            return f"{link} is a link that leads nowhere; remove it, or choose another folder"
        case errno.ENOENT | errno.ENOTDIR:
            return f"there is no folder {folder}; make it first"
        case errno.EISDIR:
            return "a folder has that name; choose another name"
    return in_words(error)


def _file_among(name: str | None, folder: Path) -> Path | None:
    """What is no folder although one is to be there: what could not be made, the folder it was for,
    or one above that.
    """
    places = (Path(name or folder), folder, *folder.parents)
    return next((place for place in places if place.exists() and not place.is_dir()), None)


def _lost_among(name: str | None, folder: Path) -> Path | None:
    """The link that leads nowhere among what could not be made, the folder it was for, and those
    above that.
    """
    places = (Path(name or folder), folder, *folder.parents)
    return next((place for place in places if place.is_symlink() and not place.exists()), None)
