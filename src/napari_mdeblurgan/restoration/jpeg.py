"""JPEG compression, which an image tells of itself: in blocks of 8 × 8 pixels the finest detail is
gone. What a network makes of the rest is no detail of the specimen, so the result is made softer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.restoration.intensity import spots
from napari_mdeblurgan.stopping import look_up

JPEG_SOFTNESS = 0.45  # σ, in pixels of the image
JPEG_BLOCK, _HALF = 8, 4  # pixels of an edge of a block
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_FINEST = (6, 7)  # of the 8 frequencies of a block along an axis
_SPOTS = 4
_ROUNDING = 0.1  # grey levels, squared: less is no detail, but what rounding to whole ones leaves
_DETAIL = 0.3  # a block that has less shows nothing
# mean logarithm of what a block has of the finest detail to what lies between blocks, and how many
# times what chance makes of it, where that of one block is some 1
_GONE, _SURE = -0.2, 5.0
_NOTHING, _MANY = -0.12, 400  # of so many blocks: then nothing is gone


def jpeg_softness(image: Any, factor: int, *, rgb: bool) -> float:
    """How soft the result of an image is at least, because it was compressed: σ in pixels of the
    result, 0 where it was not.

    Parameters
    ----------
    image : array
        (..., y, x) or, if `rgb`, (..., y, x, 3 or 4): in memory or lazy, of which a few places are
        read.
    factor : int
        Pixels of the result for one of the image, along y and x.
    rgb : bool
        Whether the last axis holds colours.
    """
    return JPEG_SOFTNESS * factor if was_jpeg(image, rgb=rgb) else 0.0


def was_jpeg(image: Any, *, rgb: bool) -> bool:
    """Whether an image was compressed by JPEG with its pixels as they are now; one that was
    averaged since is as good as one that was not. Pixels enlarged by whole numbers, and a lattice
    of eight pixels, look the same.

    Parameters
    ----------
    image : array
        As in `jpeg_softness`.
    rgb : bool
        Whether the last axis holds colours.

    Notes
    -----
    JPEG divides the discrete cosine transform of each block by steps and rounds it, mostly to
    nothing at its finest frequencies (ITU-T T.81). So blocks on that grid have less of them than
    blocks that lie four pixels off, which hold the edges between.
    """
    if np.dtype(image.dtype) != np.uint8 or 0 in image.shape:
        return False
    places = list(spots(image.shape, 3 if rgb else 2))
    told, blocks = np.zeros((JPEG_BLOCK, JPEG_BLOCK)), np.zeros((JPEG_BLOCK, JPEG_BLOCK))
    flat = image.ndim == (3 if rgb else 2)  # planes may be of several kinds
    for number, place in enumerate(places[:: -(-len(places) // _SPOTS)]):
        look_up()
        pixels = read(image, place)
        grey = pixels[..., :3] @ LUMA if rgb else pixels.astype(np.float32)
        if min(grey.shape) < 2 * JPEG_BLOCK:
            continue
        y, x = (part.start for part in place[len(place) - 2 :] if isinstance(part, slice))
        for total, seen in zip((told, blocks), grid_evidence(grey), strict=True):
            total += np.roll(seen, (y, x), (0, 1))
        mean = told / np.maximum(blocks, 1)
        if (mean < np.minimum(_GONE, -_SURE / np.sqrt(np.maximum(blocks, 1)))).any():
            return True
        if flat and number and blocks.min() >= _MANY and mean.min() > _NOTHING:
            return False  # two places mostly tell
    return False


def grid_evidence(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each of the 8 × 8 places where a grid of blocks can begin: the sum over its blocks of the
    logarithm of what they have of the finest detail to what blocks half a block off have, and how
    many show something.
    """
    energy = _finest(grey)
    rows, columns = ((length - JPEG_BLOCK + 1) // JPEG_BLOCK for length in grey.shape)
    energy = energy[: rows * JPEG_BLOCK, : columns * JPEG_BLOCK]
    cells = np.log(energy.reshape(rows, JPEG_BLOCK, columns, JPEG_BLOCK) + np.float32(_ROUNDING))
    off = [
        np.roll(cells, shift, (1, 3))
        for shift in (
            (JPEG_BLOCK // 2, 0),
            (0, JPEG_BLOCK // 2),
            (JPEG_BLOCK // 2, JPEG_BLOCK // 2),
        )
    ]
    between = sum(off) / np.float32(len(off))
    shows = between > np.log(_DETAIL)
    return np.where(shows, cells - between, 0).sum((0, 2)), shows.sum((0, 2))


def _finest(grey: np.ndarray) -> np.ndarray:
    """The energy of the four finest frequencies of the block that begins at each pixel."""
    at = np.arange(JPEG_BLOCK)
    waves = [np.cos(np.pi * (2 * at + 1) * f / (2 * JPEG_BLOCK)) / 2 for f in _FINEST]
    energy = np.zeros_like(grey)
    for down in waves:
        along = ndimage.correlate1d(grey, down, axis=0, origin=-_HALF, mode="nearest")
        for across in waves:
            energy += ndimage.correlate1d(along, across, axis=1, origin=-_HALF, mode="nearest") ** 2
    return energy
