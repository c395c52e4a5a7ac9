"""What a package shows of its model: a piece of a bundled micrograph, what the network makes of it,
and a picture of both.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_mdeblurgan.export.agreement import run_network
from napari_mdeblurgan.restoration.intensity import PERCENTILES
from napari_mdeblurgan.samples import SAMPLES, attribution, sample_path
from napari_mdeblurgan.storage import read_image

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model

EPSILON = 1e-6  # of bioimage.io's scale_range, beside the width of the window
_EDGE = 192  # pixels, at least; of the example
COVER = (400, 400)  # each half


@dataclass(frozen=True, slots=True)
class Example:
    """A test of the model.

    Attributes
    ----------
    before : ndarray
        (1, channels, y, x) float32, in the units of the micrograph.
    after : ndarray
        (1, channels, scale · y, scale · x) float32: the network's result, 0 and 1 the ends of the
        intensity window.
    window : (float, float)
        Those ends, in the units of the micrograph.
    attribution : str
        Whose micrograph it is, and its licence.
    """

    before: np.ndarray
    after: np.ndarray
    window: tuple[float, float]
    attribution: str


def make_example(model: Model, smallest: int) -> Example:
    """Restore a piece of the bundled micrograph of the model's kind.

    Parameters
    ----------
    model : Model
        For 1 or 3 channels.
    smallest : int
        Pixels that the example has at least along y and x; a multiple of 8.
    """
    name = next(each.name for each in SAMPLES.values() if each.rgb == (model.card.channels == 3))
    image = np.asarray(read_image(sample_path(name)).data)
    edge = max(_EDGE, smallest)
    repeats = [max(1, -(-edge // length)) for length in image.shape[:2]]
    image = np.tile(
        image, (*repeats, *(1,) * (image.ndim - 2))
    )  # a network of a very long reach needs a larger one
    y, x = ((length - edge) // 2 for length in image.shape[:2])
    piece = image[y : y + edge, x : x + edge].reshape(edge, edge, -1)[..., :3]
    before = np.ascontiguousarray(np.moveaxis(piece, -1, 0)[None], np.float32)
    low, high = (float(value) for value in np.percentile(before, PERCENTILES))
    normalised = ((before - np.float32(low)) / np.float32(high - low + EPSILON)).astype(np.float32)
    return Example(before, run_network(model, normalised), (low, high), attribution(name))


def cover(example: Example) -> bytes:
    """A PNG, twice as wide as high: left the middle of the example as it is, right the same after
    restoration.
    """
    low, high = example.window
    halves = ((example.before - low) / (high - low), example.after)
    pictures = [_picture(values[0], Image.Resampling.NEAREST) for values in halves]
    both = Image.new("RGB", (2 * COVER[0], COVER[1]))
    for index, picture in enumerate(pictures):
        both.paste(picture, (index * COVER[0], 0))
    buffer = io.BytesIO()
    both.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _picture(values: np.ndarray, resampling: Image.Resampling) -> Image.Image:
    """The middle half of (channels, y, x) values from 0 to 1."""
    height, width = values.shape[1:]
    middle = values[
        :, height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 2
    ]
    levels = (np.clip(np.moveaxis(middle, 0, -1), 0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(levels.squeeze()).convert("RGB").resize(COVER, resampling)
