"""A tile of the input and of the restored image, with enough around them that every map looks as if made in one piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mdeblurgan.restoration.intensity import Window, fill
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.trust.samples import read

MARGIN = 24  # pixels of the input: the point-spread function's 9, the widest average's 6, a gap's filling 8


@dataclass(frozen=True, slots=True)
class Piece:
    """One tile in windows; beyond the edges of what was restored, its mirror image.

    Attributes
    ----------
    blurred : ndarray
        (y + 2 · margin, x + 2 · margin, colours) float32; NaN where the image has no number.
    restored : ndarray
        The same of the restored image: factor times as many pixels along y and x.
    factor : int
        Of the plan.
    """

    blurred: np.ndarray
    restored: np.ndarray
    factor: int

    @property
    def inside(self) -> tuple[slice, slice]:
        """The tile itself, on the input's grid."""
        return slice(MARGIN, self.blurred.shape[0] - MARGIN), slice(MARGIN, self.blurred.shape[1] - MARGIN)

    @property
    def result_inside(self) -> tuple[slice, slice]:
        """The tile itself, on the result's grid."""
        y, x = (slice(s.start * self.factor, s.stop * self.factor) for s in self.inside)
        return y, x

    @property
    def missing(self) -> np.ndarray:
        """(y, x) bool with the margin: where the image has no number."""
        return ~np.isfinite(self.blurred).all(axis=-1)

    def filled(self) -> Piece:
        """The same with gaps filled from their neighbours."""
        return Piece(_filled(self.blurred), _filled(self.restored), self.factor)


def read_piece(
    image: Any, restored: Any, index: tuple[int, ...], tile: Tile, plan: RestorationPlan, window: Window
) -> Piece:
    """Read a tile of one image of a stack from the input and from the result of `plan`; either may be lazy."""
    parts = []
    for array, factor, at_origin in ((image, 1, False), (restored, plan.factor, True)):
        lines = []
        for span, (start, stop) in zip((tile.y, tile.x), plan.region, strict=True):
            rows = _mirrored(span.start - start, span.stop - start, stop - start, factor)
            lines.append(rows if at_origin else rows + start)
        source = tuple(slice(int(rows.min()), int(rows.max()) + 1) for rows in lines)
        block = read(array, (*index, *source))
        rows, columns = (line - part.start for line, part in zip(lines, source, strict=True))
        block = block[rows[:, None], columns[None, :]]
        values = window.normalise(block[..., :3] if plan.rgb else block[..., None])
        parts.append(np.where(np.isfinite(block[..., :3] if plan.rgb else block[..., None]), values, np.float32(np.nan)))
    return Piece(parts[0], parts[1], plan.factor)


def _mirrored(start: int, stop: int, length: int, factor: int) -> np.ndarray:
    """Pixels to read for a span and its margin, those beyond an edge mirrored at the pixels' outer border."""
    wanted = np.arange((start - MARGIN) * factor, (stop + MARGIN) * factor)
    period = 2 * length * factor
    folded = wanted % period
    return np.minimum(folded, period - 1 - folded)


def _filled(image: np.ndarray) -> np.ndarray:
    missing = ~np.isfinite(image)
    if not missing.any():
        return image
    return np.stack([fill(image[..., c], missing[..., c]) for c in range(image.shape[-1])], axis=-1)
