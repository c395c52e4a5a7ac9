"""TIFF that is read part by part."""

from __future__ import annotations

import math
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.calibration import labelled
from napari_mdeblurgan.storage.lazy_arrays import StoredArray, lazily, stamp_of
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.tiff.micromanager import open_tiff_file
from napari_mdeblurgan.storage.tiff.tiff_companion import lacking_companion
from napari_mdeblurgan.storage.tiff.tiff_dialects import (
    check_compression,
    list_images,
    opened_tiff,
    title,
)
from napari_mdeblurgan.storage.tiff.tiff_images import axes_in_capitals
from napari_mdeblurgan.storage.tiff.tiff_metadata import read_calibration
from napari_mdeblurgan.storage.tiff.tiff_pieces import check_pieces
from napari_mdeblurgan.storage.tiff.tiff_pixels import arranged_pixels, is_on_its_side

if TYPE_CHECKING:
    from tifffile import TiffPageSeries

__all__ = ["list_images", "open_image"]


def open_image(path: Path, image: str | int | None = None) -> Micrograph:
    """Open the image of that name or number, or else the largest, of a TIFF file without reading
    its pixels.

    Pixels that lie in the file as they would in memory are mapped; others are decoded strip by
    strip or tile by tile.

    Raises
    ------
    FileError
        If the file is no TIFF, cut short, stored in pieces that do not fit into memory, or in a
        compression or colour space that is not read.
    """
    with opened_tiff(path, image) as (tif, index, series):
        stored, piece = _stored(path, index, series)
        axes = axes_in_capitals(series)
        data = lazily(stored, piece, (axes.index("Y"), axes.index("X")))
        data, axes = arranged_pixels(data, axes, series)
        calibration = read_calibration(tif, index, series)
        if is_on_its_side(series):
            calibration = replace(calibration, geometry=calibration.geometry.on_its_side())
        calibration = replace(
            calibration, remarks=(*calibration.remarks, *lacking_companion(path, tif))
        )
        name = title(path, tif, index)
    return labelled(data, axes, calibration, name)


def _stored(path: Path, index: int, series: TiffPageSeries) -> tuple[StoredArray, tuple[int, ...]]:
    """The pixels in the file, and the shape of the smallest part that can be read of them."""
    shape, dtype, stamp, place = (
        series.shape,
        np.dtype(series.dtype),
        stamp_of(path),
        path.absolute(),
    )
    offset = series.dataoffset if series.transform is None and not series.is_multifile else None
    if offset is not None:
        if offset + series.nbytes > stamp[0]:
            raise FileError(
                f"{path} is damaged or cut short: some of its images are missing; copy it again."
            )
        dtype = dtype.newbyteorder(series.keyframe.parent.byteorder)
        piece = tuple(
            length if axis == "S" else 1
            for axis, length in zip(axes_in_capitals(series), shape, strict=True)
        )
        return StoredArray(
            path, _mapped, (str(place), offset, shape, dtype.str), shape, dtype, stamp, place
        ), piece
    others = _others(series)
    piece = _decoded(series).chunks
    check_compression(path, series)
    size = math.prod(piece) * dtype.itemsize
    if size > psutil.virtual_memory().available:
        raise FileError(
            f"{path} is stored in pieces of {size / 2**30:,.1f} GiB, each of which does not fit "
            "into memory; save it in tiles."
        )
    return StoredArray(
        path, _decoder, (str(place), index, others), shape, dtype, stamp, place
    ), piece


def _others(series: TiffPageSeries) -> tuple[tuple[str, int, int], ...]:
    """The other files that planes are in, with the stamps of each: where these change, so does what
    is read.
    """
    if not series.is_multifile:
        return ()
    own = series.parent.filehandle.path if series.parent else ""
    files = {page.parent.filehandle.path for page in series if page is not None} - {own}
    return tuple((file, *stamp_of(Path(file))) for file in sorted(files))


def _mapped(path: str, offset: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.memmap(path, np.dtype(dtype), "r", offset, shape)


def _decoder(path: str, index: int, _others: tuple[tuple[str, int, int], ...] = ()) -> Any:
    tif = open_tiff_file(path)
    try:
        series = tif.series[index]
        array = _decoded(series)
        check_pieces(Path(path), series.keyframe)
    except BaseException:
        tif.close()
        raise
    weakref.finalize(array, tif.close)  # at once: tifffile's own objects wait for the collector
    return array


def _decoded(series: TiffPageSeries) -> Any:
    import zarr

    return zarr.open_array(series.aszarr(level=0), mode="r")
