"""One process at a time in a folder of work: the one kind of lock that there is."""

from __future__ import annotations

import contextlib
import errno
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.atomic import reason_of, remove_parts
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.own_folder import refuse_links

if TYPE_CHECKING:
    from filelock import BaseFileLock

NO_LOCKS = {
    errno.ENOLCK,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
}  # as NFS without lockd, FUSE, …


class Busy(FileError):
    """Another process has it."""


class Lock:
    """Hold of something until `release` or the end of the process, however it ends; to be used in a
    ``with`` block, too.

    Attributes
    ----------
    note : str
        What the user should know, in one sentence, where the file system has no locks; else empty.
    """

    def __init__(
        self, held: BaseFileLock | None, path: Path, note: str = "", *, temporary: bool = False
    ) -> None:
        self._held, self._path, self._temporary = held, path, temporary
        self.note = note

    def release(self) -> None:
        """Let others have it."""
        if self._temporary:
            with contextlib.suppress(
                OSError
            ):  # Windows removes no file that is open, but this one when it is released
                self._path.unlink()
        if self._held is not None:
            self._held.release()

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def locked(
    given: Path, lock: Path, work: str, *, wait_s: float = 0, temporary: bool = False
) -> Lock:
    """Take a folder, or a file, for this process alone; where the file system has no locks, go on
    with a sentence.

    Parameters
    ----------
    given : Path
        What is taken, as its user calls it.
    lock : Path
        A file in it, deeper, or beside it; its folder is made where it is not there.
    work : str
        What is done there: "batch", "training".
    wait_s : float
        How long to wait for another process to let go of it.
    temporary : bool
        Remove the file when it is released.

    Raises
    ------
    Busy
        If another process has it.
    FileError
        If it cannot be written to, or the lock is a link.
    """
    from filelock import FileLock, Timeout

    refuse_links([lock])
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock, timeout=wait_s, thread_local=False, **_options(FileLock))
        held.acquire()
    except Timeout:
        raise Busy(
            f"Another {work} is at work in {given}; wait until it has finished, or choose another "
            "folder."
        ) from None
    except (FileExistsError, NotADirectoryError):
        raise FileError(f"{given} is a file; choose a folder for the results.") from None
    except NotImplementedError:
        return _without(given, lock, work, temporary)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return _without(given, lock, work, temporary)
        raise FileError(f"{given} cannot be written to: {reason_of(error, given)}.") from error
    return Lock(held, lock, temporary=temporary)


def claimed(output: Path) -> Lock:
    """Take a result that is to be made for this process alone, see `locked`, and remove what a
    killed one has left of it half-written.
    """
    try:
        lock = locked(output, output.with_name(output.name + ".lock"), "process", temporary=True)
    except Busy:
        raise Busy(
            f"{output} is being made elsewhere, by another command or window; wait until that has "
            "ended, or choose another name."
        ) from None
    if not lock.note and not output.is_symlink():  # where it leads, another lock counts
        remove_parts(output)
    return lock


def is_held(lock: Path) -> bool:
    """Whether another process, or another part of this one, has taken a lock
    that `locked` makes.
    """
    if not lock.exists():
        return False
    try:
        locked(lock.parent, lock, "process").release()
    except Busy:
        return True
    except FileError:
        return False
    return False


def _without(given: Path, lock: Path, work: str, temporary: bool) -> Lock:
    note = (
        f"{given} is on a file system without locks; see to it that no other {work} uses it at "
        "the same time."
    )
    return Lock(None, lock, note, temporary=temporary)


def _options(kind: Any) -> dict[str, Any]:
    """A mark in the file instead of a lock would stay after a kill, so that none is wanted."""
    return (
        {"fallback_to_soft": False}
        if "fallback_to_soft" in inspect.signature(kind.__init__).parameters
        else {}
    )
