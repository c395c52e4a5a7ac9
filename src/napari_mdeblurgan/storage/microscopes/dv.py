"""DeltaVision DV, read by mrc."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.calibration import Calibration, labelled
from napari_mdeblurgan.storage.geometry import AxisStep, Geometry, is_size
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.objective import Objective, labelled_objective, told_objective
from napari_mdeblurgan.storage.planes import Planes, lazy_planes
from napari_mdeblurgan.storage.several import ImageList, chosen
from napari_mdeblurgan.storage.stems import file_stem

LEADING = "TZC"
HEADER_BYTES = 1024
EXTENDED_AT, MARK_AT = (
    92,
    96,
)  # places of the length of the extended header, and of what tells the format
BYTE_ORDERS = {b"\xa0\xc0": "<", b"\xc0\xa0": ">"}
TIME_AT = 4 * (8 + 1)  # in what the extended header has for each plane
INTEGERS, NUMBERS = 8, 14  # that the extended header has for each plane, as far as they have names


def list_images(path: Path) -> ImageList:
    """The only image of a file.

    Raises
    ------
    FileError
        If it is no DV, damaged or cut short.
    """
    _opened_file(path)
    return ImageList(("0",))


def open_image(path: Path, image: str | int | None = None) -> Micrograph:
    """Open the image without reading its pixels.

    Raises
    ------
    FileError
        If it is no DV, damaged, cut short or of complex numbers.
    """
    chosen(path, ("0",), image)
    file = _opened_file(path)
    axes, shape = _leading(file) + "YX", _shape(file)
    data = lazy_planes(path, _planes, (), axes, shape, file.dtype.newbyteorder("="))
    return labelled(data, axes, _calibration(file), file_stem(path))


def _opened_file(path: Path) -> Any:
    from mrc import DVFile

    order = _byte_order(path)
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    (extended,) = struct.unpack_from(f"{order}i", header, EXTENDED_AT)
    if not 0 <= extended <= path.stat().st_size:
        raise _cut_short(path)
    try:
        found = DVFile(path)
    except ValueError:  # of numpy, which maps more bytes than there are
        raise _cut_short(path) from None
    except KeyError:
        raise FileError(
            f"{path} has pixels of a kind that is not read; save it as OME-TIFF."
        ) from None
    if found.dtype.kind not in "uif":
        raise FileError(
            f"{path} has pixels that are complex numbers; save it with integers or real numbers."
        )
    if math.prod(found.shape[:3]) != found.hdr.n_sections or min(found.shape) < 1:
        raise _cut_short(path)
    return found


def _byte_order(path: Path) -> str:
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        raise _cut_short(path)
    order = BYTE_ORDERS.get(header[MARK_AT : MARK_AT + 2])
    if order is None:
        raise FileError(f"{path} is not a DV file, whatever its name says; save it again.")
    return order


def _cut_short(path: Path) -> FileError:
    return FileError(f"{path} is damaged or cut short; copy it again.")


def _leading(file: Any) -> str:
    return "".join(axis for axis in LEADING if file.sizes[axis] > 1)


def _shape(file: Any) -> tuple[int, ...]:
    return tuple(file.sizes[axis] for axis in (*_leading(file), "Y", "X"))


def _planes(path: str) -> Planes:
    file = _opened_file(Path(path))
    leading, dtype = _leading(file), file.dtype.newbyteorder("=")

    def read(index: tuple[int, ...], rows: slice, columns: slice) -> np.ndarray:
        place = dict(zip(leading, index, strict=True))
        plane = file.data[tuple(place.get(axis, 0) for axis in file.axes[:3])]
        return plane[rows, columns].astype(dtype)

    return Planes(_shape(file), dtype, False, read)


def _calibration(file: Any) -> Calibration:
    sizes = dict(zip("XYZ", map(float, file.voxel_size), strict=True))
    steps = {axis: AxisStep(size, "µm") for axis, size in sizes.items() if is_size(size)}
    return Calibration(Geometry.of(steps), time_step_s=_seconds(file), objective=_objective(file))


def _objective(file: Any) -> Objective | None:
    """What the library knows of the lens of that number; waves are those that were detected."""
    from mrc.lenses import D

    header = file.hdr
    waves = [
        getattr(header, f"wave{number}") / 1000 for number in range(1, 1 + min(file.sizes["C"], 5))
    ]
    lens = D.get(header.lens_num, {})
    told = told_objective(
        lens.get("lensNA"), waves, lens.get("magnification"), lens.get("immersion")
    )
    return told or labelled_objective(lens.get("name"), waves)


def _seconds(file: Any) -> float | None:
    """From one time point to the next, by the times that stand with the planes."""
    header, count = file.hdr, file.sizes["T"]
    known = file.ext_hdr is not None and header.n_ints == INTEGERS and header.n_floats >= NUMBERS
    if (
        count < 2
        or not known
        or len(file.ext_hdr.buffer) < 4 * header.n_sections * (header.n_ints + header.n_floats)
    ):
        return None
    length = 4 * (header.n_ints + header.n_floats)
    apart = length * math.prod(file.shape[file.axes.index("T") + 1 : 3])
    layout = f"{_byte_order(Path(file.path))}f"  # which the library does not heed here
    first, last = (
        struct.unpack_from(layout, file.ext_hdr.buffer, number * apart + TIME_AT)[0]
        for number in (0, count - 1)
    )
    step = float(last - first) / (count - 1)
    return step if is_size(step) else None
