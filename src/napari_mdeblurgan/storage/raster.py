"""PNG, JPEG and BMP: single planes, grey or colour."""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.claims import check_frames, check_picture
from napari_mdeblurgan.storage.geometry import (
    MICROMETRES,
    AxisStep,
    Geometry,
    proportions,
    size_from_density,
)
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.orientations import SIDEWAYS, UPRIGHT, upright
from napari_mdeblurgan.storage.pillow import (
    PNG_LEVEL,
    PNG_SIGNATURE,
    opened_picture,
    whole_pictures,
)
from napari_mdeblurgan.storage.provenance import PNG_KEY, software_of
from napari_mdeblurgan.storage.several import ImageList, chosen

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

_FIRST = "0"  # what the first picture is called
_ORIENTATION = 0x0112  # a tag of EXIF
_OPAQUE = 2**16 - 1  # of 16 bits


def open_image(path: Path, image: str | int | None = None) -> Micrograph:
    """Read a PNG, JPEG or BMP file; of several pictures, as in an animation, that of the number, or
    else the first.

    Raises
    ------
    FileError
        If it is none of them, asks for absurd memory, or is an animation in colours of 16 bits,
        which could only be read with a loss.
    """
    _check_sums(path)
    with opened_picture(path) as file, whole_pictures():
        check_picture(path, file.size)
        names = _frames(path, file)
        number = names[chosen(path, names, image)]
        if number != _FIRST:
            file.seek(int(number))
        bits, colours = _png_bits(path)
        orientation = _orientation(file)
        data = _deep_pixels(path, len(names)) if bits > 8 and colours else _pixels(file, bits)
        remarks = _remarks(path, file, data)
        geometry = _geometry(file.info, orientation in SIDEWAYS)
    if orientation != UPRIGHT:
        data = upright(data, orientation)
    return Micrograph(
        data,
        "YXS" if data.ndim == 3 else "YX",
        geometry.scale,
        geometry.unit,
        name=path.stem if len(names) == 1 else f"{path.stem} {number}",
        remarks=remarks,
    )


def list_images(path: Path) -> ImageList:
    """The pictures in a file of these kinds, called by their numbers: mostly there is one.

    Raises
    ------
    FileError
        If it is of none of them.
    """
    with opened_picture(path) as file:
        return ImageList(_frames(path, file))


def _frames(path: Path, file: PILImage) -> tuple[str, ...]:
    """Numbers of the pictures that are images of their own: those of the first one's size, as
    cameras put previews, gains and depths beside a JPEG.
    """
    count = getattr(file, "n_frames", 1)
    check_frames(path, count)
    if file.format != "MPO":
        return tuple(map(str, range(count)))
    return (
        _FIRST,
        *(str(number) for number in range(1, count) if _size(path, number) == file.size),
    )


def _size(path: Path, number: int) -> tuple[int, int] | None:
    """Width and height of one of several pictures; None where it cannot be read."""
    with opened_picture(path) as file:
        try:
            file.seek(number)
        except (OSError, EOFError, SyntaxError, ValueError, struct.error):
            return None
        return file.size


def _orientation(file: PILImage) -> int:
    """Which way up a picture is, as EXIF counts it; upright where it does not tell, or garbled."""
    try:
        return int(file.getexif().get(_ORIENTATION, UPRIGHT))
    except (OSError, SyntaxError, TypeError, ValueError, struct.error):
        return UPRIGHT


def _pixels(image: PILImage, bits: int) -> np.ndarray:
    """Pixels of a PIL image: (y, x) bool, uint8 or uint16, or (y, x, 3 or 4) uint8; of a PNG with
    so many bits.
    """
    mode = image.mode
    if mode in ("1", "L") and "transparency" in image.info:  # of one grey
        if mode == "L":  # Pillow spreads the greys of 2 and 4 bits over 8, but not this one
            image.info["transparency"] *= 255 // (2**bits - 1)
        image, mode = image.convert("LA"), "LA"
    if mode in ("1", "L", "RGB", "RGBA"):
        if "transparency" in image.info and mode == "RGB":
            image = image.convert("RGBA")
    elif mode.startswith("I"):
        return np.asarray(image).astype(np.uint16)
    elif mode == "LA":
        alpha = np.asarray(image.getchannel("A"))
        image = image.getchannel("L") if (alpha == 255).all() else image.convert("RGBA")
    elif mode in ("P", "PA"):
        seen = mode == "PA" or "transparency" in image.info
        image = image.convert("RGBA" if seen else "L" if _is_of_greys(image) else "RGB")
    else:
        image = image.convert("RGB")
    return np.array(image)


def _remarks(path: Path, image: PILImage, data: np.ndarray) -> tuple[str, ...]:
    """A sentence where pixels are transparent that 16-bit greys cannot show so."""
    deep_greys = data.ndim == 2 and data.dtype == np.uint16
    hidden = image.info.get("transparency") if deep_greys else None
    if hidden is None or not (data == hidden).any():
        return ()
    return (f"{path.name} calls pixels of the value {hidden} transparent; they are shown as grey.",)


def _is_of_greys(image: PILImage) -> bool:
    """Whether a picture with a palette shows none of its colours, so that it is grey."""
    palette = np.frombuffer(bytes(image.getpalette() or ()), np.uint8).reshape(-1, 3)
    shown = palette[np.flatnonzero(image.histogram()[: len(palette)])]
    return bool((shown == shown[:, :1]).all())


def _geometry(info: Mapping[Any, Any], turned: bool) -> Geometry:
    """Sizes of pixels, where the density can be that of pixels on the object; without a unit, their
    proportions.
    """
    ratio = info.get("aspect") or (info.get("jfif_density") if info.get("jfif_unit") == 0 else None)
    density = info.get("dpi") or ratio
    if density is None or len(density) != 2:
        return Geometry()
    densities = dict(zip("YX" if turned else "XY", map(float, density), strict=True))
    if "dpi" not in info:
        return proportions(densities)
    sizes = {axis: size_from_density(value) for axis, value in densities.items()}
    return (
        Geometry.of({axis: AxisStep(size or math.nan, "µm") for axis, size in sizes.items()})
        if all(sizes.values())
        else Geometry()
    )


def _deep_pixels(path: Path, pictures: int) -> np.ndarray:
    """Pixels of a PNG in colours, or greys with opacity, of 16 bits, which Pillow would halve:
    (y, x) or (y, x, 3 or 4) uint16.
    """
    from imagecodecs import png_decode

    if pictures > 1:
        raise FileError(
            f"{path} is an animation in colours of 16 bits, of which 8 would be lost; save its "
            "pictures as TIFF."
        )
    data: np.ndarray = png_decode(path.read_bytes())
    if data.shape[-1] > 2:
        return data
    return data[..., 0] if (data[..., 1] == _OPAQUE).all() else data[..., [0, 0, 0, 1]]


def _png_bits(path: Path) -> tuple[int, bool]:
    """Of how many bits each number of a PNG is, and whether there are several for a pixel; 8 of any
    other file.
    """
    with path.open("rb") as file:
        header = file.read(26)
    if not header.startswith(PNG_SIGNATURE):
        return 8, False
    return header[24], header[25] != 0


def _check_sums(path: Path) -> None:
    """Make sure that the pixels of a PNG are those that were written; Pillow heeds none of their
    checksums.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(PNG_SIGNATURE)) != PNG_SIGNATURE:
            return
        while len(header := file.read(8)) == 8 and header[4:] != b"IEND":
            length = int.from_bytes(header[:4], "big")
            if header[4:] not in (b"IDAT", b"fdAT"):
                file.seek(length + 4, os.SEEK_CUR)
                continue
            body, told = file.read(min(length, size)), file.read(4)
            if len(told) == 4 and zlib.crc32(header[4:] + body) != int.from_bytes(told, "big"):
                raise FileError(f"{path} is damaged: its checksums are wrong; copy it again.")


def write_png(path: Path, image: Micrograph) -> None:
    """Write one plane as PNG; pixel sizes along X and Y go into its density, rounded to whole
    pixels per metre.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    sizes, unit = image.physical()
    data = np.ascontiguousarray(image.data).astype(image.data.dtype.newbyteorder("="), copy=False)
    options: dict[str, Any] = {}
    if unit and "X" in sizes and "Y" in sizes:
        density = [MICROMETRES["in"] / (sizes[axis] * MICROMETRES[unit]) for axis in "XY"]
        if all(1 <= value / 0.0254 < 2**31 for value in density):
            options["dpi"] = tuple(density)
    text = PngInfo()
    text.add_text(PNG_KEY, software_of(image))
    with replacing(path) as handle:
        Image.fromarray(data).save(handle, "PNG", pnginfo=text, compress_level=PNG_LEVEL, **options)
