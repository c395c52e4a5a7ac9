"""Which files hold results of this program: the mark that they carry, in each format that it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mdeblurgan.storage.ome_zarr_metadata import OWN_KEY

if TYPE_CHECKING:
    from napari_mdeblurgan.storage.micrograph import Micrograph

SOFTWARE = "napari-mdeblurgan"
RESTORED = f"{SOFTWARE} (restored)"
PNG_KEY = "Software"
RESTORED_JOB = "restored"


def software_of(image: Micrograph) -> str:
    """What the file of an image names as the software: results of a restoration are marked."""
    return RESTORED if image.restored else SOFTWARE


def is_result(path: Path) -> bool:
    """Whether a file or an OME-Zarr is a result of this program: a restored image, or a map of one.

    Only the mark is read. What has none, or cannot be read, is no result: other programs keep no marks of ours.
    """
    try:
        if path.is_dir():
            attributes = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
            return bool(attributes[OWN_KEY].get("job"))
        if path.suffix.lower() == ".png":
            from PIL import Image

            with Image.open(path, formats=("PNG",)) as file:
                return file.info.get(PNG_KEY) == RESTORED
        if path.suffix.lower() in (".tif", ".tiff"):
            import tifffile

            with tifffile.TiffFile(path) as tif:
                return str(getattr(tif.pages.first, "software", "")) == RESTORED
    except Exception:  # whatever a damaged file leads the decoders to; reading it says what is wrong
        return False
    return False
