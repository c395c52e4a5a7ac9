"""Files with the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.training.data.copies import first_copies

EDGE = bytes(200_000)  # black, as the borders of many images are


def test_files_are_copies_only_if_all_of_their_bytes_are_the_same(tmp_path: Path) -> None:
    contents = {
        "a": EDGE + b"1" + EDGE,
        "b": EDGE + b"2" + EDGE,
        "c": EDGE + b"1" + EDGE,
        "d": EDGE + b"1" + EDGE + b"0",
        "e": b"",
        "f": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    found = first_copies(tmp_path / name for name in [*contents, "folder"])
    assert {path.name: first.name for path, first in found.items()} == {
        "a": "a",
        "b": "b",
        "c": "a",
        "d": "d",
        "e": "e",
        "f": "e",
        "folder": "folder",
    }


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"1")

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(FileError, match=r"a cannot be read \(Permission denied\)"):
        first_copies(tmp_path / name for name in "ab")
