"""The way back: the model out of a package that was exported here, into the folder of the user's
models.

Of the archive, nothing is used but its one safetensors file, which is read as any other model file
is: without trust. The ONNX and TorchScript files, the description and whatever else may lie in it
are never opened.
"""

from __future__ import annotations

import lzma
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_mdeblurgan.atomic import NO_SPACE, replacing, temporary_folder
from napari_mdeblurgan.errors import ExportError, ImportMisused
from napari_mdeblurgan.exclusive import claimed
from napari_mdeblurgan.folders import at_home, no_file
from napari_mdeblurgan.model import (
    BUNDLED_FOLDER,
    check_own_models,
    load_model,
    read_card,
    user_model_folder,
)
from napari_mdeblurgan.model_card import is_safe_name
from napari_mdeblurgan.model_file import SUFFIX

MOST_ENTRIES = 1000
MOST_BYTES = 8 << 30
MOST_SQUEEZED = 50  # trained weights hardly shrink; what shrinks more is no model
_CHUNK = 1 << 20


def import_package(
    path: str | Path, name: str = "", *, overwrite: bool = False
) -> tuple[str, Path]:
    """Put a package's model among the user's own.

    Parameters
    ----------
    path : str or Path
        A .zip that `export_package` wrote.
    name : str
        What to call the model; by default what its card says.
    overwrite : bool
        Replace a model of that name.

    Returns
    -------
    (str, Path)
        The model's name and its file.

    Raises
    ------
    ImportMisused
        If there is no such archive, or the name cannot be used.
    ExportError
        If it is damaged or made to do harm, or holds no model.
    ModelError
        If the model in it is refused.
    FileError
        If it cannot be written.
    """
    path = at_home(path)
    check_own_models()
    with temporary_folder() as folder:
        taken = folder / f"{path.stem[:80] or 'model'}{SUFFIX}"
        with _opened(path) as archive:
            _take(archive, _model_in(archive, path.name), taken, path.name)
        name = name or read_card(taken).name
        target = _target(name, overwrite)
        load_model(taken)  # refuses what is not sound
        with claimed(target):
            _target(name, overwrite)  # as another import may have put it there meanwhile
            with taken.open("rb") as content, replacing(target) as out:
                shutil.copyfileobj(content, out)
    return name, target


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive; whatever is wrong with it becomes one sentence."""
    if kind := no_file(path):
        raise ImportMisused(f"{path} is {kind} and no file; name the .zip that was exported.")
    if path.suffix.lower() == SUFFIX:
        raise ImportMisused(
            f"{path.name} is a model by itself and no package; copy it into {user_model_folder()}, "
            "or name it by its path."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError:
        raise ImportMisused(f"There is no file {path}; check its name.") from None
    except IsADirectoryError:
        raise ImportMisused(f"{path} is a folder; name the .zip that was exported.") from None
    except (
        zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError,
        UnicodeError,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise ExportError(
            f"{path.name} is no archive that can be read ({reason}); fetch or export it again."
        ) from None
    except OSError as error:
        if error.errno in NO_SPACE:  # where it is unpacked
            raise
        raise ExportError(
            f"{path} cannot be unpacked ({error.strerror or error}); mend that and try again."
        ) from None


def _model_in(archive: zipfile.ZipFile, file: str) -> zipfile.ZipInfo:
    """The entry of the model, once nothing about the archive is suspicious."""
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise ExportError(
            f"{file} holds {len(entries)} files; a package of one model holds a dozen, so it is "
            "refused."
        )
    for entry in entries:
        if _leads_out(entry.filename):
            raise ExportError(
                f"{file} holds a file that would lie outside of it ({entry.filename[:60]!r}); it "
                "is refused."
            )
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ExportError(
                f"{file} holds a link ({entry.filename[:60]!r}), as no exported package does; it "
                "is refused."
            )
    models = [
        entry
        for entry in entries
        if entry.filename.endswith(SUFFIX)
        and not entry.is_dir()
        and not entry.filename.rpartition("/")[2].startswith("._")  # what macOS puts beside a file
    ]
    if len(models) != 1:
        raise ExportError(
            f"{file} holds {len(models) or 'no'} {SUFFIX} files; only a package that `mdeblurgan "
            "export` wrote, of one model, can be imported."
        )
    (model,) = models
    if model.flag_bits & 1:
        raise ExportError(f"{file} is encrypted; unpack it and use the {SUFFIX} file in it.")
    if model.file_size > MOST_BYTES or model.file_size > MOST_SQUEEZED * max(
        model.compress_size, 1
    ):
        raise ExportError(
            f"{file} would unpack to {model.file_size} bytes from {model.compress_size}; no model "
            "does, so it is refused."
        )
    return model


def _leads_out(name: str) -> bool:
    return (
        bool(re.match(r"[/\\]|[A-Za-z]:", name)) or ".." in re.split(r"[/\\]", name) or "\0" in name
    )


def _take(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, file: str) -> None:
    """Unpack one entry, and never more than it says it holds."""
    left = entry.file_size
    with archive.open(entry) as source, target.open("wb") as out:
        while part := source.read(_CHUNK):
            left -= len(part)
            if left < 0:
                raise ExportError(f"{file} holds more than it says; it is refused.")
            out.write(part)


def _target(name: str, overwrite: bool) -> Path:
    if not is_safe_name(name):
        raise ImportMisused(
            f"{name[:60]!r} cannot be a model's name; choose one of letters, digits, spaces and . "
            "+ - _ ( )."
        )
    if (BUNDLED_FOLDER / f"{name}{SUFFIX}").exists():
        raise ImportMisused(
            f"A model called {name} comes with the plugin; choose another name with --name."
        )
    target = user_model_folder() / f"{name}{SUFFIX}"
    if target.exists() and not overwrite:
        raise ImportMisused(
            f"There is a model called {name} already; choose another with --name, or add "
            "--overwrite."
        )
    return target
