"""The manifest: what it remembers, whatever has happened to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_mdeblurgan.batch.manifest import FailedEntry, MadeEntry, Manifest
from napari_mdeblurgan.errors import FileError

KEY = ("/in/a.tif", "a.ome.tif")
FAILED = FailedEntry(input=KEY[0], output=KEY[1], reason="it is damaged.")


def made(mark: str = "10", output: str = "a.ome.tif", work: str = "f0/a.ome.tif") -> MadeEntry:
    return MadeEntry(
        input="/in/a.tif",
        output=output,
        job="j",
        settings="s",
        mark=mark,
        work=work,
        pixels=4,
        size=1,
        model="gray-x2",
        device="cpu",
        precision="float32",
        seconds=0.5,
    )


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "m.jsonl")
    for entry in (made("10"), FAILED, made("20")):
        manifest.add(entry)
    record = Manifest(tmp_path / "m.jsonl").records[KEY]
    assert record == manifest.records[KEY]
    assert (record.last, record.marks) == (made("20"), {"10", "20"})


def test_a_failure_does_not_make_forget_what_was_made(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "m.jsonl")
    manifest.add(made())
    manifest.add(FAILED)
    record = Manifest(tmp_path / "m.jsonl").records[KEY]
    assert (record.last, record.made) == (FAILED, made())


@pytest.mark.parametrize("cut", [1, 2, 40, 200])
def test_a_line_that_was_cut_short_counts_as_not_there_and_spoils_no_other(
    tmp_path: Path, cut: int
) -> None:
    path = tmp_path / "m.jsonl"
    Manifest(path).add(FAILED)
    Manifest(path).add(made("10"))
    path.write_bytes(path.read_bytes()[:-cut])
    torn = Manifest(path)
    assert (torn.records[KEY].last == FAILED) == (cut > 1)
    torn.add(made("20"))
    assert Manifest(path).records[KEY].last == made("20")


def test_names_that_lead_out_of_the_folder_or_no_file_can_have_are_not_believed(
    tmp_path: Path,
) -> None:
    manifest = Manifest(tmp_path / "m.jsonl")
    for output in (
        "../a.tif",
        "/etc/passwd",
        "b/../../a.tif",
        "c:/a.tif",
        "..\\a.tif",
        "\ud83d.tif",
    ):
        manifest.add(made(output=output))
    manifest.add(made(work="../../secret"))
    assert not Manifest(tmp_path / "m.jsonl").records


def test_lines_of_another_kind_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    Manifest(path).add(made())
    with path.open("a") as file:
        for line in (
            '{"event": "made"}',
            "[1]",
            '{"event": "new"}',
            '{"event": ["made"]}',
            "nonsense",
            "[" * 100_000,
        ):
            file.write(line + "\n")
    assert Manifest(path).records[KEY].last == made()


def test_a_manifest_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(json.dumps({"event": "manifest", "version": 2}) + "\n")
    with pytest.raises(FileError, match="another version"):
        Manifest(tmp_path / "m.jsonl")


def test_tiff_and_ome_tiff_of_one_input_are_two_results(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "m.jsonl")
    manifest.add(made(output="a.ome.tif"))
    manifest.add(made(output="a.tif"))
    assert manifest.outputs(".tif") == {"/in/a.tif": "a.tif"}
    assert manifest.outputs(".ome.tif") == {"/in/a.tif": "a.ome.tif"}
