"""A result in a file, with its maps where those of the command line lie: all of it or nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_mdeblurgan.atomic import all_or_none
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import at_home
from napari_mdeblurgan.storage import Micrograph, write_image
from napari_mdeblurgan.storage.block_by_block import untold
from napari_mdeblurgan.storage.map_places import map_path, maps_path
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_writing import write_zarr_image
from napari_mdeblurgan.storage.provenance import is_result, read_provenance, record_of
from napari_mdeblurgan.storage.writing import OME_DTYPES

OME_TIFF, OME_ZARR = ".ome.tif", ".ome.zarr"
ENDINGS = (OME_TIFF, ".ome.tiff", OME_ZARR, ".zarr")  # of the names of files that can keep a record
TIFF = (".tif", ".tiff")
_ENDING = re.compile(
    r"\.[a-zA-Z][a-zA-Z0-9]{0,5}"
)  # what is meant as the type of a file: not ".5 µm"
HIDDEN = re.compile(r"[/\\]\.[0-9a-f]{16}\.part[/\\]new")


def result_path(chosen: str | Path, usual: str = OME_TIFF) -> Path:
    """A name that was typed as that of a result: with the ending that it lacks.

    Parameters
    ----------
    chosen : str or Path
        What was typed.
    usual : str
        What a name without an ending is to end in: `OME_TIFF` or `OME_ZARR`.

    Raises
    ------
    FileError
        If it ends as a file of another type does.
    """
    path = at_home(chosen).absolute()
    lower = path.name.lower()
    if lower.endswith(ENDINGS):
        return path
    if lower.endswith(TIFF):
        return path.with_name(f"{path.stem}.ome{path.suffix}")
    if _ENDING.fullmatch(path.suffix):
        raise FileError(
            f"{path} cannot keep the pixel size and how the result was made; let its name end in "
            f"{OME_TIFF} or {OME_ZARR}."
        )
    return path.with_name(path.name + usual)


def map_image(
    name: str, data: Any, result: Micrograph, factor: float, entries: Sequence[Mapping[str, Any]]
) -> Micrograph:
    """A map as an image that lies on its result.

    Parameters
    ----------
    name : str
        Key of `MAPS`.
    data : array
        (..., y, x), with the axes of the result but for colours.
    result : Micrograph
        What it is a map of.
    factor : float
        Pixels of the result for one of the image that it was made from, along y and x.
    entries : sequence of mapping
        Of its record, see `trust.record`.
    """
    from napari_mdeblurgan.trust.maps import MAPS

    frame = result.frame(1 if MAPS[name].finer else 1 / factor)
    title = f"{result.name} {MAPS[name].title.lower()}".strip()
    return Micrograph(
        data, result.axes.removesuffix("S"), **frame, name=title, provenance=record_of(entries)
    )


def save_result(
    path: Path,
    image: Micrograph,
    maps: Mapping[str, Micrograph],
    *,
    replace: bool,
    tell: Callable[[float], None] = untold,
) -> list[Path]:
    """Write a result and its maps, in memory or lazy, in bounded memory; all of it or nothing.

    Parameters
    ----------
    path : Path
        Ends in one of `ENDINGS`.
    image : Micrograph
        The result, with its record.
    maps : mapping of str to Micrograph
        By keys of `MAPS`. They lie within an OME-Zarr, and beside a TIFF file as `map_path` tells.
    replace : bool
        Whether an earlier result of this name, with its maps, may be replaced.
    tell : callable
        Called with the share that is written, from 0 to 1, again and again. What it raises ends the
        writing.

    Returns
    -------
    list of Path
        What was written: the result, then the maps that lie beside it.

    Raises
    ------
    FileError
        If there is something of such a name that may not be replaced, or a file cannot hold the
        image or be written.
    """
    beside = [] if _is_zarr(path) else [map_path(path, name) for name in maps]
    _check_free(path, beside, replace=replace)
    _check_type(path, image)
    sizes = {name: _bytes(each) for name, each in maps.items()}
    total, done = _bytes(image) + sum(sizes.values()), _bytes(image)
    try:
        with all_or_none(path.parent) as folder:
            write_image(folder / path.name, image, _scaled(tell, 0, _bytes(image) / total))
            for name, each in maps.items():
                share = _scaled(tell, done / total, sizes[name] / total)
                _write_map(folder / path.name, name, each, share)
                done += sizes[name]
    except FileError as error:
        raise FileError(HIDDEN.sub("", str(error))) from error
    return [path, *beside]


def _is_zarr(path: Path) -> bool:
    """Whether a result of this name is an OME-Zarr, whose maps lie within it."""
    return path.suffix.lower() == ".zarr"


def _check_free(path: Path, beside: Sequence[Path], *, replace: bool) -> None:
    """Make sure that nothing is replaced but an earlier result, if that may be."""
    mend = "choose another name"
    if path.is_dir() and not (_is_zarr(path) and (is_result(path) or read_provenance(path))):
        raise FileError(f"{path} is a folder that holds something else than a result; {mend}.")
    taken = [each for each in (path, *beside) if each.exists()]
    if taken and not (replace and path.exists()):
        raise FileError(f"{taken[0]} is there already; {mend}, or remove it first.")


def _check_type(path: Path, image: Micrograph) -> None:
    dtype = np.dtype(image.data.dtype).name
    if not _is_zarr(path) and dtype not in OME_DTYPES:
        raise FileError(
            f"OME-TIFF cannot hold pixels of type {dtype}; let the name end in {OME_ZARR}."
        )


def _bytes(image: Micrograph) -> int:
    return max(
        int(np.prod(image.data.shape, dtype=np.int64)) * np.dtype(image.data.dtype).itemsize, 1
    )


def _scaled(tell: Callable[[float], None], begin: float, size: float) -> Callable[[float], None]:
    return lambda share: tell(min(begin + share * size, 1.0))


def _write_map(result: Path, name: str, image: Micrograph, tell: Callable[[float], None]) -> None:
    if not _is_zarr(result):
        write_image(map_path(result, name), image, tell)
        return
    from napari_mdeblurgan.trust.maps import MAPS

    place = maps_path(result, name)
    place.parent.mkdir(exist_ok=True)
    write_zarr_image(place, image, reduction=MAPS[name].reduction, tell=tell)
