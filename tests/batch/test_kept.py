"""What a batch never replaces or removes, and who may hold its folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from napari_mdeblurgan.batch import open_batch
from napari_mdeblurgan.batch.output_folder import WORK
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import read_image

from .conftest import LARGE, grey, names_in, reasons, write


def test_files_from_elsewhere_are_not_replaced_unless_that_is_wished(
    restored, tmp_path: Path
) -> None:
    source = write(tmp_path / "a.tif")
    foreign = write(tmp_path / "out" / "a.ome.tif", grey(9, 9))
    batch = restored([source])
    assert "is there already, from elsewhere" in reasons(batch)
    assert read_image(foreign).data.shape == (9, 9)
    foreign.chmod(0o600)
    assert not restored([source], overwrite=True).failures
    assert read_image(foreign).data.shape == (48, 56)
    assert foreign.stat().st_mode & 0o077 == 0 or os.name != "posix"


def test_a_result_that_its_user_has_changed_is_not_replaced(restored, tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif")
    result = restored([source]).outputs[0]
    write(result, grey(9, 9))
    assert "was changed since it was made" in reasons(restored([source]))
    assert read_image(result).data.shape == (9, 9)


def test_results_of_other_settings_are_not_replaced_unless_that_is_wished(
    restored, tmp_path: Path
) -> None:
    source = write(tmp_path / "a.tif")
    restored([source])
    with pytest.raises(FileError, match="another model or other settings"):
        restored([source], precision="bfloat16")
    assert restored([source], precision="bfloat16", overwrite=True).outputs


def test_results_may_lie_beside_the_inputs_and_never_replace_them(restored, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    source = write(folder / "a.ome.tif", grey(20, 24))
    assert [path.name for path in restored([folder]).outputs] == ["a-2.ome.tif"]
    assert read_image(source).data.shape == (20, 24)
    again = restored([folder])
    assert not again.todo
    assert names_in(folder) == ["a-2.ome.tif", "a.ome.tif"]


def test_a_result_that_lacks_nothing_but_its_name_gets_it(
    settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_mdeblurgan.batch.output_folder import OutputFolder

    source = write(tmp_path / "a.tif")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with (
        monkeypatch.context() as patch,
        open_batch([source], tmp_path / "out", settings()) as batch,
    ):
        patch.setattr(OutputFolder, "place", killed)
        with pytest.raises(KeyboardInterrupt):
            list(batch.steps())
    assert not names_in(tmp_path / "out")
    with open_batch([source], tmp_path / "out", settings()) as batch:
        assert not batch.todo
    assert names_in(tmp_path / "out") == ["a.ome.tif"]


def test_a_folder_is_held_by_one_batch_at_a_time(settings, tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif")
    with (
        open_batch([source], tmp_path / "out", settings()),
        pytest.raises(FileError, match="Another batch is at work"),
    ):
        open_batch([source], tmp_path / "out", settings())
    open_batch([source], tmp_path / "out", settings()).close()


def test_what_killed_runs_have_left_is_removed(settings, restored, tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif")
    with open_batch([source], tmp_path / "out", settings()) as batch:
        place = batch.folder.prepare("b.ome.tif")
    for left in (".0123456789abcdef.part", "b.ome.tif", "replaced/zarr.json", "01234567/b.ome.tif"):
        path = place.parent / left
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    restored([source])
    assert [path.name for path in (tmp_path / "out" / WORK).iterdir()] == ["lock"]


def test_nothing_is_removed_but_what_the_manifest_says_was_begun(settings, tmp_path: Path) -> None:
    source, work = write(tmp_path / "a.tif"), tmp_path / "out" / WORK
    with open_batch([source], tmp_path / "out", settings()) as batch:
        begun = batch.folder.prepare("b.ome.tif").parent
    others = [work / "thesis.tex", work / "0123456789abcdef" / "b.ome.tif", begun / "notes.txt"]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("years of work")
    (begun / "b.ome.tif").write_text("half")
    with open_batch([source], tmp_path / "out", settings()) as batch:
        list(batch.steps())
        batch.folder.forget("b.ome.tif")
    assert all(path.exists() for path in others)
    assert not (begun / "b.ome.tif").exists()


def test_a_folder_that_may_not_be_written_to_is_said(
    settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    source = write(tmp_path / "a.tif")
    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(FileError, match="may not be written to"):
        open_batch([source], tmp_path / "out", settings())


def test_a_file_in_the_place_of_the_folder_is_said(settings, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="choose a"):
        open_batch([write(tmp_path / "a.tif")], write(tmp_path / "out"), settings())


def test_what_another_image_has_begun_is_kept(settings, tmp_path: Path) -> None:
    """As where only what failed is tried again, or other images go into the same folder."""
    large, other = write(tmp_path / "a.tif", grey(150, 150)), write(tmp_path / "b.tif")
    wishes = settings(format="ome-zarr", **LARGE)
    with open_batch([large], tmp_path / "out", wishes) as batch:
        steps = batch.steps()
        while next(steps).pixels < 2 * 128**2:
            pass
        steps.close()
    with open_batch([other], tmp_path / "out", wishes) as batch:
        list(batch.steps())
    with open_batch([large], tmp_path / "out", wishes) as batch:
        assert [step.pixels for step in batch.steps()][-1] <= 300**2 - 2 * 128**2
        assert len(batch.outputs) == 1
