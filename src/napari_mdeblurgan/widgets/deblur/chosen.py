"""What **Deblur + SR** is about: the image that is chosen, those that are selected with it, and the
results that are meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image

from napari_mdeblurgan.widgets.layers.origin import is_map, is_result_layer
from napari_mdeblurgan.widgets.layers.told_apart import told_apart
from napari_mdeblurgan.widgets.shared import wording

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

    from napari_mdeblurgan.widgets.deblur.controls import Controls
    from napari_mdeblurgan.widgets.deblur.model_choice import ModelChoice
    from napari_mdeblurgan.widgets.layers.result_pairs import Pairs

NO_CHOICE = ("Choose an image", None)


class Chosen:
    """Read from the layer list and the controls whenever it is asked for.

    Parameters
    ----------
    viewer : Viewer
        Whose layers are offered.
    pairs : Pairs
        Which result belongs to which image.
    models : ModelChoice
        The models for the images.
    """

    controls: Controls  # given when they are made, as they ask for `entries`

    def __init__(self, viewer: Viewer, pairs: Pairs, models: ModelChoice) -> None:
        self._viewer, self._pairs, self._models = viewer, pairs, models

    def entries(self, _: object = None) -> list[tuple[str, Image | None]]:
        """Sources, then results, of which none is chosen unless the user does it."""
        images = [
            each for each in self._viewer.layers if isinstance(each, Image) and not is_map(each)
        ]
        results = [
            (each.name, each)
            for each in images
            if is_result_layer(each) and not self._pairs.is_preview(each)
        ]
        sources = [(each.name, each) for each in images if not is_result_layer(each)]
        return told_apart([*(sources or [NO_CHOICE] * bool(results)), *results])

    @property
    def image(self) -> Image | None:
        """The chosen image layer."""
        return self.controls.image.value

    @property
    def images(self) -> list[Image]:
        """The image layers that would be restored: all that are selected, if the chosen one is
        among them.
        """
        selection = self._viewer.layers.selection
        chosen = [
            each for _, each in self.entries() if each in selection and not is_result_layer(each)
        ]
        return chosen if self.image in chosen else [self.image] if self.image is not None else []

    @property
    def active(self) -> Layer | None:
        """The layer that is selected in the layer list, the last of them; None if there is none."""
        active = self._viewer.layers.selection.active
        return next((layer for layer in self._viewer.layers if layer == active), None)

    @property
    def problem(self) -> str | None:
        """Why nothing can be restored now, in one sentence; None if something can."""
        image = self.image
        if image is None:
            active = self.active
            return wording.nothing_to_restore(
                None if isinstance(active, Image) else active, self._viewer.layers
            )
        if self._models.card is None:
            return (
                f"There is no model for {'colour' if image.rgb else 'grey'} images: install or "
                "train one first."
            )
        lacking = (layer for layer in self.images if self._models.card_for(layer, image) is None)
        others = (
            f"There is no model for {layer.name!r}: train one, or deselect that layer."
            for layer in lacking
        )
        return next(others, None)

    @property
    def warning(self) -> str:
        """What is to be said where a result would be restored again; else nothing."""
        image = self.image
        if image is None or not is_result_layer(image):
            return ""
        source = self._pairs.source_of(image)
        return wording.restored_again(
            image.name, source.name if source not in (None, image) else ""
        )

    @property
    def source(self) -> Image | None:
        """The image whose results are looked at: that of the chosen one, where it is a result."""
        return None if self.image is None else self._pairs.source_of(self.image)

    @property
    def kept(self) -> list[Image]:
        """The results that would be saved; a preview only where it is selected."""
        active = self.active
        found = self._pairs.together(active, self.source)
        return [each for each in found if each is active or not self._pairs.is_preview(each)]

    @property
    def compared(self) -> list[Image]:
        """The results that are compared with their images."""
        return self._pairs.compared(self.active, self.source)
