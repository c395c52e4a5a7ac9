"""Where an image lies: kept in OME-Zarr, and moved with the pixels of what is made of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
import zarr

from napari_mdeblurgan.storage import Micrograph, read_image, write_image

IMAGE = Micrograph(
    np.random.default_rng(0).integers(0, 255, (3, 40, 60), np.uint8),
    "ZYX",
    {"Z": 2.0, "Y": 0.5, "X": 0.25},
    "µm",
    position={"Z": -6.0, "Y": 1000.5, "X": 0.125},
)


def centre(image: Micrograph, axis: str, index: float) -> float:
    return image.position[axis] + image.pixel_size[axis] * index


def rewritten(path: Path, multiscale: dict[str, Any]) -> None:
    """An OME-Zarr by hand: one level, and metadata as they may come."""
    group = zarr.create_group(
        str(path), attributes={"ome": {"version": "0.5", "multiscales": [multiscale]}}
    )
    group.create_array("0", data=np.zeros((8, 9), np.uint8))


def test_it_comes_back_from_a_file(tmp_path: Path) -> None:
    write_image(tmp_path / "a.zarr", IMAGE)
    assert read_image(tmp_path / "a.zarr").position == IMAGE.position


def test_coarser_levels_lie_on_the_finest(tmp_path: Path) -> None:
    wide = Micrograph(
        np.zeros((1100, 1300), np.uint8), "YX", {"Y": 2.0, "X": 2.0}, "µm", position={"Y": 7.0}
    )
    write_image(tmp_path / "a.zarr", wide)
    ome = json.loads((tmp_path / "a.zarr/zarr.json").read_text())["attributes"]["ome"]
    datasets = ome["multiscales"][0]["datasets"]
    assert len(datasets) > 1
    for level, dataset in enumerate(datasets):
        shift = dataset["coordinateTransformations"][1]["translation"]
        assert shift == [7 + 2**level - 1, 2**level - 1]


def test_transformations_are_applied_one_after_the_other(tmp_path: Path) -> None:
    scale, shift = (
        {"type": "scale", "scale": [3.0, 3.0]},
        {"type": "translation", "translation": [10.0, 20.0]},
    )
    axes = [
        {"name": name, "type": "space", "unit": unit}
        for name, unit in (("y", "micrometer"), ("x", "nanometer"))
    ]
    dataset = {"path": "0", "coordinateTransformations": [scale, shift]}
    rewritten(
        tmp_path / "a.zarr",
        {
            "axes": axes,
            "datasets": [dataset],
            "coordinateTransformations": [{"type": "scale", "scale": [2.0, 200.0]}],
        },
    )
    image = read_image(tmp_path / "a.zarr")
    assert image.unit == "nm"
    assert image.pixel_size == pytest.approx({"Y": 6000.0, "X": 600.0})
    assert image.position == pytest.approx({"Y": 20_000.0, "X": 4000.0})


@pytest.mark.parametrize("density", [2, 4])
def test_pixels_of_another_density_lie_where_they_came_from(density: int) -> None:
    finer = Micrograph(IMAGE.data, "ZYX", **IMAGE.frame(density, (8, 5)))
    for axis, first in (("Y", 8), ("X", 5)):
        inside = [
            centre(finer, axis, index) for index in range(density)
        ]  # those of the first pixel of the source
        assert np.mean(inside) == pytest.approx(centre(IMAGE, axis, first))
        assert finer.pixel_size[axis] == IMAGE.pixel_size[axis] / density
    assert centre(finer, "Z", 0) == centre(IMAGE, "Z", 0)
    back = Micrograph(IMAGE.data, "ZYX", **finer.frame(1 / density))
    assert back.position == pytest.approx(
        {"Z": -6.0, "Y": centre(IMAGE, "Y", 8), "X": centre(IMAGE, "X", 5)}
    )


def test_what_has_no_unit_has_a_position_all_the_same(tmp_path: Path) -> None:
    image = Micrograph(
        IMAGE.data, "ZYX", {"Z": 1.0, "Y": 2.0, "X": -2.0}, position={"Z": 0.0, "Y": 3.0, "X": 4.0}
    )
    write_image(tmp_path / "a.zarr", image)
    assert read_image(tmp_path / "a.zarr").geometry == image.geometry


@pytest.mark.parametrize(
    ("unit", "step", "begin", "told"),
    [
        (None, 2.5, 7.0, (None, 2.5, 7.0)),
        (None, 1.0, 0.0, (None, None, 0.0)),
        ("minute", 2.5, 7.0, (150.0, None, 420.0)),
        ("second", -2.5, 7.0, (-2.5, None, 7.0)),
    ],
)
def test_time_of_a_result_is_that_of_its_source(
    tmp_path: Path, unit: str | None, step: float, begin: float, told: tuple[float | None, ...]
) -> None:
    axes = [{"name": "t", "type": "time"} | ({"unit": unit} if unit else {})]
    axes += [{"name": name, "type": "space"} for name in "yx"]
    scale, shift = (
        {"type": "scale", "scale": [step, 3.0, 3.0]},
        {"type": "translation", "translation": [begin, 1.0, 2.0]},
    )
    dataset = {"path": "0", "coordinateTransformations": [scale, shift]}
    attributes = {"ome": {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [dataset]}]}}
    group = zarr.create_group(str(tmp_path / "a.zarr"), attributes=attributes)
    group.create_array("0", data=np.zeros((2, 8, 9), np.uint8))
    image = read_image(tmp_path / "a.zarr")
    assert (image.time_step_s, image.time_step, image.time_origin) == told
    for name in ("b.zarr", "b.ome.tif", "b.tif"):
        write_image(tmp_path / name, Micrograph(image.data, "TYX", **image.frame(2)))
        again = read_image(tmp_path / name)
        assert (again.time_step_s, again.time_step, again.time_origin) == told, name
        assert again.place != image.place, name


@pytest.mark.parametrize("name", ["a.zarr", "a.ome.tif", "a.tif"])
@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int64])
def test_sizes_places_and_times_may_be_numbers_of_numpy(
    tmp_path: Path, name: str, kind: type[np.number]
) -> None:
    sizes, places = {"X": kind(2), "Y": kind(3)}, {"X": kind(7), "Y": kind(8)}
    image = Micrograph(
        np.zeros((2, 8, 9), np.uint8),
        "TYX",
        sizes,
        "µm",
        position=places,
        time_step_s=kind(5),
        time_origin=kind(4),
    )
    write_image(tmp_path / name, image)
    again = read_image(tmp_path / name)
    assert (again.pixel_size, again.unit, again.position) == (
        {"X": 2.0, "Y": 3.0},
        "µm",
        {"X": 7.0, "Y": 8.0},
    )
    assert (again.time_step_s, again.time_origin) == (5.0, 4.0)


STAGE = """<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">
<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="40" SizeY="30" SizeZ="2"
SizeC="1" SizeT="1"
PhysicalSizeX="0.5" PhysicalSizeY="500" PhysicalSizeYUnit="nm" PhysicalSizeZ="2">
<Channel ID="Channel:0" SamplesPerPixel="1"/><TiffData/>
<Plane TheZ="1" TheT="0" TheC="0" PositionX="9" PositionXUnit="µm" PositionY="9" PositionYUnit="µm"
PositionZ="9" PositionZUnit="µm"/>
<Plane TheZ="0" TheT="0" TheC="0" PositionX="12.5" PositionXUnit="mm" PositionY="-250"
PositionYUnit="µm"
PositionZ="{place}" PositionZUnit="{unit}"/>
</Pixels></Image></OME>"""


@pytest.mark.parametrize(
    ("place", "unit", "depth"),
    [("7", "µm", 7.0), ("7", "reference frame", 0.0), ("nan", "µm", 0.0)],
)
def test_an_ome_tiff_lies_where_the_stage_was_at_its_first_plane(
    tmp_path: Path, place: str, unit: str, depth: float
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 30, 40)).astype(np.uint8)
    told = STAGE.format(place=place, unit=unit).encode()
    tifffile.imwrite(
        tmp_path / "a.ome.tif", pixels, description=told, metadata=None, photometric="minisblack"
    )
    image = read_image(tmp_path / "a.ome.tif")
    assert (image.unit, image.pixel_size) == ("µm", pytest.approx({"X": 0.5, "Y": 0.5, "Z": 2.0}))
    assert image.position == pytest.approx(
        {"X": 12_500.0, "Y": -250.0, "Z": depth}
    )  # a frame of reference is no unit of length
    for name in ("b.ome.tif", "b.ome.zarr", "b.tif"):  # and so does what is made of it
        write_image(tmp_path / name, image)
        assert read_image(tmp_path / name).position == pytest.approx(image.position)


@pytest.mark.parametrize(
    ("place", "unit", "spacing"),
    [
        ("7.5", "µm", {"Z": 1.5}),
        ("10", "µm", {"Z": -1.0}),
        ("9", "µm", {}),
        ("7", "reference frame", {}),
        ("nan", "µm", {}),
    ],
)
def test_places_of_the_stage_tell_the_distance_of_planes_where_nothing_else_does(
    tmp_path: Path, place: str, unit: str, spacing: dict[str, float]
) -> None:
    told = STAGE.replace('PhysicalSizeZ="2"', "").format(place=place, unit=unit).encode()
    pixels = np.zeros((2, 30, 40), np.uint8)
    tifffile.imwrite(
        tmp_path / "a.ome.tif", pixels, description=told, metadata=None, photometric="minisblack"
    )
    image = read_image(tmp_path / "a.ome.tif")
    assert image.pixel_size == pytest.approx({"X": 0.5, "Y": 0.5} | spacing)
    for name in ("b.ome.tif", "b.tif"):
        write_image(tmp_path / name, image)
        assert read_image(tmp_path / name).pixel_size == pytest.approx(image.pixel_size)


STAMPS = """<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">
<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="40" SizeY="30" SizeZ="1"
SizeC="2" SizeT="3" {told}><Channel ID="Channel:0" SamplesPerPixel="1"/>
<Channel ID="Channel:1" SamplesPerPixel="1"/><TiffData/>{planes}</Pixels></Image></OME>"""
STAMP = '<Plane TheZ="0" TheT="{t}" TheC="{c}" DeltaT="{at}" DeltaTUnit="{unit}"/>'


def test_other_programs_find_the_stage_in_an_ome_tiff_where_it_is_known(tmp_path: Path) -> None:
    def places(image: Micrograph) -> list[dict[str, str]]:
        write_image(tmp_path / "a.ome.tif", image)
        with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
            root = ElementTree.fromstring(tif.ome_metadata or "")
        return [plane.attrib for plane in root.iterfind("{*}Image/{*}Pixels/{*}Plane")]

    found = places(IMAGE)
    assert [plane["TheZ"] for plane in found] == ["0", "1", "2"]
    assert {plane["PositionX"] for plane in found} == {"0.125"}
    assert {plane["PositionY"] for plane in found} == {"1000.5"}
    assert {plane["PositionYUnit"] for plane in found} == {"µm"}
    assert read_image(tmp_path / "a.ome.tif").position == IMAGE.position
    result = replace(IMAGE, **replace(IMAGE, position={}).frame(2))
    assert result.position["X"] == -0.0625
    assert places(result) == []


@pytest.mark.parametrize(
    ("told", "starts", "unit", "step"),
    [
        ("", (1, 6, 12), "s", 5.5),
        ("", (1, 6, 12), "min", 330.0),
        ('TimeIncrement="0"', (1, 6, 12), "s", 5.5),
        ('TimeIncrement="500" TimeIncrementUnit="ms"', (1, 6, 12), "s", 0.5),
        ("", (1, 1, 1), "s", None),
        ("", (1, 6, "nan"), "s", None),
        ("", (1, 6, 12), "frames", None),
    ],
)
def test_time_stamps_of_an_ome_tiff_tell_the_interval_where_nothing_else_does(
    tmp_path: Path, told: str, starts: tuple[float | str, ...], unit: str, step: float | None
) -> None:
    planes = [
        STAMP.format(t=t, c=c, at=start if c == 0 else 99, unit=unit)
        for t, start in enumerate(starts)
        for c in (1, 0)
    ]
    xml = STAMPS.format(told=told, planes="".join(planes))
    pixels = np.zeros((6, 30, 40), np.uint8)
    tifffile.imwrite(
        tmp_path / "a.ome.tif", pixels, description=xml, metadata=None, photometric="minisblack"
    )
    assert read_image(tmp_path / "a.ome.tif").time_step_s == step


def test_an_ome_tiff_taken_downwards_has_a_negative_distance_of_planes(tmp_path: Path) -> None:
    told = STAGE.format(place="7", unit="µm").replace('SizeZ="2">', 'SizeZ="-2">').encode()
    pixels = np.zeros((2, 30, 40), np.uint8)
    tifffile.imwrite(
        tmp_path / "a.ome.tif", pixels, description=told, metadata=None, photometric="minisblack"
    )
    assert read_image(tmp_path / "a.ome.tif").pixel_size["Z"] == -2.0


@pytest.mark.parametrize(
    ("places", "spacing"),
    [((1, 1.4, 2.1), 0.55), ((100.01, 100, 100.02), None), ((0, 0.1, 5), None), ((3, 3, 2), None)],
)
def test_a_stage_that_does_not_go_from_slice_to_slice_evenly_tells_no_distance(
    tmp_path: Path, places: tuple[float, ...], spacing: float | None
) -> None:
    planes = "".join(
        f'<Plane TheZ="{z}" TheT="0" TheC="0" PositionZ="{at}" PositionZUnit="µm"/>'
        for z, at in enumerate(places)
    )
    told = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="40" SizeY="30" SizeZ="3" '
        'SizeC="1" SizeT="1"><Channel ID="Channel:0" SamplesPerPixel="1"/><TiffData/>'
        f"{planes}</Pixels></Image></OME>"
    ).encode()
    pixels = np.zeros((3, 30, 40), np.uint8)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, pixels, description=told, metadata=None, photometric="minisblack")
    assert read_image(path).pixel_size.get("Z") == (spacing and pytest.approx(spacing))
