"""A picture of how it goes: pieces of held-out parts, blurred, enlarged, restored and as they
should be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from napari_mdeblurgan.fine_tuning.held_out import Box, Split
from napari_mdeblurgan.fine_tuning.pairs import TuningPair
from napari_mdeblurgan.fine_tuning.scores import cut_square, restored_box
from napari_mdeblurgan.network.blocks import BicubicUpsampling
from napari_mdeblurgan.training.validation import LABELS, Crop, squares, write_panels

PIECES = 2
_EDGE = 80  # low-resolution pixels that are shown at most


@dataclass(frozen=True, slots=True, eq=False)
class PreviewPiece:
    """What is shown, and the held-out box that it is restored within."""

    pair: TuningPair
    box: Box
    square: Box
    crop: Crop

    @property
    def enlarged(self) -> tuple[torch.Tensor, ...]:
        """The square enlarged bicubically, if the truth has more pixels."""
        return (self.crop.bicubic,) if self.pair.scale > 1 else ()


def pieces(
    pairs: Sequence[TuningPair], parts: Split, squares: Sequence[Box], count: int = PIECES
) -> list[PreviewPiece]:
    """The surroundings of the squares that show the most, of different pairs as
    far as there are.
    """
    richest = sorted(squares, key=lambda box: -float(pairs[box.pair].low[:, *box.spans].std()))
    first = {square.pair: square for square in reversed(richest)}
    ordered = sorted(richest, key=lambda square: first[square.pair] is not square)
    return [
        _piece(pairs[square.pair], parts.box_of(square), _around(square, parts.box_of(square)))
        for square in ordered[:count]
    ]


def _around(square: Box, box: Box) -> Box:
    """At most `_EDGE` pixels along y and x about the middle of a square, within its box."""
    y0, y1 = _span(square.y0, square.y1, box.y0, box.y1)
    x0, x1 = _span(square.x0, square.x1, box.x0, box.x1)
    return Box(square.pair, y0, y1, x0, x1)


def _span(start: int, stop: int, first: int, last: int) -> tuple[int, int]:
    length = min(_EDGE, last - first)
    begin = min(max(first, (start + stop - length) // 2), last - length)
    return begin, begin + length


def _piece(pair: TuningPair, box: Box, square: Box) -> PreviewPiece:
    low, high = pair.low[:, *square.spans], pair.high[:, *square.enlarged(pair.scale)]
    blurred, sharp = (torch.from_numpy(np.ascontiguousarray(each))[None] for each in (low, high))
    bicubic = cut_square(
        restored_box(BicubicUpsampling(pair.scale), pair, box), box, square, pair.scale
    )
    return PreviewPiece(pair, box, square, Crop(blurred, sharp, torch.from_numpy(bicubic)[None]))


def write_pieces(
    path: Path, shown: Sequence[PreviewPiece], restored: Sequence[torch.Tensor]
) -> None:
    """Draw the squares below each other: blurred, bicubic, restored, truth; a PNG.

    Where nothing is enlarged, bicubic enlargement is left out.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    rows = [
        [squares(each.crop.blurred, each.crop.sharp), *each.enlarged, image, each.crop.sharp]
        for each, image in zip(shown, restored, strict=True)
    ]
    write_panels(path, rows, [label for label in LABELS if label != "bicubic" or shown[0].enlarged])
