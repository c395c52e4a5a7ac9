"""What lies in the place of a file that was not fetched: a pointer of Git LFS, or a web page."""

from __future__ import annotations

LONGEST_START = 64  # bytes of a file that tell
_POINTER = b"version https://git-lfs"
_PAGES = (b"<!doctype html", b"<html")


def stand_in(start: bytes) -> str | None:
    """What a file is that begins so, and what to do about it; None for what may be the file itself.

    Parameters
    ----------
    start : bytes
        The first bytes of the file, `LONGEST_START` of them or more.
    """
    if start.startswith(_POINTER):
        return "a pointer of Git LFS and not the file itself; fetch that with: git lfs pull"
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_PAGES):
        return "a web page and not the file itself; download that again"
    return None
