"""What it means that an image cannot be read: its file, what is known of its kind, or this program
is at fault.
"""

from __future__ import annotations

import errno
import logging
import re
from pathlib import Path
from types import TracebackType

from napari_mdeblurgan.atomic import LOST_DRIVE, in_words
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.formats import packages

_OURS = "napari_mdeblurgan"
DECODERS = frozenset(
    "imagecodecs tifffile PIL zarr numcodecs yaozarrs pydantic pydantic_core zlib lzma _lzma "
    "struct json xml".split()
)
OF_DATA = (OSError, EOFError, UnicodeError)
_ELSEWHERE = LOST_DRIVE | {errno.EMFILE, errno.ENFILE}  # what is wrong is not in the file
UNKNOWN_CODEC = "UnknownCodecError"  # of numcodecs, and of zarr
_MOST = 120  # letters of what somebody else says
# as Python writes a path for programmers, with quotes and the name of its class
PATH = re.compile(r"""\b(?:Pure)?(?:Posix|Windows)Path\((['"])(.*?)\1\)""")

log = logging.getLogger(__name__)


def detail_of(error: Exception) -> str:
    """What an error of a decoder says, on one line and not too long, with paths as users know
    them.
    """
    return " ".join(PATH.sub(r"\2", str(error)).split())[:_MOST] or type(error).__name__


def unreadable(path: Path, error: Exception, *, part: bool = False) -> FileError:
    """Say in one sentence that an image cannot be read, and why.

    A file is called damaged only where a decoder says so, not where its drive is lost. What goes
    wrong in a decoder may be due to the file or to the decoder; what goes wrong in this program is
    not due to the file, and is logged.

    Parameters
    ----------
    path : Path
        The image.
    error : Exception
        What came of reading it.
    part : bool
        Whether a part of it was read.
    """
    detail = detail_of(error)
    what = f"A part of {path}" if part else str(path)
    if isinstance(error, OSError) and error.errno in _ELSEWHERE:
        return FileError(f"{what} cannot be read: {in_words(error)}.")
    raised_in = _package(error.__traceback__)
    decoders = DECODERS.union(packages())
    if type(error).__name__ == UNKNOWN_CODEC:
        return FileError(
            f"{what} is compressed in a way that zarr does not know ({detail}); install the "
            "package of that codec, or save the image with another one, such as zstd."
        )
    broken = (
        isinstance(error, SyntaxError) and raised_in == "PIL"
    )  # as Pillow calls what is no whole PNG
    if broken or isinstance(error, OF_DATA) or _root(type(error).__module__) in decoders:
        return FileError(
            f"{what} cannot be read, it may be damaged or cut short ({detail}); copy it again."
        )
    if raised_in in decoders:
        return FileError(
            f"{what} cannot be read: either it is damaged, or {raised_in} does not know its kind "
            f"({detail}); open it in another program, and save it again as TIFF."
        )
    log.error("reading %s failed", path, exc_info=error)
    kind = type(error).__name__
    return FileError(
        f"{what} cannot be read because of an error in this program, not in the file ({kind}: "
        f"{detail}); see the log, and report it."
    )


def _package(trace: TracebackType | None) -> str:
    """The innermost package, of decoders and this one, in which something was raised."""
    found, decoders = "", DECODERS.union(packages())
    while trace is not None:
        root = _root(trace.tb_frame.f_globals.get("__name__", ""))
        found = root if root == _OURS or root in decoders else found
        trace = trace.tb_next
    return found


def _root(module: str) -> str:
    return module.partition(".")[0]
