"""What a batch finds where its user points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_mdeblurgan.batch import find_sources, open_batch, open_watch
from napari_mdeblurgan.errors import FileError, ImageError
from napari_mdeblurgan.model import load_model, read_card
from napari_mdeblurgan.storage import Micrograph, images_in, read_image, write_image

from .conftest import grey, write


def found(*inputs: object, output: Path | None = None) -> list[str]:
    return [source.place.as_posix() for source in find_sources(inputs, output)]


def test_a_folder_gives_its_images_by_name_with_the_folders_in_it(tmp_path: Path) -> None:
    for name in ("b.tif", "a.ome.tif", "day1/a.png", ".hidden.tif"):
        write(tmp_path / "in" / name, grey(8, 8).astype(np.uint8))
    (tmp_path / "in" / "notes.txt").write_text("nothing to restore")
    assert found(tmp_path / "in") == ["a", "b", "day1/a"]
    for folder in (tmp_path / "in", str(tmp_path / "in")):  # not letter by letter
        assert [each.place.as_posix() for each in find_sources(folder)] == ["a", "b", "day1/a"]


def test_what_a_system_keeps_beside_the_images_is_none_of_them(tmp_path: Path) -> None:
    kept = ("$RECYCLE.BIN/$R1", "#recycle/old", "@Recycle/old", "@eaDir/a.tif/SYNO", "__MACOSX/b")
    for name in ("a", ".Trash-1000/files/t", "bin/c", *kept):
        write(tmp_path / "in" / f"{name}.tif")
    assert found(tmp_path / "in") == ["a", "bin/c"]
    assert found(tmp_path / "in" / "#recycle") == ["old"]  # which is asked for


def test_an_ome_zarr_is_one_image_in_a_folder_and_by_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "in" / "slide.ome.zarr")
    assert found(tmp_path / "in") == found(path) == ["slide"]


def test_a_pattern_keeps_the_folders_that_vary(tmp_path: Path) -> None:
    for name in ("day1/raw/a.tif", "day2/raw/a.tif", "day2/other/b.tif", "day2/raw/a.txt.tif"):
        write(tmp_path / name)
    assert found(str(tmp_path / "day*" / "raw" / "a.tif")) == ["day1/raw/a", "day2/raw/a"]
    assert found(str(tmp_path / "**" / "b.tif")) == ["day2/other/b"]


def test_a_name_with_the_signs_of_a_pattern_is_taken_as_it_is_if_there_is_such_a_file(
    tmp_path: Path,
) -> None:
    write(tmp_path / "a[1].tif")
    write(tmp_path / "a1.tif")
    assert found(str(tmp_path / "a[1].tif")) == ["a[1]"]


def test_an_image_that_is_named_twice_is_taken_once(tmp_path: Path) -> None:
    path = write(tmp_path / "in" / "a.tif")
    (tmp_path / "link.tif").symlink_to(path)
    assert found(path, tmp_path / "in", str(tmp_path / "in" / "*.tif"), tmp_path / "link.tif") == [
        "a"
    ]


def test_what_was_named_comes_in_that_order(tmp_path: Path) -> None:
    paths = [write(tmp_path / name) for name in ("z.tif", "a.tif")]
    assert found(*paths) == ["z", "a"]


def test_layers_of_one_name_are_told_apart() -> None:
    sources = find_sources(
        [Micrograph(grey(8, 8), "YX", name="cells"), Micrograph(grey(9, 9), "YX", name="cells")]
    )
    assert [source.key for source in sources] == ["layer:cells", "layer:cells#2"]
    assert [source.open().data.shape for source in sources] == [(8, 8), (9, 9)]


def test_results_within_the_folder_of_inputs_are_no_inputs(tmp_path: Path) -> None:
    write(tmp_path / "a.tif")
    write(tmp_path / "sharp" / "a.tif")
    assert found(tmp_path, output=tmp_path / "sharp") == ["a"]
    assert found(tmp_path / "sharp", output=tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("given", "words"), [("no.tif", "does not exist"), ("*.tif", "matches"), ("", "no image")]
)
def test_what_is_not_there_is_said_before_any_work(tmp_path: Path, given: str, words: str) -> None:
    with pytest.raises(FileError, match=words):
        find_sources([tmp_path / given])


@pytest.mark.parametrize("given", [[grey(8, 8)], grey(8, 8), [b"a.tif"], None, 3])
def test_what_is_no_path_is_said_in_a_sentence(given: object, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"is no path; name files.*Micrograph\(array"):
        open_batch(given, tmp_path / "out")  # type: ignore[arg-type]


def test_where_nothing_is_named_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No image is named"):
        open_batch([], tmp_path / "out")
    with pytest.raises(FileError, match="No folder to watch is named"):
        open_watch([], tmp_path / "out")


@pytest.mark.parametrize("given", [None, 3, b"a.tif"])
def test_no_file_is_read_or_written_of_what_is_no_path(given: Any) -> None:
    for work in (read_image, images_in, load_model, read_card):
        with pytest.raises(FileError, match=f"This {type(given).__name__} is no path"):
            work(given)
    with pytest.raises(FileError, match=f"This {type(given).__name__} is no path"):
        write_image(given, Micrograph(grey(8, 8), "YX"))


def test_a_list_is_no_image() -> None:
    with pytest.raises(
        ImageError, match=r"A list is no array of numpy, dask or zarr; pass `numpy\.asarray"
    ):
        Micrograph([[1, 2], [3, 4]], "YX")
