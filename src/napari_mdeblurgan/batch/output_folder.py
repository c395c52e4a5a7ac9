"""The output folder of a batch: held by one batch at a time, and results get their names in it once
they are whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from napari_mdeblurgan.atomic import PART, refuse_no_file, take_permissions, writing_errors
from napari_mdeblurgan.batch.manifest import MANIFEST, Manifest
from napari_mdeblurgan.batch.marks import is_known
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.exclusive import locked
from napari_mdeblurgan.outputs import make_folder
from napari_mdeblurgan.own_folder import OwnFolder, is_link, open_own, refuse_links
from napari_mdeblurgan.storage.map_places import map_path
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import PARTIAL

WORK = ".mdeblurgan"
LOCK = "lock"
GROWN = "large.ome.zarr"  # what a large result of another format grows in
REPLACED = "replaced"
REPORT = ".html"
OF_A_RUN = re.compile(r"[0-9a-f]{8}")  # the folder that workers of a cluster write small results to
RESUMABLE = (".zarr", ".zarr" + PARTIAL)
NO_SECOND_NAME = {
    errno.EPERM,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.EMLINK,
    errno.EXDEV,
    errno.EACCES,
}


class OutputFolder:
    """A folder that one batch holds from now on, until `close` or the end of the process, however
    it ends.

    Attributes
    ----------
    path : Path
        Of the folder, which is made if it is not there.
    work : Path
        A hidden folder in it, for all that is not whole yet: no link, and the user's own.
    manifest : Manifest
        The folder's.
    notes : tuple of str
        What the user should know, one sentence each.

    Raises
    ------
    FileError
        If the folder cannot be made or written to, another batch holds it, or what is to hold its
        work is a link or another user's.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path))
        self.work = self.path / WORK
        if self.path.exists() and not self.path.is_dir():
            raise FileError(f"{path} is a file; choose a folder for the results.")
        self._own = OwnFolder(self.work)
        self._lock = locked(path, self.work / LOCK, "batch")
        self.notes = (self._lock.note,) if self._lock.note else ()
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
        """Remove what killed runs have left, but for OME-Zarr on its way, which the same image is
        gone on with.

        Nothing but what the manifest says was begun.
        """
        there = set(self._own.names())
        for output in self.manifest.begun:
            if workplace_name(output) in there:
                self.tidy(output)

    def is_there(self, output: str) -> bool:
        """Whether there is anything of that name."""
        return os.path.lexists(self.path / output)

    def has(self, output: str, marks: frozenset[str]) -> bool:
        """Whether what is there of that name is known by one of the marks."""
        return is_known(self.path / output, marks)

    def holds(self, work: str, mark: str) -> bool:
        """Whether a result that lacks but its name is where the manifest says that it was made, and
        not behind a link.
        """
        folder, _, name = work.rpartition("/")
        within = name in self._own.names(*folder.split("/")) if folder else False
        return within and not is_link(self.work / work) and is_known(self.work / work, {mark})

    def prepare(self, output: str) -> Path:
        """Make the folders that a result needs, and give where it is to be made.

        Raises
        ------
        FileError
            If they cannot be made, or something else has their names.
        """
        self.manifest.begin(output)
        self._own.make(workplace_name(output))
        make_folder((self.path / output).parent)
        return self.workplace(output)

    def place(self, made: Path, output: str, replacing: bool = False) -> Path:
        """Give a result its name, in place of what had it if that is wished.

        Raises
        ------
        FileError
            If that cannot be done, or something has that name that is not to be replaced.
        """
        final = self.path / output
        refuse_no_file(final)
        with writing_errors(final):
            if not replacing:
                _name_first(made, final)
            elif final.is_dir():
                aside = self._own.make(workplace_name(output)) / REPLACED
                self._own.remove(workplace_name(output), REPLACED)
                final.rename(aside)
                made.rename(final)
            else:
                take_permissions(made, final)
                made.replace(final)
            flush_folder(final.parent)
        self.forget(output)
        return final

    def place_report(self, made: Path, output: str, replacing: bool) -> None:
        """Give the report of a result its name, where there is one; else remove that of what the
        result takes the place of.

        Parameters
        ----------
        made : Path
            The result, with its report beside it.
        output : str
            What the result is called.
        replacing : bool
            Whether what has the report's name may go.

        Raises
        ------
        FileError
            As from `place`.
        """
        page, final = made.with_name(report_name(made.name)), self.path / report_name(output)
        with writing_errors(final):
            if page.is_file() and not is_link(page):
                if replacing and os.path.lexists(final):
                    page.replace(final)
                else:
                    _name_first(page, final)
            elif replacing:
                final.unlink(missing_ok=True)

    def place_maps(
        self, made: Path, output: str, names: Sequence[str], own: Collection[str], overwrite: bool
    ) -> None:
        """Give the maps of a result their names, and remove those of what the result takes the
        place of.

        Parameters
        ----------
        made : Path
            The result, with its maps beside it, but for those that have their names already.
        output : str
            What the result is called.
        names : sequence of str
            Of its maps, without their folder.
        own : collection of str
            Names of maps of earlier results: they may be replaced, and go where the result has no
            such map.
        overwrite : bool
            Whether any others may be replaced as well.

        Raises
        ------
        FileError
            As from `place`.
        """
        for name in (*names, *(each for each in own if each not in names)):
            beside, final = made.with_name(name), (self.path / output).with_name(name)
            with writing_errors(final):
                if name not in names:
                    final.unlink(missing_ok=True)
                elif beside.is_file() and not is_link(beside):
                    if (overwrite or name in own) and os.path.lexists(final):
                        beside.replace(final)
                    else:
                        _name_first(beside, final)

    def write(self, name: str, content: bytes) -> Path:
        """Write a file of the batch's own, in place of the one that is there.

        Raises
        ------
        FileError
            If it cannot be written, or its name is that of a link.
        """
        part, final = self.work / name, self.path / name
        refuse_links([part, final])
        refuse_no_file(final)
        with writing_errors(final):
            try:
                with open_own(part, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(final)
            except OSError:
                self._own.remove(name)
                raise
        return final

    def forget(self, output: str) -> None:
        """Remove all that was begun for a result."""
        self._clear(output, ())

    def forget_done(self, output: str) -> None:
        """Remove what a run has left that was killed after it gave a result its name."""
        if os.path.lexists(self.work / workplace_name(output)):
            self.forget(output)

    def tidy(self, output: str) -> None:
        """Remove all that was begun for a result and cannot be gone on with."""
        self._clear(output, RESUMABLE)

    def _clear(self, output: str, kept: tuple[str, ...]) -> None:
        """Remove from the folder for a result what is made there; what else lies in it stays, and
        the folder with it.
        """
        folder, name = workplace_name(output), output.rpartition("/")[2]
        for parts in self._made(folder, name):
            if not parts[-1].endswith(kept or "/"):
                self._own.remove(*parts)
        for each in self._own.names(folder):
            if OF_A_RUN.fullmatch(each):
                self._own.remove_empty(folder, each)
        self._own.remove_empty(folder)

    def _made(self, folder: str, name: str) -> Iterator[tuple[str, ...]]:
        """What lies in the folder for a result of that name and is made there by a batch."""
        ours = {
            name,
            report_name(name),
            *map_names(name),
            name + PARTIAL,
            GROWN,
            GROWN + PARTIAL,
            REPLACED,
        }
        for each in self._own.names(folder):
            if each in ours or PART.fullmatch(each):
                yield folder, each
            elif OF_A_RUN.fullmatch(each):
                yield from (
                    (folder, each, inner)
                    for inner in self._own.names(folder, each)
                    if inner in ours or PART.fullmatch(inner)
                )


def workplace_name(output: str) -> str:
    """Name of the folder in which a result is made: short, and the same in every run."""
    return hashlib.sha256(output.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def report_name(output: str) -> str:
    """What the report on a result is called: ``a.ome.tif`` → ``a.ome.tif.html``."""
    return output + REPORT


def keeps_maps(output: str) -> bool:
    """Whether the maps of a result lie beside it: of an OME-TIFF, as no other result of a batch can
    have such a name.
    """
    return output.endswith(".ome.tif")


def map_names(output: str) -> list[str]:
    """What the maps of a result may be called: ``a.ome.tif`` → ``a-error.tif``, and others."""
    from napari_mdeblurgan.trust.maps import MAPS

    return [map_path(Path(output), name).name for name in MAPS] if keeps_maps(output) else []


def flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk itself, where the system can do that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _name_first(made: Path, final: Path) -> None:
    """Give a result a name that nothing has.

    Raises
    ------
    FileError
        If something has taken the name meanwhile.
    """
    taken = (
        f"{final} is there already, from elsewhere; move it away, or let it be overwritten "
        "(--overwrite)."
    )
    try:
        if os.path.lexists(final):
            raise FileError(taken)
        if made.is_dir():
            made.rename(final)
            return
        try:
            os.link(
                made, final, follow_symlinks=False
            )  # which replaces nothing, not even what has just come
        except FileExistsError:
            raise
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in NO_SECOND_NAME:
                raise
            made.rename(final)
        else:
            made.unlink()
    except FileExistsError:
        raise FileError(taken) from None
