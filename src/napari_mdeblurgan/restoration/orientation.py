"""The eight ways to lay an image on a square grid: flips and quarter turns. Pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mdeblurgan.restoration.tiling import Region


@dataclass(frozen=True, slots=True)
class Orientation:
    """Mirror an image left to right, if at all, then turn it.

    Attributes
    ----------
    turns : {0, 1, 2, 3}
        Quarter turns, counterclockwise.
    mirrored : bool
        Whether it is mirrored first.
    """

    turns: int
    mirrored: bool

    def laid(self, block: np.ndarray) -> np.ndarray:
        """(y, x, ...) in this orientation; a view."""
        return np.rot90(block[:, ::-1] if self.mirrored else block, self.turns)

    def back(self, block: np.ndarray) -> np.ndarray:
        """What `laid` was given; a view."""
        upright = np.rot90(block, -self.turns)
        return upright[:, ::-1] if self.mirrored else upright

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Pixels along y and x of an image of `shape` in this orientation."""
        return (shape[1], shape[0]) if self.turns % 2 else shape

    def region(self, region: Region, shape: tuple[int, int]) -> Region:
        """Where a rectangle of an upright image of `shape` comes to lie."""
        y, x = region
        if self.mirrored:
            x = _from_the_end(x, shape[1])
        height, width = shape
        for _ in range(self.turns):
            y, x = _from_the_end(x, width), y
            height, width = width, height
        return y, x

    def region_back(self, region: Region, shape: tuple[int, int]) -> Region:
        """Where a rectangle of the laid image lies in the upright one, which has `shape`."""
        y, x = region
        height, width = self.shape(shape)
        for _ in range(self.turns):
            y, x = x, _from_the_end(y, height)
            height, width = width, height
        if self.mirrored:
            x = _from_the_end(x, shape[1])
        return y, x


def _from_the_end(span: tuple[int, int], length: int) -> tuple[int, int]:
    return length - span[1], length - span[0]


ORIENTATIONS = tuple(
    Orientation(turns, mirrored) for mirrored in (False, True) for turns in range(4)
)
