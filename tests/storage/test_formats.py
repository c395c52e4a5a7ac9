"""The registry of formats, and what has to agree with it."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from packaging.requirements import Requirement
from PIL import Image

from napari_mdeblurgan.errors import FileError, NoSuchImage
from napari_mdeblurgan.storage import listed_images, open_image
from napari_mdeblurgan.storage.formats import FileFormat, formats, readable
from napari_mdeblurgan.storage.not_read import remedy

ROOT = Path(__file__).parents[2]
WITH_LIBRARY = [each for each in formats() if each.package]


def test_no_two_formats_share_an_ending() -> None:
    endings = [ending for each in formats() for ending in each.endings]
    assert len(endings) == len(set(endings))
    assert all(re.fullmatch(r"\.[a-z0-9]+", ending) for ending in endings)


def test_no_library_of_a_format_is_imported_before_a_file_of_it_is_opened() -> None:
    program = (
        "import sys; from napari_mdeblurgan.storage.formats import formats, packages, readable; "
        "from napari_mdeblurgan.storage import open_image; readable(); "
        "print([each for each in packages() if each in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("one", WITH_LIBRARY, ids=lambda one: one.title)
def test_without_its_library_the_command_that_installs_it_is_named(
    one: FileFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a{one.endings[0]}"
    path.write_bytes(b"content")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    mend = r"; install it with: pip install 'napari-mdeblurgan\[formats\]'\.$"
    if sys.version_info < one.python:
        mend = r", which needs Python [\d.]+ or newer; save the image as OME-TIFF\.$"
    with pytest.raises(FileError, match=rf"{one.title} needs the package {one.package}{mend}"):
        open_image(path)
    assert [each.path for each in listed_images(path)] == [
        path
    ]  # so that a batch says it of this file


def test_the_extra_holds_the_library_of_every_format() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = {Requirement(each).name for each in project["optional-dependencies"]["formats"]}
    assert extra == {each.package for each in WITH_LIBRARY}


def test_napari_is_told_of_every_format_that_it_cannot_read_itself() -> None:
    manifest = yaml.safe_load((ROOT / "napari.yaml").read_text(encoding="utf-8"))
    (reader,) = manifest["contributions"]["readers"]
    theirs = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".zarr"}
    expected = {f"*{ending}" for ending in readable() if ending not in theirs}
    assert set(reader["filename_patterns"]) == expected | {"*.ome.tif", "*.ome.tiff"}


@pytest.mark.parametrize("one", formats(), ids=lambda one: one.title)
def test_the_documentation_names_every_format(one: FileFormat) -> None:
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    assert all(f"`{ending}`" in text or f"{one.title}," in text for ending in one.endings)


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("a.vsi", "save it as OME-TIFF, which keeps its pixel sizes"),
        ("A.IMS", "save it as OME-TIFF, which keeps its pixel sizes"),
        ("a.nd", "name one of the .stk or .tif files beside it"),
        ("a.npy", "write what it holds as TIFF in Python"),
        ("a.ome.zarr.zip", "unpack it first"),
        ("a.tif.gz", "unpack it first"),
        ("a.gif", "save it as .tif or .png"),
        ("vsi", "save it as .tif or .png"),
    ],
)
def test_what_to_do_with_a_file_that_is_not_read_is_told(
    name: str, mend: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"content")
    with pytest.raises(FileError, match=rf"is not of a kind that is read \(.*\); .*{mend}"):
        open_image(tmp_path / name)


def test_no_format_that_is_read_has_a_mend_for_one_that_is_not() -> None:
    assert {remedy(f"a{ending}") for ending in readable()} == {remedy("a")}


def _picture(pixels: np.ndarray, ending: str) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, {"jpg": "JPEG", "png": "PNG"}[ending])
    return held.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "ending"),
    [
        ("tif", "a.png", ".tif"),
        ("tif", "a.czi", ".tif"),
        ("btf", "a.nd2", ".tif"),
        ("png", "a.tif", ".png"),
        ("jpg", "a.lsm", ".jpg"),
    ],
)
def test_what_a_file_holds_is_told_where_its_name_says_otherwise(
    content: str, name: str, ending: str, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30), np.uint8)
    if content in ("tif", "btf"):
        tifffile.imwrite(tmp_path / name, pixels, bigtiff=content == "btf")
    else:
        (tmp_path / name).write_bytes(_picture(pixels, content))
    with pytest.raises(NoSuchImage, match=rf"than its name says; .* ends in \{ending}\.$"):
        open_image(tmp_path / name)
    (tmp_path / name).rename(tmp_path / f"b{ending}")
    assert open_image(tmp_path / f"b{ending}").data.shape == pixels.shape
