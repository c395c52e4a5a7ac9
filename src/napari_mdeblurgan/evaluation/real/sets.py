"""Which real images there are to judge by: described in a `real.toml`, known to the package, or
simply a folder of planes.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.plain_text import for_utf8
from napari_mdeblurgan.storage.formats import is_readable

_DESCRIPTION = "real.toml"
_KNOWN = Path(__file__).with_name("sets.toml")
DEEP = 2  # folders within folders that are looked into
_FEWEST = 2  # planes of a focus series
NUMBER = re.compile(
    r"(?:(minus|plus)[_ ]?|(?:^|(?<=[_ ,;=(]))([-+]))?(\d+(?:\.\d+)?)", re.IGNORECASE
)


class Description(BaseModel):
    """One set of images, as a `real.toml` says it under ``[[set]]``.

    Attributes
    ----------
    name : str
        What tables call it.
    kind : {"focus-series", "pairs"}
        Planes of one field at several distances from focus; or images, each with a sharper one of
        the same place.
    images : tuple of str
        Names or patterns of the planes, or of the blurred images of pairs, within the folder.
    truth : str
        The sharper image of pairs.
    folder : str
        Name of the folder that they lie in; empty for the one of the description.
    in_focus : float or None
        Number of the plane that is in focus and the truth everywhere; without it the truth at each
        place is the sharpest plane.
    unit : str
        What the numbers in the names count, from focus: steps or µm, for example. Empty where they
        are no distances.
    registered : bool
        Whether the images lie on each other already.
    ratio : float or None
        Pixels of the sharper image of pairs for one of the other, along an edge; None takes it from
        the pixel sizes in the files, and 1 where these say none.
    binned : bool or None
        Whether methods are given the image binned 2 × 2 and the truth keeps its pixels; else they
        are given the image, and their results are reduced to its pixels. None: planes of a focus
        series are binned, images of pairs are not.
    halve : bool
        Whether the models are also judged with what they are given halved first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1)]
    kind: Literal["focus-series", "pairs"]
    images: Annotated[tuple[str, ...], Field(min_length=1)]
    truth: str = ""
    folder: str = ""
    in_focus: float | None = None
    unit: str = ""
    registered: bool = False
    ratio: Annotated[float | None, Field(ge=1, le=4)] = None
    binned: bool | None = None
    halve: bool = False


@dataclass(frozen=True, slots=True)
class RealImage:
    """One image of a set.

    Attributes
    ----------
    path : Path
        Of its file.
    number : float or None
        The last number in its name, with its sign.
    """

    path: Path
    number: float | None

    @property
    def name(self) -> str:
        """The file's."""
        return for_utf8(self.path.name)


@dataclass(frozen=True, slots=True)
class RealSet:
    """Images that belong together, and how.

    Attributes
    ----------
    description : Description
        What is said about them.
    images : tuple of RealImage
        The planes, or the blurred images of pairs; by number, then by name.
    truth : Path or None
        The sharper image of pairs.
    """

    description: Description
    images: tuple[RealImage, ...]
    truth: Path | None = None

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.description.name


def find_sets(folder: Path, wanted: Sequence[str] = ()) -> tuple[list[RealSet], list[str]]:
    """The sets of a folder and the folders in it.

    A folder with a `real.toml` holds what that says; one whose name and files are known to the
    package is described by it; any other folder that is named itself is one focus series of all
    images in it.

    Parameters
    ----------
    folder : Path
        Where to look.
    wanted : sequence of str
        Parts of names of sets or of their folders; empty takes all.

    Returns
    -------
    list of RealSet
    list of str
        A sentence that names the folders of images that are left out because nothing says what they
        hold.

    Raises
    ------
    FileError
        If there is nothing to judge by, or a description cannot be used.
    """
    if not folder.is_dir():
        raise FileError(
            f"{folder} is not a folder; name one that holds a focus series, or several."
        )
    found: list[RealSet] = []
    unknown = []
    for place in _places(folder):
        here = list(_described(place))
        images = _images(place)
        if not here and place == real_path(folder) and len(images) >= _FEWEST:
            here = [_series(place, images)]
        if not here and images and place != real_path(folder):
            unknown.append(place.relative_to(real_path(folder)).as_posix())
        found += here
    if not found:
        raise FileError(
            f"{folder} has no images to judge by; put the planes of a focus series there, or a "
            f"{_DESCRIPTION} that says which images belong together."
        )
    kept = [each for each in found if not wanted or any(_called(each, word) for word in wanted)]
    if not kept:
        names = "; ".join(dict.fromkeys(each.name for each in found))
        raise FileError(f"{folder} has no set called {' or '.join(wanted)}; there are: {names}.")
    if wanted or not unknown:
        return kept, []
    return kept, [f"Left out, for no {_DESCRIPTION} says what is in there: {', '.join(unknown)}."]


def _called(each: RealSet, word: str) -> bool:
    return (
        word.lower() in each.name.lower() or word.lower() == each.images[0].path.parent.name.lower()
    )


def _places(folder: Path) -> Iterator[Path]:
    """The folder and those in it, as deep as is looked; hidden ones are left out, and OME-Zarr,
    which is an image.
    """
    level = [real_path(folder)]
    for _ in range(DEEP + 1):
        yield from level
        level = [
            inner
            for place in level
            for inner in sorted(place.iterdir())
            if inner.is_dir() and not inner.name.startswith(".") and inner.suffix.lower() != ".zarr"
        ]


def _images(place: Path) -> list[Path]:
    return [
        path
        for path in sorted(place.iterdir())
        if is_readable(path.name) and not path.name.startswith(".")
    ]


def _described(place: Path) -> Iterator[RealSet]:
    path = place / _DESCRIPTION
    if path.is_file():
        for description in read_descriptions(path):
            yield _resolved(description, place / description.folder, path.as_posix())
        return
    for description in _known():
        if description.folder == place.name and all(
            any(place.glob(pattern)) for pattern in description.images
        ):
            yield _resolved(description, place, _KNOWN.name)


def _series(place: Path, images: Sequence[Path]) -> RealSet:
    description = Description(name=for_utf8(place.name), kind="focus-series", images=("*",))
    return RealSet(description, _sorted(images))


def _resolved(description: Description, place: Path, source: str) -> RealSet:
    paths = []
    for pattern in description.images:
        matched = [path for path in place.glob(pattern) if is_readable(path.name)]
        if not matched:
            raise FileError(
                f"{source}: {description.name}: no image in {place} is called {pattern}; correct "
                "its name."
            )
        paths += matched
    images = _sorted(dict.fromkeys(paths))
    if description.kind == "focus-series":
        if len(images) < _FEWEST:
            raise FileError(
                f"{source}: {description.name} has only one plane; a focus series has two or more."
            )
        if description.in_focus is not None and description.in_focus not in {
            each.number for each in images
        }:
            raise FileError(
                f"{source}: {description.name}: no plane has the number {description.in_focus:g}."
            )
        return RealSet(description, images)
    truth = place / description.truth
    if not description.truth or not truth.is_file():
        raise FileError(
            f"{source}: {description.name}: truth = {description.truth!r} is no image in {place}; "
            "name one."
        )
    return RealSet(description, images, truth)


def _sorted(paths: Sequence[Path] | dict[Path, None]) -> tuple[RealImage, ...]:
    images = [RealImage(path, number_in(path.stem)) for path in paths]
    return tuple(
        sorted(images, key=lambda each: (each.number is None, each.number or 0.0, each.name))
    )


def number_in(name: str) -> float | None:
    """The last number in a name: "z_-3" is −3, "z-3" is 3, "minus_0.3um" is −0.3; None where there
    is none.
    """
    matches = list(NUMBER.finditer(name))
    if not matches:
        return None
    word, sign, digits = matches[-1].groups()
    negative = (word or "").lower() == "minus" or sign == "-"
    return -float(digits) if negative else float(digits)


def read_descriptions(path: Path) -> tuple[Description, ...]:
    """The sets that a TOML file describes, each under ``[[set]]``.

    Raises
    ------
    FileError
        If it cannot be read, is no TOML, or has an unknown, missing or unfit field.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path} cannot be read ({error}); check that it is a text file.") from None
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"{path} is no valid TOML: {error}; mend that line.") from None
    sets = values.pop("set", None)
    if values or not isinstance(sets, list) or not sets:
        raise FileError(
            f"{path} must hold sets and nothing else; begin each with the line [[set]]."
        )
    return tuple(_description(each, path) for each in sets)


def _description(values: Any, path: Path) -> Description:
    try:
        return Description.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        fields = ", ".join(Description.model_fields)
        if first["type"] == "extra_forbidden":
            raise FileError(
                f"{path}: there is no field called {where!r}; there are {fields}."
            ) from None
        raise FileError(
            f"{path}: {where}: {first['msg'][:1].lower()}{first['msg'][1:]}; correct it."
        ) from None


@functools.cache
def _known() -> tuple[Description, ...]:
    return read_descriptions(_KNOWN)
