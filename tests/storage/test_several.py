"""Files of several images: each can be named and read, labels are none, and a file tells of the
others.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_mdeblurgan.batch import open_batch
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.outputs import check_output_folder, make_folder
from napari_mdeblurgan.storage import (
    SeveralImagesWarning,
    choose_image,
    images_in,
    open_image,
    read_image,
    separate_images,
    write_image,
)
from napari_mdeblurgan.storage.micrograph import Micrograph
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


def first_pixel(image: Micrograph) -> int:
    return int(np.asarray(image.data).reshape(-1)[0])


KINDS = {
    "series.ome.tif": (write_series, ("left", "middle", "right"), (0, 1, 2)),
    "sizes.tif": (write_sizes, ("0", "1", "2"), (0, 1, 2)),
    "animation.png": (write_animation, ("0", "1", "2"), (0, 1, 2)),
    "plate.ome.zarr": (write_plate, ("A/1/0", "A/1/1", "B/2/0", "B/2/1"), (0, 1, 2, 3)),
    "converted.zarr": (write_converted, ("1", "0"), (1, 0)),
}


@pytest.mark.parametrize("read", [read_image, open_image])
@pytest.mark.parametrize("kind", KINDS)
def test_every_image_of_a_file_is_read_by_its_name(
    tmp_path: Path, kind: str, read: Callable[..., Micrograph]
) -> None:
    write, names, values = KINDS[kind]
    path = write(tmp_path / kind)
    stem = kind.split(".")[0]
    assert images_in(path) == names
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = [read(path, name) for name in names]
    assert tuple(map(first_pixel, images)) == values
    assert [image.name for image in images] == [f"{stem} {name}" for name in names]


@pytest.mark.parametrize("kind", KINDS)
def test_the_images_of_a_file_are_told_apart_by_what_names_each_alone(
    tmp_path: Path, kind: str
) -> None:
    write, names, values = KINDS[kind]
    found = separate_images(write(tmp_path / kind))
    assert tuple(each.name for each in found) == names
    assert tuple(first_pixel(read_image(each.path, each.image)) for each in found) == values


@pytest.mark.parametrize(
    ("kind", "taken"), [("series.ome.tif", "left"), ("sizes.tif", "1"), ("animation.png", "0")]
)
def test_where_none_is_named_one_sentence_says_which_is_taken_and_how_to_take_another(
    tmp_path: Path, kind: str, taken: str
) -> None:
    path = KINDS[kind][0](tmp_path / kind)
    with pytest.warns(
        SeveralImagesWarning, match=f'holds 3 images, of which "{taken}" is taken'
    ) as caught:
        image = read_image(path)
    assert caught[0].filename == __file__
    assert image.name.endswith(taken)
    others = [f'"{name}"' for name in KINDS[kind][1] if name != taken]
    assert choose_image(path, how="--image ") == (
        taken,
        f'{path} holds 3 images, of which "{taken}" is taken; one of the others is taken by '
        "--image NAME: "
        f"{', '.join(others)}.",
    )
    assert choose_image(path, 2) == (KINDS[kind][1][2], "")


def test_a_number_counts_from_0_and_a_name_comes_before_it(tmp_path: Path) -> None:
    path = write_series(tmp_path / "a.ome.tif", ["2", "1", "0"])
    assert [first_pixel(read_image(path, image)) for image in (0, "0", 2, "2")] == [0, 2, 2, 0]


def test_images_of_one_name_are_told_apart(tmp_path: Path) -> None:
    assert images_in(write_series(tmp_path / "a.ome.tif", ["cells", "cells", ""])) == (
        "cells",
        "cells #2",
        "2",
    )


@pytest.mark.parametrize("image", ["upper", "7", 7, -1])
def test_an_image_that_a_file_does_not_hold_is_refused_with_those_that_it_does(
    tmp_path: Path, image: object
) -> None:
    path = write_series(tmp_path / "a.ome.tif")
    with pytest.raises(
        FileError,
        match=f'no image "{image}"; name one of those that it has: "left", "middle", "right"',
    ):
        read_image(path, image)  # type: ignore[arg-type]


def test_a_file_of_one_image_says_nothing_of_others(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", Micrograph(np.zeros((3, 8, 9), np.uint8), "ZYX"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(tmp_path / "a.tif").data.shape == (3, 8, 9)
    assert len(images_in(tmp_path / "a.tif")) == 1
    assert choose_image(tmp_path / "a.tif")[1] == ""


def test_a_plate_of_version_0_4_has_the_same_images(tmp_path: Path) -> None:
    path = write_plate(tmp_path / "plate.zarr", modern=False)
    assert images_in(path) == KINDS["plate.ome.zarr"][1]
    assert first_pixel(read_image(path, "B/2/1")) == 3


def test_a_well_has_its_fields_and_a_field_is_called_by_its_well(tmp_path: Path) -> None:
    path = write_plate(tmp_path / "plate.zarr")
    assert images_in(path / "B" / "2") == ("0", "1")
    assert (
        read_image(path / "B" / "2", "1").name == read_image(path / "B/2/1").name == "plate B/2/1"
    )


def test_a_folder_of_images_without_metadata_of_its_own_is_looked_through(tmp_path: Path) -> None:
    for name in ("field10", "field2"):
        write_zarr(tmp_path / "run.zarr" / "day 1" / name, 1)
    assert images_in(tmp_path / "run.zarr") == ("day 1/field2", "day 1/field10")


def test_several_images_that_one_folder_describes_are_read_by_name(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a.zarr", 1)
    group = zarr.open_group(str(path))
    group.create_array("raw", data=plane(2))
    ome = dict(group.attrs["ome"])  # type: ignore[arg-type]
    first = ome["multiscales"][0] | {"name": "deconvolved"}
    second = first | {"name": "raw", "datasets": [first["datasets"][0] | {"path": "raw"}]}
    group.attrs["ome"] = ome | {"multiscales": [first, second]}
    assert images_in(path) == ("deconvolved", "raw")
    assert first_pixel(read_image(path, "raw")) == 2
    assert [each.image for each in separate_images(path)] == ["deconvolved", "raw"]


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("named", [True, False])
def test_labels_are_refused_and_never_listed(tmp_path: Path, named: bool, modern: bool) -> None:
    path = write_plate(tmp_path / "plate.zarr", modern=modern)
    labels = add_labels(path / "A/1/0", named=named, modern=modern)
    assert images_in(path) == KINDS["plate.ome.zarr"][1]
    (tmp_path / "link").symlink_to(labels)
    for place in (labels, labels.parent, tmp_path / "link"):
        for read in (read_image, open_image, images_in):
            with pytest.raises(FileError, match="holds labels, whose numbers are names of objects"):
                read(place)


def test_a_collection_that_lists_labels_as_an_image_lacks_it(tmp_path: Path) -> None:
    write_group(
        tmp_path / "a.zarr", {"well": {"images": [{"path": "0"}, {"path": "1"}, {"path": "../b"}]}}
    )
    write_zarr(tmp_path / "a.zarr" / "0", 5)
    write_zarr(tmp_path / "a.zarr" / "1", 6, {"image-label": {}})
    write_zarr(tmp_path / "b", 7)
    assert first_pixel(read_image(tmp_path / "a.zarr")) == 5
    assert len(images_in(tmp_path / "a.zarr")) == 1


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/a.zarr", "s3://bucket/a.tif", "file:///data/a.tif"]
)
@pytest.mark.parametrize("as_path", [str, Path])
def test_an_address_is_refused_by_its_own_words(
    address: str, as_path: Callable[[str], str | Path]
) -> None:
    for read in (read_image, open_image, images_in):
        with pytest.raises(FileError, match=f"^{address} is an address, and only files"):
            read(as_path(address))
    with pytest.raises(FileError, match=f"^{address} is an address"):
        write_image(as_path(address), Micrograph(plane(0), "YX"))


def test_a_folder_for_results_is_no_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    address = Path("s3://bucket/results")
    for make in (
        make_folder,
        lambda folder: check_output_folder(folder, "the run", ours=False),
        lambda folder: open_batch([Micrograph(plane(0), "YX")], folder),
    ):
        with pytest.raises(FileError, match=r"^s3://bucket/results is an address, and only"):
            make(address)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [np.int64(1), np.uint8(1)])
def test_a_number_of_numpy_is_a_number(tmp_path: Path, number: int) -> None:
    path = write_series(tmp_path / "a.ome.tif")
    assert first_pixel(read_image(path, number)) == 1
    with pytest.raises(FileError, match=r'has no image "1\.0"'):
        read_image(path, 1.0)  # type: ignore[arg-type]


def test_the_home_of_a_user_that_is_not_there_is_a_name_like_any_other() -> None:
    with pytest.raises(
        FileError, match=r"^~nobody-of-this-name/a\.tif does not exist; check its name"
    ):
        read_image("~nobody-of-this-name/a.tif")


@pytest.mark.parametrize("shape", [(0, 8), (8, 0)])
def test_an_ome_zarr_without_pixels_is_called_that(tmp_path: Path, shape: tuple[int, int]) -> None:
    path = write_zarr(tmp_path / "a.zarr", 1)
    document = json.loads((path / "0" / "zarr.json").read_text())
    (path / "0" / "zarr.json").write_text(json.dumps(document | {"shape": shape}))
    with pytest.raises(FileError, match=r"has no pixels: its size is \d × \d; save it again"):
        read_image(path)


def test_an_ome_zarr_that_lost_its_hidden_files_is_not_called_missing(tmp_path: Path) -> None:
    field = write_plate(tmp_path / "plate.zarr", modern=False) / "A/1/0"
    (field / ".zgroup").unlink()
    with pytest.raises(FileError, match=r"cannot be read.*No group found.*copy it again"):
        read_image(field)


def test_a_link_that_leads_nowhere_is_no_place_for_an_ome_zarr(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").symlink_to(tmp_path / "gone.zarr")
    with pytest.raises(FileError, match="is there already"):
        write_image(tmp_path / "a.zarr", Micrograph(plane(0), "YX"))
    assert not (tmp_path / "gone.zarr").exists()
