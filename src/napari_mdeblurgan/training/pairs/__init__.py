"""The same places taken with two objectives: found, matched, laid on each other to a fraction of a pixel, judged and shown."""

from napari_mdeblurgan.training.pairs.pair import (
    ImagePair,
    PairError,
    PairFiles,
    RegisteredPair,
    Registration,
)
from napari_mdeblurgan.training.pairs.register import register

__all__ = ["ImagePair", "PairError", "PairFiles", "RegisteredPair", "Registration", "register"]
