"""What files and images are called without their folders and the suffixes of their types."""

from __future__ import annotations

import re
from pathlib import Path

from napari_mdeblurgan.storage.formats import ending_pattern
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_images import zarr_root
from napari_mdeblurgan.storage.several import FileImage


def file_stem(path: Path) -> str:
    """The name of a file without the suffix of its type, OME's included."""
    return re.sub(f"{ending_pattern()}$", "", path.name, flags=re.IGNORECASE) or path.name


def image_file(one: FileImage) -> Path:
    """The file that an image lies in: of one in an OME-Zarr the outermost folder of that."""
    return zarr_root(one.path) if one.path.is_dir() else one.path


def image_stem(one: FileImage) -> str:
    """A name for a file of the image alone: "plate-A-1-0" of plate.ome.zarr/A/1/0, "run-left" of
    the image "left" of run.tif.
    """
    file = image_file(one)
    inner = one.path.absolute().relative_to(file.absolute()).parts
    name = "-".join((file_stem(file), *inner))
    return name if one.image is None else "-".join((name, *re.split(r"[/\\]", one.image)))
