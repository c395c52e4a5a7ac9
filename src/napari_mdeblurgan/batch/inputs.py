"""What a batch is to restore: files, folders, patterns and OME-Zarr on disk, and images that are handed over."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import READABLE, Micrograph, open_image
from napari_mdeblurgan.storage.ome_zarr import is_zarr
from napari_mdeblurgan.training.folder import image_files

Input = str | Path | Micrograph


@dataclass(frozen=True, slots=True)
class Source:
    """An image to restore.

    Attributes
    ----------
    key : str
        What the manifest knows it by: the full path, or "layer:" and the name.
    name : str
        What it is called in messages: the path as it was given, or the layer's name.
    place : PurePosixPath
        Where its result goes in the output folder, without a suffix.
    path : Path or None
        The file, or the folder of an OME-Zarr; None for an image that was handed over.
    image : Micrograph or None
        The image that was handed over.
    """

    key: str
    name: str
    place: PurePosixPath
    path: Path | None = None
    image: Micrograph | None = field(default=None, compare=False)

    def open(self) -> Micrograph:
        """The image, lazily where its file can be read in parts.

        Raises
        ------
        FileError
            If it cannot be read.
        """
        return self.image if self.image is not None else open_image(self.path or "")


def find_sources(inputs: Iterable[Input], output: str | Path | None = None) -> list[Source]:
    """All images, each once, in the order given; those of a folder by name.

    Parameters
    ----------
    inputs : iterable of str, Path or Micrograph
        Files; folders, with all that is in them; patterns such as ``"day*/*.tif"`` and ``"scans/**/*.png"``; folders that
        are OME-Zarr; images in memory or lazy, with names. Of folders and patterns, only what can be read is taken, and
        results keep the folders that are below them.
    output : str or Path, optional
        A folder that is left out where it lies in a folder of inputs.

    Raises
    ------
    FileError
        If something that was named does not exist, or there is no image in it.
    """
    barred = None if output is None else Path(os.path.realpath(Path(output).expanduser()))
    found: dict[str, Source] = {}
    for each in inputs:
        if isinstance(each, Micrograph):
            source = _handed_over(each, found)
            found[source.key] = source
            continue
        for path, place in _paths(each, barred):
            key = os.path.realpath(path)
            found.setdefault(key, Source(key, str(path), place, path))
    return list(found.values())


def _handed_over(image: Micrograph, found: dict[str, Source]) -> Source:
    name = image.name or "image"
    key, number = f"layer:{name}", 1
    while key in found:
        number += 1
        key = f"layer:{name}#{number}"
    return Source(key, name, PurePosixPath(re.sub(r"[/\\]", "-", name)), image=image)


def _paths(given: str | Path, barred: Path | None) -> Iterator[tuple[Path, PurePosixPath]]:
    """The files that an input means, each with the place of its result."""
    path = Path(given).expanduser()
    if path.is_dir() and not is_zarr(path) and path.suffix.lower() != ".zarr":
        files = [file for file in image_files(path) if not _barred(file, path, barred)]
        if not files:
            raise FileError(f"{path} has no image in it; put files ending in {', '.join(READABLE)} there.")
        yield from ((file, _place(file.relative_to(path))) for file in files)
    elif path.exists():
        yield path, _place(Path(path.name))
    elif glob.has_magic(str(path)):
        yield from _matching(path, barred)
    else:
        raise FileError(f"{path} does not exist; check its name.")


def _matching(pattern: Path, barred: Path | None) -> Iterator[tuple[Path, PurePosixPath]]:
    fixed = Path(*_until(pattern.parts))
    matches = [Path(match) for match in sorted(glob.glob(str(pattern), recursive=True))]  # noqa: PTH207
    files = [match for match in matches if match.name.lower().endswith(READABLE) or match.is_dir()]
    folders = {file for file in files if file.is_dir() and not (is_zarr(file) or file.suffix.lower() == ".zarr")}
    inside = {file for file in files if any(parent.suffix.lower() == ".zarr" for parent in file.parents)}
    chosen: dict[Path, None] = {}
    for file in files:
        if file in inside:
            continue
        chosen |= dict.fromkeys(image_files(file) if file in folders else [file])
    kept = [file for file in chosen if not _barred(file, fixed, barred)]
    if not kept:
        raise FileError(f"Nothing that can be read matches {pattern}; check the pattern.")
    yield from ((file, _place(file.relative_to(fixed))) for file in kept)


def _until(parts: tuple[str, ...]) -> Iterator[str]:
    """The parts of a pattern before the first that stands for several."""
    for part in parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _barred(file: Path, base: Path, output: Path | None) -> bool:
    """Whether a file lies in the output folder and that in turn in the folder that is looked through."""
    if output is None or output == (base := Path(os.path.realpath(base))) or not output.is_relative_to(base):
        return False
    return Path(os.path.realpath(file)).is_relative_to(output)


def _place(path: Path) -> PurePosixPath:
    """A path without the suffix of its type, OME's included."""
    name = re.sub(rf"(\.ome)?({'|'.join(map(re.escape, READABLE))})$", "", path.name, flags=re.IGNORECASE)
    return PurePosixPath(*path.parent.parts, name or path.name)
