"""What a batch is to restore: files, folders, patterns and OME-Zarr on disk, and images that are
handed over.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import at_home
from napari_mdeblurgan.storage import (
    FileImage,
    Micrograph,
    image_stem,
    listed_images,
    local_path,
    open_image,
    readable,
)
from napari_mdeblurgan.storage.formats import ending_pattern, is_readable
from napari_mdeblurgan.storage.listing import image_files
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_images import is_image_folder, is_zarr, zarr_images
from napari_mdeblurgan.storage.stems import image_file

Input = str | Path | FileImage | Micrograph


@dataclass(frozen=True, slots=True)
class Source:
    """An image to restore.

    Attributes
    ----------
    key : str
        What the manifest knows it by: the full path, with the name of the image in brackets where
        it is one of several in a file; or "layer:" and the name.
    name : str
        What it is called in messages: the same with the path as it was given, or the layer's name.
    place : PurePosixPath
        Where its result goes in the output folder, without a suffix.
    path : Path or None
        The file, or the folder of an OME-Zarr; None for an image that was handed over.
    within : str or None
        Which image of the file, where it holds several.
    image : Micrograph or None
        The image that was handed over.
    """

    key: str
    name: str
    place: PurePosixPath
    path: Path | None = None
    within: str | None = None
    image: Micrograph | None = field(default=None, compare=False)

    def open(self) -> Micrograph:
        """The image, lazily where its file can be read in parts.

        Raises
        ------
        FileError
            If it cannot be read.
        """
        return self.image if self.image is not None else open_image(self.path or "", self.within)


def find_sources(
    inputs: Iterable[Input] | Input, output: str | Path | None = None, image: str | None = None
) -> list[Source]:
    """All images, each once, in the order given; those of a folder by name, and of a file of
    several all of them.

    Parameters
    ----------
    inputs : str, Path, FileImage or Micrograph, or an iterable of these
        Files, or one image of a file; folders, with all that is in them; patterns such as
        ``"day*/*.tif"`` and ``"scans/**/*.png"``; folders that are OME-Zarr, or lie in one; images
        in memory or lazy, with names. Of folders and patterns, only what can be read is taken, and
        results keep the folders that are below them.
    output : str or Path, optional
        A folder that is left out where it lies in a folder of inputs.
    image : str, optional
        Of files that hold several images only this one, as in `read_image`.

    Raises
    ------
    FileError
        If something that was named does not exist, or there is no image in it.
    """
    barred = None if output is None else Path(os.path.realpath(at_home(output)))
    found: dict[str, Source] = {}
    named: Iterable[Any] = (inputs,)
    if isinstance(inputs, Iterable) and not isinstance(inputs, Input):
        named = inputs
    for each in named:
        if isinstance(each, Micrograph):
            source = _handed_over(each, found)
            found[source.key] = source
            continue
        if isinstance(each, FileImage):
            source = _source(each, each.path.parent)
            found.setdefault(source.key, source)
            continue
        if not isinstance(each, str | Path):
            raise FileError(
                f"This {type(each).__name__} is no path; name files, folders or patterns, and hand "
                'an image over as `Micrograph(array, "YX")`.'
            )
        for path, base in _paths(each, barred):
            for one in listed_images(path, image):
                source = _source(one, base)
                found.setdefault(source.key, source)
    return list(found.values())


def candidates(inputs: Iterable[str | Path], output: Path | None) -> dict[Path, Path]:
    """Files that may be images, each with the folder below which its result keeps its folders; none
    where there are none yet.

    No file is opened. Those in the output folder are left out where it lies in a folder of inputs.

    Parameters
    ----------
    inputs : iterable of str or Path
        As for `find_sources`.
    output : Path or None
        The output folder, if it is known.

    Raises
    ------
    FileError
        If something that was named does not exist.
    """
    barred = None if output is None else Path(os.path.realpath(at_home(output)))
    found: dict[Path, Path] = {}
    for each in inputs:
        path = local_path(each)
        if not path.exists() and not glob.has_magic(str(path)):
            raise FileError(f"{path} does not exist; check its name.")
        try:
            found |= {file: base for file, base in _paths(each, barred) if file not in found}
        except FileError:  # nothing in it yet
            continue
    return found


def sources_in(path: Path, base: Path, image: str | None = None) -> list[Source]:
    """The images of a file, as `find_sources` has them; never an error, which comes when they are
    read.
    """
    return [_source(one, base) for one in listed_images(path, image)]


def short_name(name: str) -> str:
    """Of what a source is called what tells it from others: its file, or its OME-Zarr and the path
    in that.
    """
    several = re.fullmatch(
        rf"(.*?{ending_pattern()})( \[.*\])", name, flags=re.IGNORECASE | re.DOTALL
    )
    parts = PurePath(several[1] if several else name).parts
    first = next(
        (number for number, part in enumerate(parts) if part.lower().endswith(".zarr")), -1
    )
    return "/".join(parts[first:]) + (several[2] if several else "")


def _source(one: FileImage, base: Path) -> Source:
    """A source of a file, whose result keeps the folders that it has below `base`."""
    file, base = image_file(one).absolute(), base.absolute()
    outer = (
        file.relative_to(base).parent.parts if file != base and file.is_relative_to(base) else ()
    )
    key = str(FileImage(Path(os.path.realpath(one.path)), one.image))
    return Source(key, str(one), PurePosixPath(*outer, image_stem(one)), one.path, one.image)


def _handed_over(image: Micrograph, found: dict[str, Source]) -> Source:
    name = image.name or "image"
    key, number = f"layer:{name}", 1
    while key in found:
        number += 1
        key = f"layer:{name}#{number}"
    return Source(key, name, PurePosixPath(re.sub(r"[/\\]", "-", name)), image=image)


def _paths(given: str | Path, barred: Path | None) -> Iterator[tuple[Path, Path]]:
    """The files that an input means, each with the folder below which its
    result keeps its folders.
    """
    path = local_path(given)
    if path.is_dir() and not is_image_folder(path) and path.suffix.lower() != ".zarr":
        files = [file for file in image_files(path) if not _barred(file, path, barred)]
        if not files:
            raise FileError(
                f"{path} has no image in it; put files ending in {', '.join(readable())} there."
            )
        yield from ((file, path) for file in files)
    elif path.exists():
        yield path, path.parent
    elif glob.has_magic(str(path)):
        yield from _matching(path, barred)
    else:
        raise FileError(f"{path} does not exist; check its name.")


def _matching(pattern: Path, barred: Path | None) -> Iterator[tuple[Path, Path]]:
    fixed = Path(*_until(pattern.parts))
    matches = [Path(match) for match in sorted(glob.glob(str(pattern), recursive=True))]  # noqa: PTH207
    files = [match for match in matches if is_readable(match.name) or match.is_dir()]
    inside = {file for file in files if _lies_in_zarr(file)}
    zarrs = {
        file for file in files if file in inside or file.suffix.lower() == ".zarr" or is_zarr(file)
    }
    chosen: dict[Path, None] = {}
    for file in files:
        if any(parent in zarrs for parent in file.parents) or (
            file in inside and not zarr_images(file)
        ):
            continue
        is_folder = file.is_dir() and file not in zarrs
        chosen |= dict.fromkeys(image_files(file) if is_folder else [file])
    kept = [file for file in chosen if not _barred(file, fixed, barred)]
    if not kept:
        raise FileError(f"Nothing that can be read matches {pattern}; check the pattern.")
    yield from ((file, fixed) for file in kept)


def _lies_in_zarr(path: Path) -> bool:
    return any(parent.suffix.lower() == ".zarr" for parent in path.absolute().parents)


def _until(parts: tuple[str, ...]) -> Iterator[str]:
    """The parts of a pattern before the first that stands for several."""
    for part in parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _barred(file: Path, base: Path, output: Path | None) -> bool:
    """Whether a file lies in the output folder and that in turn in the folder that is looked
    through.
    """
    if (
        output is None
        or output == (base := Path(os.path.realpath(base)))
        or not output.is_relative_to(base)
    ):
        return False
    return Path(os.path.realpath(file)).is_relative_to(output)
