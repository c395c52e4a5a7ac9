"""Colours, lookup tables and limits of channels, and what greys stand for: from file to file."""

from __future__ import annotations

import json
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.storage import Micrograph, open_image, read_image, write_image
from napari_mdeblurgan.storage.display import (
    ChannelDisplay,
    GreyCalibration,
    calibration_document,
    calibration_from,
    color_of,
    display_document,
    display_from,
    limits_of,
)

FIRE = np.random.default_rng(0).integers(0, 255, (3, 256)).astype(np.uint8)
BLUE = ChannelDisplay((0, 0, 255), None, (10, 200))
RED = ChannelDisplay((255, 0, 0), None, (0, 4000), active=False)
TABLE = ChannelDisplay.of(FIRE, (5, 50))
TWO = Micrograph(
    np.random.default_rng(0).integers(0, 4000, (2, 6, 8), np.uint16),
    "CYX",
    channel_names=("DAPI", "GFP"),
)


def shown(image: Micrograph, *display: ChannelDisplay) -> Micrograph:
    fields = {name: getattr(image, name) for name in image.__dataclass_fields__}
    return Micrograph(**fields | {"display": display})


def test_an_even_table_is_a_colour_and_any_other_stays_a_table() -> None:
    ramp = np.zeros((3, 256), np.uint8)
    ramp[1] = np.arange(256)
    assert ChannelDisplay.of(ramp) == ChannelDisplay((0, 255, 0))
    np.testing.assert_array_equal(ChannelDisplay((0, 255, 0)).table, ramp)
    np.testing.assert_array_equal(TABLE.table, FIRE)
    assert TABLE.color == tuple(FIRE[:, -1])
    inverted = ChannelDisplay.of(np.tile(np.arange(255, -1, -1), (3, 1)))
    assert not inverted.grey
    assert ChannelDisplay.of(np.tile(np.arange(256), (3, 1))).grey


@pytest.mark.parametrize("kind", ["ome.zarr", "ome.tif"])
def test_programs_that_know_no_tables_show_an_inverted_image_in_its_bright_colour(
    tmp_path: Path, kind: str
) -> None:
    inverted = np.outer((0, 255, 0), np.linspace(1, 0, 256)).round().astype(np.uint8)
    shown = ChannelDisplay.of(inverted)
    assert np.array_equal(shown.table, inverted)
    path = tmp_path / f"a.{kind}"
    write_image(path, Micrograph(np.zeros((20, 24), np.uint16), "YX", display=(shown,)))
    if kind == "ome.tif":
        with tifffile.TiffFile(path) as tif:
            assert f'Color="{0x00FF00FF}"' in (tif.ome_metadata or "")
    else:
        told = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]["omero"]
        assert told["channels"][0]["color"] == "00FF00"
    assert read_image(path).display == (shown,)


@pytest.mark.parametrize("text", ["00FF80", "#00ff80", "00FF80FF"])
def test_colours_are_read_as_programs_write_them(text: str) -> None:
    assert color_of(text) == (0, 255, 128)


@pytest.mark.parametrize("value", [None, (1,), (2, 1), ("a", 1), (0, float("nan")), 5, "ab"])
def test_limits_that_are_none_are_not_made_up(value: object) -> None:
    assert limits_of(value) is None


def test_json_gives_back_what_it_was_given_and_nothing_for_anything_else() -> None:
    display, greys = (BLUE, RED, TABLE, ChannelDisplay()), GreyCalibration(0, (-1.5, 0.25), "OD")
    assert display_from(json.loads(json.dumps(display_document(display)))) == display
    assert calibration_from(json.loads(json.dumps(calibration_document(greys)))) == greys
    for garbled in (None, 3, [1], {"function": "x"}, {"function": 1, "coefficients": 2}):
        assert display_from(garbled) == ()
        assert calibration_from(garbled) is None


def test_every_channel_is_shown_in_one_way() -> None:
    with pytest.raises(ImageError, match="Colours of 1 channels are given for 2"):
        shown(TWO, BLUE)


@pytest.mark.parametrize("display", [(BLUE, RED), (TABLE, RED), ()])
def test_ome_zarr_keeps_colours_tables_and_limits(
    tmp_path: Path, display: tuple[ChannelDisplay, ...]
) -> None:
    write_image(tmp_path / "a.zarr", shown(TWO, *display))
    assert open_image(tmp_path / "a.zarr").display == display
    assert read_image(tmp_path / "a.zarr").channel_names == ("DAPI", "GFP")


def test_ome_zarr_says_them_in_words_that_other_programs_read(tmp_path: Path) -> None:
    write_image(tmp_path / "a.zarr", shown(TWO, BLUE, RED))
    channels = json.loads((tmp_path / "a.zarr/zarr.json").read_text())["attributes"]["ome"][
        "omero"
    ]["channels"]
    assert [channel["color"] for channel in channels] == ["0000FF", "FF0000"]
    assert [channel["active"] for channel in channels] == [True, False]
    assert [(channel["window"]["start"], channel["window"]["end"]) for channel in channels] == [
        (10, 200),
        (0, 4000),
    ]


@pytest.mark.parametrize("name", ["a.zarr", "a.ome.tif"])
def test_an_image_without_an_axis_of_channels_keeps_the_name_of_its_channel(
    tmp_path: Path, name: str
) -> None:
    write_image(
        tmp_path / name, Micrograph(TWO.data[0], "YX", channel_names=("DAPI",), display=(BLUE,))
    )
    again = read_image(tmp_path / name)
    assert (again.channel_names, again.display) == (("DAPI",), (BLUE,))


def test_a_single_channel_without_a_name_keeps_its_colour(tmp_path: Path) -> None:
    image = Micrograph(
        TWO.data[0], "YX", display=(TABLE,), grey_calibration=GreyCalibration(0, (1, 2), "OD")
    )
    write_image(tmp_path / "a.zarr", image)
    again = read_image(tmp_path / "a.zarr")
    assert (again.display, again.grey_calibration, again.channel_names) == (
        (TABLE,),
        image.grey_calibration,
        (),
    )
    lazy = Micrograph(da.from_array(TWO.data[0]), "YX", display=(TABLE,))
    write_image(tmp_path / "b.zarr", lazy)
    assert read_image(tmp_path / "b.zarr").display == (TABLE,)


def test_opacity_is_no_channel_that_others_show_in_white_over_the_colours(tmp_path: Path) -> None:
    write_image(tmp_path / "a.zarr", Micrograph(np.full((4, 5, 4), 255, np.uint8), "YXS"))
    channels = json.loads((tmp_path / "a.zarr/zarr.json").read_text())["attributes"]["ome"]
    shown = {each["label"]: each["active"] for each in channels["omero"]["channels"]}
    assert shown == {"Red": True, "Green": True, "Blue": True, "Alpha": False}


def test_ome_tiff_has_colours_as_signed_numbers(tmp_path: Path) -> None:
    write_image(tmp_path / "a.ome.tif", shown(TWO, BLUE, RED))
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        xml = tif.ome_metadata
    assert xml is not None
    assert 'Name="DAPI" Color="65535"' in xml
    assert 'Name="GFP" Color="-16776961"' in xml
    assert read_image(tmp_path / "a.ome.tif").display == (BLUE, RED)


def test_colours_of_other_programs_are_read_from_ome_tiff(tmp_path: Path) -> None:
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"], "Color": [65535, 16711935]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", TWO.data, photometric="minisblack", metadata=metadata)
    assert [channel.color for channel in read_image(tmp_path / "a.ome.tif").display] == [
        (0, 0, 255),
        (0, 255, 0),
    ]


def test_a_plain_tiff_keeps_what_imagej_has_no_place_for(tmp_path: Path) -> None:
    image = Micrograph(TWO.data.astype(np.uint32), "CYX", display=(TABLE, RED))
    write_image(tmp_path / "a.tif", image)
    assert read_image(tmp_path / "a.tif").display == image.display
