"""Which files are copies of one another."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from napari_mdeblurgan.errors import FileError

_END_BYTES = 1 << 16


def first_copies(paths: Iterable[Path]) -> dict[Path, Path]:
    """For each path the first that has the same bytes, which may be itself; a folder is only like
    itself.

    Files of another size are not opened, and read whole only where both ends are the same.

    Raises
    ------
    FileError
        If one cannot be read.
    """
    first = {path: path for path in paths}
    groups = [[path for path in first if path.is_file()]]
    for told in (_size, _ends, _whole):
        groups = [part for group in groups for part in _parted(group, told)]
    return first | {path: group[0] for group in groups for path in group}


def _parted(paths: list[Path], told: Callable[[Path], object]) -> list[list[Path]]:
    """Those of which the same is told, where there are several."""
    parts: dict[object, list[Path]] = {}
    for path in paths:
        try:
            parts.setdefault(told(path), []).append(path)
        except OSError as error:
            raise FileError(f"{path} cannot be read ({error.strerror}).") from None
    return [part for part in parts.values() if len(part) > 1]


def _size(path: Path) -> int:
    return path.stat().st_size


def _ends(path: Path) -> bytes:
    with path.open("rb") as file:
        start = file.read(_END_BYTES)
        file.seek(max(0, file.seek(0, os.SEEK_END) - _END_BYTES))
        return start + file.read()


def _whole(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
