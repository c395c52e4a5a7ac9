"""Images into files of the kind that their name tells, whole or not at all."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_mdeblurgan.atomic import refuse_no_file
from napari_mdeblurgan.errors import FileError, ImageError
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.outputs import local_path
from napari_mdeblurgan.plain_text import for_metadata
from napari_mdeblurgan.storage.block_by_block import untold
from napari_mdeblurgan.storage.micrograph import Micrograph

WRITABLE = (".tif", ".tiff", ".ome.tif", ".ome.tiff", ".png", ".ome.zarr", ".zarr")


OME_SUFFIXES = (".ome.tif", ".ome.tiff")


TIFF_SUFFIXES = (".tif", ".tiff")


STREAMED_BYTES = 256 * 2**20


TOLD_BYTES = 16 * 2**20  # what is written at once though somebody wants to know how far it is


OME_DTYPES = frozenset(
    {"bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"}
)


TIFF_DTYPES = OME_DTYPES | {"int64", "uint64", "float16"}


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
        from napari_mdeblurgan.storage.ome_zarr.ome_zarr_layout import check_axes

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
    if kind == "ome":
        from napari_mdeblurgan.storage.tiff.tiff_ome import check_ome_axes

        check_ome_axes(axes, plain)
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
    ImageError
        If it is no `Micrograph`, such as a bare array.
    """
    path = local_path(path)
    if not isinstance(image, Micrograph):
        raise ImageError(
            f"This {type(image).__name__} does not say what its axes are; pass it as one that "
            'does, as in `Micrograph(array, "YX")`.'
        )
    check_writable(path, image.axes, image.data.dtype)
    if math.prod(image.data.shape) == 0:
        raise FileError(f"{path} cannot be written: the image has no pixels.")
    names = tuple(map(for_metadata, image.channel_names))
    image = replace(image, name=for_metadata(image.name), channel_names=names)
    kind = _kind(path)
    if kind == "zarr":
        from napari_mdeblurgan.storage.ome_zarr.ome_zarr_writing import write_zarr_image

        write_zarr_image(path, image, tell=tell or untold)
    elif kind == "png":
        from napari_mdeblurgan.storage.raster import write_png
        from napari_mdeblurgan.storage.reading import whole

        write_png(path, whole(image))
    elif _is_streamed(image, told=tell is not None):
        from napari_mdeblurgan.storage.tiff.tiff_stream import stream_tiff

        stream_tiff(path, image, ome=kind == "ome", tell=tell or untold)
    else:
        from napari_mdeblurgan.storage.reading import whole
        from napari_mdeblurgan.storage.tiff.tiff_writing import write_tiff

        write_tiff(path, whole(image), ome=kind == "ome")
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
