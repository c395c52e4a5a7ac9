"""The drop-downs **Model** and **Output**: which models there are, which is chosen, and how many
pixels its results have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.model import ModelCard, list_models
from napari_mdeblurgan.restoration.colourless import FOR_COLOURS, FOR_GREY
from napari_mdeblurgan.restoration.output_scale import not_trained_for, output_factor
from napari_mdeblurgan.widgets.deblur.controls import Controls, chosen_output_scale
from napari_mdeblurgan.widgets.shared import offered_models
from napari_mdeblurgan.widgets.shared.offered_models import SAME_PIXELS
from napari_mdeblurgan.widgets.shared.rows import describe_entries

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_mdeblurgan.widgets.shared.choices import Remembered


class ModelChoice:
    """What the two drop-downs offer and what is chosen in them; lives on the main thread.

    Parameters
    ----------
    remembered : Remembered
        What was chosen last.

    Attributes
    ----------
    cards : list of ModelCard
        Of the models that there are.
    controls : Controls
        Of the dock, once they are made: for that the entries are needed.
    """

    controls: Controls

    def __init__(self, remembered: Remembered) -> None:
        self._remembered = remembered
        self.cards: list[ModelCard] = list_models()
        # of the image that a model was last picked for, see `model_channels`
        self._kind: tuple[int, ...] = ()

    def entries(self, _: object = None) -> list[tuple[str, str]]:
        """What the drop-down offers: models for images of the chosen one's kind; all of them until
        an image was chosen.
        """
        return [(card.name, card.name) for card in self._offered]

    @property
    def _offered(self) -> list[ModelCard]:
        return [card for card in self.cards if not self._kind or card.channels in self._kind]

    def reload(self, name: str = "") -> None:
        """Take note of the models that there are now; the one called `name` is to be chosen for
        images of its kind.
        """
        self.cards = list_models()
        self._remember(self._named(name))

    def show_descriptions(self) -> None:
        """Have each entry tell in its tooltip what its model is for."""
        describe_entries(
            self.controls.model.native, [offered_models.summary(card) for card in self._offered]
        )

    @property
    def card(self) -> ModelCard | None:
        """The chosen model's card."""
        return self._named(self.controls.model.value)

    def card_for(self, image: Image, chosen: Image | None) -> ModelCard | None:
        """The chosen model; for an image of another kind than the chosen one that which would be
        offered for it.
        """
        card = self.card
        if image is chosen or (
            card is not None and self._kind == offered_models.model_channels(image)
        ):
            return card
        return self._named(self._first_for(image))

    def alike(self, card: ModelCard, image: Image) -> list[ModelCard]:
        """A model, then the others for images of this kind."""
        channels = offered_models.model_channels(image)
        return [
            card,
            *(each for each in self.cards if each.channels in channels and each.name != card.name),
        ]

    def choose_for(self, image: Image | None) -> None:
        """Offer the models for an image, and choose the one to start from, if it is of another kind
        than the last one.
        """
        if image is None:
            return
        kind = offered_models.model_channels(image)
        if kind == self._kind and self.card is not None:
            return
        self._kind = kind
        name, box = self._first_for(image), self.controls.model
        with box.changed.blocked():
            box.reset_choices()
            if name is not None:
                box.value = name
        self.begin_with_pixels()

    def begin_with_pixels(self) -> None:
        """Choose the pixels that the model was fine-tuned for; of another model those that were
        chosen last.
        """
        box, card = self.controls.output, self.card
        wanted = (
            SAME_PIXELS
            if card is not None and card.output_scale == 1
            else self._remembered.choices.output
        )
        if wanted in box.choices:
            with box.changed.blocked():
                box.value = wanted

    def remember_model(self) -> None:
        """Keep the chosen model for images of its kind."""
        self._remember(self.card)

    def _remember(self, card: ModelCard | None) -> None:
        if card is not None:
            self._remembered.change(
                **{"rgb_model" if card.channels == 3 else "grey_model": card.name}
            )

    def remember_output(self, output: str | None) -> None:
        """Keep the chosen pixels, unless the model has some of its own."""
        card = self.card
        if output and (card is None or card.output_scale is None):
            self._remembered.change(output=output)

    def output_scale_for(self, image: Image, chosen: Image | None) -> int | None:
        """What is chosen of the result's pixels; for images of another model than the one shown,
        what that one begins with.
        """
        card = self.card_for(image, chosen)
        return chosen_output_scale(self.controls.output.value, card if card is self.card else None)

    def untrained(self) -> str:
        """What is to be known of the chosen pixels, where the model was not trained for so many."""
        card = self.card
        if card is None:
            return ""
        return not_trained_for(
            output_factor(chosen_output_scale(self.controls.output.value, card), card), card
        )

    def _first_for(self, image: Image) -> str | None:
        last: Any = self._remembered.choices
        return offered_models.default_model(
            self.cards,
            offered_models.model_channels(image),
            {FOR_COLOURS: last.rgb_model, FOR_GREY: last.grey_model},
        )

    def _named(self, name: str | None) -> ModelCard | None:
        return next((card for card in self.cards if card.name == name), None)
