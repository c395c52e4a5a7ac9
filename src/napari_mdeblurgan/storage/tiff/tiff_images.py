"""Which images a TIFF file holds: its series, without what is only a copy, a mask or a label of
another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.planes import plain_letters
from napari_mdeblurgan.storage.several import unique_names

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

REDUCED, MASK = 1, 4  # bits of NewSubfileType
# as tifffile calls the image of a whole-slide scan, beside its label, overview and map
SLIDE = "Baseline"


def tiff_images(path: Path, tif: TiffFile) -> tuple[dict[int, str], int]:
    """The images of a file: the name of each by the number of its series, and the number of the
    series of the largest.

    Of a set of files that tell of each other, those count that begin in this file, if any do. Of
    equally large images the first is the largest.

    Raises
    ------
    FileError
        If there is no image.
    """
    found = {number: series for number, series in enumerate(tif.series) if series.size}
    if not found:
        raise FileError(f"{path} is a TIFF file without an image; save it again.")
    found = _only(
        found, lambda series: series.keyframe.parent.filehandle.path == tif.filehandle.path
    )
    found = _only(found, lambda series: not int(series.keyframe.subfiletype) & (REDUCED | MASK))
    found = _only(found, lambda series: series.name == SLIDE)
    names = dict(
        zip(found, unique_names(series.name or "" for series in found.values()), strict=True)
    )
    return names, max(found, key=lambda number: found[number].size)


def axes_in_capitals(series: TiffPageSeries) -> str:
    """The axes of its pixels as one capital letter each; small ones, and a list of names, which
    users of tifffile write too, mean the same.
    """
    from tifffile import TIFF

    names = list(map(str, series.axes))
    capitals = [TIFF.AXES_CODES.get(name.lower(), name.upper()) for name in names]
    mixed = len(set(capitals)) < len(set(names))  # one letter, small and large, for two axes
    return plain_letters(names if mixed else capitals)


def begins_in(path: Path, tif: TiffFile) -> Path:
    """The file that an image begins in of which this one holds further planes; itself, where an
    image begins here.
    """

    own = tif.filehandle.path
    beginnings = [next(_files_of(series), own) for series in tif.series]
    if own in beginnings:  # which needs no look at further pages
        return path
    holding = (
        first
        for first, series in zip(beginnings, tif.series, strict=True)
        if own in _files_of(series)
    )
    return Path(next(holding, path))


def _files_of(series: TiffPageSeries) -> Iterator[str]:
    return (str(page.parent.filehandle.path) for page in series if page is not None)


def _only(
    found: dict[int, TiffPageSeries], wanted: Callable[[TiffPageSeries], bool]
) -> dict[int, TiffPageSeries]:
    """Those of which something is true; all, where it is true of none."""
    return {number: series for number, series in found.items() if wanted(series)} or found
