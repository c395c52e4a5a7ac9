"""A restored layer lies exactly on its source, as napari itself sees it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image

from napari_mdeblurgan.widgets.layers.placement import (
    collapsed,
    enlarged,
    moved_along,
    placement_of,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Non-orthogonal slicing"
)  # of a view that nobody looks at here

SCALES = st.floats(1e-3, 1e3)
SHIFTS = st.floats(-1e3, 1e3)


def edges(layer: Image) -> np.ndarray:
    """World positions of the corners of the image at its pixels' outer edges, leading axes at their
    centres.
    """
    *leading, height, width = layer.data.shape[: layer.ndim]
    ends = [(0, n - 1) for n in leading] + [(-0.5, height - 0.5), (-0.5, width - 0.5)]
    return np.array([layer.data_to_world(corner) for corner in itertools.product(*ends)])


def placed_result(
    source: Image, factor: int, shape: tuple[int, ...], origin: tuple[int, ...] | None = None
) -> Image:
    return Image(
        np.zeros(shape, np.uint8),
        **enlarged(placement_of(source), factor, origin).layer_arguments(),
    )


@st.composite
def sources(draw: st.DrawFn) -> Image:
    """Layers of 2 to 4 axes with any scale, translate, rotation, shear and affine."""
    ndim = draw(st.integers(2, 4))
    shape = tuple(draw(st.lists(st.integers(2, 5), min_size=ndim, max_size=ndim)))
    vector = lambda values, n: draw(st.lists(values, min_size=n, max_size=n))  # noqa: E731
    rotate = np.linalg.qr(
        np.reshape(vector(st.floats(-1, 1), ndim**2), (ndim, ndim)) + 2 * np.eye(ndim)
    )[0]
    affine = np.eye(ndim + 1)
    affine[:-1] += np.reshape(
        vector(st.floats(-0.3 / ndim, 0.3 / ndim), ndim * (ndim + 1)), (ndim, ndim + 1)
    )
    return Image(
        np.zeros(shape, np.uint8),
        scale=vector(SCALES, ndim),
        translate=vector(SHIFTS, ndim),
        rotate=rotate,
        shear=vector(st.floats(-2, 2), ndim * (ndim - 1) // 2),
        affine=affine,
    )


@settings(max_examples=settings().max_examples * 150 // 60)
@given(source=sources(), factor=st.sampled_from([2, 4]))
def test_edges_of_source_and_result_coincide(source: Image, factor: int) -> None:
    *leading, height, width = source.data.shape
    result = placed_result(source, factor, (*leading, factor * height, factor * width))
    tolerance = 1e-9 * np.abs(edges(source)).max()
    np.testing.assert_allclose(edges(result), edges(source), rtol=1e-9, atol=tolerance)
    extents = (
        layer._extent_world_augmented for layer in (result, source)
    )  # with the size of the pixels
    np.testing.assert_allclose(*extents, rtol=1e-9, atol=tolerance)


@given(source=sources(), factor=st.sampled_from([2, 4]), data=st.data())
def test_edges_of_a_restored_part_lie_where_the_part_was(
    source: Image, factor: int, data: st.DataObject
) -> None:
    origin = tuple(data.draw(st.integers(0, n - 1)) for n in source.data.shape)
    size = tuple(
        data.draw(st.integers(1, n - o)) for n, o in zip(source.data.shape, origin, strict=True)
    )
    result = placed_result(
        source, factor, (*size[:-2], factor * size[-2], factor * size[-1]), origin
    )
    ends = [(o, o + n - 1) for o, n in zip(origin[:-2], size[:-2], strict=True)]
    ends += [(o - 0.5, o + n - 0.5) for o, n in zip(origin[-2:], size[-2:], strict=True)]
    expected = np.array([source.data_to_world(corner) for corner in itertools.product(*ends)])
    np.testing.assert_allclose(
        edges(result), expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max()
    )


@given(data=st.data(), factor=st.sampled_from([0.5, 1, 2, 4]))
def test_what_was_made_of_a_layer_moves_along_with_it(data: st.DataObject, factor: float) -> None:
    before = data.draw(sources())
    now = data.draw(sources().filter(lambda layer: layer.ndim == before.ndim))
    origin = tuple(data.draw(st.integers(0, 99)) for _ in range(before.ndim))
    places = placement_of(before), placement_of(now)
    made, wanted = (enlarged(place, factor, origin).layer_arguments() for place in places)
    moved = moved_along({"name": "made", **made}, *places)
    assert moved["name"] == "made"
    for name in ("scale", "rotate", "shear", "affine"):
        np.testing.assert_allclose(moved[name], wanted[name], rtol=1e-9)
    largest = np.abs(places[1].scale).max() * 200 + np.abs(wanted["translate"]).max()
    np.testing.assert_allclose(
        moved["translate"], wanted["translate"], rtol=1e-6, atol=1e-6 * largest
    )


def test_units_and_axis_labels_follow() -> None:
    source = Image(np.zeros((3, 4, 5)), units=("µm", "nm", "nm"), axis_labels=("z", "y", "x"))
    result = placed_result(source, 2, (3, 8, 10))
    assert result.units == source.units
    assert result.axis_labels == ("z", "y", "x")


def test_upright_layer_gets_the_plain_formula() -> None:
    source = Image(np.zeros((4, 5)), scale=(0.5, 0.25), translate=(10, 20))
    placed = enlarged(placement_of(source), 2)
    assert placed.scale == pytest.approx((0.25, 0.125))
    assert placed.translate == pytest.approx((10 - 0.125, 20 - 0.0625))


@pytest.mark.parametrize(("ndim", "rotate"), [(2, 30.0), (3, (10.0, 20.0, 30.0))])
def test_rotation_in_degrees_follows(ndim: int, rotate: float | tuple[float, ...]) -> None:
    source = Image(
        np.zeros((4, 5, 6)[-ndim:]),
        rotate=rotate,
        scale=(3, 2, 1)[-ndim:],
        translate=(7, 8, 9)[-ndim:],
    )
    *leading, height, width = source.data.shape
    result = placed_result(source, 2, (*leading, 2 * height, 2 * width))
    np.testing.assert_allclose(edges(result), edges(source))
    np.testing.assert_allclose(result.rotate, source.rotate)


def test_the_source_keeps_its_placement() -> None:
    source = Image(np.zeros((4, 5)), scale=(2, 3), translate=(1, 1))
    enlarged(placement_of(source), 2)
    assert tuple(source.scale) == (2, 3)
    assert tuple(source.translate) == (1, 1)


def test_rgb_axis_has_no_placement() -> None:
    source = Image(np.zeros((4, 5, 3), np.uint8), rgb=True, scale=(2, 2))
    result = placed_result(source, 2, (8, 10))
    np.testing.assert_allclose(edges(result), edges(source))


@pytest.mark.parametrize("rotate", [0, 30])
def test_an_image_without_an_axis_in_front_lies_where_its_source_does(rotate: float) -> None:
    source = Image(
        np.zeros((5, 8, 9)),
        scale=(3, 2, 0.5),
        translate=(7, 4, 1),
        rotate=rotate,
        shear=(0, 0, 0.2),
    )
    place, left_out = collapsed(placement_of(source), (5, 8, 9), [0])
    result = Image(np.zeros((8, 9)), **place.layer_arguments())
    assert left_out == (0,)
    for corner in ((0, 0), (7, 8)):
        np.testing.assert_allclose(
            result.data_to_world(corner), source.data_to_world((2, *corner))[1:]
        )


@pytest.mark.parametrize("turn", [np.eye(3), [[0.8, 0, -0.6], [0, 1, 0], [0.6, 0, 0.8]]])
def test_an_image_without_another_axis_is_as_thick_as_its_source(turn: Any) -> None:
    source = Image(np.zeros((3, 5, 8, 9)), scale=(1, 3, 2, 0.5), translate=(0, 7, 4, 1))
    source.rotate = np.block([[np.eye(1), np.zeros((1, 3))], [np.zeros((3, 1)), np.asarray(turn)]])
    place, left_out = collapsed(placement_of(source), (3, 5, 8, 9), [1])
    result = Image(np.zeros((3, 1, 8, 9)), **place.layer_arguments())
    assert left_out == ()
    np.testing.assert_allclose(
        result.data_to_world((1, 0, 3, 4)), source.data_to_world((1, 2, 3, 4))
    )
    np.testing.assert_allclose(
        result.data_to_world((1, 0.5, 3, 4)), source.data_to_world((1, 4.5, 3, 4))
    )


def test_an_axis_in_front_that_is_turned_with_others_stays() -> None:
    source = Image(np.zeros((5, 8, 9)), scale=(3, 2, 0.5))
    source.rotate = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    place, left_out = collapsed(placement_of(source), (5, 8, 9), [0])
    assert left_out == ()
    result = Image(np.zeros((1, 8, 9)), **place.layer_arguments())
    np.testing.assert_allclose(result.data_to_world((0, 3, 4)), source.data_to_world((2, 3, 4)))
