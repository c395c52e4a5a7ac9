"""A focus stack from its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.focus.opening import open_stack
from napari_mdeblurgan.storage import Micrograph, write_image


def numbered(folder: Path, count: int, axes: str = "YX") -> list[Path]:
    """Planes in files of their own; every pixel tells which one it is."""
    shape = {"Y": 12, "X": 16, "C": 2}
    files = [folder / f"plane_{number}.tif" for number in range(count)]
    for number, file in enumerate(files):
        image = np.full([shape[axis] for axis in axes], number, np.uint8)
        names = ("a", "b") if "C" in axes else ()
        write_image(file, Micrograph(image, axes, channel_names=names))
    return files


def test_the_planes_of_a_folder_come_as_people_count(tmp_path: Path) -> None:
    numbered(tmp_path, 11)
    stack = open_stack([tmp_path])
    assert stack.axes == "ZYX"
    assert [int(np.asarray(plane).max()) for plane in stack.data] == list(range(11))


def test_one_path_is_as_good_as_a_list_of_one(tmp_path: Path) -> None:
    numbered(tmp_path, 3)
    for one in (tmp_path, str(tmp_path)):
        assert len(open_stack(one).data) == 3
    with pytest.raises(ImageError, match="one file, several, or a folder; none is named"):
        open_stack([])


def test_planes_as_a_shell_lists_them_come_as_people_count_and_others_as_they_are_named(
    tmp_path: Path,
) -> None:
    files = numbered(tmp_path, 11)
    downwards, jumbled = files[::-1], [files[3], *files[:3]]
    for named, order in (
        (sorted(files), range(11)),
        (downwards, range(10, -1, -1)),
        (jumbled, (3, 0, 1, 2)),
    ):
        planes = open_stack(named).data
        assert [int(np.asarray(plane).max()) for plane in planes] == list(order)


def test_a_stack_of_one_file_has_its_planes_first(tmp_path: Path) -> None:
    data = np.arange(3 * 2 * 12 * 16, dtype=np.uint16).reshape(3, 2, 12, 16)
    write_image(tmp_path / "stack.ome.tif", Micrograph(data, "ZCYX"))
    stack = open_stack([tmp_path / "stack.ome.tif"])
    assert stack.axes == "ZCYX"
    np.testing.assert_array_equal(np.asarray(stack.data), data)


def test_a_field_of_a_plate_is_one_stack_whatever_its_folder_is_called(tmp_path: Path) -> None:
    planes = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((12, 16), np.uint8)
    write_image(tmp_path / "a.ome.zarr", Micrograph(planes, "ZYX"))
    field = tmp_path / "plate.zarr" / "A" / "1" / "0"
    field.parent.mkdir(parents=True)
    (tmp_path / "a.ome.zarr").rename(field)
    stack = open_stack(field)
    assert [int(np.asarray(plane).max()) for plane in stack.data] == [0, 1, 2]


def test_planes_of_several_channels_in_files_of_their_own_keep_the_names_of_these(
    tmp_path: Path,
) -> None:
    stack = open_stack(numbered(tmp_path, 3, "CYX"))
    assert (stack.axes, stack.channels, stack.channel_names) == ("ZCYX", 2, ("a", "b"))


def test_a_step_that_is_told_counts(tmp_path: Path) -> None:
    stack = open_stack(numbered(tmp_path, 2), 1.5)
    assert stack.physical() == ({"Z": 1.5}, "µm")


def test_a_folder_without_images_and_a_single_plane_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="has no image in it"):
        open_stack([tmp_path / "empty"])
    with pytest.raises(ImageError, match="a single plane"):
        open_stack(numbered(tmp_path, 1))


def test_results_among_the_planes_of_a_folder_are_not_taken_for_planes(tmp_path: Path) -> None:
    result = Micrograph(np.zeros((12, 16), np.uint8), "YX", restored=True)
    planes = numbered(tmp_path, 2)
    write_image(tmp_path / "plane_1 sharp.png", result)
    with pytest.raises(ImageError, match=r"beside other images, such as plane_1 sharp\.png"):
        open_stack([tmp_path])
    for plane in planes:
        write_image(plane, result)
    assert len(open_stack([tmp_path]).data) == 3


def test_a_file_that_is_none_of_the_planes_is_named(tmp_path: Path) -> None:
    planes = [*numbered(tmp_path, 2), tmp_path / "height.tif"]
    write_image(planes[-1], Micrograph(np.zeros((2, 12, 16), np.uint8), "ZYX"))
    with pytest.raises(ImageError, match=r"the axes are YX in plane_1\.tif, ZYX in height\.tif\."):
        open_stack(planes)
