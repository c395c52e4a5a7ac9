"""Which files hold results of this program, and how these were made: what they carry in each format
that it writes.

A mark tells results from other images. Beside it OME-TIFF and OME-Zarr can keep a record, a
dictionary of what JSON has: the `version` of its form and a list `layers` with an entry for the
result, or one for each of its channels where these were layers of their own. An entry has

- `made`: model, weights, version, source, intensity window, softness, averaging, orientations, …;
  see `restoration.made`;
- `trust`: what was found out about it; see `trust.record`. It lacks where nothing was;
- what a viewer adds, such as the name of a layer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import OWN_KEY, PROVENANCE_KEY
from napari_mdeblurgan.storage.pillow import opened_picture
from napari_mdeblurgan.storage.tiff.tiff_ome import own_annotation

if TYPE_CHECKING:
    from napari_mdeblurgan.storage.micrograph import Micrograph

SOFTWARE = "napari-mdeblurgan"
RESTORED = f"{SOFTWARE} (restored)"
PNG_KEY = "Software"
RESTORED_JOB = "restored"
_VERSION = 1  # of the form of a record


def software_of(image: Micrograph) -> str:
    """What the file of an image names as the software: results of a restoration are marked."""
    return RESTORED if image.restored else SOFTWARE


def is_result(path: Path) -> bool:
    """Whether a file or an OME-Zarr is a result of this program: a restored image, or a map of one.

    Only the mark is read. What has none, or cannot be read, is no result: other programs keep no
    marks of ours.
    """
    try:
        if path.is_dir():
            attributes = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
            return bool(attributes[OWN_KEY].get("job"))
        if path.suffix.lower() == ".png":
            with opened_picture(path) as file:
                return file.info.get(PNG_KEY) == RESTORED
        if path.suffix.lower() in (".tif", ".tiff"):
            import tifffile

            with tifffile.TiffFile(path) as tif:
                return str(getattr(tif.pages.first, "software", "")) == RESTORED
    except (
        Exception
    ):  # whatever a damaged file leads the decoders to; reading it says what is wrong
        return False
    return False


def record_of(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A record of results, an entry for each; what JSON cannot hold is left out."""
    return {"version": _VERSION, "layers": [json_values(entry) for entry in entries]}


def entries_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of a record that was read from a file; none where it is something else, or of a
    later version.
    """
    entries, version = record.get("layers"), record.get("version")
    if not isinstance(version, int) or version > _VERSION or not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict)]


def read_provenance(path: Path) -> dict[str, Any]:
    """The record that an OME-TIFF or an OME-Zarr keeps; empty where it has none, or it cannot be
    read. Reads no pixels.

    What comes back was in a file: nothing in it is to be relied on but that it is a dictionary of
    what JSON has.
    """
    try:
        found = (_in_zarr(path) if path.is_dir() else _in_ome_tiff(path)).get(PROVENANCE_KEY)
    except (
        Exception
    ):  # whatever a damaged file leads the decoders to; reading it says what is wrong
        return {}
    return dict(found) if isinstance(found, Mapping) else {}


def _in_zarr(path: Path) -> dict[str, Any]:
    return dict(json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"][OWN_KEY])


def _in_ome_tiff(path: Path) -> dict[str, Any]:
    if path.suffix.lower() not in (".tif", ".tiff"):
        return {}
    import tifffile

    from napari_mdeblurgan.storage.claims import check_claims

    with tifffile.TiffFile(path) as tif:
        if not tif.is_ome or not tif.ome_metadata:
            return {}
        check_claims(path, tif)
        return own_annotation(ElementTree.fromstring(tif.ome_metadata))


def json_values(value: Any) -> Any:
    """The same as JSON has it: tuples are lists, numpy's numbers are numbers, and what it has no
    place for is None.
    """
    match value:
        case Mapping():
            return {str(key): json_values(each) for key, each in value.items()}
        case list() | tuple():
            return [json_values(each) for each in value]
        case np.ndarray():
            return json_values(value.tolist())
        case np.generic():
            return json_values(value.item())
        case float():
            return value if math.isfinite(value) else None
        case str() | bool() | int():
            return value
    return None
