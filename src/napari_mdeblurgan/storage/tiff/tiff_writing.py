"""Writing TIFF in its three dialects: OME, ImageJ and plain."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.provenance import software_of
from napari_mdeblurgan.storage.tiff.tiff_imagej import fits_imagej, imagej_options
from napari_mdeblurgan.storage.tiff.tiff_metadata import plain_options
from napari_mdeblurgan.storage.tiff.tiff_ome import ome_options

FAST = 1  # of zlib's levels: a third of the time of its usual one, for a tenth more bytes
CLASSIC_LIMIT_BYTES = 2**32 - 2**25


def write_tiff(path: Path, image: Micrograph, *, ome: bool) -> None:
    """Write TIFF, compressed by zlib; BigTIFF beyond 4 GB.

    ImageJ's stacks are left uncompressed, for ImageJ reads them as one piece.
    """
    import tifffile

    data, axes = image.data, image.axes
    large = data.nbytes > CLASSIC_LIMIT_BYTES
    imagej = not ome and not large and fits_imagej(image)
    if imagej:
        order = [axis for axis in "TZCYXS" if axis in axes]
        data, axes = data.transpose([axes.index(axis) for axis in order]), "".join(order)
    data = np.ascontiguousarray(data.astype(data.dtype.newbyteorder("="), copy=False))
    options: dict[str, Any] = {
        "photometric": "rgb" if image.rgb else "minisblack",
        "software": software_of(image),
    }
    if image.rgb:
        options["planarconfig"] = "contig"
    if not imagej or axes in ("YX", "YXS"):
        options |= {
            "compression": "zlib",
            "compressionargs": {"level": FAST},
            "predictor": data.dtype.kind in "ui" and data.dtype.itemsize <= 4,
        }
    options |= (
        imagej_options(image, axes)
        if imagej
        else ome_options(image)
        if ome
        else plain_options(image)
    )
    try:
        with (
            replacing(path) as handle,
            tifffile.TiffWriter(handle, bigtiff=large, imagej=imagej, ome=ome) as tif,
        ):
            tif.write(data, **options)
    except FileError:
        raise
    except (ValueError, struct.error) as error:
        detail = " ".join(str(error).split())[:120]
        raise FileError(
            f"{path} cannot be written ({detail}); choose another type of file."
        ) from error
