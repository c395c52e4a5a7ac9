"""Which model is offered first for an image, what is said of it, and of how many pixels its results
can have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_mdeblurgan.model import ModelCard

if TYPE_CHECKING:
    from napari.layers import Image

BUNDLED_MODELS = {3: "rgb-x2", 1: "gray-x2"}
SAME_PIXELS = "Same pixels"  # of the result as of the image
OUTPUT_TIP = (
    "How many pixels the result has: as many times those of the image, along y and x, as the "
    "model makes; or just as many, where the blur is to go and the image is to grow no larger. A "
    "model that was fine-tuned for the image's own pixels begins with these."
)


def model_channels(layer: Image) -> int:
    """Channels that a model for `layer` has: 3 for colour, else 1, as every channel is restored on
    its own.
    """
    return 3 if layer.rgb else 1


def default_model(cards: Sequence[ModelCard], channels: int, remembered: str = "") -> str | None:
    """Name of the model to start from: the one used last, else the bundled one, else the first that
    fits.
    """
    fitting = [card.name for card in cards if card.channels == channels]
    preferred = (name for name in (remembered, BUNDLED_MODELS[channels]) if name in fitting)
    return next(preferred, fitting[0] if fitting else None)


def summary(card: ModelCard) -> str:
    """The line below the drop-down."""
    return card.description or f"×{card.scale}, {'colour' if card.channels == 3 else 'grey'} images"
