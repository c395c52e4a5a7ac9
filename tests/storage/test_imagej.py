"""ImageJ's dialect of TIFF: sizes, times, colours and greys as ImageJ itself shows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_mdeblurgan.storage import Micrograph, open_image, read_image, write_image
from napari_mdeblurgan.storage.display import GreyCalibration

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)


def saved(
    path: Path, data: np.ndarray = GREY, metadata: dict[str, Any] | None = None, **more: Any
) -> Micrograph:
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
        ("nm", 10, "MICROMETER", 100),
        ("", 10, "MICROMETER", 0.1),
        ("inch", 50, "INCH", 0.02),
        ("um", 254_000, "INCH", 0.1),
        ("um", 10, "INCH", 0.1),  # ImageJ takes no notice of these tags
        ("um", 10, "NONE", 0.1),
    ],
)
def test_a_density_is_for_the_unit_that_it_can_be_meant_for(
    tmp_path: Path, unit: str, per_unit: float, of_tags: str, size: float
) -> None:
    image = saved(
        tmp_path, metadata={"unit": unit}, resolution=(per_unit, per_unit), resolutionunit=of_tags
    )
    assert image.pixel_size == pytest.approx({"X": size, "Y": size})


def test_the_density_of_a_screen_is_no_size_in_micrometres(tmp_path: Path) -> None:
    assert (
        saved(
            tmp_path, metadata={"unit": "um"}, resolution=(72, 72), resolutionunit="INCH"
        ).pixel_size
        == {}
    )


def test_axes_may_have_units_of_their_own(tmp_path: Path) -> None:
    metadata = {"unit": "um", "yunit": "nm", "zunit": "mm", "spacing": 0.001, "axes": "ZYX"}
    image = saved(tmp_path, np.stack([GREY] * 3), metadata, resolution=(5, 0.005))
    assert image.unit == "µm"
    assert image.pixel_size == pytest.approx({"X": 0.2, "Y": 0.2, "Z": 1.0})


def test_a_stack_that_was_taken_downwards_keeps_distance_and_direction(tmp_path: Path) -> None:
    image = saved(
        tmp_path,
        np.stack([GREY] * 3),
        {"axes": "ZYX", "unit": "um", "spacing": -0.5},
        resolution=(5, 5),
    )
    assert image.pixel_size == pytest.approx({"X": 0.2, "Y": 0.2, "Z": -0.5})
    assert image.physical()[0]["Z"] == 0.5


def test_sizes_in_no_unit_of_length_keep_their_proportions(tmp_path: Path) -> None:
    image = saved(tmp_path, np.stack([GREY] * 3), {"axes": "ZYX", "spacing": 2.0})
    assert (image.pixel_size, image.unit) == ({"X": 1.0, "Y": 1.0, "Z": 2.0}, None)


def test_an_origin_is_the_pixel_whose_corner_lies_at_zero(tmp_path: Path) -> None:
    image = saved(
        tmp_path, metadata={"unit": "um", "xorigin": 10, "yorigin": -4}, resolution=(5, 2)
    )
    assert image.position == pytest.approx({"X": -1.9, "Y": 2.25})


def test_a_result_has_the_corner_of_its_source_in_imagej(tmp_path: Path) -> None:
    near = {"xorigin": 1, "yorigin": 2}
    for told, right in (
        ({"xorigin": 10, "yorigin": -4}, {"xorigin": 20, "yorigin": -8}),
        (near, {"xorigin": 2, "yorigin": 4}),
        ({}, {}),
    ):
        image = saved(tmp_path, metadata={"unit": "um", **told}, resolution=(5, 2))
        finer = np.repeat(np.repeat(image.data, 2, 0), 2, 1)
        write_image(tmp_path / "b.tif", replace(image, data=finer, **image.frame(2)))
        with tifffile.TiffFile(tmp_path / "b.tif") as tif:
            written = tif.imagej_metadata or {}
        assert {
            name: written[name] for name in ("xorigin", "yorigin") if name in written
        } == pytest.approx(right)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({}, 5),
        ({"tunit": "min"}, 300),
        ({"tunit": "sec"}, 5),
        ({"tunit": "ms"}, 0.005),
        ({"tunit": "h"}, 18_000),
    ],
)
def test_the_interval_of_frames_has_a_unit(
    tmp_path: Path, told: dict[str, str], seconds: float
) -> None:
    image = saved(tmp_path, np.stack([GREY] * 3), {"axes": "TYX", "finterval": 5.0, **told})
    assert image.time_step_s == pytest.approx(seconds)


def test_an_interval_in_no_unit_of_time_is_not_known(tmp_path: Path) -> None:
    image = saved(
        tmp_path, np.stack([GREY] * 3), {"axes": "TYX", "finterval": 5.0, "tunit": "frame"}
    )
    assert image.time_step_s is None


FIRE = np.random.default_rng(0).integers(0, 255, (3, 256)).astype(np.uint8)
BLUE = np.stack([np.zeros(256), np.zeros(256), np.arange(256)]).astype(np.uint8)


def colours(image: Micrograph) -> list[tuple[int, int, int] | None]:
    return [channel.color for channel in image.display]


def test_tables_and_ranges_of_channels_are_read_and_written(tmp_path: Path) -> None:
    metadata = {
        "axes": "CYX",
        "mode": "composite",
        "LUTs": [BLUE, FIRE],
        "Ranges": (10.0, 200.0, 0.0, 90.0),
    }
    image = saved(tmp_path, np.stack([GREY, GREY]), metadata)
    assert [channel.limits for channel in image.display] == [(10, 200), (0, 90)]
    assert image.display[0].lut is None
    assert colours(image)[0] == (0, 0, 255)
    np.testing.assert_array_equal(image.display[1].table, FIRE)
    for suffix in (".tif", ".ome.tif", ".zarr"):
        write_image(tmp_path / f"b{suffix}", image)
        assert read_image(tmp_path / f"b{suffix}").display == image.display
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        again = tif.imagej_metadata
    assert again is not None
    np.testing.assert_array_equal(again["LUTs"], [BLUE, FIRE])
    assert again["Ranges"] == (10, 200, 0, 90)


def test_a_composite_without_tables_has_imagejs_own_colours(tmp_path: Path) -> None:
    image = saved(
        tmp_path, np.stack([GREY, GREY, GREY, GREY]), {"axes": "CYX", "mode": "composite"}
    )
    assert colours(image) == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    assert (
        saved(tmp_path, np.stack([GREY, GREY]), {"axes": "CYX", "mode": "grayscale"}).display == ()
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_limits_of_a_single_channel_go_along(tmp_path: Path, dtype: type) -> None:
    image = saved(tmp_path, GREY.astype(dtype), {"min": 3.0, "max": 40.0})
    assert image.display[0].limits == (3, 40)
    write_image(tmp_path / "b.tif", image)
    assert read_image(tmp_path / "b.tif").display == image.display


@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_lookup_table_in_the_tags_is_a_way_to_show_greys(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    data = np.broadcast_to(GREY, (*shape, 6, 8)).copy()
    image = saved(
        tmp_path,
        data,
        {"axes": "ZYX"[-data.ndim :]},
        photometric="palette",
        colormap=FIRE.astype("H") * 257,
    )
    np.testing.assert_array_equal(image.data, data)
    np.testing.assert_array_equal(image.display[0].table, FIRE)
    write_image(tmp_path / "b.tif", image)
    with tifffile.TiffFile(tmp_path / "b.tif") as again:
        assert again.is_imagej
        assert again.pages.first.photometric == tifffile.PHOTOMETRIC.PALETTE
        np.testing.assert_array_equal(again.asarray(), data)
    assert read_image(tmp_path / "b.tif").display == image.display


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_an_inverted_lookup_table_leaves_the_numbers_and_goes_along(
    tmp_path: Path, dtype: type
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(dtype), imagej=True)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as tif:
        tif.pages.first.tags["PhotometricInterpretation"].overwrite(0)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.data, GREY)
    np.testing.assert_array_equal(image.display[0].table[0], np.arange(256)[::-1])
    write_image(tmp_path / "b.tif", image)
    again = read_image(tmp_path / "b.tif")
    np.testing.assert_array_equal(again.data, GREY)
    assert again.display == image.display


def test_signed_numbers_are_signed_again(tmp_path: Path) -> None:
    raw = np.random.default_rng(0).integers(0, 2**16, (6, 8)).astype(np.uint16)
    metadata = {
        "cf": 0,
        "c0": -32768.0,
        "c1": 1.0,
        "vunit": "Gray Value",
        "min": 32768.0,
        "max": 33768.0,
    }
    image = saved(tmp_path, raw, metadata)
    assert image.data.dtype == np.int16
    np.testing.assert_array_equal(image.data, raw.astype(int) - 32768)
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / "a.tif").data), image.data)
    assert image.grey_calibration is None
    assert image.display[0].limits == (0, 1000)
    write_image(tmp_path / "b.tif", image)
    again = read_image(tmp_path / "b.tif")
    np.testing.assert_array_equal(again.data, image.data)
    assert again.display == image.display


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".zarr"])
def test_what_greys_stand_for_goes_along(tmp_path: Path, suffix: str) -> None:
    image = saved(tmp_path, metadata={"cf": 0, "c0": 0.5, "c1": -0.25, "vunit": "OD"})
    assert image.grey_calibration == GreyCalibration(0, (0.5, -0.25), "OD")
    np.testing.assert_array_equal(image.data, GREY)
    write_image(tmp_path / f"b{suffix}", image)
    assert read_image(tmp_path / f"b{suffix}").grey_calibration == image.grey_calibration
    if suffix == ".tif":
        with tifffile.TiffFile(tmp_path / "b.tif") as tif:
            told = tif.imagej_metadata
        assert told is not None
        assert [told[name] for name in ("cf", "c0", "c1", "vunit")] == [0, 0.5, -0.25, "OD"]


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_planes_that_the_description_does_not_count_are_there(
    tmp_path: Path, compression: str | None
) -> None:
    planes = np.arange(6 * 40 * 48, dtype=np.uint16).reshape(6, 40, 48)
    path = tmp_path / "added.tif"
    described = "ImageJ=1.53t\nimages=3\nslices=3\nunit=um\n"
    tifffile.imwrite(
        path,
        planes,
        description=described,
        metadata=None,
        resolution=(10, 10),
        compression=compression,
    )
    for image in (read_image(path), open_image(path)):
        assert np.array_equal(np.asarray(image.data), planes)
        assert image.pixel_size == {"X": 0.1, "Y": 0.1}
