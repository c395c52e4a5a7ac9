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
