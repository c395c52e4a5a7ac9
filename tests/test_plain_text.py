"""Text from strangers: harmless in metadata, on terminals and in spreadsheets."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

import napari_mdeblurgan
from napari_mdeblurgan.plain_text import (
    Escaping,
    for_metadata,
    for_spreadsheet,
    for_terminal,
    from_spreadsheet,
)
from napari_mdeblurgan.storage import Micrograph, read_image, write_image


def test_metadata_get_neither_control_characters_nor_lone_surrogates() -> None:
    assert (
        for_metadata("a\x01b\udcffc\x1b]0;d\x9f\ufffe\nµm 核")
        == "a\ufffdb\ufffdc\ufffd]0;d\ufffd\ufffd µm 核"
    )


@pytest.mark.parametrize("suffix", [".ome.tif", ".tif", ".ome.zarr"])
def test_an_image_of_any_name_is_written_with_all_that_is_known_of_it(
    tmp_path: Path, suffix: str
) -> None:
    pixels = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8)
    names = ("DAPI\x00", "GFP\x1b[31m\udce9")
    path = tmp_path / f"r{suffix}"
    write_image(
        path, Micrograph(pixels, "CYX", {"X": 0.5, "Y": 0.5}, "µm", names, "scan\x01\udcff")
    )
    found = read_image(path)
    np.testing.assert_array_equal(found.data, pixels)
    assert (found.axes, found.pixel_size, found.unit) == ("CYX", {"X": 0.5, "Y": 0.5}, "µm")
    assert found.channel_names == ("DAPI\ufffd", "GFP\ufffd[31m\ufffd")
    if suffix == ".ome.tif":
        with tifffile.TiffFile(path) as tif:
            ElementTree.fromstring(tif.ome_metadata.encode())


def test_a_terminal_gets_control_characters_and_turns_of_direction_escaped() -> None:
    assert for_terminal("a\x1b]0;b\x07\x9b\u202etif.exe\r") == r"a\x1b]0;b\x07\x9b\u202etif.exe\r"
    assert for_terminal("µm 核 é\n\tok") == "µm 核 é\n\tok"


def test_a_stream_that_escapes_leaves_progress_bars_as_they_are() -> None:
    stream = io.StringIO()
    print("\r 50%|#\x1b[2J", file=Escaping(stream))
    assert stream.getvalue() == "\r 50%|#\\x1b[2J\n"


@pytest.mark.parametrize("command", ["restore", "batch", "info"])
def test_no_command_hands_on_an_escape_sequence(tmp_path: Path, command: str) -> None:
    name = str(tmp_path / "a\x1b]0;owned\x07.tif")
    more = {"restore": ["b.tif"], "batch": ["--output", str(tmp_path / "out\x1b[2J")], "info": []}[
        command
    ]
    done = subprocess.run(
        [sys.executable, "-m", "napari_mdeblurgan", command, name, *more],
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
    assert b"\x1b" not in done.stdout + done.stderr
    assert rb"\x1b]0;owned\x07.tif" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "＝1", "'=1", "''@"]
)
def test_a_cell_that_might_be_a_formula_is_quoted_and_read_again(text: str) -> None:
    cell = for_spreadsheet(text)
    assert cell.startswith("'")
    assert from_spreadsheet(cell) == text


@pytest.mark.parametrize("text", ["-1.5", "+3e-5", "a=b", "'quoted'", "", "nan", "-inf"])
def test_numbers_and_plain_names_stay_as_they_are(text: str) -> None:
    assert for_spreadsheet(text) == text == from_spreadsheet(text)


def test_percent_is_written_with_a_space() -> None:
    files = Path(napari_mdeblurgan.__file__).parent.rglob("*.py")
    assert not [
        file.name for file in files if re.search(r":[0-9.]*%\}|[0-9]%[ ,.)]", file.read_text())
    ]
