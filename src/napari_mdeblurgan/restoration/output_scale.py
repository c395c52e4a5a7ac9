"""How many pixels a result has for one of the image: those of the model, or as
many as the image.
"""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Protocol

from napari_mdeblurgan.errors import ImageError, in_code
from napari_mdeblurgan.model_card import FINE_TUNED_FROM
from napari_mdeblurgan.restoration.softness import LEARNED, Softness

if TYPE_CHECKING:
    from napari_mdeblurgan.model_card import ModelCard

# times as soft is the result of an image that is averaged first: nothing in it is as fine as two of
# its pixels, or its blur is wide
AVERAGED_SOFTER = 1.2


class Scaled(Protocol):
    """What there is to know of a model here; see `ModelCard`."""

    @property
    def name(self) -> str: ...
    @property
    def scale(self) -> int: ...
    @property
    def output_scale(self) -> int | None: ...


def output_factor(output_scale: int | None, model: Scaled) -> int:
    """Pixels of the result for one of the image, along y and x.

    Parameters
    ----------
    output_scale : int or None
        What is asked for: 1 for as many pixels as the image has; None for what the model was
        trained for.
    model : Scaled
        A model's card, or as much of it; what it makes is averaged over blocks of pixels where less
        is asked for.

    Raises
    ------
    ImageError
        If the model cannot give that.
    """
    if output_scale is None:
        return model.output_scale or model.scale
    whole = isinstance(output_scale, Integral) and not isinstance(output_scale, bool)
    if not whole or output_scale < 1 or model.scale % output_scale:
        default = model.output_scale or model.scale
        raise ImageError(
            f"The model {model.name} makes {model.scale} pixels of one, and the output scale is "
            f"{in_code(output_scale)}; give 1 for the image's own pixels, or nothing for "
            f"×{default}."
        )
    return int(output_scale)


def not_trained_for(factor: int, model: Scaled) -> str:
    """What is to be known of results with more pixels than a model was fine-tuned for, in one
    sentence; empty if nothing.

    Parameters
    ----------
    factor : int
        Pixels of the result for one of the image, along y and x.
    model : Scaled
        A model's card, or as much of it.
    """
    if model.output_scale is None or factor <= model.output_scale:
        return ""
    return (
        f"{model.name} was fine-tuned for results with the image's own pixels; at ×{factor} it was "
        "not trained, so do not rely on its finest detail."
    )


def softness_at(card: ModelCard, factor: int, binning: int = 1) -> float | Softness:
    """How soft a result is to be where the objective is not known: σ in its pixels, as the card
    tells it in those of the model.

    A model that was fine-tuned makes results as sharp as its pairs were, so that its softness
    counts whatever the objective.

    Parameters
    ----------
    card : ModelCard
        Of the model.
    factor : int
        Pixels of the result for one of the image, along y and x.
    binning : int
        By how many pixels along y and x the image was averaged first; 1 for not at all.
    """
    sigma = card.softness * factor / card.scale
    if binning > 1:
        sigma = round(sigma * AVERAGED_SOFTER, 3)
    return Softness(sigma, LEARNED) if FINE_TUNED_FROM in card.scores else sigma
