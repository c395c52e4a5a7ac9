"""TIFF files that are described twice: as OME or ImageJ by who wrote them, and by tifffile, which
puts a note of the shape below any description that it is given.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mdeblurgan.storage.claims import check_claims

if TYPE_CHECKING:
    from tifffile import TiffFile

DIALECTS = ("ome", "imagej")


def without_note(path: Path, tif: TiffFile) -> TiffFile | None:
    """The file as its writer describes it; None where there is no note, or where the description is
    not of these pixels, as one copied from another image is.

    Raises
    ------
    FileError
        If the description claims more than the file can hold.
    """
    import tifffile

    if not tif.is_shaped or not (tif.is_ome or tif.is_imagej):
        return None
    check_claims(path, tif)
    noted = sum(prod(note.get("shape", ())) for note in tif.shaped_metadata or ())
    described = tifffile.TiffFile(path, is_shaped=False)
    heeded = all(series.kind.lower() in DIALECTS for series in described.series)
    if heeded and sum(series.size for series in described.series) == noted:
        return described
    described.close()
    return None
