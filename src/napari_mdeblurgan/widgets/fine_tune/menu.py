"""What the layer menu offers: two selected layers as a pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image
from napari.utils.notifications import show_error

from napari_mdeblurgan.widgets.fine_tune.widget import FineTuneWidget
from napari_mdeblurgan.widgets.layers.origin import is_map, is_ours
from napari_mdeblurgan.widgets.layers.view import image_shape

if TYPE_CHECKING:
    from napari import Viewer

_NAME = "Fine-tune"


def register_pair(viewer: Viewer) -> None:
    """Register the two selected image layers as a pair in the widget **Fine-tune**, which is opened
    if need be.

    The one that covers the larger field is taken for the weaker objective's where the layers know
    their sizes, else the one that lies below.
    """
    selected = [layer for layer in viewer.layers if layer in viewer.layers.selection]
    images = [layer for layer in selected if isinstance(layer, Image) and not is_map(layer)]
    if len(images) != 2:
        show_error(
            "Select two image layers: the blurred one of the weaker objective, and the sharp one "
            "of the stronger."
        )
        return
    for each in images:
        if is_ours(each):
            show_error(
                f"{each.name!r} is a result of M-Deblurgan and no truth: select what the "
                "microscope has seen."
            )
            return
    fields = [
        float(np.prod(np.asarray(image_shape(each)[-2:]) * np.asarray(each.scale[-2:])))
        for each in images
    ]
    low, high = images if fields[0] >= fields[1] else images[::-1]
    docked = viewer.window.dock_widgets.values()
    widget = next((each for each in docked if isinstance(each, FineTuneWidget)), None)
    if widget is None:
        widget = FineTuneWidget(viewer)
        viewer.window.add_dock_widget(widget, name=_NAME)
    widget.register_layers(low, high)
