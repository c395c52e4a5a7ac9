"""Where a layer lies is in the file of its result; a layer that was placed elsewhere since has
another result.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.layers import Image

from napari_mdeblurgan.storage import Micrograph, read_image
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.layers.axes import micrograph
from napari_mdeblurgan.widgets.layers.placement import placement_of

pytestmark = pytest.mark.filterwarnings(
    "ignore:Non-orthogonal slicing"
)  # of a view that nobody looks at here

if TYPE_CHECKING:
    from napari import Viewer

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

UM, PX = "micrometer", "pixel"


@pytest.fixture
def on_disk(widget: DeblurWidget) -> DeblurWidget:
    widget.results.to_disk.value = True
    return widget


def as_layer(image: Micrograph) -> Image:
    """A file as a reader of OME-Zarr shows it."""
    scale = [image.pixel_size.get(axis, 1.0) for axis in image.axes]
    translate = [image.position.get(axis, 0.0) for axis in image.axes]
    units = [(image.geometry.unit_of(axis) or PX) for axis in image.axes]
    if "T" in image.axes:
        t = image.axes.index("T")
        scale[t], translate[t] = image.time_step_s or image.time_step or 1.0, image.time_origin
        units[t] = "second" if image.time_step_s else PX
    return Image(
        image.data,
        scale=scale,
        translate=translate,
        units=units,
        axis_labels=tuple(image.axes.lower()),
    )


def test_the_colours_and_limits_of_a_layer_are_in_the_file_of_its_result(
    viewer: Viewer, on_disk: DeblurWidget, noise: Noise, run: Run
) -> None:
    layer = Image(noise(24, 24), name="DAPI", colormap="blue", contrast_limits=(10, 200))
    viewer.add_layer(layer)
    run()
    (shown,) = read_image(viewer.layers[-1].metadata["mdeblurgan"]["file"]).display
    assert (shown.color, shown.limits) == ((0, 0, 255), (10, 200))


def corners(layer: Any) -> np.ndarray:
    """Where the outer edges of the first and last pixels lie in the world;
    planes at their centres.
    """
    shape = layer.data.shape
    ends = [(0, n - 1) for n in shape[:-2]] + [(-0.5, n - 0.5) for n in shape[-2:]]
    return np.array([layer.data_to_world(corner) for corner in itertools.product(*ends)])


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"scale": (3, 0.5, 0.25), "translate": (6, 10, 20)},
        {"scale": (-3, 0.5, -0.25), "translate": (6, 10, 20)},
        {"scale": (3, -0.5, 0.25), "translate": (-6, 1e-3, 20), "units": (UM, UM, UM)},
        {"scale": (3, 0.5, -0.25), "translate": (6, 10, 20), "units": (PX, UM, UM)},
        {"scale": (3e-6, 5e-7, 5e-7), "translate": (0, 1e-5, 0), "units": ("m", "m", "m")},
        {
            "scale": (3, 0.5, 0.5),
            "translate": (1, 2, 3),
            "affine": np.diag((2, -1, 4, 1)) + 5 * np.eye(4, k=3),
        },
        {"scale": (3, 0.5, 0.5), "translate": (1, 2, 3), "rotate": 180},
    ],
)
def test_a_result_opened_from_its_file_covers_its_source(
    viewer: Viewer,
    on_disk: DeblurWidget,
    noise: Noise,
    run: Run,
    cache_folder: Path,
    place: dict[str, Any],
) -> None:
    source = viewer.add_image(noise(2, 40, 48), axis_labels=("z", "y", "x"), **place)
    run()
    (path,) = cache_folder.glob("*.ome.zarr")
    opened = as_layer(read_image(path))
    np.testing.assert_allclose(corners(opened), corners(source), rtol=1e-9, atol=1e-12)
    assert opened.units == source.units


@pytest.mark.parametrize(
    ("unit", "second"),
    [(PX, PX), ("second", "second"), ("minute", "second"), ("millisecond", "second")],
)
def test_time_is_kept_with_a_unit_and_without(
    viewer: Viewer,
    on_disk: DeblurWidget,
    noise: Noise,
    run: Run,
    cache_folder: Path,
    unit: str,
    second: str,
) -> None:
    place = {"scale": (-2, 0.5, 0.5), "translate": (7, 8, 9), "units": (unit, UM, UM)}
    source = viewer.add_image(noise(3, 40, 48), axis_labels=("t", "y", "x"), **place)
    run()
    (path,) = cache_folder.glob("*.ome.zarr")
    opened = as_layer(read_image(path))
    seconds = {"minute": 60, "millisecond": 1e-3}.get(unit, 1)
    np.testing.assert_allclose(corners(opened), corners(source) * (seconds, 1, 1))
    assert str(opened.units[0]) == second


@pytest.mark.parametrize(
    "turned", [{"rotate": 0.01}, {"shear": [1e-4]}, {"scale": (5e-9, 5e-9), "rotate": 30}]
)
def test_a_layer_that_is_turned_or_sheared_tells_its_sizes_alone(turned: dict[str, Any]) -> None:
    place = placement_of(
        Image(np.zeros((4, 5)), **({"scale": (-0.5, 0.5), "translate": (7, 8)} | turned))
    )
    told = micrograph(np.zeros((4, 5)), "", False, place)
    assert told.pixel_size == {"Y": abs(place.scale[0]), "X": abs(place.scale[1])}
    assert told.position == {"Y": 0, "X": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"scale": (3, 0.8, 0.8)},
        {"translate": (0, 0, 1)},
        {"units": (UM, UM, UM)},
        {"scale": (3, 0.5, -0.5)},
        {"rotate": 30},
    ],
)
def test_a_layer_that_was_placed_elsewhere_has_another_result(
    viewer: Viewer,
    on_disk: DeblurWidget,
    noise: Noise,
    run: Run,
    cache_folder: Path,
    change: dict[str, Any],
) -> None:
    layer = viewer.add_image(noise(2, 40, 48), scale=(3, 0.5, 0.5), axis_labels=("z", "y", "x"))
    run()
    (first,) = cache_folder.glob("*.ome.zarr")
    before = (first / "zarr.json").read_bytes()
    for name, value in change.items():
        setattr(layer, name, value)
    there = set(viewer.layers)
    run()
    (second,) = set(cache_folder.glob("*.ome.zarr")) - {first}
    (result,) = set(viewer.layers) - there
    assert result.metadata["mdeblurgan"]["file"] == str(second)
    np.testing.assert_allclose(result._extent_world_augmented, layer._extent_world_augmented)
    assert (first / "zarr.json").read_bytes() == before
    if "rotate" not in change:
        np.testing.assert_allclose(corners(as_layer(read_image(second))), corners(layer))


def test_a_layer_that_was_renamed_has_the_same_result(
    viewer: Viewer, on_disk: DeblurWidget, noise: Noise, run: Run, cache_folder: Path
) -> None:
    layer = viewer.add_image(noise(40, 48), name="before", scale=(0.5, 0.5))
    run()
    (first,) = cache_folder.glob("*.ome.zarr")
    layer.name = "after"
    run()
    assert list(cache_folder.glob("*.ome.zarr")) == [first]
