"""A format that is registered from outside is read, listed and put into batches like those of the
program.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import (
    Micrograph,
    SeveralImagesWarning,
    images_in,
    open_image,
    read_image,
    readable,
)
from napari_mdeblurgan.storage.formats import FileFormat, format_of, register, unregister
from napari_mdeblurgan.storage.listing import image_files
from napari_mdeblurgan.storage.several import ImageList, chosen
from tests.storage.test_czi import XML, Part, write_czi

from .conftest import grey, names_in

TOY = FileFormat("Toy", (".toy",), "toy_format_of_a_test", folders=(".toy.parts",))


def toy_module() -> ModuleType:
    """Images of the format are arrays of numpy's, one after the other, beneath their names in one
    line.
    """

    def read(path: Path) -> tuple[list[str], list[np.ndarray]]:
        with path.open("rb") as file:
            names = file.readline().decode().split()
            return names, [np.load(file, allow_pickle=False) for _ in names]

    def list_images(path: Path) -> ImageList:
        return ImageList(tuple(read(path)[0]), default=1)

    def open_image(path: Path, image: str | int | None = None) -> Micrograph:
        names, arrays = read(path)
        number = chosen(path, names, image, 1)
        return Micrograph(
            arrays[number], "YX", {"X": 0.5, "Y": 0.5}, "µm", name=f"{path.stem} {names[number]}"
        )

    module = ModuleType(TOY.module)
    module.list_images, module.open_image = list_images, open_image  # type: ignore[attr-defined]
    return module


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileFormat]:
    monkeypatch.setitem(sys.modules, TOY.module, toy_module())
    register(TOY)
    try:
        yield TOY
    finally:
        unregister(TOY)


def write_toy(path: Path) -> list[np.ndarray]:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = [grey(20, 24, seed=seed) for seed in range(2)]
    with path.open("wb") as file:
        file.write(b"left right\n")
        for array in arrays:
            np.save(file, array)
    return arrays


def test_it_is_read_by_its_ending_and_its_images_by_their_names(
    toy: FileFormat, tmp_path: Path
) -> None:
    left, right = write_toy(tmp_path / "A.TOY")
    assert ".toy" in readable()
    assert format_of(tmp_path / "A.TOY") is toy
    assert images_in(tmp_path / "A.TOY") == ("left", "right")
    with pytest.warns(SeveralImagesWarning, match='holds 2 images, of which "right" is taken'):
        np.testing.assert_array_equal(read_image(tmp_path / "A.TOY").data, right)
    image = open_image(tmp_path / "A.TOY", "left")
    np.testing.assert_array_equal(image.data, left)
    assert (image.name, image.pixel_size_um) == ("A left", 0.5)


def test_it_is_found_in_folders_but_not_in_those_of_parts_of_a_file(
    toy: FileFormat, tmp_path: Path
) -> None:
    write_toy(tmp_path / "in" / "a.toy")
    write_toy(tmp_path / "in" / "a.toy.parts" / "b.toy")
    assert image_files(tmp_path / "in") == [tmp_path / "in" / "a.toy"]


def test_a_batch_restores_every_image_of_it(toy: FileFormat, restored, tmp_path: Path) -> None:
    write_toy(tmp_path / "in" / "a.toy")
    batch = restored([tmp_path / "in"])
    assert not batch.failures
    assert [name for name in names_in(tmp_path / "out") if name.endswith(".tif")] == [
        "a-left.ome.tif",
        "a-right.ome.tif",
    ]
    assert read_image(tmp_path / "out" / "a-left.ome.tif").pixel_size_um == pytest.approx(0.25)


def test_what_it_raises_is_one_sentence_that_names_the_file(
    toy: FileFormat, tmp_path: Path
) -> None:
    (tmp_path / "a.toy").write_bytes(b"left right\nnothing")
    with pytest.raises(FileError, match=r"^\S*a\.toy cannot be read.*\S$"):
        read_image(tmp_path / "a.toy")


def test_it_is_unknown_once_it_is_unregistered(tmp_path: Path) -> None:
    write_toy(tmp_path / "a.toy")
    with pytest.raises(
        FileError, match=r"a\.toy is not of a kind that is read \(\.tif, .*\); save it as \.tif or "
    ):
        read_image(tmp_path / "a.toy")


def test_an_ending_belongs_to_one_format(toy: FileFormat) -> None:
    with pytest.raises(ValueError, match=r"Files ending in \.toy are read as Toy already"):
        register(replace(TOY, title="Other", endings=(".other", ".toy")))


@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        (
            (3, 11),
            r"needs the package no_such_thing; install it with: pip install "
            r"'napari-mdeblurgan\[formats\]'\.$",
        ),
        (
            (9, 9),
            r"needs the package no_such_thing, which needs Python 9\.9 or newer; save the image "
            r"as OME-TIFF\.$",
        ),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    tmp_path: Path, python: tuple[int, int], sentence: str
) -> None:
    lacking = replace(TOY, package="no_such_thing", python=python)
    register(lacking)
    try:
        write_toy(tmp_path / "a.toy")
        for read in (read_image, images_in):
            with pytest.raises(FileError, match=rf"a\.toy cannot be read: Toy {sentence}"):
                read(tmp_path / "a.toy")
    finally:
        unregister(lacking)


def test_a_batch_restores_every_scene_of_a_microscopes_file(restored, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    parts = [Part(grey(20, 24, seed=scene), {"S": scene}) for scene in range(2)]
    write_czi(tmp_path / "in" / "slide.czi", parts, XML)
    batch = restored([tmp_path / "in"])
    assert not batch.failures
    found = [name for name in names_in(tmp_path / "out") if name.endswith(".tif")]
    assert found == ["slide-P1.ome.tif", "slide-P2.ome.tif"]
    result = read_image(tmp_path / "out" / "slide-P2.ome.tif")
    assert result.pixel_size == pytest.approx({"X": 0.05, "Y": 0.1})
