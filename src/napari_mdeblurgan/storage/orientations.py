"""Pictures that are stored turned or mirrored, as the tag Orientation of TIFF and EXIF tells."""

from __future__ import annotations

from typing import Any

from napari_mdeblurgan.storage.lazy_arrays import transposed

# values of the tag, and which of them mirror an image once it stands upright
UPRIGHT = 1
SIDEWAYS, _BOTTOM_UP, _RIGHT_TO_LEFT = (5, 6, 7, 8), (3, 4, 7, 8), (2, 3, 6, 7)


def upright(data: Any, orientation: int, y: int = 0) -> Any:
    """The image as it is to be seen.

    Parameters
    ----------
    data : ndarray or dask.array.Array
        (..., y, x) or (..., y, x, colours), as it is stored.
    orientation : int
        The value of the tag, from 1 to 8; others turn nothing.
    y : int
        Which dimension y is; x is the next.
    """
    if orientation in SIDEWAYS:
        order = list(range(data.ndim))
        order[y : y + 2] = y + 1, y
        data = transposed(data, order)
    for axis, mirrored in ((y, _BOTTOM_UP), (y + 1, _RIGHT_TO_LEFT)):
        if orientation in mirrored:
            data = data[(slice(None),) * axis + (slice(None, None, -1),)]
    return data
