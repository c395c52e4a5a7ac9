"""The line that says what a model is for is shown whole, however narrow the
dock and long the line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_mdeblurgan.model import list_models
from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]

LONG = (
    "Pine cone sections, brightfield, ×5 to ×10, "
    + "trained on the microscope in the cellar by Anna, " * 4
    + "in May"
)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("model", ["gray-x2", "gray-x4", "rgb-x2", "rgb-x4", "long"])
def test_a_model_s_line_is_shown_whole_on_a_small_screen(
    viewer: Viewer,
    qtbot: QtBot,
    noise: Noise,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    theme: str,
    styled: None,
) -> None:
    cards = list_models()
    cards.append(
        dataclasses.replace(
            next(card for card in cards if card.channels == 1), name="long", description=LONG
        )
    )
    monkeypatch.setattr("napari_mdeblurgan.widgets.deblur.model_choice.list_models", lambda: cards)
    viewer.theme = theme
    widget = DeblurWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Deblur + SR")
    viewer.add_image(
        noise(16, 16, 3) if model.startswith("rgb") else noise(), rgb=model.startswith("rgb")
    )
    viewer.window.show()
    viewer.window.resize(1366, 768)
    widget.controls.model.value = model
    label = widget.controls.about.native
    assert label.text() == next(card.description for card in cards if card.name == model)
    qtbot.waitUntil(lambda: label.height() >= label.heightForWidth(label.width()))
    assert label.height() >= label.fontMetrics().height() * (4 if model == "long" else 2)
    inside = label.mapTo(widget.native, label.rect().bottomRight())
    assert inside.x() < widget.native.width()
