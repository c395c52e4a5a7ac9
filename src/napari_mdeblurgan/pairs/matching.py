"""Which files of two folders, or of a table, belong together."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import at_home
from napari_mdeblurgan.outputs import local_path
from napari_mdeblurgan.pairs.pair import Matched, PairError, PairFiles
from napari_mdeblurgan.pairs.pair_images import image_pairs
from napari_mdeblurgan.storage.listing import image_files
from napari_mdeblurgan.storage.stems import file_stem

_WORDS = (
    "low|high|lr|hr|lowres|highres|blurred|blur|sharp|input|truth|gt|"
    "defocus|defocused|focus|infocus|in-focus"
)
_MARK = re.compile(
    rf"(?:^|(?<=[\s_.\-(\[]))(?:[x×]?\d+(?:\.\d+)?[x×]|[x×]\d+(?:\.\d+)?|{_WORDS})(?=$|[\s_.\-)\]])",
    re.IGNORECASE,
)
STRONGER = frozenset("high hr highres sharp truth gt focus infocus in-focus".split())
BETWEEN = re.compile(r"[\s_.\-()\[\]]+")
_SEPARATOR = re.compile(r"\"?sep=([,;\t])\"?[,;\t]*", re.IGNORECASE)  # as spreadsheets write it
_DIGITS = re.compile(r"(\d+)")
_COLUMNS = ("low", "high", "name", "low_image", "high_image")


class Matching(StrEnum):
    """How the files of two folders are told to belong together."""

    auto = "auto"
    name = "name"
    order = "order"


def match_folders(low: str | Path, high: str | Path, how: str = "auto") -> Matched:
    """Match the images of two folders.

    By name: two files of like subfolders belong together if their names are the same, or the same
    but for what tells the objectives apart, such as x5 and 10x, low and high, blurred and sharp;
    the kind of file does not matter. By order: the first with the first, sorted as people count (2
    before 10), which needs as many files in both. Automatic: by name if any names match, else by
    order.

    Parameters
    ----------
    low, high : str or Path
        Folders; they may be the same one if the names say which file is which.
    how : {"auto", "name", "order"}
        How to match.

    Raises
    ------
    FileError
        If a folder is missing or holds no image.
    PairError
        If no two files can be told to belong together, or there is no such way to match.
    """
    if how not in list(Matching):
        raise PairError(f"There is no way {how!r} to match files; choose {', '.join(Matching)}.")
    low, high = local_path(low), local_path(high)
    one_folder = low.exists() and high.exists() and low.samefile(high)
    files = _sides(_files(low), low) if one_folder else (_files(low), _files(high))
    if how != Matching.order:
        pairs, rest = _by_name(files, (low, high))
        if pairs:
            others = (
                [path for path in _files(low) if path not in {*files[0], *files[1]}]
                if one_folder
                else []
            )
            left_out = [
                *(
                    f"{path} has no namesake in {folder}."
                    for each, folder in zip(rest, (high, low), strict=True)
                    for path in each
                ),
                *(
                    f"{path} is not one of two whose names tell the weaker and the stronger "
                    "objective."
                    for path in others
                ),
            ]
            return image_pairs(pairs, left_out)
        if how == Matching.name:
            raise PairError(
                f"No file of {low} has a namesake in {high}; name them alike but for x5 and x10, "
                "or match them by order."
            )
    counts = [len(each) for each in files]
    if counts[0] != counts[1]:
        said = (
            ""
            if how == Matching.order
            else f"The names in {low} and {high} do not match, and the order says nothing: "
        )
        raise PairError(
            f"{said}{low} has {counts[0]} images and {high} has {counts[1]}; name them alike but "
            "for x5 and x10, or list them in a CSV."
        )
    ordered = [sorted(each, key=natural_key) for each in files]
    names = unique([file_stem(one) for one in ordered[0]])
    return image_pairs([PairFiles(*each) for each in zip(names, *ordered, strict=True)])


def read_table(path: str | Path) -> Matched:
    """Read a CSV of pairs: two columns low and high, and perhaps one of names; paths are relative
    to the CSV's folder.

    Of files that hold several images, columns low_image and high_image may name one; else all that
    have a namesake are taken.

    The first row may name the columns, in any order. Comma, semicolon or tabulator, as a line such
    as `sep=;` before it may say. Folders may be separated as on Windows.

    Raises
    ------
    FileError
        If it cannot be read.
    PairError
        If no row names two files that are there.
    """
    path = local_path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(
            f"{path} cannot be read as a CSV ({error}); save it as text in UTF-8."
        ) from None
    lines = text.splitlines()
    told = _SEPARATOR.fullmatch(lines[0]) if lines else None
    delimiter = told[1] if told else max(",;\t", key=text.partition("\n")[0].count)
    rows = [[field.strip() for field in row] for row in csv.reader(lines, delimiter=delimiter)]
    numbered = [(at, row) for at, row in enumerate(rows, 1) if any(row) and not (told and at == 1)]
    columns = {"low": 0, "high": 1, "name": 2}
    if numbered and {"low", "high"} <= {field.lower() for field in numbered[0][1]}:
        columns = {
            field.lower(): at
            for at, field in enumerate(numbered.pop(0)[1])
            if field.lower() in _COLUMNS
        }
    found: list[tuple[str, Path, Path, str | None, str | None]] = []
    left_out: list[str] = []
    for number, row in numbered:
        given = {column: row[at] for column, at in columns.items() if at < len(row) and row[at]}
        if not {"low", "high"} <= given.keys():
            left_out.append(f"Row {number} of {path.name} does not name two files.")
            continue
        low, high = (_named(given[side], path.parent) for side in ("low", "high"))
        if missing := [each for each in (low, high) if not each.exists()]:
            left_out.append(
                f"Row {number} of {path.name} names {missing[0]}, which does not exist."
            )
            continue
        images = given.get("low_image"), given.get("high_image")
        found.append((given.get("name", file_stem(low)), low, high, *images))
    if not found:
        first = f" ({left_out[0].rstrip('.')})" if left_out else ""
        raise PairError(f"{path} names no pair{first}; write a low and a high file in each row.")
    names = unique([name for name, *_ in found])
    pairs = tuple(PairFiles(name, *row[1:]) for name, row in zip(names, found, strict=True))
    return image_pairs(pairs, left_out)


def _named(name: str, folder: Path) -> Path:
    """The file that a table names, which may have been written on Windows."""
    path, other = (folder / at_home(each) for each in (name, name.replace("\\", "/")))
    return other if other.exists() and not path.exists() else path


def keys(path: Path) -> tuple[str, str, str]:
    """Three names of a file: as it is, without the last word that tells the objectives apart, and
    without any such word.
    """
    stem = file_stem(path)
    marks = list(_MARK.finditer(stem))
    last = stem[: marks[-1].start()] + stem[marks[-1].end() :] if marks else stem
    plain, fewer, fewest = (
        BETWEEN.sub(" ", each).strip().lower() for each in (stem, last, _MARK.sub("", stem))
    )
    return plain, fewer, fewest


def _files(folder: Path) -> list[Path]:
    files = image_files(folder)
    if not files:
        raise FileError(
            f"{folder} has no image in it; put TIFF, PNG, JPEG or OME-Zarr files there."
        )
    return files


def _sides(files: Sequence[Path], folder: Path) -> tuple[list[Path], list[Path]]:
    """Files of one folder, told apart by the magnification or the word in their names."""
    low: list[Path] = []
    high: list[Path] = []
    for level in (1, 2):
        rest = [path for path in files if path not in {*low, *high}]
        for group in _grouped(rest, folder, level).values():
            ranked = sorted(group, key=_rank)
            if len(ranked) == 2 and 0 < _rank(ranked[0]) < _rank(ranked[1]):
                low.append(ranked[0])
                high.append(ranked[1])
    if not low:
        raise PairError(
            f"The names in {folder} do not say which image is which; use two folders, or names "
            "with x5 and x10."
        )
    return low, high


def _rank(path: Path) -> float:
    """Grows with the magnification that a name tells; 0 where it tells none, 1 and 2 for words like
    low and high.
    """
    for mark in reversed(_MARK.findall(file_stem(path))):
        if number := re.search(r"\d+(?:\.\d+)?", mark):
            return float(number[0])
        return 2.0 if mark.lower() in STRONGER else 1.0
    return 0.0


def _grouped(files: Iterable[Path], folder: Path, level: int) -> dict[tuple[str, str], list[Path]]:
    groups: dict[tuple[str, str], list[Path]] = {}
    for path in files:
        where = path.parent.relative_to(folder).as_posix().lower()
        groups.setdefault((where, keys(path)[level]), []).append(path)
    return groups


def _by_name(
    files: tuple[Sequence[Path], Sequence[Path]], folders: tuple[Path, Path]
) -> tuple[tuple[PairFiles, ...], tuple[list[Path], list[Path]]]:
    """Files that belong together without a doubt, the strictest reading of their names first, and
    the rest of both.
    """
    found: list[tuple[str, Path, Path]] = []
    low, high = list(files[0]), list(files[1])
    for level in range(3):
        groups = [
            _grouped(each, folder, level) for each, folder in zip((low, high), folders, strict=True)
        ]
        for (where, name), group in groups[0].items():
            others = groups[1].get((where, name), [])
            if len(group) == len(others) == 1:
                short = _short(group[0]) if name else group[0].stem
                found.append((f"{where}/{short}" if where != "." else short, group[0], others[0]))
                low.remove(group[0])
                high.remove(others[0])
    found.sort(key=lambda each: natural_key(each[1]))
    names = unique([name for name, _, _ in found])
    pairs = tuple(
        PairFiles(name, one, other) for name, (_, one, other) in zip(names, found, strict=True)
    )
    return pairs, (low, high)


def _short(path: Path) -> str:
    """The name without the words that tell the objectives apart, as far as anything is left."""
    return _MARK.sub("", file_stem(path)).strip(" _.-()[]") or file_stem(path)


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sorts names as people count."""
    parts = _DIGITS.split(path.as_posix().lower())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def unique(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that come again."""
    found: list[str] = []
    for name in names:
        fresh, number = name, 1
        while fresh in found or (number > 1 and fresh in names):
            number += 1
            fresh = f"{name} ({number})"
        found.append(fresh)
    return found
