"""Images that are moved, or given the size of their pixels, while they are restored or after."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.widgets.maps_shown import show_map
from tests.widgets.test_placement import edges

if TYPE_CHECKING:
    from magicgui.widgets import PushButton
    from napari import Viewer
    from napari.layers import Image
    from pytestqt.qtbot import QtBot

    from napari_mdeblurgan.widgets.deblur import DeblurWidget
    from tests.widgets.conftest import Gate

    Noise = Callable[..., np.ndarray]


def place(layer: Image, *, pixel: float = 0.5) -> None:
    """Give a layer of 40 × 48 pixels another place; `pixel` as its edge, in µm."""
    layer.scale, layer.translate, layer.units = (pixel, pixel / 2), (100, -20), "µm"
    layer.rotate, layer.affine = 30, np.array([[1, 0.2, 5], [0, 2, 7], [0, 0, 1]])


@pytest.fixture
def meanwhile(
    gate: Gate, qtbot: QtBot, wait_for_end: Callable[[], None]
) -> Callable[[PushButton, Callable[[], None]], None]:
    """Press a button, and change something while the work is going on."""

    def run(button: PushButton, change: Callable[[], None]) -> None:
        button.native.click()
        qtbot.waitUntil(lambda: gate.begun > 0)
        change()
        gate.let_on(gate.TILES)
        wait_for_end()

    return run


@pytest.mark.parametrize("preview", [False, True])
def test_a_result_lies_on_its_image_that_was_moved_while_it_was_made(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    meanwhile: Callable[[PushButton, Callable[[], None]], None],
    *,
    preview: bool,
) -> None:
    source = viewer.add_image(noise(), name="nuclei", scale=(3, 3), translate=(1, 2))
    button = widget.controls.preview if preview else widget.controls.run
    meanwhile(button, lambda: place(source))
    result = viewer.layers["nuclei [preview]" if preview else "nuclei [sharp ×2]"]
    np.testing.assert_allclose(edges(result), edges(source))
    assert result.units == source.units


def test_a_result_stays_where_the_image_was_that_has_other_pixels_by_now(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    meanwhile: Callable[[PushButton, Callable[[], None]], None],
) -> None:
    source = viewer.add_image(noise(), name="nuclei")
    before = edges(source)

    def replace_pixels() -> None:
        source.data, source.scale = source.data[::2, ::2], (2, 2)

    meanwhile(widget.controls.run, replace_pixels)
    np.testing.assert_allclose(edges(viewer.layers["nuclei [sharp ×2]"]), before)


def test_maps_lie_on_a_result_that_was_moved_before_they_are_asked_for(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    widget.controls.trust.value = True
    source = viewer.add_image(noise(), name="nuclei")
    run()
    result = viewer.layers["nuclei [sharp ×2]"]
    place(source)
    place(result, pixel=0.25)
    for name in widget.controls.which_map.choices:
        before = set(viewer.layers)
        show_map(widget, name)
        (shown,) = set(viewer.layers) - before
        np.testing.assert_allclose(edges(shown), edges(result))
        assert shown.units == result.units
