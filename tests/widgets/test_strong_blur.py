"""Where an image is more blurred than the chosen model knows and another one knows such a blur, a
button restores it with that one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import Qt
from scipy import ndimage

from napari_mdeblurgan.model import save_model
from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    from napari_mdeblurgan.model import Model

    Run = Callable[[], None]

KNOWN = {"weak": (0.2, 2.0), "strong": (0.2, 6.0)}


@pytest.fixture(autouse=True)
def two_models(tiny_model: Callable[..., Model], models_folder: Path) -> None:
    """One that knows a weak blur alone, and one that knows a strong one, too."""
    model = tiny_model(1)
    for name, blur in KNOWN.items():
        card = replace(model.card, name=name, blur_sigma_px=blur)
        save_model(model.network, card, models_folder / f"{name}.safetensors")


def cells(sigma: float) -> np.ndarray:
    """(256, 256) uint16: cells blurred by a Gaussian of `sigma` pixels."""
    random = np.random.default_rng(0)
    sharp = np.kron(random.random((32, 32)) > 0.6, np.ones((8, 8)))
    blurred = ndimage.gaussian_filter(sharp, sigma) * 50_000
    return (blurred + random.normal(2000, 100, sharp.shape)).clip(0).astype(np.uint16)


def test_the_button_restores_the_image_with_the_model_that_knows_its_blur(
    viewer: Viewer, widget: DeblurWidget, run: Run, wait_for_end: Run, qtbot: QtBot
) -> None:
    viewer.add_image(cells(4.0), name="cells")
    widget.reset_choices()
    widget.controls.model.value = "weak"
    widget.controls.trust.value = True
    button = widget.controls.strong_again
    assert button.native.isHidden()
    run()
    assert "learned 0.2–2 px" in widget.controls.details.value
    assert not button.native.isHidden()
    advised = widget._panel.advised_model
    assert advised in widget.controls.details.value
    assert advised in button.tooltip
    qtbot.mouseClick(button.native, Qt.MouseButton.LeftButton)
    assert widget.controls.model.value == advised != "weak"
    assert widget.running
    assert not button.enabled
    wait_for_end()
    results = [layer for layer in viewer.layers if "mdeblurgan" in layer.metadata]
    assert {layer.metadata["mdeblurgan"]["model"] for layer in results} == {"weak", advised}
    assert button.native.isHidden()


@pytest.mark.parametrize(("model", "sigma"), [("weak", 1.0), ("strong", 4.0)])
def test_there_is_none_where_the_model_knows_the_blur(
    viewer: Viewer, widget: DeblurWidget, run: Run, model: str, sigma: float
) -> None:
    viewer.add_image(cells(sigma), name="cells")
    widget.reset_choices()
    widget.controls.model.value = model
    widget.controls.trust.value = True
    run()
    assert widget.controls.strong_again.native.isHidden()


def test_what_is_no_longer_there_is_not_advised(
    viewer: Viewer, widget: DeblurWidget, run: Run, models_folder: Path
) -> None:
    viewer.add_image(cells(4.0), name="cells")
    widget.reset_choices()
    widget.controls.model.value = "weak"
    widget.controls.trust.value = True
    run()
    advised = widget._panel.advised_model
    widget.controls.model.choices = [
        name for name in widget.controls.model.choices if name != advised
    ]
    widget._refresh()
    assert widget.controls.strong_again.native.isHidden()
