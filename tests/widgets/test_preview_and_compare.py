"""Previews of what the canvas shows, and switching between before and after, in a real viewer on a
virtual screen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer

    Noise = Callable[..., np.ndarray]


def test_preview_equals_the_part_of_the_full_run(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Callable[[], None],
    wait_for_end: Callable[[], None],
) -> None:
    source = viewer.add_image(noise(2, 64, 72), name="stack", scale=(1, 0.5, 0.5))
    viewer.dims.set_current_step(0, 1)
    source.corner_pixels = np.array([[0, 10, 20], [0, 40, 59]])
    widget.controls.preview.native.click()
    wait_for_end()
    preview = viewer.layers["stack [preview]"]
    assert preview.data.shape == (1, 62, 80)
    np.testing.assert_allclose(
        preview.data_to_world((0, -0.5, -0.5)), source.data_to_world((1, 9.5, 19.5)), atol=1e-12
    )
    run()
    assert "stack [preview]" not in viewer.layers
    np.testing.assert_array_equal(
        preview.data[0], viewer.layers["stack [sharp ×2]"].data[1, 20:82, 40:120]
    )


def test_next_preview_replaces_the_last(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, wait_for_end: Callable[[], None]
) -> None:
    source = viewer.add_image(noise(), name="nuclei")
    for _ in range(2):
        widget.controls.preview.native.click()
        wait_for_end()
    assert [layer.name for layer in viewer.layers] == ["nuclei", "nuclei [preview]"]
    assert widget.image is source
    viewer.layers.selection.active = viewer.layers[1]
    assert widget.image is source


def test_a_preview_that_was_locked_stays(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, wait_for_end: Callable[[], None]
) -> None:
    viewer.add_image(noise(), name="nuclei")
    for button in (widget.controls.preview, widget.controls.preview, widget.controls.run):
        button.native.click()
        wait_for_end()
        viewer.layers["nuclei [preview]"].locked = True
    names = ["nuclei", "nuclei [preview]", "nuclei [sharp ×2]"]
    assert [layer.name for layer in viewer.layers] == names


def test_preview_in_3d_is_refused_in_a_sentence(
    viewer: Viewer, widget: DeblurWidget, noise: Noise
) -> None:
    viewer.add_image(noise(3, 24, 24))
    viewer.dims.ndisplay = 3
    widget.controls.preview.native.click()
    assert not widget.running
    assert widget.controls.status.value.startswith("The preview needs the 2-D view")


def test_preview_of_an_image_one_pixel_high_is_refused_for_what_it_is(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, wait_for_end: Callable[[], None]
) -> None:
    layer = viewer.add_image(noise(1, 60), name="line")
    layer.corner_pixels = np.array([[0, 0], [0, 59]])
    widget.controls.preview.native.click()
    wait_for_end()
    assert "1 × 60 pixels; at least 2 are needed" in widget.controls.status.value


def test_compare_switches_between_before_and_after(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    source = viewer.add_image(noise())
    assert not widget.controls.compare.enabled
    run()
    result = viewer.layers[1]
    assert (source.visible, result.visible) == (True, True)
    widget.controls.compare.native.click()
    assert (source.visible, result.visible) == (True, False)
    assert widget.controls.compare.text == "Show after"
    widget.controls.compare.native.click()
    assert (source.visible, result.visible) == (True, True)


def test_compare_has_a_key(viewer: Viewer, noise: Noise, run: Callable[[], None]) -> None:
    viewer.add_image(noise())
    run()
    binding = next(callback for key, callback in viewer.keymap.items() if str(key) == "Alt+B")
    binding(viewer)
    assert not viewer.layers[1].visible


@pytest.mark.parametrize("closed_first", [0, 1])
def test_key_outlives_one_of_two_widgets_and_goes_back_to_its_owner(
    viewer: Viewer, monkeypatch: pytest.MonkeyPatch, closed_first: int
) -> None:
    pressed: list[object] = []
    monkeypatch.setattr(DeblurWidget, "compare", lambda self: pressed.append(self))
    viewer.bind_key("Alt-B", lambda _: pressed.append("owner"), overwrite=True)
    docks = [DeblurWidget(viewer), DeblurWidget(viewer)]
    for dock in docks:
        viewer.window.add_dock_widget(dock)
    for dock in (docks[closed_first], docks[1 - closed_first]):
        next(callback for key, callback in viewer.keymap.items() if str(key) == "Alt+B")(viewer)
        viewer.window.remove_dock_widget(dock.native)
    next(callback for key, callback in viewer.keymap.items() if str(key) == "Alt+B")(viewer)
    assert pressed == [docks[1], docks[1 - closed_first], "owner"]


def test_source_does_not_shine_through_an_additive_result(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    source = viewer.add_image(noise(), blending="additive")
    run()
    assert (source.visible, viewer.layers[1].visible) == (False, True)
    widget.controls.compare.native.click()
    assert (source.visible, viewer.layers[1].visible) == (True, False)
