"""The output folder of a batch: held by one batch at a time, and results get their names in it once they are whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
from pathlib import Path

from napari_mdeblurgan.atomic import reason_of
from napari_mdeblurgan.batch.manifest import MANIFEST, Manifest
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.exclusive import locked
from napari_mdeblurgan.outputs import make_folder
from napari_mdeblurgan.storage.ome_zarr_metadata import PARTIAL

WORK = ".mdeblurgan"
LOCK = "lock"
WORKPLACE = re.compile(r"[0-9a-f]{16}")
RESUMABLE = (".zarr", ".zarr" + PARTIAL)


class OutputFolder:
    """A folder that one batch holds from now on, until `close` or the end of the process, however it ends.

    Attributes
    ----------
    path : Path
        Of the folder, which is made if it is not there.
    work : Path
        A hidden folder in it, for all that is not whole yet.
    manifest : Manifest
        The folder's.

    Raises
    ------
    FileError
        If the folder cannot be made or written to, or another batch holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path))
        self.work = self.path / WORK
        self._lock = locked(path, self.work / LOCK, "batch")
        try:
            self.manifest = Manifest(self.path / MANIFEST)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let other batches have it."""
        self._lock.release()

    def workplace(self, output: str) -> Path:
        """Where the result that will be called `output` is made; not made here."""
        return self.work / workplace_name(output) / output.rpartition("/")[2]

    def clean(self) -> None:
        """Remove what killed runs have left, but for OME-Zarr on its way, which the same image is gone on with."""
        with contextlib.suppress(OSError), os.scandir(self.work) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False) and WORKPLACE.fullmatch(entry.name):
                    _clear(Path(entry.path), RESUMABLE)
                    with contextlib.suppress(OSError):
                        Path(entry.path).rmdir()
                elif entry.name != LOCK:
                    _remove(Path(entry.path))

    def mark(self, output: str) -> str | None:
        """What the file of that name is known by; None if there is none."""
        return mark_of(self.path / output)

    def prepare(self, output: str) -> Path:
        """Make the folders that a result needs, and give where it is to be made.

        Raises
        ------
        FileError
            If they cannot be made.
        """
        place = self.workplace(output)
        make_folder(place.parent)
        make_folder((self.path / output).parent)
        return place

    def place(self, made: Path, output: str) -> Path:
        """Give a result its name, in place of what had it.

        Raises
        ------
        FileError
            If that cannot be done.
        """
        final = self.path / output
        try:
            if final.is_dir():
                aside = self.work / f"replaced-{secrets.token_hex(4)}"
                final.rename(aside)
                made.rename(final)
                shutil.rmtree(aside, ignore_errors=True)
            else:
                made.replace(final)
            flush_folder(final.parent)
        except OSError as error:
            raise FileError(f"{final} cannot be written: {reason_of(error, final.parent)}.") from error
        self.forget(output)
        return final

    def forget(self, output: str) -> None:
        """Remove all that was begun for a result."""
        _remove(self.workplace(output).parent)

    def tidy(self, output: str) -> None:
        """Remove all that was begun for a result and cannot be gone on with."""
        folder = self.workplace(output).parent
        _clear(folder, RESUMABLE)
        with contextlib.suppress(OSError):
            folder.rmdir()


def workplace_name(output: str) -> str:
    """Name of the folder in which a result is made: short, and the same in every run."""
    return hashlib.sha256(output.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def mark_of(path: Path) -> str | None:
    """What a result is known by: the size of a file, a digest of the metadata of an OME-Zarr; None if it is not there."""
    try:
        if path.is_dir():
            return hashlib.sha256((path / "zarr.json").read_bytes()).hexdigest()[:16]
        return str(path.stat().st_size)
    except FileNotFoundError:
        return "an empty folder" if path.is_dir() else None


def flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk itself, where the system can do that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _clear(folder: Path, kept: tuple[str, ...]) -> None:
    with contextlib.suppress(OSError):
        for path in list(folder.iterdir()):
            if not path.name.endswith(kept):
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
