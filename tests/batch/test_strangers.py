"""Output folders in which somebody else has left links, files and names."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_mdeblurgan.batch import Batch, BatchSettings, open_batch
from napari_mdeblurgan.batch.manifest import MANIFEST
from napari_mdeblurgan.batch.output_folder import LOCK, WORK, OutputFolder, workplace_name
from napari_mdeblurgan.errors import FileError

from .conftest import grey, names_in, write

LARGE = {"large_bytes": 60_000, "tile": 64}

linking = pytest.mark.skipif(os.name == "nt", reason="links need a right there")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of somebody's, with files of all the names that are made in a folder for work."""
    folder = tmp_path / "home-of-somebody"
    for name in (
        "thesis/thesis.tex",
        "a.ome.tif",
        ".0123456789abcdef.part",
        "large.ome.zarr/zarr.json",
        "lock",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("years of work")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def run(inputs: list[Path], output: Path, settings: BatchSettings) -> Batch:
    with open_batch(inputs, output, settings) as batch:
        list(batch.steps())
    return batch


@linking
@pytest.mark.parametrize("link", [WORK, f"{WORK}/{LOCK}", MANIFEST])
def test_a_link_in_the_place_of_what_a_batch_writes_is_refused_and_leads_to_nothing(
    settings: Callable[..., BatchSettings], tmp_path: Path, victim: Path, link: str
) -> None:
    before, place = contents(victim), tmp_path / "out" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(victim if link == WORK else victim / LOCK)
    with pytest.raises(FileError, match=r"is a link to something else; remove the link"):
        open_batch([write(tmp_path / "a.tif")], tmp_path / "out", settings())
    assert contents(victim) == before


@linking
def test_a_link_in_the_place_where_a_result_is_made_fails_that_image_alone(
    settings: Callable[..., BatchSettings], tmp_path: Path, victim: Path
) -> None:
    before, work = contents(victim), tmp_path / "out" / WORK
    inputs = [write(tmp_path / "a.tif"), write(tmp_path / "b.tif")]
    run(inputs[:1], tmp_path / "out", settings())
    (tmp_path / "out" / "a.ome.tif").unlink()
    (work / workplace_name("a.ome.tif")).symlink_to(victim)
    batch = run(inputs, tmp_path / "out", settings())
    assert [failure.name for failure in batch.failures] == [str(inputs[0])]
    assert "is a link" in batch.failures[0].reason
    assert names_in(tmp_path / "out") == ["b.ome.tif"]
    assert contents(victim) == before


@linking
@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.zarr.partial", "a.ome.zarr.partial/0/c"])
def test_links_where_an_ome_zarr_grows_are_not_followed(
    settings: Callable[..., BatchSettings], tmp_path: Path, victim: Path, name: str
) -> None:
    source, wishes = write(tmp_path / "a.tif", grey(150, 150)), settings(format="ome-zarr", **LARGE)
    with open_batch([source], tmp_path / "out", wishes) as batch:
        steps = batch.steps()
        while next(steps).pixels < 128**2:
            pass
        steps.close()
        place = batch.folder.workplace("a.ome.zarr").parent / name
    if place.exists():
        shutil.rmtree(place)
    (victim / "thesis.partial").write_text("half of it")
    before = contents(victim)
    place.symlink_to(victim)
    run([source], tmp_path / "out", wishes)
    assert contents(victim) == before


@linking
def test_a_folder_for_work_that_is_replaced_by_a_link_meanwhile_is_noticed(
    tmp_path: Path, victim: Path
) -> None:
    before, folder = contents(victim), OutputFolder(tmp_path / "out")
    (victim / workplace_name("a.ome.tif")).mkdir()
    folder.prepare("a.ome.tif")
    folder.work.rename(tmp_path / "moved")
    folder.work.symlink_to(victim)
    with pytest.raises(FileError, match="replaced by another folder"):
        folder.prepare("a.ome.tif")
    folder.forget("a.ome.tif")
    folder.close()
    assert contents(victim) == before
    assert (victim / workplace_name("a.ome.tif")).is_dir()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give folders away"
)
def test_a_folder_for_work_of_another_user_is_refused(
    settings: Callable[..., BatchSettings], tmp_path: Path
) -> None:
    (tmp_path / "out" / WORK).mkdir(parents=True)
    os.chown(tmp_path / "out" / WORK, 12_345, 12_345)
    with pytest.raises(FileError, match="belongs to another user"):
        open_batch([write(tmp_path / "a.tif")], tmp_path / "out", settings())


@pytest.mark.parametrize("name", ["a.ome.tif", "a.ome.zarr"])
def test_resuming_does_not_replace_what_took_the_name_of_a_result_that_lacked_but_that(
    settings: Callable[..., BatchSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    source = write(tmp_path / "a.tif")
    wishes = settings(format="ome-zarr" if name.endswith("zarr") else "ome-tiff")
    with monkeypatch.context() as patch, open_batch([source], tmp_path / "out", wishes) as batch:
        patch.setattr(OutputFolder, "place", killed)
        with pytest.raises(KeyboardInterrupt):
            list(batch.steps())
    foreign = tmp_path / "out" / name
    if name.endswith("zarr"):
        foreign.mkdir()
        foreign /= "zarr.json"
    foreign.write_text("somebody's")
    batch = run([source], tmp_path / "out", wishes)
    assert (
        "is there already, from elsewhere" in batch.failures[0].reason
        or "was changed" in batch.failures[0].reason
    )
    assert foreign.read_text() == "somebody's"


def test_a_file_of_the_very_size_of_a_result_is_not_taken_for_it(
    settings: Callable[..., BatchSettings], tmp_path: Path
) -> None:
    source = write(tmp_path / "a.tif")
    path = run([source], tmp_path / "out", settings()).outputs[0]
    foreign = bytes(path.stat().st_size)
    path.write_bytes(foreign)
    batch = run([source], tmp_path / "out", settings())
    assert "was changed since it was made" in batch.failures[0].reason
    assert path.read_bytes() == foreign


def test_a_result_that_was_copied_is_known_by_its_content(
    settings: Callable[..., BatchSettings], tmp_path: Path
) -> None:
    source = write(tmp_path / "a.tif")
    path = run([source], tmp_path / "out", settings()).outputs[0]
    os.utime(path, (1, 1))
    with open_batch([source], tmp_path / "out", settings()) as batch:
        assert not batch.todo


def test_what_takes_a_name_at_the_last_moment_is_not_replaced(
    settings: Callable[..., BatchSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, path = OutputFolder.place, tmp_path / "out" / "a.ome.tif"

    def late(*arguments: object) -> Path:
        path.write_text("somebody's")
        return place(*arguments)

    monkeypatch.setattr(OutputFolder, "place", late)
    batch = run([write(tmp_path / "a.tif")], tmp_path / "out", settings())
    assert "is there already, from elsewhere" in batch.failures[0].reason
    assert path.read_text() == "somebody's"


@pytest.mark.skipif(os.name == "nt", reason="has locks of another kind")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said_and_gone_on_with(
    settings: Callable[..., BatchSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    def no_lock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", no_lock)
    batch = run([write(tmp_path / "a.tif")], tmp_path / "out", settings())
    assert [path.name for path in batch.outputs] == ["a.ome.tif"]
    assert len(batch.notes) == 1
    assert "without locks; see to it that no other batch" in batch.notes[0]
    run([write(tmp_path / "a.tif")], tmp_path / "out", settings())
