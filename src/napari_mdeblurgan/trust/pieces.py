"""A tile of the input and of the restored image, with enough around them that every map looks as if
made in one piece.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.restoration.fitting import on_result
from napari_mdeblurgan.restoration.intensity import FILL_RADIUS, Window, fill, hot_as_gaps
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.trust.psf import PointSpread
from napari_mdeblurgan.trust.samples import grey

AVERAGED_PX = 6  # pixels of the input that the average over what sets the two apart reaches
DETAILS_PX = 12  # and the details that the error bar is made of: twice the widest average's 6
_ROWS = 64  # that are looked at together: they fit into the cache


@dataclass(frozen=True, slots=True)
class Piece:
    """One tile in windows; beyond the edges of what was restored, its mirror image.

    Attributes
    ----------
    blurred : ndarray
        (y + 2 · margin, x + 2 · margin, colours) float32; NaN where the image has no number.
    restored : ndarray
        The same of the restored image: factor times as many pixels along y and x.
    real : (ndarray, ndarray)
        (y,) and (x,) bool on the restored image's grid: rows and columns that are not mirrored.
    missing : ndarray or None
        (y, x) bool on the image's grid: where the image has no number, if there is such a place.
    lacking : ndarray or None
        The same of the restored image, on its own grid.
    factor : int
        Of the plan.
    margin : int
        In pixels of the input.
    """

    blurred: np.ndarray
    restored: np.ndarray
    real: tuple[np.ndarray, np.ndarray]
    missing: np.ndarray | None
    lacking: np.ndarray | None
    factor: int
    margin: int

    @property
    def inside(self) -> tuple[slice, slice]:
        """The tile itself, on the input's grid."""
        inner = slice(self.margin, -self.margin)
        return inner, inner

    @property
    def result_inside(self) -> tuple[slice, slice]:
        """The tile itself, on the result's grid."""
        inner = slice(self.margin * self.factor, -self.margin * self.factor)
        return inner, inner

    def filled(self) -> Piece:
        """The same with gaps filled from their neighbours; itself if there is none."""
        if self.missing is None and self.lacking is None:
            return self
        return replace(
            self, blurred=without_gaps(self.blurred), restored=without_gaps(self.restored)
        )


def read_piece(
    image: Any,
    restored: Any,
    index: tuple[int, ...],
    tile: Tile,
    plan: RestorationPlan,
    window: Window,
    psf: PointSpread,
) -> Piece:
    """Read a tile of one image of a stack from the input and from the result of `plan`; either may
    be lazy. The margin is as wide as is needed to blur it again by `psf`.
    """
    margin = max(DETAILS_PX, -(-psf.radius // plan.factor) + AVERAGED_PX)
    margin += FILL_RADIUS * ("f" in (image.dtype.kind, restored.dtype.kind))
    blurred, _ = _read(image, index, tile, plan, window, margin)
    result, real = _read(restored, index, tile, plan, window, margin, plan.factor)
    missing = _gaps(hot_as_gaps(blurred))
    if missing is not None:  # the result has numbers where an empty area was restored, and hot ones
        result[on_result(missing, plan.factor)] = np.nan
    lacking = _gaps(result) if missing is not None or restored.dtype.kind == "f" else None
    return Piece(blurred, result, real, missing, lacking, plan.factor, margin)


def _gaps(values: np.ndarray) -> np.ndarray | None:
    """(y, x) bool: where any colour of (y, x, colours) has no number, if there is such a place."""
    gaps = ~np.isfinite(grey(values))
    return gaps if gaps.any() else None


def _read(
    array: Any,
    index: tuple[int, ...],
    tile: Tile,
    plan: RestorationPlan,
    window: Window,
    margin: int,
    of_result: int = 0,
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """A tile and its margin in windows, and which rows and columns are not mirrored: of the input,
    or of a result of such a factor.
    """
    lines, real, factor = [], [], of_result or 1
    for span, (start, stop) in zip((tile.y, tile.x), plan.region, strict=True):
        wanted = np.arange(
            (span.start - start - margin) * factor, (span.stop - start + margin) * factor
        )
        length = (stop - start) * factor
        folded = wanted % (2 * length)
        lines.append(np.minimum(folded, 2 * length - 1 - folded))
        real.append((wanted >= 0) & (wanted < length))
    origin = (0, 0) if of_result else plan.origin  # a result begins where its region does
    source = (
        slice(int(line[each][0]) + first, int(line[each][-1]) + 1 + first)
        for line, each, first in zip(lines, real, origin, strict=True)
    )
    block = read(array, (*index, *source))
    values = np.empty((plan.seen(block).shape[-1], *map(len, lines)), np.float32)
    inside = [slice(int(each.argmax()), int(each.argmax() + each.sum())) for each in real]
    _into_planes(block, plan, window, values[:, inside[0], inside[1]])
    # what is mirrored lies within what is read
    beyond, mirrored = _beyond(lines[1], real[1], inside[1])
    values[:, inside[0], beyond] = values[:, inside[0], mirrored]
    beyond, mirrored = _beyond(lines[0], real[0], inside[0])
    values[:, beyond] = values[:, mirrored]
    return np.moveaxis(values, 0, -1), (real[0], real[1])


def _beyond(line: np.ndarray, real: np.ndarray, inside: slice) -> tuple[np.ndarray, np.ndarray]:
    """Which lines of a piece are mirrored, and which ones of it they are."""
    beyond = np.flatnonzero(~real)
    return beyond, line[beyond] - line[inside.start] + inside.start


def in_planes(block: np.ndarray, plan: RestorationPlan, window: Window) -> np.ndarray:
    """A block of an image, or of a result, in windows: (y, x, colours) float32, each colour in one
    piece of memory, NaN where it has no number.
    """
    values = np.empty((plan.seen(block).shape[-1], *block.shape[:2]), np.float32)
    _into_planes(block, plan, window, values)
    return np.moveaxis(values, 0, -1)


def _into_planes(
    block: np.ndarray, plan: RestorationPlan, window: Window, values: np.ndarray
) -> None:
    """The same into (colours, y, x)."""
    colours = np.moveaxis(plan.seen(block), -1, 0)
    for plane, colour in zip(values, colours, strict=True):
        for start in range(0, len(plane), _ROWS):
            rows = slice(start, start + _ROWS)
            plane[rows] = window.normalise_finite(colour[rows])


def without_gaps(image: np.ndarray) -> np.ndarray:
    """(y, x, colours) float32 with what has no number filled from its neighbours; itself if nothing
    lacks one.
    """
    missing = ~np.isfinite(image)
    if not missing.any():
        return image
    planes = [fill(image[..., c], missing[..., c]) for c in range(image.shape[-1])]
    return np.moveaxis(np.stack(planes), 0, -1)
