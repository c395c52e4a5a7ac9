"""Restoring only the shapes of a Shapes layer, by clicks in a real window."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_mdeblurgan.widgets.deblur import DeblurWidget
from tests.widgets.deblur.only_here.dock import box, choose, names, press, whole_result

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

__all__ = ["choose", "press"]  # fixtures

HALO_SEEN = 1  # grey level that sums in another order may round differently


def test_rectangles_become_layers_in_place_that_equal_the_same_place_of_the_whole(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None], press: Run
) -> None:
    source = viewer.add_image(
        noise(90, 100), name="scan", scale=(0.5, 0.5), translate=(3, -2), units="um"
    )
    viewer.add_shapes(
        [box(5, 20, 10, 35), box(40, 60, 30, 70)], scale=(0.5, 0.5), translate=(3, -2), units="um"
    )
    choose("Shapes")
    assert widget.controls.run.text == "Deblur + SR (2 shapes)"
    press()
    first, second = (viewer.layers[f"scan [sharp ×2, region {n}]"] for n in (1, 2))
    assert first.data.shape == (32, 52)
    assert first.data.dtype == np.uint8
    np.testing.assert_allclose(first.data_to_world((-0.5, -0.5)), source.data_to_world((4.5, 9.5)))
    np.testing.assert_allclose(
        second.data_to_world((41.5, 81.5)), source.data_to_world((60.5, 70.5))
    )
    assert first.metadata["mdeblurgan"]["region"] == ((5, 21), (10, 36))
    whole = whole_result(viewer, choose, press, "scan [sharp ×2]")
    assert whole.data.shape == (180, 200)
    np.testing.assert_allclose(first.data.astype(int), whole.data[10:42, 20:72], atol=HALO_SEEN)
    np.testing.assert_allclose(second.data.astype(int), whole.data[80:122, 60:142], atol=HALO_SEEN)


def test_selected_shapes_alone_are_restored_and_keep_their_numbers(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    choose: Callable[[str], None],
    press: Run,
    qtbot: QtBot,
) -> None:
    viewer.add_image(noise(), name="scan")
    shapes = viewer.add_shapes([box(2, 9, 2, 9), box(12, 19, 12, 19), box(22, 29, 2, 9)])
    choose("Shapes")
    shapes.selected_data = {1}
    qtbot.waitUntil(lambda: widget.controls.run.text == "Deblur + SR (1 of 3 shapes)")
    press()
    assert names(viewer) == ["scan", "scan [sharp ×2, region 2]", "Shapes"]


def test_a_shape_that_was_just_drawn_does_not_keep_the_others_from_being_restored(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None]
) -> None:
    viewer.add_image(noise(), name="scan")
    shapes = viewer.add_shapes([box(2, 9, 2, 9)])
    shapes.mode = "add_rectangle"
    shapes.add_rectangles(box(12, 19, 12, 19))
    shapes.selected_data = {1}  # as napari does while it is drawn
    choose("Shapes")
    assert widget.controls.run.text == "Deblur + SR (2 shapes)"
    shapes.mode = "pan_zoom"
    widget._refresh()
    assert widget.controls.run.text == "Deblur + SR (2 shapes)"
    shapes.selected_data = {0}
    widget._refresh()
    assert widget.controls.run.text == "Deblur + SR (1 of 2 shapes)"


def test_a_shape_that_is_drawn_while_its_layer_is_chosen_counts_at_once(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None], qtbot: QtBot
) -> None:
    viewer.add_image(noise(), name="scan")
    shapes = viewer.add_shapes([box(2, 9, 2, 9)])
    choose("Shapes")
    shapes.mode = "add_rectangle"
    shapes.add_rectangles(box(12, 19, 12, 19))
    qtbot.waitUntil(lambda: widget.controls.run.text == "Deblur + SR (2 shapes)")


def test_the_chosen_shapes_stay_when_their_layer_is_given_the_name_of_another(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None]
) -> None:
    viewer.add_image(noise(), name="scan")
    first = viewer.add_shapes([box(2, 9, 2, 9)], name="cells")
    viewer.add_shapes([box(2, 9, 2, 9)], name="nuclei")
    choose("cells")
    first.name = "nuclei"
    assert widget.only_here.layer is widget.only_here.box.value is first
    first.name = "Whole image"
    assert widget.only_here.layer is widget.only_here.box.value is first


def test_list_follows_shapes_layers_that_come_go_and_are_renamed(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None]
) -> None:
    viewer.add_image(noise(), name="scan")
    choices = widget.only_here.box.native

    def offered() -> list[str]:
        return [choices.itemText(number) for number in range(choices.count())]

    assert offered() == ["Whole image"]
    first = viewer.add_shapes([box(2, 9, 2, 9)], name="cells")
    viewer.add_shapes([box(2, 9, 2, 9)], name="nuclei")
    assert offered() == ["Whole image", "cells", "nuclei"]
    choose("cells")
    first.name = "tissue"
    assert widget.only_here.box.native.currentText() == "tissue"
    assert set(offered()) == {"Whole image", "tissue", "nuclei"}
    viewer.layers.remove(first)
    assert widget.only_here.box.native.currentText() == "Whole image"
    assert widget.controls.run.text == "Deblur + SR"


def test_choice_is_there_again_in_the_next_dock(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None]
) -> None:
    viewer.add_image(noise(), name="scan")
    shapes = viewer.add_shapes([box(2, 9, 2, 9)], name="cells")
    choose("cells")
    assert DeblurWidget(viewer).only_here.layer is shapes
    choose("Whole image")
    assert DeblurWidget(viewer).only_here.layer is None


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_polygon_has_no_value_outside_and_the_values_of_the_whole_inside(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    choose: Callable[[str], None],
    press: Run,
    dtype: Any,
) -> None:
    viewer.add_image(noise(90, 100, dtype=dtype), name="scan")
    viewer.add_shapes([np.array([[10.0, 20], [60, 30], [30, 80]])], shape_type="polygon")
    choose("Shapes")
    press()
    part = viewer.layers["scan [sharp ×2, region 1]"]
    assert part.data.dtype == np.float32
    assert part.data.shape == (102, 122)
    inside = np.isfinite(part.data)
    assert inside[60 * 2 - 20 - 60, 2 * 20]  # y 40, x 40
    assert not inside[0, -1]
    assert not inside[-1, -1]
    assert 0.4 < inside.mean() < 0.6
    whole = whole_result(viewer, choose, press, "scan [sharp ×2]").data[20:122, 40:162]
    np.testing.assert_allclose(part.data[inside], whole[inside].astype(np.float32), atol=HALO_SEEN)


def test_an_ellipse_in_colour_is_transparent_around(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None], press: Run
) -> None:
    viewer.add_image(noise(60, 64, 3), name="stain", rgb=True)
    viewer.add_shapes([box(10, 30, 10, 50)], shape_type="ellipse")
    choose("Shapes")
    press()
    part = viewer.layers["stain [sharp ×2, region 1]"]
    assert part.rgb
    assert part.data.dtype == np.uint8
    assert part.data.shape == (42, 82, 4)
    assert part.data[21, 41, 3] == 255
    assert [part.data[y, x, 3] for y in (0, -1) for x in (0, -1)] == [0] * 4
    np.testing.assert_allclose(np.sum(part.data[..., 3] > 0), np.pi * 20 * 40, rtol=0.02)
    whole = whole_result(viewer, choose, press, "stain [sharp ×2]").data[20:62, 20:102]
    np.testing.assert_allclose(part.data[..., :3].astype(int), whole[..., :3], atol=HALO_SEEN)


def test_shapes_with_their_own_scale_and_rotation_are_found_in_a_rotated_image(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None], press: Run
) -> None:
    source = viewer.add_image(
        noise(60, 64), name="scan", scale=(0.5, 0.25), rotate=90, translate=(7, 9)
    )
    wanted = box(10, 20, 30, 42)
    world = np.array([source.data_to_world(corner) for corner in wanted])
    viewer.add_shapes([world / 4], scale=(4, 4), shape_type="polygon")
    choose("Shapes")
    press()
    part = viewer.layers["scan [sharp ×2, region 1]"]
    assert part.data.shape == (22, 26)
    np.testing.assert_allclose(
        part.data_to_world((-0.5, -0.5)), source.data_to_world((9.5, 29.5)), atol=1e-9
    )
    np.testing.assert_allclose(
        part.data_to_world((21.5, 25.5)), source.data_to_world((20.5, 42.5)), atol=1e-9
    )


def test_shapes_in_millimetres_are_found_in_an_image_in_micrometres(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None], press: Run
) -> None:
    viewer.add_image(noise(60, 64), name="scan", scale=(0.5, 0.5), units="um")
    viewer.add_shapes([box(10, 20, 30, 42) * 0.5e-3], units="mm")
    choose("Shapes")
    press()
    assert viewer.layers["scan [sharp ×2, region 1]"].metadata["mdeblurgan"]["region"] == (
        (10, 21),
        (30, 43),
    )


def test_shapes_are_found_in_a_pyramid_and_in_a_layer_whose_axes_are_x_and_y(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None], press: Run
) -> None:
    image = noise(60, 64)
    viewer.add_image([image, image[::2, ::2]], name="pyramid", multiscale=True)
    viewer.add_image(noise(60, 64), name="turned", axis_labels=("x", "y"))
    viewer.add_shapes([box(10, 20, 30, 42)], name="Shapes")
    choose("Shapes")
    viewer.layers.selection = {viewer.layers["pyramid"], viewer.layers["turned"]}
    press()
    assert viewer.layers["pyramid [sharp ×2, region 1]"].metadata["mdeblurgan"]["region"] == (
        (10, 21),
        (30, 43),
    )
    part = viewer.layers["turned [sharp ×2, region 1]"]
    assert part.metadata["mdeblurgan"]["region"] == ((30, 43), (10, 21))
    assert part.data.shape == (22, 26)
    np.testing.assert_allclose(part.data_to_world((-0.5, -0.5)), (9.5, 29.5))


def test_of_a_stack_the_plane_that_is_shown_is_restored_with_the_range_of_the_whole(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None], press: Run
) -> None:
    source = viewer.add_image(
        noise(3, 40, 48) // np.array([4, 2, 1], np.uint8)[:, None, None], name="stack"
    )
    viewer.add_shapes([box(5, 20, 10, 35)])
    viewer.dims.set_current_step(0, 1)
    choose("Shapes")
    press()
    part = viewer.layers["stack [sharp ×2, region 1]"]
    assert part.data.shape == (1, 32, 52)
    np.testing.assert_allclose(
        part.data_to_world((0, -0.5, -0.5)), source.data_to_world((1, 4.5, 9.5))
    )
    whole = whole_result(viewer, choose, press, "stack [sharp ×2]")
    np.testing.assert_allclose(
        part.data[0].astype(int), whole.data[1, 10:42, 20:72], atol=HALO_SEEN
    )


def test_shapes_in_other_planes_are_left_out_with_a_sentence(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None], press: Run
) -> None:
    viewer.add_image(noise(3, 40, 48), name="stack")
    planes = [np.insert(box(5, 20, 10, 35), 0, z, axis=1) for z in (0, 2)]
    viewer.add_shapes(planes, name="Shapes")
    viewer.dims.set_current_step(0, 2)
    choose("Shapes")
    press()
    assert names(viewer) == ["stack", "stack [sharp ×2, region 2]", "Shapes"]
    assert "1 shape in another plane than is shown was left out." in widget.controls.status.value


def test_a_shape_over_the_edge_is_clipped_and_one_outside_left_out(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None], press: Run
) -> None:
    viewer.add_image(noise(40, 48), name="scan")
    viewer.add_shapes([box(-10, 9, 30, 90), box(50, 60, 2, 9)])
    choose("Shapes")
    press()
    part = viewer.layers["scan [sharp ×2, region 1]"]
    assert part.metadata["mdeblurgan"]["region"] == ((0, 10), (30, 48))
    assert "1 shape outside of 'scan' was left out." in widget.controls.status.value


@pytest.mark.parametrize(
    ("shapes", "kind", "sentence"),
    [
        ([], "rectangle", "'Shapes' has no shape yet: draw a rectangle, an ellipse or a polygon"),
        ([box(50, 60, 2, 9)], "rectangle", "No shape of 'Shapes' lies on 'scan': draw"),
        ([box(2, 9, 2, 9)[:2]], "line", "'Shapes' encloses nothing, as lines and paths do: draw"),
        ([box(2, 9, 2, 9)], "path", "'Shapes' encloses nothing, as lines and paths do: draw"),
    ],
)
def test_shapes_that_nothing_can_be_restored_in_are_refused_in_a_sentence(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    choose: Callable[[str], None],
    qtbot: QtBot,
    shapes: list[np.ndarray],
    kind: str,
    sentence: str,
) -> None:
    viewer.add_image(noise(40, 48), name="scan")
    viewer.add_shapes(shapes or None, ndim=2, shape_type=kind, name="Shapes")
    choose("Shapes")
    qtbot.mouseClick(widget.controls.run.native, Qt.MouseButton.LeftButton)
    assert not widget.running
    assert sentence in widget.controls.status.value


def test_parts_that_are_softened_equal_the_softened_whole_up_to_their_edges(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None], press: Run
) -> None:
    for name, value in (("magnification", 20), ("numerical_aperture", 0.5), ("wavelength_nm", 530)):
        widget.sharpness.group.boxes[name].value = value
    viewer.add_image(noise(90, 100), name="scan", scale=(0.325, 0.325), units="um")
    viewer.add_shapes([box(30, 50, 30, 60) * 0.325], units="um")
    choose("Shapes")
    press()
    part = viewer.layers["scan [sharp ×2, region 1]"]
    assert part.metadata["mdeblurgan"]["softness"] > 0.3
    whole = whole_result(viewer, choose, press, "scan [sharp ×2]").data[60:102, 60:122]
    assert part.data.shape == whole.shape
    np.testing.assert_allclose(part.data.astype(int), whole, atol=HALO_SEEN)


def test_halved_parts_lie_in_place_and_equal_the_halved_whole(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choose: Callable[[str], None], press: Run
) -> None:
    source = viewer.add_image(noise(90, 100), name="scan")
    viewer.add_shapes([box(11, 40, 20, 61)])
    widget.controls.halve.native.click()
    choose("Shapes")
    press()
    part = viewer.layers["scan [halved, sharp ×2, region 1]"]
    assert part.metadata["mdeblurgan"]["region"] == ((10, 42), (20, 62))
    np.testing.assert_allclose(part.data_to_world((-0.5, -0.5)), source.data_to_world((9.5, 19.5)))
    whole = whole_result(viewer, choose, press, "scan [halved, sharp ×2]").data[10:42, 20:62]
    np.testing.assert_allclose(part.data.astype(int), whole, atol=HALO_SEEN)
