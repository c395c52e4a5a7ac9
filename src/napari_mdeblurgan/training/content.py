"""Where an image shows something: candidates for patches are compared by their contrast."""

from __future__ import annotations

import numpy as np

from napari_mdeblurgan.training.sharp_image import Sharp, SharpImage

PROBES, PROBE_EDGE = 16, 64
EVERY = 4


def contrast(image: Sharp, place: tuple[int, int], edge: int) -> float:
    """Standard deviation of a square of an image in [0, 1], roughly.

    Of an image in memory every fourth pixel is looked at. Of one that stays in its file only the nearest of some squares is,
    which were read once and are spread over it: `contrast_map`.

    Parameters
    ----------
    image : Sharp
        (channels, y, x).
    place : (int, int)
        First row and column of the square.
    edge : int
        Its length.
    """
    if isinstance(image, SharpImage) and image.lazy:
        key = (image.path, image.index, image.colour)
        found = image.store.map(key, lambda: contrast_map(image))
        row, column = (
            min(int((start + edge / 2) / length * cells), cells - 1)
            for start, length, cells in zip(place, image.shape[1:], found.shape, strict=True)
        )
        return float(found[row, column])
    y, x = place
    return float(image[:, y : y + edge : EVERY, x : x + edge : EVERY].std())


def contrast_map(image: Sharp) -> np.ndarray:
    """Standard deviations of up to 16 × 16 small squares spread evenly over an image: float32, (rows, columns)."""
    lengths = image.shape[1:]
    rows, columns = (min(PROBES, max(1, length // PROBE_EDGE)) for length in lengths)
    found = np.empty((rows, columns), np.float32)
    for row, column in np.ndindex(rows, columns):
        y, x = (
            max(0, int((cell + 0.5) * length / cells) - PROBE_EDGE // 2)
            for cell, length, cells in zip((row, column), lengths, (rows, columns), strict=True)
        )
        found[row, column] = image[:, y : y + PROBE_EDGE, x : x + PROBE_EDGE].std()
    return found
