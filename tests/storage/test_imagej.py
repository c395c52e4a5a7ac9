"""ImageJ's dialect of TIFF: sizes, times, colours and greys as ImageJ itself shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_mdeblurgan.storage import Micrograph, open_image, read_image

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)


def saved(path: Path, data: np.ndarray = GREY, metadata: dict[str, Any] | None = None, **more: Any) -> Micrograph:
    """What is read of a file that is written in ImageJ's dialect, in memory and lazily alike."""
    tifffile.imwrite(path / "a.tif", data, imagej=True, metadata=metadata or {}, **more)
    image, opened = read_image(path / "a.tif"), open_image(path / "a.tif")
    assert image.geometry == opened.geometry
    return image


@pytest.mark.parametrize(
    ("unit", "per_unit", "of_tags", "size"),
    [
        ("um", 100_000, "CENTIMETER", 0.1),  # Micro-Manager's
        ("micron", 100_000, "CENTIMETER", 0.1),
        ("nm", 100_000, "CENTIMETER", 100),
        ("mm", 50, "CENTIMETER", 0.2),
        ("cm", 50, "CENTIMETER", 0.02),
        ("inch", 50, "INCH", 0.02),
        ("um", 254_000, "INCH", 0.1),
        ("um", 10, "INCH", 0.1),  # ImageJ takes no notice of these tags
        ("um", 10, "NONE", 0.1),
    ],
)
def test_a_density_is_for_the_unit_that_it_can_be_meant_for(
    tmp_path: Path, unit: str, per_unit: float, of_tags: str, size: float
) -> None:
    image = saved(tmp_path, metadata={"unit": unit}, resolution=(per_unit, per_unit), resolutionunit=of_tags)
    assert image.pixel_size == pytest.approx({"X": size, "Y": size})


def test_the_density_of_a_screen_is_no_size_in_micrometres(tmp_path: Path) -> None:
    assert saved(tmp_path, metadata={"unit": "um"}, resolution=(72, 72), resolutionunit="INCH").pixel_size == {}


def test_axes_may_have_units_of_their_own(tmp_path: Path) -> None:
    metadata = {"unit": "um", "yunit": "nm", "zunit": "mm", "spacing": 0.001, "axes": "ZYX"}
    image = saved(tmp_path, np.stack([GREY] * 3), metadata, resolution=(5, 0.005))
    assert image.unit == "µm"
    assert image.pixel_size == pytest.approx({"X": 0.2, "Y": 0.2, "Z": 1.0})


def test_a_stack_that_was_taken_downwards_keeps_distance_and_direction(tmp_path: Path) -> None:
    image = saved(tmp_path, np.stack([GREY] * 3), {"axes": "ZYX", "unit": "um", "spacing": -0.5}, resolution=(5, 5))
    assert image.pixel_size == pytest.approx({"X": 0.2, "Y": 0.2, "Z": -0.5})
    assert image.physical()[0]["Z"] == 0.5


def test_sizes_in_no_unit_of_length_keep_their_proportions(tmp_path: Path) -> None:
    image = saved(tmp_path, np.stack([GREY] * 3), {"axes": "ZYX", "spacing": 2.0})
    assert (image.pixel_size, image.unit) == ({"X": 1.0, "Y": 1.0, "Z": 2.0}, None)


def test_origins_are_pixels_from_the_first_to_that_at_zero(tmp_path: Path) -> None:
    image = saved(tmp_path, metadata={"unit": "um", "xorigin": 10, "yorigin": -4}, resolution=(5, 2))
    assert image.position == pytest.approx({"X": -2.0, "Y": 2.0})


@pytest.mark.parametrize(
    ("told", "seconds"),
    [({}, 5), ({"tunit": "min"}, 300), ({"tunit": "sec"}, 5), ({"tunit": "ms"}, 0.005), ({"tunit": "h"}, 18_000)],
)
def test_the_interval_of_frames_has_a_unit(tmp_path: Path, told: dict[str, str], seconds: float) -> None:
    image = saved(tmp_path, np.stack([GREY] * 3), {"axes": "TYX", "finterval": 5.0, **told})
    assert image.time_step_s == pytest.approx(seconds)


def test_an_interval_in_no_unit_of_time_is_not_known(tmp_path: Path) -> None:
    image = saved(tmp_path, np.stack([GREY] * 3), {"axes": "TYX", "finterval": 5.0, "tunit": "frame"})
    assert image.time_step_s is None
