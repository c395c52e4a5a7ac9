"""Flips and quarter turns, there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mdeblurgan.restoration.orientation import ORIENTATIONS, Orientation

every = pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)


def test_there_are_eight_and_all_differ() -> None:
    image = np.arange(6).reshape(2, 3)
    assert len({(o.laid(image).shape, o.laid(image).tobytes()) for o in ORIENTATIONS}) == 8


@every
def test_back_undoes_it(orientation: Orientation) -> None:
    image = np.arange(24).reshape(2, 4, 3)
    laid = orientation.laid(image)
    assert laid.shape[:2] == orientation.shape((2, 4))
    assert np.array_equal(orientation.back(laid), image)


@every
@given(st.data())
def test_a_rectangle_comes_to_lie_where_its_pixels_do(
    orientation: Orientation, data: st.DataObject
) -> None:
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    spans = [
        data.draw(
            st.integers(0, n - 1).flatmap(
                lambda a, n=n: st.tuples(st.just(a), st.integers(a + 1, n))
            )
        )
        for n in shape
    ]
    image = np.arange(shape[0] * shape[1]).reshape(shape)
    region = orientation.region(tuple(spans), shape)
    cut = orientation.laid(image)[slice(*region[0]), slice(*region[1])]
    assert np.array_equal(orientation.back(cut), image[slice(*spans[0]), slice(*spans[1])])
    assert orientation.region_back(region, shape) == tuple(spans)
