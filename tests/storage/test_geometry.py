"""One geometry of what formats and layers say of scale, unit, origin and direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.storage import Micrograph
from napari_mdeblurgan.storage.geometry import (
    MICROMETRES,
    AxisStep,
    Geometry,
    seconds_in,
    unit_of_length,
)
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_layout import UNITS


def test_steps_and_origins_are_brought_to_the_unit_of_the_first_axis_that_has_one() -> None:
    found = Geometry.of(
        {
            "X": AxisStep(200, "nm", 1000),
            "Y": AxisStep(0.25, "micron", 2),
            "Z": AxisStep(-0.001, "mm", 0.5),
        }
    )
    assert found.unit == "nm"
    assert found.scale == pytest.approx({"X": 200, "Y": 250, "Z": -1000})
    assert found.origin == pytest.approx({"X": 1000, "Y": 2000, "Z": 5e5})
    assert not found.unitless


def test_plain_numbers_are_kept_beside_lengths_and_told_apart() -> None:
    found = Geometry.of(
        {"Z": AxisStep(2.0, None, 4.0), "Y": AxisStep(0.5, "µm"), "X": AxisStep(0.5, "pixel", 3.0)}
    )
    assert (found.scale, found.unit) == ({"Z": 2.0, "Y": 0.5, "X": 0.5}, "µm")
    assert found.unitless == {"Z", "X"}
    assert [found.unit_of(axis) for axis in "ZYXT"] == [None, "µm", None, None]
    assert found.lengths == {"Y": 0.5}
    bare = found.along("ZX")
    assert (bare.unit, bare.unitless, bare.origin) == (None, frozenset(), {"Z": 4.0, "X": 3.0})


def test_a_scale_that_no_unit_goes_with_is_one_all_the_same() -> None:
    found = Geometry.of({"Y": AxisStep(0.5, None, 10), "X": AxisStep(0.25, "", 20)})
    assert (found.scale, found.unit, found.origin) == (
        {"Y": 0.5, "X": 0.25},
        None,
        {"Y": 10, "X": 20},
    )
    assert not found.lengths


@pytest.mark.parametrize("scale", [0.0, math.nan, math.inf, True])
def test_what_cannot_be_a_scale_is_left_out(scale: float) -> None:
    assert Geometry.of({"X": AxisStep(scale, "µm"), "Y": AxisStep(1, "µm", math.nan)}) == Geometry(
        {"Y": 1}, "µm"
    )


@given(
    st.floats(-50, 50).filter(lambda value: abs(value) > 1e-3),
    st.floats(-1e3, 1e3),
    st.sampled_from([2.0, 4.0, 0.5]),
)
def test_finer_pixels_fill_the_pixel_they_came_from_whatever_the_direction(
    scale: float, origin: float, density: float
) -> None:
    source = Geometry({"X": scale, "Z": 3.0}, None, {"X": origin})
    finer = source.resampled(density, {"X": 5})
    edges = [geometry.origin["X"] - geometry.scale["X"] / 2 for geometry in (source, finer)]
    assert edges[1] == pytest.approx(edges[0] + 5 * scale, abs=1e-9)
    assert finer.scale == pytest.approx({"X": scale / density, "Z": 3.0})


def test_an_image_without_units_keeps_its_proportions_and_its_place() -> None:
    image = Micrograph(
        np.zeros((2, 4, 6)), "ZYX", {"Z": 2.0, "Y": 1.0, "X": -0.5}, position={"Y": 10.0, "X": 20.0}
    )
    frame = image.frame(2)
    assert frame["pixel_size"] == {"Z": 2.0, "Y": 0.5, "X": -0.25}
    assert frame["position"] == {"Z": 0.0, "Y": 9.75, "X": 20.125}
    assert frame["unit"] is None
    assert image.physical() == ({}, None)


def test_lengths_of_a_mirrored_image_are_positive() -> None:
    image = Micrograph(np.zeros((4, 6)), "YX", {"Y": -0.5, "X": 0.5, "Z": 3.0}, "microns")
    assert image.physical() == ({"Y": 0.5, "X": 0.5}, "µm")
    assert image.frame(2)["pixel_size"] == {"Y": -0.25, "X": 0.25}


@pytest.mark.parametrize(
    ("spelled", "sign"),
    [
        ("um", "µm"),
        (" Microns\0", "µm"),
        ("\\u00B5m", "µm"),
        ("Âµm", "µm"),
        ("inches", "in"),
        ("pixel", None),
    ],
)
def test_units_of_length_are_known_however_they_are_spelled(spelled: str, sign: str | None) -> None:
    assert unit_of_length(spelled) == sign


@pytest.mark.parametrize(
    ("spelled", "seconds"),
    [
        *[(second, 1) for second in ("s", "sec", "Seconds", "second")],
        *[(minute, 60) for minute in ("min", "mins", "minute")],
        *[(hour, 3600) for hour in ("h", "hr", "hours")],
        *[
            ("ms", 1e-3),
            ("msec", 1e-3),
            ("microsecond", 1e-6),
            ("us", 1e-6),
            ("d", 86_400),
            ("frame", None),
            ("", None),
        ],
    ],
)
def test_units_of_time_are_known_however_they_are_spelled(
    spelled: str, seconds: float | None
) -> None:
    assert seconds_in(spelled) == seconds


def test_every_unit_of_length_has_a_name_in_ome_zarr_that_is_known_again() -> None:
    assert UNITS.keys() == MICROMETRES.keys()
    assert {unit_of_length(name) for name in UNITS.values()} == MICROMETRES.keys()


@pytest.mark.parametrize("told", ["pixel_size", "position"])
def test_a_size_along_an_axis_that_has_none_is_refused_not_dropped(told: str) -> None:
    with pytest.raises(ImageError, match="along X, Y and Z, not along 'x'"):
        Micrograph(np.zeros((4, 4)), "YX", unit="µm", **{told: {"x": 0.5, "Y": 0.5}})
