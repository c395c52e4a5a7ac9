"""A stack of a few planes without axis labels: whether they are channels or slices is asked once,
in the dock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.deblur.slices import CHANNELS, FOR_STACK, SLICES, UNTOLD

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]


def asked(widget: DeblurWidget) -> bool:
    """Whether the question is in the dock."""
    return (
        not widget.slices.kind.native.parentWidget().isHidden()
        and not widget.slices.widget.native.isHidden()
    )


@pytest.mark.parametrize(
    ("shape", "wishes", "expected"),
    [
        ((3, 24, 32), {"rgb": False}, True),
        ((2, 24, 32), {}, True),
        ((6, 24, 32), {}, True),
        ((7, 24, 32), {}, False),
        ((1, 24, 32), {}, False),
        ((24, 32), {}, False),
        ((24, 32, 3), {"rgb": True}, False),
        ((4, 24, 32, 3), {"rgb": True}, False),
        ((3, 24, 32), {"axis_labels": ("z", "y", "x")}, False),
        ((3, 24, 32), {"axis_labels": ("c", "y", "x")}, False),
        ((24, 32, 3), {"axis_labels": ("y", "x", "t"), "rgb": False}, False),
        ((2, 3, 24, 32), {}, False),
    ],
)
def test_it_is_asked_only_where_nothing_tells(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    shape: tuple[int, ...],
    wishes: dict[str, Any],
    expected: bool,
) -> None:
    viewer.add_image(noise(*shape), **wishes)
    assert asked(widget) is expected


def test_the_answer_by_keys_stays_with_the_layer_and_its_result(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, qtbot: QtBot, run: Run
) -> None:
    image = noise(3, 24, 32)
    image[1] //= 4
    layer = viewer.add_image(image, name="cells", rgb=False)
    slices = widget.slices
    assert (slices.kind.value, slices.window.value) == (
        UNTOLD,
        FOR_STACK,
    )  # taken for a stack until it is answered
    viewer.window.show()
    for _ in range(2):
        qtbot.keyClick(slices.kind.native, Qt.Key.Key_Down)
    assert slices.kind.value == CHANNELS
    assert layer.axis_labels == ("c", "y", "x")
    assert slices.window.value == 0  # an intensity range for each channel
    run()
    assert viewer.layers[1].axis_labels == ("c", "y", "x")
    by_channel = restore(image, load_model("tiny-grey"), channel_axis=0)
    np.testing.assert_allclose(viewer.layers[1].data, by_channel, atol=1)
    other = viewer.add_image(noise(16, 16), name="other")
    viewer.layers.selection.active = layer
    assert (asked(widget), slices.kind.value) == (True, CHANNELS)  # it can still be changed
    qtbot.keyClick(slices.kind.native, Qt.Key.Key_Up)
    assert (layer.axis_labels, slices.window.value, slices.kind.value) == (
        ("z", "y", "x"),
        FOR_STACK,
        SLICES,
    )
    assert other.axis_labels == ("-2", "-1")
    assert not asked(DeblurWidget(viewer))  # another dock need not ask
