"""Files of several images in a batch: each is restored under a name of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_mdeblurgan.batch import find_sources
from napari_mdeblurgan.batch.inputs import short_name
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import FileImage, read_image
from tests.several_images import (
    add_labels,
    plane,
    write_animation,
    write_converted,
    write_group,
    write_plate,
    write_series,
    write_sizes,
    write_zarr,
)

from .conftest import names_in, write

FIELDS = ["plate-A-1-0", "plate-A-1-1", "plate-B-2-0", "plate-B-2-1"]


def places(*inputs: object, image: str | None = None) -> list[str]:
    return [source.place.as_posix() for source in find_sources(inputs, image=image)]


@pytest.mark.parametrize(
    ("write_file", "name", "expected"),
    [
        (write_series, "a.ome.tif", ["a-left", "a-middle", "a-right"]),
        (write_sizes, "a.tif", ["a-0", "a-1", "a-2"]),
        (write_animation, "a.png", ["a-0", "a-1", "a-2"]),
        (write_converted, "a.zarr", ["a-1", "a-0"]),
        (write_plate, "plate.ome.zarr", FIELDS),
    ],
)
def test_all_images_of_a_file_are_found_each_under_its_name(
    tmp_path: Path, write_file: Callable[[Path], Path], name: str, expected: list[str]
) -> None:
    path = write_file(tmp_path / name)
    assert places(path) == places(tmp_path) == places(str(tmp_path / "*")) == expected


@pytest.mark.parametrize(
    "pattern",
    ["plate.zarr", "*.zarr", "**/plate.zarr", "plate.zarr/*", "plate.zarr/*/*", "**/[01]"],
)
def test_however_they_are_named_fields_of_a_plate_are_called_by_their_wells(
    tmp_path: Path, pattern: str
) -> None:
    add_labels(write_plate(tmp_path / "plate.zarr") / "A/1/0")
    assert places(str(tmp_path / pattern)) == FIELDS


def test_one_field_and_one_well_are_called_by_their_well(tmp_path: Path) -> None:
    path = write_plate(tmp_path / "day1" / "plate.zarr")
    assert places(path / "A/1/1") == ["plate-A-1-1"]
    assert places(path / "B/2", path / "B/2/0") == ["plate-B-2-0", "plate-B-2-1"]
    assert places(str(tmp_path / "*" / "plate.zarr" / "A" / "*" / "0")) == ["day1/plate-A-1-0"]


def test_a_pattern_finds_fields_where_the_plate_has_no_metadata_of_its_own(tmp_path: Path) -> None:
    for well in ("A/1", "A/2"):
        write_zarr(tmp_path / "plate.ome.zarr" / well / "0", 1)
    expected = ["plate-A-1-0", "plate-A-2-0"]
    for pattern in (
        "plate.ome.zarr/*/*/0",
        "plate.ome.zarr",
        "plate.ome.zarr/A",
        "plate.ome.zarr/*",
    ):
        assert places(str(tmp_path / pattern)) == expected


def test_a_pattern_takes_no_labels_arrays_or_files_of_an_ome_zarr(tmp_path: Path) -> None:
    labels = add_labels(write_zarr(tmp_path / "a.zarr", 1), named=False)
    assert places(str(tmp_path / "**" / "*")) == ["a"]
    with pytest.raises(FileError, match="Nothing that can be read matches"):
        find_sources([str(labels.parent / "*")])


def test_of_several_images_one_is_taken_by_name_and_what_holds_but_one_is_taken_all_the_same(
    tmp_path: Path,
) -> None:
    inputs = [
        write_series(tmp_path / "a.ome.tif"),
        write_plate(tmp_path / "plate.zarr"),
        write(tmp_path / "b.tif"),
    ]
    assert places(*inputs[::2], image="middle") == ["a-middle", "b"]
    assert places(FileImage(inputs[0], "right"), inputs[0]) == ["a-right", "a-left", "a-middle"]
    missing = find_sources(inputs[:1], image="upper")
    with pytest.raises(FileError, match='no image "upper"; name one'):
        missing[0].open()


def test_what_cannot_be_read_is_one_source_whose_turn_tells_why(tmp_path: Path) -> None:
    (tmp_path / "bad.tif").write_bytes(b"II*\0nothing")
    write_group(tmp_path / "empty.zarr", {"plate": {"wells": []}})
    sources = find_sources([tmp_path])
    assert [source.place.name for source in sources] == ["bad", "empty"]
    for source in sources:
        with pytest.raises(FileError):
            source.open()


def test_an_address_is_refused_before_any_work() -> None:
    with pytest.raises(FileError, match=r"^https://x\.org/a\.zarr is an address"):
        find_sources(["https://x.org/a.zarr"])


def test_every_image_gets_a_result_of_its_own_pixels_and_none_is_made_again(
    restored, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    inputs = [
        write_series(tmp_path / "in" / "a.ome.tif"),
        write_plate(tmp_path / "in" / "plate.zarr"),
    ]
    batch = restored([tmp_path / "in"])
    assert not batch.failures
    assert names_in(tmp_path / "out") == [
        f"{name}.ome.tif" for name in ("a-left", "a-middle", "a-right", *FIELDS)
    ]
    for path, image, name in ((inputs[0], "right", "a-right"), (inputs[1], "B/2/1", "plate-B-2-1")):
        sharp, alone = (
            read_image(tmp_path / "out" / f"{name}.ome.tif"),
            tmp_path / "alone" / f"{name}.tif",
        )
        one = read_image(path, image)
        write(alone, one.data, name=one.name)
        np.testing.assert_array_equal(sharp.data, read_image(restored([alone]).outputs[-1]).data)
        with tifffile.TiffFile(tmp_path / "out" / f"{name}.ome.tif") as file:
            assert file.series[0].name == one.name
    again = restored([tmp_path / "in"])
    assert not again.todo
    assert len(again.outputs) == 7


def test_large_images_of_one_file_are_kept_apart(restored, tmp_path: Path) -> None:
    path = write_series(tmp_path / "a.ome.tif")
    small = {p.name: read_image(p).data for p in restored([path]).outputs}
    large = restored([path], large_bytes=500, overwrite=True).outputs
    assert len({data.tobytes() for data in small.values()}) == 3
    for output in large:
        np.testing.assert_array_equal(read_image(output).data, small[output.name])


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("/a/b.tif", "b.tif"),
        ("/a/b.ome.tif [left/1]", "b.ome.tif [left/1]"),
        ("/a/plate.ome.zarr/A/1/0", "plate.ome.zarr/A/1/0"),
        ("/a/b.zarr [raw]", "b.zarr [raw]"),
        ("layer [1]", "layer [1]"),
    ],
)
def test_wells_and_series_can_be_told_apart_by_short_names(name: str, short: str) -> None:
    assert short_name(name) == short


def test_a_stack_of_a_file_for_each_plane_is_restored_once(tmp_path: Path) -> None:
    size, files = (
        'SizeX="20" SizeY="16" SizeC="1" SizeT="1"',
        [f"z{number}.ome.tif" for number in range(3)],
    )
    planes = "".join(
        f'<TiffData FirstZ="{number}" IFD="0" PlaneCount="1"><UUID '
        f'FileName="{name}">urn:uuid:{number}</UUID></TiffData>'
        for number, name in enumerate(files)
    )
    pixels = (
        f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" {size} '
        f'SizeZ="3">{planes}</Pixels>'
    )
    for number, name in enumerate(files):
        xml = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{number}">'
        )
        description = f'{xml}<Image ID="Image:0">{pixels}</Image></OME>'.encode()
        tifffile.imwrite(tmp_path / name, plane(number), description=description, metadata=None)
    assert places(tmp_path) == places(tmp_path / "z2.ome.tif") == ["z0"]
    assert np.asarray(find_sources([tmp_path])[0].open().data)[:, 0, 0].tolist() == [0, 1, 2]
