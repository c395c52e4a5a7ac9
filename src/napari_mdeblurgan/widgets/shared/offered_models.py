"""Which model is offered first for an image, what is said of it, and of how many pixels its results
can have.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from napari_mdeblurgan.model import ModelCard
from napari_mdeblurgan.restoration.colourless import FOR_COLOURS, FOR_GREY, is_colourless

if TYPE_CHECKING:
    from napari.layers import Image

BUNDLED_MODELS = {FOR_COLOURS: "rgb-x2", FOR_GREY: "gray-x2"}
_NOTHING: Mapping[int, str] = MappingProxyType({})
_looked_at: weakref.WeakKeyDictionary[Image, tuple[weakref.ref[np.ndarray], bool]] = (
    weakref.WeakKeyDictionary()
)
SAME_PIXELS = "Same pixels"  # of the result as of the image
OUTPUT_TIP = (
    "How many pixels the result has: as many times those of the image, along y and x, as the "
    "model makes; or just as many, where the blur is to go and the image is to grow no larger. A "
    "model that was fine-tuned for the image's own pixels begins with these."
)


def model_channels(layer: Image) -> tuple[int, ...]:
    """Channels of the models that are offered for `layer`, the best first: 3 for colour; 1 for
    grey, as every channel is restored on its own; 1 and 3 for grey stored in colours.

    What is read on demand is not looked at, as it would be read on the main thread.
    """
    if not layer.rgb:
        return (FOR_GREY,)
    return (FOR_GREY, FOR_COLOURS) if _is_without_colours(layer) else (FOR_COLOURS,)


def _is_without_colours(layer: Image) -> bool:
    pixels = layer.data
    if layer.multiscale or not isinstance(pixels, np.ndarray) or _is_on_disk(pixels):
        return False
    known = _looked_at.get(layer)
    if known is None or known[0]() is not pixels:
        known = _looked_at[layer] = weakref.ref(pixels), is_colourless(pixels)
    return known[1]


def _is_on_disk(pixels: np.ndarray | None) -> bool:
    """Whether an array, or what it is a view of, is a file that is mapped."""
    while isinstance(pixels, np.ndarray):
        if isinstance(pixels, np.memmap):
            return True
        pixels = pixels.base
    return False


def default_model(
    cards: Sequence[ModelCard], channels: Sequence[int], remembered: Mapping[int, str] = _NOTHING
) -> str | None:
    """Name of the model to start from: the one used last, else the bundled one, else the first that
    fits.

    Parameters
    ----------
    cards : sequence of ModelCard
        Of all models.
    channels : sequence of int
        From `model_channels`.
    remembered : mapping of int to str
        The model used last, by its channels. A model of the user's own for colours is kept for what
        is stored in them.
    """
    fitting = {kind: [card.name for card in cards if card.channels == kind] for kind in channels}
    own = remembered.get(FOR_COLOURS, "")
    if own in fitting.get(FOR_COLOURS, ()) and own != BUNDLED_MODELS[FOR_COLOURS]:
        return own
    for kind, names in fitting.items():
        for name in (remembered.get(kind), BUNDLED_MODELS[kind], *names):
            if name in names:
                return name
    return None


def summary(card: ModelCard) -> str:
    """The line below the drop-down."""
    return card.description or f"×{card.scale}, {'colour' if card.channels == 3 else 'grey'} images"
