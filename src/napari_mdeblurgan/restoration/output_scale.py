"""How many pixels a result has for one of the image: those of the model, or as many as the image."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

from napari_mdeblurgan.errors import ImageError

if TYPE_CHECKING:
    from napari_mdeblurgan.model_card import ModelCard


def output_factor(output_scale: int | None, model_scale: int, model: str) -> int:
    """Pixels of the result for one of the image, along y and x.

    Parameters
    ----------
    output_scale : int or None
        What is asked for: 1 for as many pixels as the image has; None for what the model makes.
    model_scale : int
        What the model makes; it is averaged over blocks of pixels where less is asked for.
    model : str
        Name of the model, for the sentence.

    Raises
    ------
    ImageError
        If the model cannot give that.
    """
    if output_scale is None:
        return model_scale
    whole = isinstance(output_scale, Integral) and not isinstance(output_scale, bool)
    if not whole or output_scale < 1 or model_scale % output_scale:
        raise ImageError(
            f"The model {model} makes {model_scale} pixels of one, and the output scale is {output_scale!r}; give 1 for "
            f"the image's own pixels, or nothing for ×{model_scale}."
        )
    return int(output_scale)


def softness_at(card: ModelCard, factor: int) -> float:
    """How soft a result is to be where the objective is not known: σ in its pixels, as the card tells it in those of the model.

    Parameters
    ----------
    card : ModelCard
        Of the model.
    factor : int
        Pixels of the result for one of the image, along y and x.
    """
    return card.softness * factor / card.scale
