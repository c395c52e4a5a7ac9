"""Files of several images: what each is called, which one is taken, and how that is said."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

from napari_mdeblurgan.errors import NoSuchImage

_OURS = (__name__.split(".")[0], "contextlib")
_NAMED = 6  # names that one sentence lists


class SeveralImagesWarning(UserWarning):
    """A file holds several images, and it was not said which of them is to be read."""


class ImageList(NamedTuple):
    """The images of a file.

    Attributes
    ----------
    names : tuple of str
        In the order of the file; no two are the same.
    default : int
        Number of the one that is read where none is named.
    beginning : Path or None
        The file that the images begin in, where that is another one, which the file only holds
        further planes for.
    """

    names: tuple[str, ...]
    default: int = 0
    beginning: Path | None = None


@dataclass(frozen=True, slots=True)
class FileImage:
    """One image of a file, as `read_image` and `open_image` take it.

    Attributes
    ----------
    path : Path
        The file; of an OME-Zarr the folder of the image itself, where it has one of its own.
    image : str or None
        Which image of the file; None where `path` holds no other.
    name : str
        What tells it from the other images of the file that it was found in; empty where there are
        none.
    """

    path: Path
    image: str | None = None
    name: str = ""

    def __str__(self) -> str:
        return str(self.path) if self.image is None else f"{self.path} [{self.image}]"


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """A name for each image: its own, else its number from 0; the second of a
    name has "#2" added.
    """
    found: list[str] = []
    for number, given in enumerate(names):
        plain = " ".join(given.split()) or str(number)
        name, count = plain, 1
        while name in found:
            count += 1
            name = f"{plain} #{count}"
        found.append(name)
    return tuple(found)


def chosen(path: Path, names: Sequence[str], image: str | int | None, default: int = 0) -> int:
    """Which image of a file is meant: by its name, or else by its number from 0.

    Parameters
    ----------
    path : Path
        The file, for messages.
    names : sequence of str
        Of its images.
    image : str, int or None
        What is wished for; None takes the default.
    default : int
        Number of the image that is taken where none is named.

    Raises
    ------
    NoSuchImage
        If there is none.

    Warns
    -----
    SeveralImagesWarning
        If none is named and there are several.
    """
    if image is None:
        if len(names) > 1:
            warnings.warn(
                which_image(path, names, default, "image="),
                SeveralImagesWarning,
                stacklevel=_callers_level(),
            )
        return default
    if isinstance(image, str) and image in names:
        return names.index(image)
    if isinstance(image, str):
        number = int(image) if image.isascii() and image.isdigit() else -1
    else:
        number = int(image) if isinstance(image, Integral) else -1
    if not 0 <= number < len(names):
        raise NoSuchImage(
            f"{path} has no image {_quoted(str(image))}; name one of those that it has: "
            f"{_listed(names)}."
        )
    return number


def _callers_level() -> int:
    """How many frames lie between the one that calls this and the first outside of this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in _OURS:
        frame, level = frame.f_back, level + 1
    return level


def which_image(path: Path, names: Sequence[str], taken: int, how: str) -> str:
    """One sentence: which image of a file is taken, and how to take another; empty if there is but
    one.

    Parameters
    ----------
    path : Path
        The file.
    names : sequence of str
        Of its images.
    taken : int
        Number of the one that is taken.
    how : str
        What is written before a name to take that.
    """
    if len(names) < 2:
        return ""
    others = [name for number, name in enumerate(names) if number != taken]
    return (
        f"{path} holds {len(names)} images, of which {_quoted(names[taken])} is taken; one of the "
        f"others is taken by {how}NAME: {_listed(others)}."
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(map(_quoted, names[:_NAMED])) + more


def _quoted(name: str) -> str:
    return f'"{name}"'
