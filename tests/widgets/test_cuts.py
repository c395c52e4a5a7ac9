"""Planes that a volume is cut along and clipped by in 3-D stay where they are in its result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.layers import Image

from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.keep.reader import read_layers
from napari_mdeblurgan.widgets.keep.writer import write_layers
from napari_mdeblurgan.widgets.layers.cuts import cuts_of
from napari_mdeblurgan.widgets.layers.placement import enlarged, placement_of

if TYPE_CHECKING:
    from napari import Viewer

PLANE = {"position": (3, 20, 30), "normal": (0, 1, 1), "thickness": 4}
CLIPPING = {"position": (1, 5, 6), "normal": (1, 1, 0), "enabled": False}


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"scale": (2, 0.5, 0.5), "translate": (1, 2, 3)},
        {"rotate": (10, 20, 30), "shear": (0.1, 0.2, 0.3)},
        {"scale": (1, -1, 2), "affine": [[1, 0, 0, 3], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]},
    ],
)
def test_planes_stay_where_they_are(place: dict[str, Any]) -> None:
    source = Image(
        np.zeros((5, 40, 60)), plane=PLANE, experimental_clipping_planes=[CLIPPING], **place
    )
    there = enlarged(placement_of(source), 2, (1, 8, 16))
    cuts = cuts_of(source, placement_of(source)).arguments(there)
    result = Image(np.zeros((4, 64, 88)), **there.layer_arguments(), **cuts)
    pairs = [
        (source.plane, result.plane),
        (source.experimental_clipping_planes[0], result.experimental_clipping_planes[0]),
    ]
    for one, other in pairs:
        np.testing.assert_allclose(
            result.data_to_world(other.position), source.data_to_world(one.position), atol=1e-9
        )
    np.testing.assert_allclose(result.plane.position, (2, 24.5, 28.5))
    np.testing.assert_allclose(result.plane.normal, (0, 0.5**0.5, 0.5**0.5), atol=1e-9)
    assert result.plane.thickness == pytest.approx(8)
    np.testing.assert_allclose(pairs[1][1].normal, np.array([2, 1, 0]) / 5**0.5, atol=1e-9)
    assert not pairs[1][1].enabled


def test_axes_before_those_that_are_shown_do_not_count() -> None:
    source = Image(np.zeros((2, 5, 40, 60)), plane=PLANE, rotate=np.eye(4)[[3, 1, 2, 0]])
    there = enlarged(placement_of(source), 2)
    cuts = cuts_of(source, placement_of(source)).arguments(there)
    np.testing.assert_allclose(cuts["plane"]["position"], (3, 40.5, 60.5))


def test_an_image_of_two_axes_has_none() -> None:
    source = Image(np.zeros((40, 60)))
    assert cuts_of(source, placement_of(source)).arguments(placement_of(source)) == {}


def test_a_result_is_cut_where_its_source_is(
    viewer: Viewer, widget: DeblurWidget, run: Callable[[], None]
) -> None:
    volume = np.random.default_rng(0).integers(0, 255, (3, 24, 32), dtype=np.uint8)
    kernel = np.full((3, 3), 1 / 9, np.float32)
    source = viewer.add_image(
        volume,
        depiction="plane",
        plane={"position": (1, 10, 20), "normal": (1, 0, 0), "thickness": 1},
        interpolation2d="custom",
        custom_interpolation_kernel_2d=kernel,
    )
    run()
    (result,) = (each for each in viewer.layers if each is not source)
    assert result.depiction == "plane"
    np.testing.assert_allclose(result.plane.position, (1, 20.5, 40.5))
    np.testing.assert_array_equal(result.custom_interpolation_kernel_2d, kernel)


@pytest.mark.parametrize("name", ["sharp.ome.tif", "sharp.ome.zarr"])
def test_a_saved_result_is_cut_where_it_was(tmp_path: Path, name: str) -> None:
    result = Image(
        np.zeros((5, 40, 60), np.uint8),
        name="sharp",
        depiction="plane",
        plane=PLANE,
        experimental_clipping_planes=[CLIPPING],
        metadata={"mdeblurgan": {"model": "gray-x2"}},
    )
    write_layers(str(tmp_path / name), [result.as_layer_data_tuple()], name.removeprefix("sharp"))
    ((data, attributes, _),) = read_layers(tmp_path / name)
    opened = Image(data, **attributes)
    assert opened.depiction == "plane"
    np.testing.assert_allclose(opened.plane.as_array(), result.plane.as_array())
    assert opened.plane.thickness == result.plane.thickness
    (one,), (other,) = opened.experimental_clipping_planes, result.experimental_clipping_planes
    np.testing.assert_allclose(one.as_array(), other.as_array())
    assert one.enabled is other.enabled is False
