"""How large a tile may be in a given amount of memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_mdeblurgan.restoration.tiling import SMALLEST_TILE

if TYPE_CHECKING:
    from napari_mdeblurgan.model import ModelCard

BYTES = 64  # of working memory per pixel that the network reads, for each feature map of its width; measured in float32
LARGEST_TILE = 8192
STEP = 8


def tile_within(card: ModelCard, megabytes: int) -> int:
    """The largest edge of a tile, in pixels without the halo, with which the network stays within `megabytes` MiB.

    What is measured is the processor's working memory in float32: 0.9 to 1.0 KB per pixel at width 16 and ×2. The last layers
    of a ×4 network take four times as much. Where not even the smallest tile fits, that is the answer: the engine has to try.
    """
    per_pixel = BYTES * int(card.architecture["width"]) * (card.scale / 2) ** 2
    edge = math.isqrt(int(megabytes * 2**20 / per_pixel)) - 2 * card.halo
    return min(max(edge // STEP * STEP, SMALLEST_TILE), LARGEST_TILE)
