"""Folders of runs and fine-tunings in which somebody else has left links and files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.fine_tuning.folder import FineTuneFolder, discard
from napari_mdeblurgan.training.run_folder import RunFolder, clear, sweep

linking = pytest.mark.skipif(os.name == "nt", reason="links need a right there")


def test_beginning_anew_removes_what_a_run_writes_and_nothing_else(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    own = [
        *folder.files,
        folder.samples / "step-0000010.png",
        folder.tensorboard / "events.out.tfevents.1.host",
    ]
    others = [tmp_path / "thesis.tex", tmp_path / ".download.part", folder.samples / "mine.png"]
    for path in (*own, *others):
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    clear(folder)
    assert not [path for path in own if path.exists()]
    assert all(path.exists() for path in others)


def test_half_written_files_are_swept_and_not_those_of_others(tmp_path: Path) -> None:
    half, other = tmp_path / ".0123456789abcdef.part", tmp_path / ".download.part"
    half.touch(), other.touch()
    sweep(RunFolder(tmp_path))
    assert (half.exists(), other.exists()) == (False, True)


@linking
@pytest.mark.parametrize(
    "name", ["metrics.csv", "tensorboard", "samples", "checkpoint.safetensors"]
)
def test_a_link_where_a_run_writes_is_refused_and_what_it_leads_to_stays(
    tmp_path: Path, name: str
) -> None:
    run, victim = tmp_path / "run", tmp_path / "victim"
    run.mkdir()
    victim.mkdir()
    (victim / "step-0000010.png").write_text("somebody's")
    (run / name).symlink_to(victim)
    with pytest.raises(FileError, match=f"{name} is a link to something else"):
        sweep(RunFolder(run))
    clear(RunFolder(run))
    assert (victim / "step-0000010.png").read_text() == "somebody's"


def test_a_fine_tuning_that_is_discarded_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    folder = FineTuneFolder(tmp_path)
    for path in (*folder.files, tmp_path / "notes.txt"):
        path.write_text("")
    discard(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
