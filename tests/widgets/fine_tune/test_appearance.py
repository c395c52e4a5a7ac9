"""What the widget Fine-tune offers and how it looks, without any training."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtGui import QColor

from napari_mdeblurgan.widgets.fine_tune import FineTuneWidget

if TYPE_CHECKING:
    from napari import Viewer


@pytest.fixture
def tuner(viewer: Viewer) -> FineTuneWidget:
    widget = FineTuneWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Fine-tune")
    return widget


def test_maps_of_trust_are_not_offered_as_images_of_a_pair(viewer: Viewer, tuner: FineTuneWidget) -> None:
    image = np.zeros((8, 8), np.uint8)
    viewer.add_image(image, name="x5")
    viewer.add_image(image, name="x10")
    viewer.add_image(image, name="x5 [error bar]", metadata={"mdeblurgan": {"map": "error"}})
    for box in (tuner.pairs.sources.low, tuner.pairs.sources.high):
        assert [box.itemText(row) for row in range(box.count())] == ["x5", "x10"]


def test_what_is_written_beside_the_curves_can_be_read_in_either_theme(viewer: Viewer, tuner: FineTuneWidget) -> None:
    lightness = {}
    for theme in ("light", "dark", "light"):
        viewer.theme = theme
        curves = tuner.training.curves
        colours = [plot.getAxis("left").textPen().color() for plot in (curves._loss, curves._psnr)]
        for legend in (curves._loss_legend, curves._psnr_legend):
            colours += [QColor(re.search(r"color: ?(#\w+)", label.item.toHtml())[1]) for _, label in legend.items]
        assert len(colours) == 7
        lightness[theme] = [colour.lightness() for colour in colours]
    assert max(lightness["light"]) < 90
    assert min(lightness["dark"]) > 165
