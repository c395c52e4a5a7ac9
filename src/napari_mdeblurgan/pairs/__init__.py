"""The same places taken with two objectives: found, matched, laid on each other to a fraction of a
pixel, judged and shown.
"""

from napari_mdeblurgan.pairs.many import Outcome, read_pair, register_all
from napari_mdeblurgan.pairs.matching import Matching, match_folders, read_table
from napari_mdeblurgan.pairs.overlay import OVERLAYS, checkerboard, magenta_green, side_by_side
from napari_mdeblurgan.pairs.pair import (
    ImagePair,
    Matched,
    PairError,
    PairFiles,
    RegisteredPair,
    Registration,
    SwappedError,
    exchanged,
)
from napari_mdeblurgan.pairs.register import register_images

__all__ = [
    "OVERLAYS",
    "ImagePair",
    "Matched",
    "Matching",
    "Outcome",
    "PairError",
    "PairFiles",
    "RegisteredPair",
    "Registration",
    "SwappedError",
    "checkerboard",
    "exchanged",
    "magenta_green",
    "match_folders",
    "read_pair",
    "read_table",
    "register_all",
    "register_images",
    "side_by_side",
]
