"""One process at a time in a folder of work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_mdeblurgan.atomic import reason_of
from napari_mdeblurgan.errors import FileError

if TYPE_CHECKING:
    from filelock import BaseFileLock


def locked(given: Path, lock: Path, work: str) -> BaseFileLock:
    """Take a folder for this process alone, until the lock is released or the process ends, however it does.

    Parameters
    ----------
    given : Path
        The folder, as its user calls it.
    lock : Path
        A file in it, or deeper; its folder is made where it is not there.
    work : str
        What is done there: "batch", "training".

    Raises
    ------
    FileError
        If another process has it, or it cannot be written to.
    """
    from filelock import FileLock, Timeout

    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        taken = FileLock(lock, timeout=0, thread_local=False)
        taken.acquire()
    except Timeout:
        raise FileError(
            f"Another {work} is at work in {given}; wait until it has finished, or choose another folder."
        ) from None
    except (FileExistsError, NotADirectoryError):
        raise FileError(f"{given} is a file; choose a folder for the results.") from None
    except NotImplementedError:
        raise FileError(f"{given} is on a file system without locks; choose a folder on another one.") from None
    except OSError as error:
        raise FileError(f"{given} cannot be written to: {reason_of(error, given)}.") from error
    return taken
