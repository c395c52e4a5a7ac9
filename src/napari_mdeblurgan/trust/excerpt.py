"""What a page shows of an image and its restoration: a plane, or of a large one a part that is rich
in detail.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.restoration.tiling import Region
from napari_mdeblurgan.trust.samples import spread_over

LARGEST_PIXELS = 2048 * 2048  # of the image
EXCERPT_EDGE = 1024


class Excerpt(NamedTuple):
    """A part of one plane.

    Attributes
    ----------
    before, after : ndarray
        (y, x) or (y, x, colours).
    where : str
        Which part it is, in words; empty if it is the whole plane.
    """

    before: np.ndarray
    after: np.ndarray
    where: str


def excerpt(image: Any, restored: Any, index: tuple[int, ...], region: Region) -> Excerpt:
    """Read what is shown of one plane, and no more than a few places beside.

    Parameters
    ----------
    image, restored : array
        In memory or lazy.
    index : tuple of int
        Of the plane along the axes before y and x.
    region : ((int, int), (int, int))
        Start and stop along y and x of what was restored, in pixels of the image.
    """
    rows, columns = (slice(start, stop) for start, stop in region)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    factor = restored.shape[len(index)] // height
    if height * width <= LARGEST_PIXELS:
        return Excerpt(read(image, (*index, rows, columns)), read(restored, index), "")
    places = [(y, x) for y in spread_over(*region[0]) for x in spread_over(*region[1])]
    y, x = max(places, key=lambda place: _contrast(read(image, (*index, *place))))
    rows, columns = (_around(part, *span) for part, span in zip((y, x), region, strict=True))
    in_result = (
        slice((part.start - start) * factor, (part.stop - start) * factor)
        for part, (start, _) in zip((rows, columns), region, strict=True)
    )
    where = (
        f"pixels {rows.start}–{rows.stop - 1} along y and {columns.start}–{columns.stop - 1} "
        "along x of the image"
    )
    return Excerpt(
        read(image, (*index, rows, columns)), read(restored, (*index, *in_result)), where
    )


def _around(part: slice, start: int, stop: int) -> slice:
    """1024 pixels with a part in their middle, as far as there are so many."""
    first = max(start, min((part.start + part.stop - EXCERPT_EDGE) // 2, stop - EXCERPT_EDGE))
    return slice(first, min(first + EXCERPT_EDGE, stop))


def _contrast(part: np.ndarray) -> float:
    values = part.astype(np.float64)
    known = values[np.isfinite(values)]
    return float(known.std()) if known.size else -1.0
