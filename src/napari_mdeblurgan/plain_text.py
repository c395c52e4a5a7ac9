"""Text from strangers, as names of files and channels are: made harmless for metadata, terminals
and spreadsheets.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_BLANK = str.maketrans("\t\n\r\v\f\u2028\u2029", " " * 7)
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
TURNING = frozenset(
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
# what a cell begins with that a spreadsheet may compute
FORMULA = r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"


def for_metadata(text: str) -> str:
    """Text that XML and UTF-8 can hold: line breaks are blanks; other control characters and lone
    surrogates are replaced.
    """
    return "".join(_kept(letter) for letter in text.translate(_BLANK))


def _kept(letter: str) -> str:
    none = unicodedata.category(letter) in ("Cc", "Cs") or ord(letter) & 0xFFFE == 0xFFFE
    return REPLACEMENT if none else letter


def for_utf8(text: str) -> str:
    r"""Text that UTF-8 can hold: what it cannot is escaped, as "\udce9" in the name of a file of
    another encoding.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def for_terminal(text: str) -> str:
    r"""Text that can do nothing to a terminal but be shown: control characters are escaped, as
    "\x1b", but for "\n" and "\t".
    """
    return text if text.isprintable() else "".join(_shown(text))


def _shown(text: str) -> Iterator[str]:
    for letter in text:
        harmful = unicodedata.category(letter) == "Cc" and letter not in "\n\t"
        yield ascii(letter)[1:-1] if harmful or letter in TURNING else letter


def on_one_line(text: str) -> str:
    r"""Text that stays on one line: a line break, as names of files may have, is shown as "\n"."""
    return text.replace("\n", "\\n")


def for_spreadsheet(text: str) -> str:
    """The text of a cell, with a quote before it where a spreadsheet might take it for a formula;
    numbers stay.
    """
    return f"'{text}" if re.match(f"'*{FORMULA}", text) and not _is_number(text) else text


def from_spreadsheet(text: str) -> str:
    """What `for_spreadsheet` was given."""
    return text[1:] if re.match(f"'+{FORMULA}", text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class NotPrinted(OSError):
    """What is printed cannot be written, as where it goes into a file on a full disk."""


class Escaping:
    """A text stream that hands on what is written to it as `for_terminal` has it.

    A carriage return that comes first, as progress bars write it, stays.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text; gives the number of letters of `text`."""
        returned = text[:1] if isinstance(text, str) and text.startswith("\r") else ""
        with _printing():
            self._stream.write(returned + for_terminal(text[len(returned) :]))
        return len(text)

    def flush(self) -> None:
        """Write what is still kept back."""
        with _printing():
            self._stream.flush()

    def writelines(self, lines: Any) -> None:
        """Write one text after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _printing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise NotPrinted(error.errno, error.strerror) from error
