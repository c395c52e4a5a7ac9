"""Images in and out of files, with their axes and pixel sizes: TIFF, OME-TIFF, ImageJ TIFF,
OME-Zarr, PNG and JPEG.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from napari_mdeblurgan.errors import FileError, MdeblurganError, NoSuchImage
from napari_mdeblurgan.folders import no_file
from napari_mdeblurgan.outputs import local_path
from napari_mdeblurgan.plain_text import for_terminal
from napari_mdeblurgan.stand_ins import LONGEST_START, stand_in
from napari_mdeblurgan.storage.formats import (
    ZARR_FORMAT,
    FileFormat,
    ending_by_content,
    format_of,
    readable,
)
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.not_read import remedy
from napari_mdeblurgan.storage.several import (
    FileImage,
    ImageList,
    SeveralImagesWarning,
    chosen,
    which_image,
)
from napari_mdeblurgan.storage.stems import image_stem
from napari_mdeblurgan.storage.unreadable import unreadable
from napari_mdeblurgan.storage.writing import WRITABLE, check_writable, write_image

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


def read_image(path: str | Path, image: str | int | None = None) -> Micrograph:
    """Read an image into memory, with what its file says about it.

    TIFF (OME, ImageJ, Micro-Manager and plain): the largest image, at full resolution, in its own
    bit depth. Planar colour is made interleaved, palettes become RGB, with the opacity beside them,
    or grey where they hold no colour (a lookup table of ImageJ or OME-TIFF does not: its image is
    grey, and shown so),
    inverted greys ("white is zero") are turned the right way round within their bits, colours that
    are multiplied by opacity are divided by it, and signed numbers of ImageJ are signed. OME-Zarr
    0.4 and 0.5: the full resolution. PNG and JPEG are turned as their EXIF orientation says; 16
    bits stay 16, 1-bit becomes bool, CMYK becomes RGB, and so does a palette that is not of
    greys alone. A print resolution is taken for a pixel size only where it cannot be a screen's,
    printer's or scanner's.

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
    from napari_mdeblurgan.storage.reading import whole

    return whole(image)


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
    return names[number], which_image(path, names, number, how) if image is None else ""


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
        from napari_mdeblurgan.storage.ome_zarr.ome_zarr_images import file_images

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
    NoSuchImage
        If it does.
    """
    if kind := no_file(path):
        raise NoSuchImage(f"{path} is {kind} and no image file; name a file.")


def _format(path: Path) -> FileFormat:
    """The format of a path that can be read, of which there is something."""
    check_source(path)
    if path.is_dir():
        from napari_mdeblurgan.storage.ome_zarr.ome_zarr_images import is_image_folder

        if is_image_folder(path):
            return ZARR_FORMAT
        if path.suffix.lower() in ZARR_FORMAT.endings:
            raise NoSuchImage(f"{path} is a folder without zarr in it; copy it again.")
        raise NoSuchImage(f"{path} is a folder; name an image file in it.")
    found = format_of(path)
    if path.name.lower().endswith(".companion.ome"):
        raise NoSuchImage(f"{path} describes the OME-TIFF files beside it; name one of these.")
    if found is None:
        raise NoSuchImage(
            f"{path} is not of a kind that is read ({', '.join(readable())}); {remedy(path.name)}."
        )
    if path.stat().st_size == 0:
        raise FileError(f"{path} is empty (0 bytes); copy it again from where it came.")
    with path.open("rb") as file:
        start = file.read(LONGEST_START)
    if instead := stand_in(start):
        raise FileError(f"{path} is {instead}.")
    if ending := ending_by_content(start, found):
        raise NoSuchImage(
            f"{path} holds another kind of image than its name says; rename it, so that it ends in "
            f"{ending}."
        )
    if found is ZARR_FORMAT:
        raise NoSuchImage(f"{path} is a file, but zarr is a folder; unpack it first.")
    return found


@contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    """Whatever goes wrong while a file is read, said in one sentence."""
    try:
        yield
    except MdeblurganError:
        raise
    except FileNotFoundError as error:
        if not path.exists():
            raise FileError(f"{path} does not exist; check its name.") from None
        if not error.filename:
            raise unreadable(path, error) from error
        lacking = for_terminal(Path(os.fsdecode(error.filename)).name)
        raise FileError(
            f"{path} needs {lacking}, which is not there; put it beside it, under that name."
        ) from None
    except PermissionError:
        raise FileError(f"{path} may not be read; ask for the permission to.") from None
    except MemoryError:
        raise FileError(f"{path} does not fit into memory; crop it first.") from None
    except Exception as error:  # the decoders raise whatever a damaged file leads them to
        raise unreadable(path, error) from error
