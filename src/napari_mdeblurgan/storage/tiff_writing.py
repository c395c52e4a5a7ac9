"""Writing TIFF in its three dialects: OME, ImageJ and plain."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.geometry import MICROMETRES
from napari_mdeblurgan.storage.micrograph import Micrograph

CLASSIC_LIMIT_BYTES = 2**32 - 2**25
LARGEST_DENSITY = 2**32 - 1  # what the numerator of a tag can hold
IMAGEJ_DTYPES = frozenset({"uint8", "int16", "uint16", "float32"})


def write_tiff(path: Path, image: Micrograph, *, ome: bool) -> None:
    """Write TIFF, compressed by zlib; BigTIFF beyond 4 GB.

    ImageJ's stacks are left uncompressed, for ImageJ reads them as one piece.
    """
    import tifffile

    data, axes = image.data, image.axes
    large = data.nbytes > CLASSIC_LIMIT_BYTES
    imagej = not ome and not large and _for_imagej(image)
    if imagej:
        order = [axis for axis in "TZCYXS" if axis in axes]
        data, axes = data.transpose([axes.index(axis) for axis in order]), "".join(order)
    data = np.ascontiguousarray(data.astype(data.dtype.newbyteorder("="), copy=False))
    options: dict[str, Any] = {"photometric": "rgb" if image.rgb else "minisblack", "software": "napari-mdeblurgan"}
    if image.rgb:
        options["planarconfig"] = "contig"
    if not imagej or axes in ("YX", "YXS"):
        options |= {"compression": "zlib", "predictor": data.dtype.kind in "ui" and data.dtype.itemsize <= 4}
    options |= _imagej_options(image, axes) if imagej else ome_options(image) if ome else plain_options(image)
    try:
        with replacing(path) as handle, tifffile.TiffWriter(handle, bigtiff=large, imagej=imagej, ome=ome) as tif:
            tif.write(data, **options)
    except FileError:
        raise
    except (ValueError, struct.error) as error:
        detail = " ".join(str(error).split())[:120]
        raise FileError(f"{path} cannot be written ({detail}); choose another type of file.") from error


def _for_imagej(image: Micrograph) -> bool:
    """Whether ImageJ's dialect holds the pixels, the axes and all the sizes."""
    dtypes = {"uint8"} if image.rgb else IMAGEJ_DTYPES
    sizes, _ = image.physical()
    fits = set(image.axes) <= set("TZCYXS") and set(sizes) in (set(), {"X", "Y"}, {"X", "Y", "Z"})
    return (
        fits
        and all(1 / sizes[axis] < LARGEST_DENSITY for axis in "XY" if axis in sizes)
        and image.data.dtype.name in dtypes
    )


def _imagej_options(image: Micrograph, axes: str) -> dict[str, Any]:
    sizes, unit = image.physical()
    metadata: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {"metadata": metadata}
    if unit:
        metadata["unit"] = {"µm": "micron", "Å": "angstrom", "in": "inch"}.get(unit, unit)
        options |= {"resolution": (1 / sizes["X"], 1 / sizes["Y"]), "resolutionunit": "NONE"}
    if "Z" in sizes:
        metadata["spacing"] = sizes["Z"]
    if image.time_step_s is not None:
        metadata["finterval"] = image.time_step_s
    if "C" in axes:
        metadata["mode"] = "composite"
        planes = int(np.prod([image.data.shape[image.axes.index(axis)] for axis in "TZ" if axis in axes], dtype=int))
        if image.channel_names:
            metadata["Labels"] = list(image.channel_names) * planes
    return options


def ome_options(image: Micrograph) -> dict[str, Any]:
    """What tifffile is told of an OME-TIFF's metadata."""
    sizes, unit = image.physical()
    metadata: dict[str, Any] = {"axes": image.axes}
    for axis, size in sizes.items():
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": unit}
    if image.time_step_s is not None:
        metadata |= {"TimeIncrement": image.time_step_s, "TimeIncrementUnit": "s"}
    if image.channel_names:
        metadata["Channel"] = {"Name": list(image.channel_names)}
    if image.name:
        metadata["Name"] = image.name
    return {"metadata": metadata}


def plain_options(image: Micrograph) -> dict[str, Any]:
    """What tifffile is told of a plain TIFF's metadata."""
    sizes, unit = image.physical()
    metadata: dict[str, Any] = {"axes": image.axes}
    options: dict[str, Any] = {"metadata": metadata}
    if unit:
        metadata |= {"pixel_size": sizes, "unit": unit}
        if "X" in sizes and "Y" in sizes:
            per_cm = [MICROMETRES["cm"] / (sizes[axis] * MICROMETRES[unit]) for axis in "XY"]
            if max(per_cm) < LARGEST_DENSITY:
                options |= {"resolution": tuple(per_cm), "resolutionunit": "CENTIMETER"}
    if image.time_step_s is not None:
        metadata["time_step_s"] = image.time_step_s
    if image.channel_names:
        metadata["channel_names"] = list(image.channel_names)
    return options
