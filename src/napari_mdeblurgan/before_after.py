"""A picture of an image before and after restoration, side by side, for a person to judge.

Both halves have the same contrast; the part with most detail is shown magnified below them.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import uniform_filter

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.storage import Micrograph, write_image

PANEL = (320, 960)  # narrowest and widest panel, pixels
ZOOM = 3
DIVIDER = 4
LABEL_BAND = 24
SAMPLE_PIXELS = 512 * 512  # looked at for the contrast and for where the detail is
BAND_VALUES = 2**18  # converted at a time
INK, _PAPER, _FRAME = (255, 255, 255), (24, 24, 24), (255, 214, 10)


def middle_plane(image: Micrograph) -> np.ndarray:
    """The plane that stands for a stack: the middle along every leading axis, the first of the
    channels.

    Returns
    -------
    ndarray
        (y, x) or (y, x, 3 or 4), the image's type.
    """
    return image.data[middle_index(image)]


def middle_index(image: Micrograph) -> tuple[int, ...]:
    """Where that plane is along the axes before y and x."""
    leading = image.axes.removesuffix("S").removesuffix("YX")
    return tuple(
        0 if axis == "C" else length // 2
        for axis, length in zip(leading, image.data.shape, strict=False)
    )


def comparison(
    before: np.ndarray, after: np.ndarray, names: tuple[str, str] = ("before", "after")
) -> np.ndarray:
    """Draw the picture.

    Left the image before, enlarged by bicubic interpolation to the density of the image after, on
    the right; below, from both, the part where the image before has most detail, magnified
    threefold without interpolation. Contrast limits are those of the image before: the whole range
    of uint8, else its percentiles 0.1 and 99.9. Panels of more than 960 pixels are reduced; the
    magnified parts never are. Only what is shown is converted, so that the picture takes little
    memory beside the images.

    Parameters
    ----------
    before, after : ndarray
        (y, x) or (y, x, 3 or 4), any real type; `after` is as large as `before` or a whole number
        of times larger.
    names : (str, str)
        What is written above the two.

    Returns
    -------
    ndarray
        (y, x, 3) uint8.

    Raises
    ------
    ImageError
        If the two do not belong together.
    """
    factor = after.shape[0] // before.shape[0] if before.size else 0
    if not factor or after.shape[:2] != tuple(factor * length for length in before.shape[:2]):
        raise ImageError(
            f"An image of shape {after.shape} is no restoration of one of shape {before.shape}."
        )
    limits = _limits(before)
    height, width = after.shape[:2]
    shrink = min(1.0, PANEL[1] / max(height, width))
    panel = (max(PANEL[0], round(width * shrink)), max(1, round(height * shrink)))
    image = (max(1, round(width * shrink)), panel[1])

    y, x, crop = _most_detailed(
        before, factor, (panel[0] // ZOOM, max(1, round(panel[0] * 0.6)) // ZOOM)
    )
    region = (slice(y, y + crop[1]), slice(x, x + crop[0]))
    enlarged = _enlarged(before, factor, region, limits)
    restored = _bytes(after[region], limits)

    zoom = (crop[0] * ZOOM, crop[1] * ZOOM)
    labels = (
        f"{names[0]} (enlarged by bicubic interpolation)" if factor > 1 else names[0],
        names[1],
    )
    canvas = Image.new(
        "RGB", (2 * panel[0] + DIVIDER, panel[1] + zoom[1] + 2 * LABEL_BAND + DIVIDER), _PAPER
    )
    draw = ImageDraw.Draw(canvas)
    corners = tuple(value * shrink for value in (x, y, x + crop[0], y + crop[1]))
    below = LABEL_BAND + panel[1] + DIVIDER
    for side, (whole, part) in enumerate(((before, enlarged), (after, restored))):
        left = side * (panel[0] + DIVIDER)
        top = LABEL_BAND
        inset = left + (panel[0] - image[0]) // 2
        canvas.paste(_panel(whole, image, limits), (inset, top))
        start = (inset + corners[0], top + corners[1])
        stop = (inset + corners[2] - 1, top + corners[3] - 1)
        draw.rectangle((start, tuple(map(max, start, stop))), outline=_FRAME, width=2)
        magnified = Image.fromarray(part).resize(zoom, Image.Resampling.NEAREST)
        canvas.paste(magnified, (left + (panel[0] - zoom[0]) // 2, below + LABEL_BAND))
        _write(draw, (left, 0), labels[side])
        _write(draw, (left, below), f"{names[side]}: framed part, {ZOOM} times larger")
    draw.rectangle((panel[0], 0, panel[0] + DIVIDER - 1, canvas.height), fill=INK)
    return np.asarray(canvas)


def write_comparison(
    path: str | Path,
    before: Micrograph,
    after: Micrograph,
    names: tuple[str, str] = ("before", "after"),
    region: tuple[tuple[int, int], tuple[int, int]] | None = None,
) -> None:
    """Write the picture of an image and its restoration as PNG; of a stack, its middle plane.

    Parameters
    ----------
    path : str or Path
        Of the picture.
    before, after : Micrograph
        The image, and what was made of it or of a part of it.
    names : (str, str)
        Written above them.
    region : ((int, int), (int, int)), optional
        The part: start and stop along y and x, in pixels of the image; by default all.

    Raises
    ------
    FileError
        If the file cannot be written.
    ImageError
        If the two do not belong together.
    """
    plane = middle_plane(before)
    if region is not None:
        plane = plane[tuple(slice(*span) for span in region)]
    write_image(path, Micrograph(comparison(plane, middle_plane(after), names), "YXS"))


def _limits(image: np.ndarray) -> tuple[float, float]:
    if image.dtype == np.uint8 or image.dtype == bool:
        return 0.0, float(np.iinfo(np.uint8).max if image.dtype == np.uint8 else 1)
    step = _sampling_step(image)
    values = (image[..., :3] if image.ndim == 3 else image)[::step, ::step].astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, (0.1, 99.9))
    return float(low), float(high if high > low else low + 1)


def _sampling_step(image: np.ndarray) -> int:
    """Every how manieth pixel along y and x is enough to know an image by."""
    return max(1, math.ceil((image.shape[0] * image.shape[1] / SAMPLE_PIXELS) ** 0.5))


def _panel(image: np.ndarray, size: tuple[int, int], limits: tuple[float, float]) -> Image.Image:
    """An image in `size` (width, height), enlarged or reduced; of a large one, a band of rows at a
    time is converted.
    """
    height, width = image.shape[:2]
    step = max(1, min(height // size[1], width // size[0]))
    rows = step * max(1, BAND_VALUES // (step * width * (image.shape[2] if image.ndim == 3 else 1)))
    bands = (
        Image.fromarray(_bytes(image[y : y + rows], limits)).reduce(step)
        for y in range(0, height, rows)
    )
    reduced = Image.fromarray(np.concatenate([np.asarray(band) for band in bands]))
    return reduced.resize(size, Image.Resampling.BICUBIC, box=(0, 0, width / step, height / step))


def _bytes(image: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """(y, x) or (y, x, 3) uint8 between the contrast limits; NaN is black, transparency is left
    out.
    """
    low, high = limits
    colours = image[..., :3] if image.ndim == 3 else image
    if colours.dtype == np.uint8 and (low, high) == (0, 255):
        return np.ascontiguousarray(colours)
    scaled = (colours.astype(np.float64) - low) * (255 / (high - low))
    return np.rint(np.clip(np.nan_to_num(scaled, posinf=255), 0, 255)).astype(np.uint8)


def _most_detailed(
    image: np.ndarray, factor: int, size: tuple[int, int]
) -> tuple[int, int, tuple[int, int]]:
    """Where the steepest gradients gather in the image before: y, x, (width, height) in pixels of
    the image after.
    """
    step = _sampling_step(image)
    part = image[::step, ::step]
    grey = (
        part[..., :3].astype(np.float64).mean(axis=-1)
        if part.ndim == 3
        else part.astype(np.float64)
    )
    grey = np.nan_to_num(grey, posinf=0, neginf=0)
    height, width = image.shape[:2]
    low = min(width, max(1, size[0] // factor)), min(height, max(1, size[1] // factor))
    slopes = sum(np.abs(np.gradient(grey, axis=axis)) for axis in (0, 1) if grey.shape[axis] > 1)
    slopes = np.minimum(slopes, np.percentile(slopes, 99.9))
    window = tuple(
        min(length, max(1, edge // step))
        for edge, length in zip(low[::-1], grey.shape, strict=True)
    )
    density = uniform_filter(slopes, window, mode="constant")
    density = density[
        tuple(slice(w // 2, w // 2 + n - w + 1) for w, n in zip(window, grey.shape, strict=True))
    ]
    y, x = (int(at) * step for at in np.unravel_index(int(density.argmax()), density.shape))
    y, x = min(y, height - low[1]), min(x, width - low[0])
    return y * factor, x * factor, (low[0] * factor, low[1] * factor)


def _enlarged(
    image: np.ndarray, factor: int, region: tuple[slice, slice], limits: tuple[float, float]
) -> np.ndarray:
    """A part of the image before at the density of the image after, by bicubic interpolation;
    uint8.
    """
    margin = 4
    starts = [max(0, part.start // factor - margin) for part in region]
    stops = [
        min(n, part.stop // factor + margin) for n, part in zip(image.shape, region, strict=False)
    ]
    crop = Image.fromarray(_bytes(image[starts[0] : stops[0], starts[1] : stops[1]], limits))
    large = np.asarray(
        crop.resize((crop.width * factor, crop.height * factor), Image.Resampling.BICUBIC)
    )
    y, x = (
        slice(p.start - s * factor, p.stop - s * factor)
        for p, s in zip(region, starts, strict=True)
    )
    return large[y, x]


def _write(draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str) -> None:
    draw.text((corner[0] + 6, corner[1] + 4), text, fill=INK, font=ImageFont.load_default(14))
