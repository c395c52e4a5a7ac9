"""What results are known by, so that none from elsewhere that took the name is taken for one, or
replaced.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

_SAMPLES = 64
SAMPLE_BYTES = 65_536


def mark_of(path: Path) -> str | None:
    """What a result is known by; None if there is nothing of that name.

    Of a file its size, its time of change in ns, and a digest of its ends and of samples between;
    of an OME-Zarr a digest of its metadata.
    """
    try:
        if path.is_dir():
            return hashlib.sha256((path / "zarr.json").read_bytes()).hexdigest()[:16]
        status = path.stat()
        return f"{status.st_size}:{status.st_mtime_ns}:{_digest(path, status.st_size)}"
    except (FileNotFoundError, NotADirectoryError):
        if path.is_dir():
            return "an empty folder"
        return "a link that leads nowhere" if os.path.lexists(path) else None
    except OSError as error:  # a pipe, a file that may not be read: none of ours
        return f"what cannot be read ({error.errno})"


def is_known(path: Path, marks: Iterable[str]) -> bool:
    """Whether a result is one of those that were marked. One that was copied has another time of
    change, but the same content.

    Earlier versions marked files by their sizes alone.
    """
    marks = set(marks)
    if path.is_dir():
        return mark_of(path) in marks
    try:
        status = path.stat()
    except OSError:
        return False
    size, changed, *_ = (str(status.st_size), str(status.st_mtime_ns))
    alike = [mark.split(":") for mark in marks if mark.split(":")[0] == size]
    if any(len(parts) == 1 or parts[1] == changed for parts in alike):
        return True
    return bool(alike) and (mark_of(path) or "").split(":")[-1] in {parts[-1] for parts in alike}


def _digest(path: Path, size: int) -> str:
    digest = hashlib.blake2b(digest_size=8)
    last = max(size - SAMPLE_BYTES, 0)
    starts = sorted({last * number // (_SAMPLES - 1) for number in range(_SAMPLES)})
    if size <= _SAMPLES * SAMPLE_BYTES:
        starts = list(range(0, size, SAMPLE_BYTES))
    with path.open("rb") as file:
        for start in starts:
            file.seek(start)
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()
