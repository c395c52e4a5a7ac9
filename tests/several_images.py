"""Small files of several images, of every kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from PIL import Image

SIZE = (16, 20)


def plane(value: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Noise of uint8 that begins with `value`, which tells one image from another."""
    data = np.random.default_rng(value).integers(0, 255, size, np.uint8)
    data[0, 0] = value
    return data


def write_series(
    path: Path, names: Sequence[str] = ("left", "middle", "right"), size: tuple[int, int] = SIZE
) -> Path:
    """An OME-TIFF with an image for each name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as file:
        for value, name in enumerate(names):
            file.write(plane(value, size), metadata={"axes": "YX", "Name": name})
    return path


def write_sizes(path: Path) -> Path:
    """A TIFF with pages of three sizes, the second being the largest, and a reduced copy of the
    first.
    """
    with tifffile.TiffWriter(path) as file:
        for value, height in enumerate((12, 24, 18)):
            file.write(plane(value, (height, 20)), metadata=None)
        file.write(plane(9, (6, 10)), metadata=None, subfiletype=1)
    return path


def write_animation(path: Path, count: int = 3) -> Path:
    """A PNG that is an animation."""
    first, *others = (Image.fromarray(plane(value)) for value in range(count))
    first.save(path, save_all=True, append_images=others)
    return path


def write_zarr(
    path: Path, value: int, ome: dict[str, Any] | None = None, *, modern: bool = True
) -> Path:
    """An OME-Zarr image of version 0.5 or 0.4, with more in its metadata if it is given."""
    path.mkdir(parents=True, exist_ok=True)
    group = zarr.create_group(str(path), zarr_format=3 if modern else 2)
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    dataset = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.5]}]}
    version = {} if modern else {"version": "0.4"}
    described = {"multiscales": [{"axes": axes, "datasets": [dataset], **version}], **(ome or {})}
    group.attrs.update({"ome": {"version": "0.5", **described}} if modern else described)
    group.create_array(
        "0", data=plane(value), **({} if modern else {"chunk_key_encoding": {"name": "v2"}})
    )
    return path


def write_group(path: Path, ome: dict[str, Any] | None = None, *, modern: bool = True) -> Path:
    """A group of zarr with these metadata, made beside what is there."""
    path.mkdir(parents=True, exist_ok=True)
    ome = ome or {}
    if modern:
        document = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"ome": {"version": "0.5", **ome}},
        }
        (path / "zarr.json").write_text(json.dumps(document))
    else:
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(json.dumps(ome))
    return path


def write_plate(path: Path, *, modern: bool = True) -> Path:
    """A plate of the wells A/1 and B/2 with two fields each; of a third one that its metadata name
    there is nothing.
    """
    wells = [{"path": place, "rowIndex": 0, "columnIndex": 0} for place in ("A/1", "B/2", "C/3")]
    write_group(path, {"plate": {"wells": wells, "rows": [], "columns": []}}, modern=modern)
    for number, well in enumerate(("A/1", "B/2")):
        write_group(
            path / well, {"well": {"images": [{"path": "0"}, {"path": "1"}]}}, modern=modern
        )
        for field in range(2):
            write_zarr(path / well / str(field), 2 * number + field, modern=modern)
    return path


def write_converted(path: Path) -> Path:
    """What bioformats2raw makes of a file of two images, in the order of its list."""
    write_group(path, {"bioformats2raw.layout": 3})
    write_group(path / "OME", {"series": ["1", "0"]})
    for number in range(2):
        write_zarr(path / str(number), number)
    return path


def add_labels(path: Path, *, named: bool = True, modern: bool = True) -> Path:
    """Labels of an image, that say so themselves or are only listed as such."""
    write_group(path / "labels", {"labels": ["cells"]}, modern=modern)
    write_zarr(path / "labels" / "cells", 77, {"image-label": {}} if named else None, modern=modern)
    return path / "labels" / "cells"
