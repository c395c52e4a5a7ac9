"""TIFF and OME-TIFF that are written tile by tile, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.storage.block_by_block import natural_edges, plane_blocks, untold
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.provenance import software_of
from napari_mdeblurgan.storage.tiff.tiff_metadata import plain_options
from napari_mdeblurgan.storage.tiff.tiff_ome import ome_options
from napari_mdeblurgan.storage.tiff.tiff_writing import CLASSIC_LIMIT_BYTES, FAST


def stream_tiff(
    path: Path, image: Micrograph, *, ome: bool, tell: Callable[[float], None] = untold
) -> None:
    """Write an image, lazy or not, in tiles, compressed by zlib; BigTIFF beyond 4 GB; `tell` is as
    in `write_image`.

    Raises
    ------
    FileError
        If the file cannot be written; nothing half-written is left.
    """
    import tifffile

    dtype, edges = image.data.dtype.newbyteorder("="), natural_edges(image)
    options: dict[str, Any] = {
        "shape": image.data.shape,
        "dtype": dtype,
        "tile": edges,
        "photometric": "rgb" if image.rgb else "minisblack",
        "software": software_of(image),
        "compression": "zlib",
        "compressionargs": {"level": FAST},
        "predictor": dtype.kind in "ui" and dtype.itemsize <= 4,
    }
    if image.rgb:
        options["planarconfig"] = "contig"
    options |= ome_options(image) if ome else plain_options(image)
    large = image.data.nbytes > CLASSIC_LIMIT_BYTES
    with replacing(path) as handle, tifffile.TiffWriter(handle, bigtiff=large, ome=ome) as tif:
        tif.write(_tiles(image, edges, dtype, tell), **options)


def _tiles(
    image: Micrograph, edges: tuple[int, int], dtype: np.dtype, tell: Callable[[float], None]
) -> Iterator[np.ndarray]:
    """All tiles, those at the edges filled up with zeros."""
    for block in plane_blocks(image, edges, tell):
        pixels = block.pixels
        tile = np.zeros((*edges, *pixels.shape[2:]), dtype)
        tile[: pixels.shape[0], : pixels.shape[1]] = pixels
        yield tile
