"""TIFF in its three dialects: OME, ImageJ and plain."""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.micrograph import MICROMETRES, Micrograph
from napari_mdeblurgan.storage.tiff_metadata import Calibration, read_calibration

if TYPE_CHECKING:
    from tifffile import TiffPageSeries

CLASSIC_LIMIT_BYTES = 2**32 - 2**25
HIGHEST_COMPRESSION = 1500  # deflate's is 1032, LZW's 1370
BOUNDED_COMPRESSIONS = frozenset({"NONE", "LZW", "DEFLATE", "ADOBE_DEFLATE", "PACKBITS"})  # others have no such limit
SPARE_BYTES = 64 * 2**20  # tiles that are left out cost nothing
IMAGEJ_DTYPES = frozenset({"uint8", "int16", "uint16", "float32"})
CUT_SHORT = re.compile(r"invalid page offset|failed to reshape|corrupted file")


def read_tiff(path: Path) -> Micrograph:
    """Read the largest series of a TIFF file at full resolution.

    Raises
    ------
    FileError
        If the file is no TIFF, cut short, larger than memory, or in a compression or colour space that is not read.
    """
    import tifffile

    with _complaints() as complaints:
        try:
            with tifffile.TiffFile(path) as tif:
                if not tif.series or not max(series.size for series in tif.series):
                    raise FileError(f"{path} is a TIFF file without an image; save it again.")
                index, series = max(enumerate(tif.series), key=lambda item: item[1].size)
                _check_colours(path, series)
                _check_memory(path, series)
                data = _decoded(path, series)
                calibration = read_calibration(tif, index, series)
                data, axes = _arranged(data, series)
        except tifffile.TiffFileError as error:
            detail = " ".join(str(error).split())[:120]
            raise FileError(f"{path} is not a TIFF file, or a damaged one ({detail}); save it again.") from error
    if any(CUT_SHORT.search(complaint) for complaint in complaints):
        raise FileError(f"{path} is damaged or cut short: some of its images are missing; copy it again.")
    return _micrograph(data, axes, calibration, path)


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What tifffile logs: it goes on with what is left where a file is cut short, and only says so there."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    logger, collector = logging.getLogger("tifffile"), Collector(logging.WARNING)
    logger.addHandler(collector)
    try:
        yield found
    finally:
        logger.removeHandler(collector)


def _check_colours(path: Path, series: TiffPageSeries) -> None:
    from tifffile import PHOTOMETRIC

    known = {PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.PALETTE, PHOTOMETRIC.YCBCR}
    photometric = series.keyframe.photometric
    if photometric not in known:
        name = getattr(photometric, "name", str(photometric))
        raise FileError(f"{path} has colours of the kind {name}; save it as RGB or grey.")
    if np.dtype(series.dtype).kind not in "buif":
        raise FileError(f"{path} has pixels of type {series.dtype}; save it with integers or real numbers.")


def _check_memory(path: Path, series: TiffPageSeries) -> None:
    import psutil

    size = f"{series.nbytes / 2**30:,.1f} GiB ({' × '.join(map(str, series.shape))} pixels)"
    file_bytes = path.stat().st_size
    bounded = getattr(series.keyframe.compression, "name", None) in BOUNDED_COMPRESSIONS and not series.is_multifile
    if bounded and series.nbytes > HIGHEST_COMPRESSION * file_bytes + SPARE_BYTES:
        raise FileError(f"{path} is damaged: it claims to hold {size} in {file_bytes:,} bytes; copy it again.")
    if series.nbytes > psutil.virtual_memory().available:
        raise FileError(f"{path} holds {size}, which does not fit into memory; crop it first.")


def _decoded(path: Path, series: TiffPageSeries) -> np.ndarray:
    try:
        return series.asarray()
    except ValueError as error:
        if "imagecodecs" in str(error):
            compression = getattr(series.keyframe.compression, "name", series.keyframe.compression)
            raise FileError(
                f"{path} is compressed by {compression}, which needs the package imagecodecs: "
                "`pip install imagecodecs`, or save the file without compression."
            ) from None
        raise


def _arranged(data: np.ndarray, series: TiffPageSeries) -> tuple[np.ndarray, str]:
    """Pixels and axes with YX or YXS last, samples that are no colours as channels, greys the right way round."""
    from tifffile import PHOTOMETRIC

    page, axes = series.keyframe, series.axes
    by_program = series.kind.lower() in ("imagej", "ome", "shaped")
    if page.photometric == PHOTOMETRIC.PALETTE and page.colormap is not None and not by_program:
        colours = np.asarray(page.colormap)
        data, axes = (colours >> 8).astype(np.uint8).T[data], f"{axes}S"
    inverted = "PhotometricInterpretation" in page.tags and page.photometric == PHOTOMETRIC.MINISWHITE
    if inverted and data.dtype.kind in "bu" and not by_program:
        data = np.invert(data)
    if "S" in axes:
        colour = data.shape[axes.index("S")] in (3, 4) and page.photometric != PHOTOMETRIC.MINISBLACK
        if not colour:
            axes = axes.replace("S", "Q" if "C" in axes else "C")
    last = "YXS" if "S" in axes else "YX"
    order = [axis for axis in axes if axis not in last] + list(last)
    data = np.ascontiguousarray(data.transpose([axes.index(axis) for axis in order]))
    return data.astype(data.dtype.newbyteorder("="), copy=False), "".join(order)


def _micrograph(data: np.ndarray, axes: str, calibration: Calibration, path: Path) -> Micrograph:
    channels = data.shape[axes.index("C")] if "C" in axes else 1
    return Micrograph(
        data,
        axes,
        {axis: size for axis, size in calibration.sizes.items() if axis in axes},
        calibration.unit if calibration.sizes else None,
        calibration.channel_names if len(calibration.channel_names) == channels else (),
        re.sub(r"\.ome$", "", path.stem, flags=re.IGNORECASE),
        calibration.time_step_s if "T" in axes else None,
    )


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
    options |= _imagej_options(image, axes) if imagej else _ome_options(image) if ome else _plain_options(image)
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
    return fits and image.data.dtype.name in dtypes


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


def _ome_options(image: Micrograph) -> dict[str, Any]:
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


def _plain_options(image: Micrograph) -> dict[str, Any]:
    sizes, unit = image.physical()
    metadata: dict[str, Any] = {"axes": image.axes}
    options: dict[str, Any] = {"metadata": metadata}
    if unit:
        metadata |= {"pixel_size": sizes, "unit": unit}
        if "X" in sizes and "Y" in sizes:
            per_cm = [MICROMETRES["cm"] / (sizes[axis] * MICROMETRES[unit]) for axis in "XY"]
            options |= {"resolution": tuple(per_cm), "resolutionunit": "CENTIMETER"}
    if image.time_step_s is not None:
        metadata["time_step_s"] = image.time_step_s
    if image.channel_names:
        metadata["channel_names"] = list(image.channel_names)
    return options
