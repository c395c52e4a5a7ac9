"""How much JPEG has taken from an image, which smooth places do not show as noise: compressed once
more, off the grid of its blocks, the image loses about as much again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from napari_mdeblurgan.degradation.processing import after_jpeg
from napari_mdeblurgan.restoration.jpeg import JPEG_BLOCK, LUMA, grid_evidence

_QUALITIES = (98, 95, 92, 88, 84, 80, 75, 70, 60, 50, 40, 30)
_SMALLEST = 4 * JPEG_BLOCK
_AGAIN = 0.85  # of what was lost at first is lost once more: the median of what was found
_AS_GOOD, _ROUNDING = 1.3, 0.15  # times, and grey levels more: what compressing anew still changes


def compression_loss(squares: Sequence[np.ndarray]) -> list[float]:
    """Standard deviation of what was lost, in grey levels, for each colour; none where no square is
    large enough.

    Parameters
    ----------
    squares : sequence of ndarray
        (y, x, 1 or 3) uint8: parts of an image that `was_jpeg`.

    Notes
    -----
    The quality is the lowest at which compressing on the grid changes next to nothing. Found is 70
    to 116 % of what was lost, in eight of ten validation images compressed at qualities of 50 to
    95, if colours have halved chroma.
    """
    found = [_loss(square) for square in squares if min(square.shape[:2]) >= _SMALLEST]
    return (np.sqrt(np.mean(found, axis=0)) / _AGAIN).tolist() if found else []


def _loss(square: np.ndarray) -> np.ndarray:
    """The variance of one square, for each colour."""
    picture = square if square.shape[-1] == 3 else square[..., 0]
    grey = np.rint(picture @ LUMA).astype(np.uint8) if picture.ndim == 3 else picture
    (y, x), quality = min(
        ((place, _quality(_blocks(grey, *place))) for place in _grids(grey)),
        key=lambda found: found[1][1],
    )
    off = _blocks(picture, y + JPEG_BLOCK // 2, x + JPEG_BLOCK // 2)
    change = after_jpeg(off, quality[0]) - off.astype(np.float64)
    return np.atleast_1d(np.square(change).mean(axis=(0, 1)))


def _quality(blocks: np.ndarray) -> tuple[int, float]:
    """The quality of a grey image whose blocks begin at its corner, and what compressing at it
    changes, in grey levels.
    """
    changes = [
        float(np.sqrt(np.square(after_jpeg(blocks, quality) - blocks.astype(np.float64)).mean()))
        for quality in _QUALITIES
    ]
    least = _AS_GOOD * min(changes) + _ROUNDING
    lowest = max(at for at, change in enumerate(changes) if change <= least)
    return _QUALITIES[lowest], changes[lowest]


def _grids(grey: np.ndarray) -> Iterator[tuple[int, int]]:
    """Where the blocks may begin: where they lack most of the finest detail, and where the steps
    are that low qualities leave between them.
    """
    told, blocks = grid_evidence(grey.astype(np.float32))
    y, x = np.unravel_index(int(np.argmin(told / np.maximum(blocks, 1))), told.shape)
    yield int(y), int(x)
    yield _steps(grey, 0), _steps(grey, 1)


def _steps(grey: np.ndarray, axis: int) -> int:
    """At which of eight lines the largest steps are."""
    change = np.abs(np.diff(grey.astype(np.float32), axis=axis)).mean(axis=1 - axis)
    beyond = change[1:-1] - (change[:-2] + change[2:]) / 2  # of the step to line 2 and after
    return int(
        np.argmax(
            [beyond[(line - 2) % JPEG_BLOCK :: JPEG_BLOCK].mean() for line in range(JPEG_BLOCK)]
        )
    )


def _blocks(image: np.ndarray, y: int, x: int) -> np.ndarray:
    """The whole blocks of an image from a row and a column on."""
    y, x = y % JPEG_BLOCK, x % JPEG_BLOCK
    height, width = (
        (length - at) // JPEG_BLOCK * JPEG_BLOCK
        for length, at in zip(image.shape, (y, x), strict=False)
    )
    return np.ascontiguousarray(image[y : y + height, x : x + width])
