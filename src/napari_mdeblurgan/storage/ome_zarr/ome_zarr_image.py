"""OME-Zarr as an image: level 0 of versions 0.4 and 0.5."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.lazy_arrays import StoredArray, lazily, stamp_of, transposed
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.objective import zarr_objective
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_images import (
    refuse_labels,
    zarr_images,
    zarr_title,
)
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import (
    PARTIAL,
    Level0,
    read_level0,
    unfinished,
)
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_stored import remarks_on_planes
from napari_mdeblurgan.storage.several import ImageList, chosen

if TYPE_CHECKING:
    import zarr


def open_image(path: Path, image: str | int | None = None) -> Micrograph:
    """Open the image at full resolution without reading its pixels.

    Parameters
    ----------
    path : Path
        Of the image, or of a plate, a well or a collection of several images.
    image : str, int or None
        Which of several: see `storage.images_in`. None takes the first.

    Raises
    ------
    FileError
        If it is no OME-Zarr image, or is stored in pieces that do not fit into memory; if it holds
        labels.
    """
    found = zarr_images(path)
    if not found:
        return _opened(path)  # which says why
    one = found[chosen(path, [each.name for each in found], image)]
    name = zarr_title(one.path if len(found) > 1 else path)
    name = f"{name} {one.own}" if one.own else name
    return replace(_opened(one.path, one.number), name=name, objective=zarr_objective(one.path))


def list_images(path: Path) -> ImageList:
    """The images, of which the first is the default.

    Raises
    ------
    FileError
        If there is none.
    """
    return ImageList(tuple(each.name for each in zarr_images(path)) or (open_image(path).name,))


def _opened(path: Path, number: int = 0) -> Micrograph:
    import zarr

    from napari_mdeblurgan.storage.ome_zarr.zarr_store import FileStore

    group = zarr.open(FileStore(path), mode="r")
    if not isinstance(group, zarr.Group):
        raise FileError(
            f"{path} is a zarr array without the metadata of OME-Zarr; name the folder of an image."
        )
    attributes = group.attrs.asdict()
    refuse_labels(path, attributes)
    if path.name.endswith(PARTIAL) or unfinished(attributes):
        raise FileError(f"{path} is not finished yet; go on with what was making it, or remove it.")
    level0 = read_level0(path, attributes, number)
    array = group.get(level0.component)
    if not isinstance(array, zarr.Array):
        raise _lacking_array(path, level0)
    if array.ndim != len(level0.axes):
        raise FileError(
            f"{path} has {array.ndim} dimensions, but {len(level0.axes)} axes; save it again."
        )
    image = _micrograph(path, array, level0)
    remarks = remarks_on_planes(path, path / level0.component, array, level0.axes)
    return replace(image, remarks=remarks)


def open_levels(path: Path) -> list[Any]:
    """The levels of the pyramid of an image, of several the first, as dask arrays, the finest
    first, with the image's axes; no pixels are read.

    Raises
    ------
    FileError
        If it is no OME-Zarr image, or is stored in pieces that do not fit into memory.
    """
    import zarr

    from napari_mdeblurgan.storage.ome_zarr.zarr_store import FileStore

    finest = open_image(path)
    one = zarr_images(path)[0]
    group = zarr.open_group(FileStore(one.path), mode="r")
    attributes: Any = group.attrs.asdict()
    level0 = read_level0(one.path, attributes, one.number)
    datasets = attributes.get("ome", attributes)["multiscales"][one.number]["datasets"]
    levels = [finest.data]
    for component in (dataset["path"] for dataset in datasets[1:]):
        array = group.get(component)
        if isinstance(array, zarr.Array):
            levels.append(_micrograph(one.path, array, replace(level0, component=component)).data)
    return levels


def _micrograph(path: Path, array: zarr.Array, level0: Level0) -> Micrograph:
    dtype = np.dtype(array.dtype)
    if dtype.kind not in "buif":
        raise FileError(
            f"{path} has pixels of type {dtype}; save it with integers or real numbers."
        )
    piece = array.shards or array.chunks
    size = math.prod(piece) * dtype.itemsize
    if size > psutil.virtual_memory().available:
        raise FileError(
            f"{path} is stored in pieces of {size / 2**30:,.1f} GiB, each of which does not fit "
            "into memory; save it in tiles."
        )
    place = (path / level0.component).absolute()
    files = (place / "zarr.json", place / ".zarray")
    told = next((file for file in files if file.is_file()), None)
    if told is None:  # what the group tells of its arrays counts for zarr, be they there or not
        raise _lacking_array(path, level0)
    stored = StoredArray(
        path, _open_array, (str(place),), array.shape, dtype.newbyteorder("="), stamp_of(told), told
    )
    data = lazily(stored, piece, (level0.axes.index("Y"), level0.axes.index("X")))
    axes, order = _orders(level0, array.shape)
    geometry = level0.geometry.along(order)
    channels = array.shape[axes.index("C")] if "C" in axes else 1
    return Micrograph(
        transposed(data, [axes.index(axis) for axis in order]),
        order,
        geometry.scale,
        geometry.unit,
        level0.channel_names if len(level0.channel_names) == channels and "S" not in order else (),
        zarr_title(path),
        level0.time_step_s,
        geometry.origin,
        geometry.unitless,
        level0.display if len(level0.display) == channels and "S" not in order else (),
        level0.grey_calibration,
        time_step=level0.time_step,
        time_origin=level0.time_origin,
    )


def _lacking_array(path: Path, level0: Level0) -> FileError:
    return FileError(
        f"{path} has no array {level0.component}, which its metadata name; copy it again."
    )


def _open_array(path: str) -> zarr.Array:
    import zarr

    from napari_mdeblurgan.storage.ome_zarr.zarr_store import FileStore

    return zarr.open_array(FileStore(path), mode="r")


def _orders(level0: Level0, shape: tuple[int, ...]) -> tuple[str, str]:
    """Letters of the dimensions as they are stored, and in the order that the image has."""
    axes, wanted = level0.axes, level0.order
    if wanted and wanted.endswith("YXS") and "C" in axes and shape[axes.index("C")] in (3, 4):
        axes = axes.replace("C", "S")
    if not wanted or sorted(wanted) != sorted(axes) or not wanted.removesuffix("S").endswith("YX"):
        axes = level0.axes
        wanted = "".join(axis for axis in axes if axis not in "YX") + "YX"
    return axes, wanted
