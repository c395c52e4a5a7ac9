"""PNG and JPEG: single planes, grey or colour."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.claims import check_frames, check_picture, too_many_pixels
from napari_mdeblurgan.storage.geometry import MICROMETRES, size_from_density
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.several import chosen

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read_raster(path: Path, image: str | int | None = None) -> Micrograph:
    """Read a PNG or JPEG file; of several pictures, as in an animation, that of the number, or else the first.

    Raises
    ------
    FileError
        If it is neither, asks for absurd memory, or is a 16-bit colour PNG, which could only be read with a loss.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    _refuse_deep_colour(path)
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            check_picture(path, file.size)
            names = _frames(path, file)
            frame = chosen(path, names, image)
            if frame:
                file.seek(frame)
            density = file.info.get("dpi")
            turned = file.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            data = _pixels(ImageOps.exif_transpose(file))
    except Image.DecompressionBombError as error:
        raise too_many_pixels(path, next(map(int, re.findall(r"\d+", str(error))), None)) from None
    except UnidentifiedImageError:
        raise _foreign(path) from None
    sizes = _sizes(density[::-1] if turned and density else density)
    return Micrograph(
        data,
        "YXS" if data.ndim == 3 else "YX",
        sizes,
        "µm" if sizes else None,
        name=path.stem if len(names) == 1 else f"{path.stem} {names[frame]}",
    )


def raster_images(path: Path) -> tuple[str, ...]:
    """The numbers of the pictures in a PNG or JPEG file: mostly one.

    Raises
    ------
    FileError
        If it is neither.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            return _frames(path, file)
    except Image.DecompressionBombError:
        return ("0",)  # which is refused when it is read
    except UnidentifiedImageError:
        raise _foreign(path) from None


def _frames(path: Path, file: PILImage) -> tuple[str, ...]:
    count = getattr(file, "n_frames", 1)
    check_frames(path, count)
    return tuple(str(number) for number in range(count))


def _foreign(path: Path) -> FileError:
    return FileError(f"{path} is not a PNG or JPEG image, whatever its name says; save it again.")


def _pixels(image: PILImage) -> np.ndarray:
    """Pixels of a PIL image: (y, x) bool, uint8 or uint16, or (y, x, 3 or 4) uint8."""
    mode = image.mode
    if mode in ("1", "L", "RGB", "RGBA"):
        if "transparency" in image.info and mode == "RGB":
            image = image.convert("RGBA")
    elif mode.startswith("I"):
        return np.asarray(image).astype(np.uint16)
    elif mode == "LA":
        alpha = np.asarray(image.getchannel("A"))
        image = image.getchannel("L") if (alpha == 255).all() else image.convert("RGBA")
    elif mode in ("P", "PA"):
        image = image.convert("RGBA" if mode == "PA" or "transparency" in image.info else "RGB")
    else:
        image = image.convert("RGB")
    return np.array(image)


def _sizes(density: tuple[float, float] | None) -> dict[str, float]:
    sizes = [size_from_density(float(value)) for value in density or ()]
    if len(sizes) != 2 or sizes[0] is None or sizes[1] is None:
        return {}
    return {"X": sizes[0], "Y": sizes[1]}


def _refuse_deep_colour(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(26)
    if header.startswith(PNG_SIGNATURE) and len(header) == 26 and header[24] == 16 and header[25] != 0:
        raise FileError(f"{path} is a colour PNG of 16 bits, of which 8 would be lost; save it as TIFF.")


def write_png(path: Path, image: Micrograph) -> None:
    """Write one plane as PNG; pixel sizes along X and Y go into its density, rounded to whole pixels per metre."""
    from PIL import Image

    sizes, unit = image.physical()
    data = np.ascontiguousarray(image.data).astype(image.data.dtype.newbyteorder("="), copy=False)
    options: dict[str, Any] = {}
    if unit and "X" in sizes and "Y" in sizes:
        density = [MICROMETRES["in"] / (sizes[axis] * MICROMETRES[unit]) for axis in "XY"]
        if all(1 <= value / 0.0254 < 2**31 for value in density):
            options["dpi"] = tuple(density)
    with replacing(path) as handle:
        Image.fromarray(data).save(handle, "PNG", **options)
