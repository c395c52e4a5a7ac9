"""Which pixels the canvas shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari import Viewer
from napari.components import ViewerModel

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.widgets.layers.view import _middle, current_slice, visible_region


def test_region_is_what_lies_within_the_canvas() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((100, 120)))
    layer.corner_pixels = np.array([[10, 20], [29, 59]])
    assert visible_region(layer, viewer, 10_000) == (((10, 30), (20, 60)), True)
    assert visible_region(layer, viewer, 100) == (((15, 25), (35, 45)), False)


def test_region_of_a_multiscale_image_is_in_pixels_of_the_full_resolution() -> None:
    viewer = ViewerModel()
    image = np.zeros((100, 120))
    layer = viewer.add_image([image, image[::2, ::2]], multiscale=True)
    layer._data_level = 1
    layer.corner_pixels = np.array([[10, 20], [49, 59]])
    assert visible_region(layer, viewer, 10_000) == (((20, 100), (40, 120)), True)


def test_canvas_of_a_zoomed_viewer_is_followed(
    make_napari_viewer: type[Viewer], qtbot: object
) -> None:
    viewer = make_napari_viewer(show=True)
    layer = viewer.add_image(np.zeros((1000, 1000)))
    viewer.scene.camera.center, viewer.scene.camera.zoom = (500, 500), 20
    qtbot.waitUntil(lambda: layer.corner_pixels[0, 0] > 0)  # type: ignore[attr-defined]
    ((y0, y1), (x0, x1)), _ = visible_region(layer, viewer, 10**9)
    assert abs((y0 + y1) / 2 - 500) <= 2
    assert abs((x0 + x1) / 2 - 500) <= 2
    assert 4 < y1 - y0 < 100
    assert 4 < x1 - x0 < 100


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1)])
@pytest.mark.parametrize("multiscale", [False, True])
def test_view_in_another_unit_than_the_layer_s_is_of_the_same_pixels(
    make_napari_viewer: type[Viewer], qtbot: object, order: tuple[int, ...], *, multiscale: bool
) -> None:
    viewer = make_napari_viewer(show=True)
    image = np.zeros((5, 1000, 800))
    data = [image, image[:, ::2, ::2]] if multiscale else image
    layer = viewer.add_image(
        data, multiscale=multiscale, scale=(2, 0.5, 0.25), translate=(1, 5, 7), units="µm"
    )
    viewer.dims.order = order
    seen = []
    for unit, length in (("µm", 1), ("nm", 1000)):
        viewer.layers.units = (unit,) * 3
        viewer.dims.set_current_step(0, 3)
        centre = np.array([250, 70]) if order[1] == 1 else np.array([70, 250])
        viewer.scene.camera.center = tuple(centre * length)
        viewer.scene.camera.zoom = 40 / length
        qtbot.wait(100)  # type: ignore[attr-defined]
        seen.append((current_slice(layer, viewer), visible_region(layer, viewer, 10**9)))
    (plane, ((y0, y1), (x0, x1))), (plane_in_nm, ((v0, v1), (u0, u1))) = (
        (shown, region) for shown, (region, _) in seen
    )
    assert plane == plane_in_nm == (3,)
    assert 0 < y0 < y1 < 1000
    assert 0 < x0 < x1 < 800
    assert np.abs(np.array([v0, v1, u0, u1]) - [y0, y1, x0, x1]).max() <= 3


def test_slice_is_the_one_that_is_shown_where_another_layer_has_a_smaller_unit() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((5, 4, 4)), scale=(2, 1, 1), translate=(1, 0, 0), units="µm")
    viewer.add_image(np.zeros((4, 4)), scale=(1000, 1000), units="nm")
    for index in (0, 2, 4):
        viewer.dims.set_current_step(0, index)
        assert viewer.dims.point[0] == pytest.approx(1000 + 2000 * index)
        assert current_slice(layer, viewer) == (index,)


@pytest.mark.parametrize("corners", [[[0, 0], [0, 30]], [[99, 5], [99, 9]]])
def test_image_outside_the_canvas_is_refused(corners: list[list[int]]) -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((100, 120)), name="leaf")
    layer.corner_pixels = np.array(corners)
    with pytest.raises(ImageError, match="Nothing of 'leaf' is on the canvas"):
        visible_region(layer, viewer, 10_000)


def test_other_axes_on_the_canvas_are_refused() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((5, 100, 120)))
    viewer.dims.order = (1, 0, 2)
    with pytest.raises(ImageError, match="needs y and x on the canvas"):
        visible_region(layer, viewer, 10_000)


@given(
    start=st.tuples(st.integers(0, 50), st.integers(0, 50)),
    size=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    limit=st.integers(16, 10**6),
)
def test_a_large_view_is_cut_to_its_middle(
    start: tuple[int, int], size: tuple[int, int], limit: int
) -> None:
    first, last = np.array(start), np.array(start) + size
    (y0, y1), (x0, x1) = _middle(first, last, limit)
    assert start[0] <= y0 < y1 <= last[0]
    assert start[1] <= x0 < x1 <= last[1]
    assert (y1 - y0) * (x1 - x0) <= max(limit, min(size))
    assert abs((y0 + y1) - (first[0] + last[0])) <= 1
    assert abs((x0 + x1) - (first[1] + last[1])) <= 1
    if size[0] * size[1] <= limit:
        assert (y1 - y0, x1 - x0) == size


def test_slice_follows_the_sliders_through_scale_and_translate() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((2, 7, 4, 4)))
    layer = viewer.add_image(np.zeros((5, 4, 4)), scale=(0.5, 1, 1), translate=(1, 0, 0))
    viewer.dims.set_point(1, 2.0)
    assert current_slice(layer, viewer) == (2,)
    viewer.dims.set_point(1, 0.0)
    assert current_slice(layer, viewer) == (0,)
