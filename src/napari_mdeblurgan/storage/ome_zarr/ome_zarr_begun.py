"""What `create_ome_zarr` has begun, and whether it is finished: told by its attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import at_home
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_chunks import ChunkStore
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_layout import attributes
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import (
    DISPLAY_KEY,
    OWN_KEY,
    PARTIAL,
    PROVENANCE_KEY,
    unfinished,
)

_DAMAGED = ValueError, KeyError, TypeError, AttributeError, RecursionError  # what zarr raises then
YOUNG = re.compile(r"zarr\.[0-9a-f]+\.partial")  # metadata that zarr was writing


def begun_job(path: str | Path, *, in_place: bool = False) -> str | None:
    """The `job` of an OME-Zarr that `create_ome_zarr` has begun there and that is not finished;
    None if there is none.
    """
    path = at_home(path)
    place = path if in_place else path.with_name(path.name + PARTIAL)
    found = attributes_of(place)
    job = found[OWN_KEY].get("job") if is_begun(place, found) else None
    return job if isinstance(job, str) else None


def begun_fraction(path: str | Path) -> float | None:
    """How much of an unfinished OME-Zarr is on disk at full resolution, from 0 to 1; only reads.

    Parameters
    ----------
    path : str or Path
        The folder itself, whose name ends in ".partial"; None comes back if `create_ome_zarr` has
        not begun it.
    """
    import zarr

    place = Path(path)
    if place.is_symlink() or not is_begun(place, attributes_of(place)):
        return None
    try:
        array = zarr.open_array(str(place / "0"), mode="r")
    except (OSError, *_DAMAGED):
        return None
    return array.nchunks_initialized / array.nchunks if array.nchunks else None


def finished_job(path: str | Path) -> str | None:
    """The `job` of an OME-Zarr that `create_ome_zarr` has begun and that is finished; None if there
    is none.
    """
    found = attributes_of(at_home(path)).get(OWN_KEY)
    job = found.get("job") if isinstance(found, Mapping) and found.get("finished") is True else None
    return job if isinstance(job, str) else None


def attributes_of(path: Path) -> dict[str, Any]:
    import zarr

    try:
        return zarr.open_group(str(path), mode="r").attrs.asdict()
    except (OSError, *_DAMAGED):
        return {}


def is_unfinished(path: Path) -> bool:
    """Whether a folder was begun by this program: it has its mark, or is so young that there is
    nothing in it yet.
    """
    return is_begun(path, attributes_of(path)) or (
        path.is_dir() and all(YOUNG.fullmatch(file.name) for file in path.iterdir())
    )


def is_begun(path: Path, attributes: Mapping[str, Any]) -> bool:
    """Whether attributes are those of an OME-Zarr on its way; it may have been killed when it
    lacked but its name.
    """
    return (
        isinstance(attributes.get(OWN_KEY), Mapping)
        if path.name.endswith(PARTIAL)
        else unfinished(attributes)
    )


def begun_for(store: ChunkStore, job: str) -> bool:
    """Whether what is on disk was begun for the same job, image and chunks, and has all its arrays,
    undamaged.
    """
    try:
        return _fits(store, job)
    except FileError:
        raise
    except _DAMAGED:
        return False


def _fits(store: ChunkStore, job: str) -> bool:
    found, expected = (
        attributes_of(store.path),
        attributes(store.layout, job, finished=False, windows=None),
    )
    if not is_begun(store.path, found) or _as_begun(found) != _as_begun(expected):
        return False
    levels = range(len(store.layout.levels))
    if not all((store.path / str(level) / "zarr.json").is_file() for level in levels):
        return False
    return all(store.array(level).chunks == store.layout.stored_chunk(level) for level in levels)


def _as_begun(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What of the attributes does not change when the image is finished, nor with its name, nor
    with the date in its record, nor with the colours and limits that it is shown in.
    """
    ome, own = dict(attributes.get("ome", {})), dict(attributes.get(OWN_KEY, {}))
    for changing in (PROVENANCE_KEY, DISPLAY_KEY):
        own.pop(changing, None)
    multiscales = [
        {key: each[key] for key in each if key != "name"} for each in ome.pop("multiscales", [])
    ]
    channels = ome.pop("omero", {}).get("channels", [])
    named = [channel["label"] for channel in channels if channel.get("label")]
    return {
        "ome": ome,
        "multiscales": multiscales,
        "own": own | {"finished": False},
        "channels": named,
    }
