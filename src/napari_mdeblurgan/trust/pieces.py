"""A tile of the input and of the restored image, with enough around them that every map looks as if
made in one piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.restoration.intensity import Window, fill
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.trust.samples import grey

# pixels of the input: the point-spread function's 9, the widest average's 6, a gap's filling 8
MARGIN = 24


@dataclass(frozen=True, slots=True)
class Piece:
    """One tile in windows; beyond the edges of what was restored, its mirror image.

    Attributes
    ----------
    blurred : ndarray
        (y + 2 · margin, x + 2 · margin, colours) float32; NaN where the image has no number.
    restored : ndarray
        The same of the restored image: factor times as many pixels along y and x.
    known : ndarray
        (y, x) bool on the restored image's grid: real pixels, neither mirrored nor without a
        number.
    factor : int
        Of the plan.
    """

    blurred: np.ndarray
    restored: np.ndarray
    known: np.ndarray
    factor: int

    @property
    def inside(self) -> tuple[slice, slice]:
        """The tile itself, on the input's grid."""
        return slice(MARGIN, self.blurred.shape[0] - MARGIN), slice(
            MARGIN, self.blurred.shape[1] - MARGIN
        )

    @property
    def result_inside(self) -> tuple[slice, slice]:
        """The tile itself, on the result's grid."""
        y, x = (slice(s.start * self.factor, s.stop * self.factor) for s in self.inside)
        return y, x

    @property
    def missing(self) -> np.ndarray:
        """(y, x) bool with the margin: where the image has no number."""
        return ~np.isfinite(grey(self.blurred))

    def filled(self) -> Piece:
        """The same with gaps filled from their neighbours."""
        return Piece(_filled(self.blurred), _filled(self.restored), self.known, self.factor)


def read_piece(
    image: Any,
    restored: Any,
    index: tuple[int, ...],
    tile: Tile,
    plan: RestorationPlan,
    window: Window,
) -> Piece:
    """Read a tile of one image of a stack from the input and from the result of `plan`; either may
    be lazy.
    """
    blurred, _ = _read(image, index, tile, plan, window)
    result, real = _read(restored, index, tile, plan, window, plan.factor)
    if restored.dtype.kind == "f":
        real &= np.isfinite(grey(result))
    return Piece(blurred, result, real, plan.factor)


def _read(
    array: Any,
    index: tuple[int, ...],
    tile: Tile,
    plan: RestorationPlan,
    window: Window,
    of_result: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """A tile and its margin in windows, and which pixels are not mirrored: of the input, or of a
    result of such a factor.
    """
    lines, real, factor = [], [], of_result or 1
    for span, (start, stop) in zip((tile.y, tile.x), plan.region, strict=True):
        wanted = np.arange(
            (span.start - start - MARGIN) * factor, (span.stop - start + MARGIN) * factor
        )
        length = (stop - start) * factor
        folded = wanted % (2 * length)
        origin = 0 if of_result else start  # a result begins where its region does
        lines.append(np.minimum(folded, 2 * length - 1 - folded) + origin)
        real.append((wanted >= 0) & (wanted < length))
    source = tuple(slice(int(line.min()), int(line.max()) + 1) for line in lines)
    block = read(array, (*index, *source))
    rows, columns = (line - part.start for line, part in zip(lines, source, strict=True))
    block = _taken(_taken(block, rows, 0), columns, 1)
    colours = block[..., :3] if plan.rgb else block[..., None]
    values = window.normalise_finite(colours)
    return values, np.logical_and.outer(*real)


def _taken(block: np.ndarray, lines: np.ndarray, axis: int) -> np.ndarray:
    """Some lines of a block in their order; the block itself if these are all of them."""
    if np.array_equal(lines, np.arange(block.shape[axis])):
        return block
    return block.take(lines, axis)


def _filled(image: np.ndarray) -> np.ndarray:
    missing = ~np.isfinite(image)
    if not missing.any():
        return image
    return np.stack([fill(image[..., c], missing[..., c]) for c in range(image.shape[-1])], axis=-1)
