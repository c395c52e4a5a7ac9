"""Images in and out of files, with their axes and pixel sizes: TIFF, OME-TIFF, ImageJ TIFF,
OME-Zarr, PNG and JPEG.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil

from napari_mdeblurgan.atomic import refuse_no_file
from napari_mdeblurgan.errors import FileError, MdeblurganError
from napari_mdeblurgan.folders import at_home, no_file, real_path
from napari_mdeblurgan.plain_text import for_metadata
from napari_mdeblurgan.storage.blocks import untold
from napari_mdeblurgan.storage.formats import ZARR, FileFormat, format_of, readable
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.several import (
    FileImage,
    ImageList,
    SeveralImagesWarning,
    chosen,
    local_path,
    told,
)
from napari_mdeblurgan.storage.stems import image_stem
from napari_mdeblurgan.storage.unreadable import unreadable

__all__ = [
    "WRITABLE",
    "FileImage",
    "Micrograph",
    "SeveralImagesWarning",
    "check_writable",
    "choose_image",
    "image_stem",
    "images_in",
    "listed_images",
    "local_path",
    "open_image",
    "read_image",
    "readable",
    "separate_images",
    "write_image",
]

WRITABLE = (".tif", ".tiff", ".ome.tif", ".ome.tiff", ".png", ".ome.zarr", ".zarr")
OME_SUFFIXES = (".ome.tif", ".ome.tiff")
TIFF_SUFFIXES = (".tif", ".tiff")
STREAMED_BYTES = 256 * 2**20
TOLD_BYTES = 16 * 2**20  # what is written at once though somebody wants to know how far it is
OME_DTYPES = frozenset(
    {"bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"}
)
TIFF_DTYPES = OME_DTYPES | {"int64", "uint64", "float16"}


def read_image(path: str | Path, image: str | int | None = None) -> Micrograph:
    """Read an image into memory, with what its file says about it.

    TIFF (OME, ImageJ, Micro-Manager and plain): the largest image, at full resolution, in its own
    bit depth. Planar colour is made interleaved, colour palettes become RGB, with the opacity
    beside them (a lookup table of ImageJ or OME-TIFF does not: its image is grey, and shown so),
    inverted greys ("white is zero") are turned the right way round within their bits, colours that
    are multiplied by opacity are divided by it, and signed numbers of ImageJ are signed. OME-Zarr
    0.4 and 0.5: the full resolution. PNG and JPEG are turned as their EXIF orientation says; 16-bit
    grey stays 16-bit, 1-bit becomes bool, a palette or CMYK becomes RGB. A print resolution is
    taken for a pixel size only where it cannot be a screen's, printer's or scanner's.

    Parameters
    ----------
    path : str or Path
        A file or, for OME-Zarr, a folder, whose name ends in one of `readable()`.
    image : str or int, optional
        Which image of a file that holds several: one of the names that `images_in` gives, or its
        number from 0. Without it the largest of a TIFF file is taken, and of other files the first.

    Raises
    ------
    FileError
        If the file is missing, empty, damaged, cut short, larger than memory, or of a kind that is
        not read; if it holds labels, or not the image that is named.

    Warns
    -----
    SeveralImagesWarning
        If the file holds several images and none is named.
    """
    opened = open_image(path, image)
    with _one_sentence(local_path(path)):
        return _in_memory(local_path(path), opened)


def open_image(path: str | Path, image: str | int | None = None) -> Micrograph:
    """Open an image of any size: the same as `read_image` gives, but without its pixels, which are
    read when asked for.

    Parameters
    ----------
    path : str or Path
        A file or, for OME-Zarr, a folder, whose name ends in one of `readable()`.
    image : str or int, optional
        As in `read_image`.

    Returns
    -------
    Micrograph
        Whose data are a dask array of blocks of some 4 megapixels, whole numbers of the tiles,
        strips or chunks of the file, which may be read in other threads and processes too; or a
        numpy array for PNG and JPEG. Reading a block of a file that is gone, damaged or not what it
        was raises `FileError`.

    Raises
    ------
    FileError
        If the file is missing, empty, damaged or cut short as far as its headers tell, of a kind
        that is not read, or stored in pieces larger than memory; if it holds labels, or not the
        image that is named.

    Warns
    -----
    SeveralImagesWarning
        If the file holds several images and none is named.
    """
    path = local_path(path)
    with _one_sentence(path):
        return _format(path).reader(path).open_image(path, image)


def _in_memory(path: Path, image: Micrograph) -> Micrograph:
    """The image with its pixels read, each part into its place."""
    if isinstance(image.data, np.ndarray):
        return image
    if image.data.nbytes > psutil.virtual_memory().available:
        size = (
            f"{image.data.nbytes / 2**30:,.1f} GiB ({' × '.join(map(str, image.data.shape))} "
            "pixels)"
        )
        raise FileError(f"{path} holds {size}, which does not fit into memory; crop it first.")
    return _whole(image)


def _whole(image: Micrograph) -> Micrograph:
    """The image with its pixels in memory."""
    from napari_mdeblurgan.storage.reading import loaded

    return image if isinstance(image.data, np.ndarray) else replace(image, data=loaded(image.data))


def images_in(path: str | Path) -> tuple[str, ...]:
    """The names of the images in a file, in its order; mostly there is one. No pixels are read.

    They are the names that the file gives them, or else numbers from 0: those of a TIFF file's
    series (pages of one size are one image) without reduced copies and masks, of an animation's
    pictures, and the paths of the images within an OME-Zarr, such as "A/1/0" for a field of a
    plate. Labels are no images.

    Parameters
    ----------
    path : str or Path
        A file or, for OME-Zarr, a folder.

    Raises
    ------
    FileError
        As in `open_image`, if there is none.
    """
    return _listed(local_path(path)).names


def choose_image(
    path: str | Path, image: str | int | None = None, how: str = "image="
) -> tuple[str, str]:
    """The name of the image that is read of a file; and a sentence that tells of the others, if
    none was named.

    Parameters
    ----------
    path : str or Path
        A file or, for OME-Zarr, a folder.
    image : str or int, optional
        As in `read_image`.
    how : str
        What the sentence says is to be written before a name.

    Raises
    ------
    FileError
        As in `open_image`.
    """
    path = local_path(path)
    names, default, _ = _listed(path)
    number = default if image is None else chosen(path, names, image)
    return names[number], told(path, names, number, how) if image is None else ""


def separate_images(path: str | Path, image: str | int | None = None) -> tuple[FileImage, ...]:
    """The images of a file, each with what names it alone; those of an OME-Zarr by their own
    folders.

    Of a file that only holds further planes of an image, as in a set of a file for each plane, it
    is the one where that begins.

    Parameters
    ----------
    path : str or Path
        A file or, for OME-Zarr, a folder.
    image : str or int, optional
        Only this one, as in `read_image`.

    Raises
    ------
    FileError
        As in `open_image`.
    """
    path = local_path(path)
    with _one_sentence(path):
        names, _, beginning = _listed(path)
        if beginning is not None and beginning != path and not beginning.samefile(path):
            return separate_images(beginning, image)
        kept = range(len(names)) if image is None else [chosen(path, names, image)]
        if not path.is_dir():
            return tuple(
                FileImage(path, names[n], names[n]) if len(names) > 1 else FileImage(path)
                for n in kept
            )
        from napari_mdeblurgan.storage.ome_zarr_images import file_images

        found = file_images(path)
        return tuple(found[n] for n in kept) if found else (FileImage(path),)


def listed_images(path: str | Path, image: str | None = None) -> tuple[FileImage, ...]:
    """The same for a list of files, some of which may be bad: never an error, which comes when the
    image is read.

    Parameters
    ----------
    path : str or Path
        A file or, for OME-Zarr, a folder. Where it cannot be read, it is the only image of itself.
    image : str, optional
        Only this one of a file that holds several, whether it is there or not.
    """
    try:
        found = separate_images(path)
        return separate_images(path, image) if len(found) > 1 and image is not None else found
    except MdeblurganError:
        return (FileImage(Path(path), image),)


def _listed(path: Path) -> ImageList:
    """The images of a file."""
    with _one_sentence(path):
        found: ImageList = _format(path).reader(path).list_images(path)
        return found


def check_source(path: Path) -> None:
    """Make sure that a path leads to no pipe, device or the like, which may be waited for in vain.

    Raises
    ------
    FileError
        If it does.
    """
    if kind := no_file(path):
        raise FileError(f"{path} is {kind} and no image file; name a file.")


def _format(path: Path) -> FileFormat:
    """The format of a path that can be read, of which there is something."""
    check_source(path)
    if path.is_dir():
        from napari_mdeblurgan.storage.ome_zarr_images import is_image_folder

        if is_image_folder(path):
            return ZARR
        if path.suffix.lower() in ZARR.endings:
            raise FileError(f"{path} is a folder without zarr in it; copy it again.")
        raise FileError(f"{path} is a folder; name an image file in it.")
    found = format_of(path)
    if found is None:
        raise FileError(
            f"{path} is not of a kind that is read; save it as one of {', '.join(readable())}."
        )
    if path.stat().st_size == 0:
        raise FileError(f"{path} is empty (0 bytes); copy it again from where it came.")
    if found is ZARR:
        raise FileError(f"{path} is a file, but zarr is a folder; unpack it first.")
    return found


@contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    """Whatever goes wrong while a file is read, said in one sentence."""
    try:
        yield
    except MdeblurganError:
        raise
    except FileNotFoundError:
        raise FileError(f"{path} does not exist; check its name.") from None
    except PermissionError:
        raise FileError(f"{path} may not be read; ask for the permission to.") from None
    except MemoryError:
        raise FileError(f"{path} does not fit into memory; crop it first.") from None
    except Exception as error:  # the decoders raise whatever a damaged file leads them to
        raise unreadable(path, error) from error


def check_writable(path: str | Path, axes: str, dtype: np.dtype | type | str) -> None:
    """Make sure, before any work is done, that an image of these axes and this dtype can be written
    to `path`.

    Raises
    ------
    FileError
        If the file type cannot hold it, or the folder is missing or not writable.
    """
    path = local_path(path)
    kind = _kind(path)
    dtype = np.dtype(dtype)
    plain = (
        path.name[: -len(".ome" + path.suffix)] + ".tif" if kind == "ome" else f"{path.stem}.tif"
    )
    if kind == "zarr":
        from napari_mdeblurgan.storage.ome_zarr_layout import check_axes

        check_axes(axes)
    if dtype.name not in TIFF_DTYPES:
        raise FileError(
            f"{path} cannot hold pixels of type {dtype.name}; convert the image to float32 first."
        )
    if dtype.name == "bool" and axes.endswith("S") and kind in ("ome", "tiff"):
        raise FileError(
            f"{path} cannot hold colour pixels of type bool; convert the image to uint8 first."
        )
    if kind == "ome" and dtype.name not in OME_DTYPES:
        raise FileError(f"OME-TIFF cannot hold pixels of type {dtype.name}; write {plain} instead.")
    if kind == "ome" and not set(axes) <= set("TZCYXS"):
        raise FileError(
            f"OME-TIFF cannot hold an axis {(set(axes) - set('TZCYXS')).pop()}; write {plain} "
            "instead."
        )
    if kind == "png":
        if axes not in ("YX", "YXS"):
            raise FileError(f"PNG holds a single plane, not {axes}; write {plain} instead.")
        if dtype.name not in (("uint8",) if axes == "YXS" else ("bool", "uint8", "uint16")):
            colour = "colour" if axes == "YXS" else "grey"
            raise FileError(
                f"PNG cannot hold {colour} pixels of type {dtype.name}; write {plain} instead."
            )
    if kind == "zarr" and os.path.lexists(path):
        raise FileError(f"{path} is there already; remove it, or choose another name.")
    check_place(path)


def check_place(path: Path) -> None:
    """Make sure that a file can have this name.

    Raises
    ------
    FileError
        If the folder is missing or not writable, or a folder, a device or the like has that name.
    """
    refuse_no_file(path)
    folder = real_path(path).parent
    if not folder.is_dir():
        raise FileError(f"{path} cannot be written: there is no folder {folder}; make it first.")
    if path.is_dir():
        raise FileError(f"{path} cannot be written: a folder has that name; choose another name.")
    if not os.access(folder, os.W_OK):
        raise FileError(
            f"{path} cannot be written: folder {folder} may not be written to; choose another."
        )


def write_image(
    path: str | Path, image: Micrograph, tell: Callable[[float], None] | None = None
) -> None:
    """Write an image, whole or not at all; an older file (not an older OME-Zarr) is replaced once
    the new one is complete.

    The name decides: .ome.tif(f) is OME-TIFF; .tif(f) has ImageJ's metadata where ImageJ knows the
    type (a stack is then in the order TZC), else JSON that `read_image` and tifffile understand;
    .png holds one plane, 1-, 8- or 16-bit grey or 8-bit colour; .zarr is OME-Zarr 0.5 with a
    pyramid. Pixels are never changed; leading axes of length 1 may be missing when a TIFF file is
    read again. A large lazy image goes into TIFF and OME-Zarr in bounded memory.

    Parameters
    ----------
    path : str or Path
        Ends in one of `WRITABLE`.
    image : Micrograph
        Of any type that the file can hold without loss.
    tell : callable, optional
        Called with the share that is written before every megapixel or so, and with 1 when the file
        is there. What it raises on the way ends the writing, and nothing half-written is left.

    Raises
    ------
    FileError
        If the file type cannot hold the image, or the file cannot be written; nothing half-written
        is left.
    """
    path = at_home(path)
    check_writable(path, image.axes, image.data.dtype)
    if math.prod(image.data.shape) == 0:
        raise FileError(f"{path} cannot be written: the image has no pixels.")
    names = tuple(map(for_metadata, image.channel_names))
    image = replace(image, name=for_metadata(image.name), channel_names=names)
    kind = _kind(path)
    if kind == "zarr":
        from napari_mdeblurgan.storage.ome_zarr_writing import write_ome_zarr

        write_ome_zarr(path, image, tell=tell or untold)
    elif kind == "png":
        from napari_mdeblurgan.storage.raster import write_png

        write_png(path, _whole(image))
    elif _is_streamed(image, told=tell is not None):
        from napari_mdeblurgan.storage.tiff_stream import stream_tiff

        stream_tiff(path, image, ome=kind == "ome", tell=tell or untold)
    else:
        from napari_mdeblurgan.storage.tiff_writing import write_tiff

        write_tiff(path, _whole(image), ome=kind == "ome")
    if tell is not None:
        tell(1.0)


def _is_streamed(image: Micrograph, *, told: bool) -> bool:
    """Whether an image goes into TIFF tile by tile: where it is not in memory, or somebody wants to
    know how far it is.
    """
    lazy = not isinstance(image.data, np.ndarray)
    return (told or lazy) and image.data.nbytes > (TOLD_BYTES if told else STREAMED_BYTES)


def _kind(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(OME_SUFFIXES):
        return "ome"
    if name.endswith(TIFF_SUFFIXES):
        return "tiff"
    if name.endswith(".png"):
        return "png"
    if name.endswith(".zarr"):
        return "zarr"
    raise FileError(
        f"{path} is not of a kind that is written; choose a name ending in one of "
        f"{', '.join(WRITABLE)}."
    )
