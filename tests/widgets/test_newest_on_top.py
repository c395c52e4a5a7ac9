"""What was made last is what is seen: it lies above all that was made of the same image before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt

from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.focus_stack import FocusStackWidget
from tests.widgets.focus_stack_dock import dock, press, stack
from tests.widgets.focus_stack_dock import run as run_stack
from tests.widgets.scan_blocks import on_disk

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

__all__ = ["dock", "on_disk", "press", "run_stack", "stack"]  # fixtures


def names(viewer: Viewer) -> list[str]:
    return [layer.name for layer in viewer.layers]


def test_a_second_run_lies_above_the_first_and_its_maps_and_below_what_is_not_of_it(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run
) -> None:
    image = viewer.add_image(noise(), name="nuclei")
    viewer.add_image(noise(), name="other")
    viewer.layers.selection.active = image
    widget.controls.trust.value = True
    run()
    widget.controls.maps.native.click()
    widget.controls.model.value = "tiny-grey-2"
    run()
    assert names(viewer) == [
        "nuclei",
        "nuclei [sharp ×2]",
        "nuclei [error bar, grey levels]",
        "nuclei [sharp ×2] [1]",
        "other",
    ]
    assert viewer.layers["nuclei [sharp ×2] [1]"].metadata["mdeblurgan"]["model"] == "tiny-grey-2"


def test_so_it_does_where_image_and_result_have_other_names_by_now(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run
) -> None:
    image = viewer.add_image(noise(), name="nuclei")
    run()
    image.name, viewer.layers[1].name = "before", "after"
    run()
    assert names(viewer) == ["before", "after", "before [sharp ×2]"]


def test_a_preview_and_what_is_made_on_disk_are_seen_above_an_earlier_result(
    viewer: Viewer, on_disk: DeblurWidget, noise: Noise, run: Run, wait_for_end: Run
) -> None:
    viewer.add_image(noise(), name="nuclei")
    on_disk.results.to_disk.value = False
    run()
    on_disk.controls.preview.native.click()
    wait_for_end()
    assert names(viewer) == ["nuclei", "nuclei [sharp ×2]", "nuclei [preview]"]
    on_disk.results.to_disk.value = True
    run()
    assert names(viewer)[:2] == ["nuclei", "nuclei [sharp ×2]"]
    assert viewer.layers[-1].metadata["mdeblurgan"]["file"].endswith(".ome.zarr")


def test_a_result_of_a_result_lies_above_it_and_a_new_one_of_the_image_above_both(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run
) -> None:
    image = viewer.add_image(noise(), name="nuclei")
    run()
    widget.controls.image.value = viewer.layers["nuclei [sharp ×2]"]
    run()
    widget.controls.image.value = image
    run()
    assert names(viewer) == [
        "nuclei",
        "nuclei [sharp ×2]",
        "nuclei [sharp ×2] [sharp ×2]",
        "nuclei [sharp ×2] [1]",
    ]


def test_a_focus_stack_put_together_once_more_lies_above_the_first_image(
    viewer: Viewer, dock: FocusStackWidget, stack: np.ndarray, run_stack: Callable[..., None]
) -> None:
    viewer.add_image(stack, name="stack", axis_labels=("z", "y", "x"))
    run_stack()
    run_stack()
    made = [name for name in names(viewer) if "all in focus" in name]
    assert made == ["stack [all in focus]", "stack [all in focus] [1]"]
    earlier = names(viewer).index("stack [all in focus] [1]")
    assert not any(layer.visible for layer in viewer.layers[earlier + 1 :])


def test_the_white_filling_of_shapes_is_taken_away_and_other_colours_stay(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run, qtbot: QtBot
) -> None:
    viewer.add_image(np.full((40, 48), 100, np.uint8), name="nuclei", contrast_limits=(0, 255))
    shapes = viewer.add_shapes(name="Shapes")
    square = np.array([[5.0, 5], [5, 20], [20, 20], [20, 5]])
    shapes.add([square, square + 15], shape_type="rectangle")
    red = np.array([1.0, 0, 0, 1])
    shapes.face_color = [[1, 1, 1, 1], red]
    shapes.selected_data = set()
    shapes.current_face_color = "white"
    widget.only_here.box.value = shapes
    assert shapes.face_color[0].tolist() == [1, 1, 1, 1]
    qtbot.mouseClick(widget.controls.run.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)
    assert shapes.face_color[0, 3] == 0
    np.testing.assert_array_equal(shapes.face_color[1], red)
    shapes.add([square + 2], shape_type="rectangle")
    assert shapes.face_color[2, 3] == 0
    viewer.window._qt_window.show()
    middle = viewer.window.screenshot(canvas_only=True, flash=False)
    assert viewer.layers[1].name == "nuclei [sharp ×2, region 1]"
    assert not np.any(np.all(middle[..., :3] > 200, axis=-1))
