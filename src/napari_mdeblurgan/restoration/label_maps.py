"""Label maps told from images: numbers that are names of objects must not be restored as if they
were intensities.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.restoration.intensity import spots

FEWEST_LABELS = 3  # two areas of one value each may be a drawing
PARTS_OF_A_LABEL = (
    1.2  # at most, on average: an object is in one piece, but the edge of a spot may cut it in two
)
SMALLEST_AREA = (
    16.0  # pixels of an object on average; the noise of a camera leaves no two neighbours alike
)


def refuse_label_map(image: Any) -> None:
    """Make sure that a grey image, (..., y, x), in memory or lazy, is no label map.

    Raises
    ------
    ImageError
        If it looks like one.
    """
    if is_label_map(image):
        raise ImageError(
            "The image looks like a label map: large areas of one number each "
            f"({np.dtype(image.dtype).name}), which name objects and are no intensities. Take "
            "the image that it was made of; or convert it to float32, if they are intensities."
        )


def is_label_map(image: Any) -> bool:
    """Whether a grey image looks like the result of a segmentation.

    It is taken for one where the pixels are integers of 16 bits or more, and those of one value lie
    together in one large area wherever a few small squares of it are looked at. A camera's noise
    breaks such areas up.

    Parameters
    ----------
    image : array
        (..., y, x), in memory or lazy, of any type.
    """
    dtype = np.dtype(image.dtype)
    if dtype.kind not in "iu" or dtype.itemsize < 2 or 0 in image.shape:
        return False
    values: set[int] = set()
    labels = parts = pixels = 0
    for spot in spots(image.shape, 2):
        square = read(image, spot)
        found = np.unique(square)
        if found.size < 2 or not _jumps(square):
            continue
        named = found[found != 0]
        labels, parts = labels + named.size, parts + _areas(square)
        pixels += int(np.count_nonzero(square))
        values.update(named.tolist())
        if pixels < SMALLEST_AREA * parts or parts > 2 * PARTS_OF_A_LABEL * labels:
            return False  # the first square mostly tells
    return (
        len(values) >= FEWEST_LABELS
        and parts <= PARTS_OF_A_LABEL * labels
        and pixels >= SMALLEST_AREA * parts
    )


def _jumps(square: np.ndarray) -> bool:
    """Whether areas that touch mostly differ by more than 1, as those of a slope without noise do
    not.
    """
    wide = square.astype(np.float64)
    steps = np.concatenate([np.abs(np.diff(wide, axis=axis)).ravel() for axis in (0, 1)])
    steps = steps[steps > 0]
    return bool(steps.size) and float(np.median(steps)) > 1


def _areas(square: np.ndarray) -> int:
    """How many areas of one value, other than 0, a plane is made of; pixels
    touch at their sides.
    """
    from skimage.measure import label

    codes = np.unique(square, return_inverse=True)[1].reshape(square.shape)
    background = int(codes[square == 0][0]) if (square == 0).any() else -1
    return int(label(codes, background=background, connectivity=1, return_num=True)[1])
