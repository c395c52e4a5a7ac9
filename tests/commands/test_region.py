"""`--region`, from the outside: a part of an image is what it is in the whole, and lies where it
lay.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.storage import Micrograph, read_image
from napari_mdeblurgan.storage.map_places import map_path

from .two_channels import write_source

pytestmark = pytest.mark.usefixtures("tiny_defaults")

Run = Callable[..., tuple[int, str, str]]
EXACT = ("--device", "cpu", "--precision", "float32")
PART = ("--region", "30:81,64:120")
ROWS, COLUMNS = slice(60, 162), slice(128, 240)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path)


def place(image: Micrograph) -> tuple[float, float]:
    """Of its first pixel's outer corner."""
    y, x = (image.position.get(axis, 0.0) - image.pixel_size[axis] / 2 for axis in "YX")
    return y, x


@pytest.mark.parametrize("ending", ["ome.tif", "ome.zarr"])
def test_a_part_is_what_it_is_in_the_whole_and_lies_where_it_lay(
    run: Run, source: Path, tmp_path: Path, ending: str
) -> None:
    part, whole = tmp_path / f"part.{ending}", tmp_path / f"whole.{ending}"
    assert run("restore", source, part, *EXACT, *PART)[0] == 0
    assert run("restore", source, whole, *EXACT)[0] == 0
    found, all_of_it = read_image(part), read_image(whole)
    assert found.data.shape == (2, 102, 112)
    expected = all_of_it.data[:, ROWS, COLUMNS].astype(int)
    np.testing.assert_allclose(found.data.astype(int), expected, atol=1)
    before = read_image(source)
    assert place(found) == pytest.approx(
        [
            a + n * before.pixel_size[axis]
            for a, n, axis in zip(place(before), (30, 64), "YX", strict=True)
        ]
    )
    assert found.channel_names == before.channel_names


def test_maps_report_and_picture_are_of_the_part(run: Run, source: Path, tmp_path: Path) -> None:
    output, page, picture = tmp_path / "part.ome.tif", tmp_path / "part.html", tmp_path / "part.png"
    code, _, _ = run(
        "restore", source, output, *EXACT, *PART, "--trust", "--report", page, "--compare", picture
    )
    assert code == 0
    result = read_image(output)
    for name, shape in (("error", (2, 102, 112)), ("consistency", (2, 51, 56))):
        found = read_image(map_path(output, name))
        assert found.data.shape == shape
        assert place(found) == pytest.approx(place(result))
    assert picture.exists()
    assert page.exists()
    assert 2 * 102 <= read_image(picture).data.shape[0] < 2 * 242  # enlarged 2 ×, under a title


def test_a_part_of_a_binned_image_has_the_binned_pixels_that_it_meets(
    run: Run, source: Path, tmp_path: Path
) -> None:
    part = tmp_path / "part.ome.tif"
    assert run("restore", source, part, *EXACT, "--bin", 2, "--region", "31:81,:")[0] == 0
    found, before = read_image(part), read_image(source)
    assert found.data.shape == (2, 2 * (41 - 15), 2 * (before.data.shape[2] // 2))
    assert place(found)[0] == pytest.approx(place(before)[0] + 30 * before.pixel_size["Y"])


@pytest.mark.parametrize(
    ("region", "told"),
    [
        ("30:81", "not of the form Y:Y,X:X"),
        ("81:30,:", "ends along y where it begins or before"),
        (":,7:7", "ends along x where it begins or before"),
        ("121:130,:", "does not lie within the image, which has 121 pixels along y"),
        ("200:130,:", "does not lie within the image, which has 121 pixels along y"),
        (":,0:4000", "does not lie within the image, which has 146 pixels along x"),
        (":,-4:20", "not of the form"),
    ],
)
def test_what_is_no_part_is_refused_in_a_sentence(
    run: Run, source: Path, tmp_path: Path, region: str, told: str
) -> None:
    code, _, complaint = run("restore", source, tmp_path / "a.tif", "--region", region)
    assert code == 2
    assert told in complaint
    assert not (tmp_path / "a.tif").exists()
