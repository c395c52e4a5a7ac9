"""Reading TIFF in its three dialects: OME, ImageJ and plain."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.chatter import chatter
from napari_mdeblurgan.storage.several import ImageList, chosen
from napari_mdeblurgan.storage.tiff.micromanager import open_tiff_file
from napari_mdeblurgan.storage.tiff.tiff_images import axes_in_capitals, begins_in, tiff_images
from napari_mdeblurgan.storage.tiff.tiff_pieces import APERIO_RGB, APERIO_YCBCR
from napari_mdeblurgan.storage.unreadable import detail_of

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

_HIGHEST_COMPRESSION = 1500  # deflate's is 1032, LZW's 1370
BOUNDED_COMPRESSIONS = frozenset(
    {"NONE", "LZW", "DEFLATE", "ADOBE_DEFLATE", "PACKBITS"}
)  # others have no such limit
SPARE_PIECES = 1000  # that a damaged file may lack and is still opened
_SPARE_BYTES = 64 * 2**20  # tiles that are left out cost nothing
# numbers of compressions, the decoders of which make RGB
MADE_RGB = (6, 7, APERIO_YCBCR, APERIO_RGB)
CUT_SHORT = re.compile(r"invalid page offset|failed to reshape|corrupted file")


@contextmanager
def opened_tiff(
    path: Path, image: str | int | None = None
) -> Iterator[tuple[TiffFile, int, TiffPageSeries]]:
    """The file, and the number and the content of a series of it, once its colours and its size are
    known to be fine.

    Parameters
    ----------
    path : Path
        The file.
    image : str, int or None
        Which image: see `storage.images_in`. None takes the largest.

    Raises
    ------
    FileError
        If the file is no TIFF, cut short (known when the block ends), or in a colour space that is
        not read; if planes of it are in other files that are not there.
    """
    with _opened_file(path) as tif:
        names, largest = tiff_images(path, tif)
        numbers = list(names)
        index = numbers[chosen(path, list(names.values()), image, numbers.index(largest))]
        series = tif.series[index]
        _check_colours(path, series)
        _check_planes(path, series)
        _check_claim(path, series)
        yield tif, index, series


def list_images(path: Path) -> ImageList:
    """The images in a TIFF file, of which the largest is the default, and the file that they begin
    in; mostly it is this.

    Raises
    ------
    FileError
        If the file is no TIFF, cut short, or has no image.
    """
    with _opened_file(path) as tif:
        names, largest = tiff_images(path, tif)
        beginning = begins_in(path, tif)
    return ImageList(tuple(names.values()), list(names).index(largest), beginning)


@contextmanager
def _opened_file(path: Path) -> Iterator[TiffFile]:
    import tifffile

    with chatter("tifffile") as complaints:
        try:
            with open_tiff_file(path) as tif:
                yield tif
        except tifffile.TiffFileError as error:
            raise FileError(
                f"{path} is not a TIFF file, or a damaged one ({detail_of(error)}); save it again."
            ) from error
    if any(CUT_SHORT.search(complaint) for complaint in complaints):
        raise FileError(
            f"{path} is damaged or cut short: some of its images are missing; copy it again."
        )


def _check_colours(path: Path, series: TiffPageSeries) -> None:
    from tifffile import PHOTOMETRIC

    known = {
        PHOTOMETRIC.MINISWHITE,
        PHOTOMETRIC.MINISBLACK,
        PHOTOMETRIC.RGB,
        PHOTOMETRIC.PALETTE,
        PHOTOMETRIC.YCBCR,
    }
    photometric = series.keyframe.photometric
    as_it_is = (
        photometric == PHOTOMETRIC.YCBCR and series.keyframe.compression not in MADE_RGB
    )  # others are not converted
    if photometric not in known or as_it_is:
        name = getattr(photometric, "name", str(photometric))
        raise FileError(f"{path} has colours of the kind {name}; save it as RGB or grey.")
    kind = np.dtype(series.dtype).kind
    if photometric == PHOTOMETRIC.PALETTE and kind not in "bu":
        raise FileError(
            f"{path} is damaged: pixels of type {series.dtype} are no places in a palette; save it "
            "again."
        )
    if kind not in "buif":
        raise FileError(
            f"{path} has pixels of type {series.dtype}; save it with integers or real numbers."
        )


def _check_planes(path: Path, series: TiffPageSeries) -> None:
    """tifffile shows zeros for what an OME-TIFF names and does not hold."""
    if series.kind.lower() == "lsm":
        claimed, there = series.size // max(series.keyframe.size, 1), len(series)
        if claimed != there:
            raise FileError(
                f"{path} is damaged or cut short: {there:,} of its {claimed:,} planes are there; "
                "copy it again."
            )
    if series.kind.lower() == "ome":
        missing = sum(page is None for page in series)
        if missing:
            raise FileError(
                f"{path} lacks {missing} of its {len(series)} planes; put the files that belong to "
                "it beside it, or save what is there as an image of its own."
            )


def _size(series: TiffPageSeries) -> str:
    return f"{series.nbytes / 2**30:,.1f} GiB ({' × '.join(map(str, series.shape))} pixels)"


def _check_claim(path: Path, series: TiffPageSeries) -> None:
    file_bytes = path.stat().st_size
    compression = series.keyframe.compression  # 1 where no tag tells of any
    bounded = (
        getattr(compression, "name", "NONE" if compression == 1 else "") in BOUNDED_COMPRESSIONS
        and not series.is_multifile
    )
    if bounded and series.nbytes > _HIGHEST_COMPRESSION * file_bytes + _SPARE_BYTES:
        claim = f"it claims to hold {_size(series)} in {file_bytes:,} bytes"
        raise FileError(f"{path} is damaged: {claim}; copy it again.")
    axes, names = axes_in_capitals(series), [str(name).upper() for name in series.axes]
    told = f"has {len(names)} axes ({''.join(map(str, series.axes))[:20]})"
    if len(set(axes)) != len(axes) or any(names.count(axis) > 1 for axis in "YXS"):
        raise FileError(f"{path} {told}, not each of a kind; save it with fewer.")
    if not {"Y", "X"} <= set(axes):
        raise FileError(f"{path} {told}, of which none is Y or none is X; save it with both.")
    page = series.keyframe
    if not any(page.dataoffsets):  # of which tifffile makes zeros, or takes the header for pixels
        raise FileError(f"{path} is damaged: it does not tell where its pixels are; copy it again.")
    there, claimed = len(page.dataoffsets), math.prod(page.chunked)
    if page.compression != 1 and claimed > 2 * there + SPARE_PIECES:
        raise FileError(
            f"{path} is damaged: {there:,} of its {claimed:,} tiles or strips are there; copy it "
            "again."
        )


def check_compression(path: Path, series: TiffPageSeries) -> None:
    """Make sure that the file's compression can be undone.

    Raises
    ------
    FileError
        If the package that knows it is missing.
    """
    from tifffile import TIFF

    try:
        TIFF.DECOMPRESSORS[series.keyframe.compression]
    except KeyError:
        raise _lacking_codec(path, series) from None


def _lacking_codec(path: Path, series: TiffPageSeries) -> FileError:
    found: Any = series.keyframe.compression
    if not isinstance(found, int):
        return FileError(f"{path} is damaged: it names several compressions; copy it again.")
    return FileError(
        f"{path} is compressed by {getattr(found, 'name', found)}, which needs the package "
        "imagecodecs: `pip install imagecodecs`, or save the file without compression."
    )


def title(path: Path, tif: TiffFile, index: int) -> str:
    """What an image is called: its file without the suffix, and of several its own name too."""
    name = re.sub(r"\.ome$", "", path.stem, flags=re.IGNORECASE)
    names, _ = tiff_images(path, tif)
    return f"{name} {names[index]}" if len(names) > 1 else name
