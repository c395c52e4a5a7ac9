"""The folder of results on disk: its size is shown, and emptying it leaves alone what is open or
not ours.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtWidgets import QMessageBox

from napari_mdeblurgan.storage.ome_zarr.ome_zarr_writing import create_ome_zarr
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.runs.results import listed_results, remove_results

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot


def make(folder: Path, name: str, *, finished: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    writer = create_ome_zarr(folder / name, (8, 8), "YX", np.uint8)
    if finished:
        writer.write((), 0, 0, np.ones((8, 8), np.uint8))
        writer.finish()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


def test_only_what_this_program_has_made_counts(folder: Path) -> None:
    make(folder, "a.ome.zarr", finished=True)
    make(folder, "b.ome.zarr", finished=False)
    (folder / "other.ome.zarr").mkdir()
    (folder / "other.ome.zarr" / "zarr.json").write_text('{"attributes": {"ome": {}}}')
    (folder / "letter.txt").write_text("not ours")
    (folder / "link.ome.zarr").symlink_to(folder / "a.ome.zarr")
    found = listed_results(folder)
    assert [(result.path.name, result.finished) for result in found] == [
        ("a.ome.zarr", True),
        ("b.ome.zarr.partial", False),
    ]
    assert all(result.bytes > 100 for result in found)


def test_emptying_keeps_what_is_open_and_what_is_not_ours(folder: Path) -> None:
    for name in ("a.ome.zarr", "open.ome.zarr"):
        make(folder, name, finished=True)
    make(folder, "half.ome.zarr", finished=False)
    make(folder, "running.ome.zarr", finished=False)
    (folder / "letter.txt").write_text("not ours")
    remove_results(listed_results(folder), [folder / "open.ome.zarr", folder / "running.ome.zarr"])
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["letter.txt", "open.ome.zarr", "running.ome.zarr.partial"]


def test_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert listed_results(tmp_path / "nothing") == []


@pytest.mark.parametrize("answer", [QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No])
def test_button_asks_first_and_leaves_what_a_layer_shows(
    viewer: Viewer,
    widget: DeblurWidget,
    cache_folder: Path,
    qtbot: QtBot,
    noise: Callable[..., np.ndarray],
    run: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    answer: QMessageBox.StandardButton,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        QMessageBox, "question", lambda _parent, _title, words: asked.append(words) or answer
    )
    make(cache_folder, "old.ome.zarr", finished=True)
    make(cache_folder, "half.ome.zarr", finished=False)
    widget.results.to_disk.value = True
    viewer.add_image(noise(), name="new")
    run()
    qtbot.waitUntil(lambda: "2 results" in widget.results.place.value)
    assert str(cache_folder) in widget.results.place.value
    widget.results.empty.native.click()
    assert "Remove 1 result " in asked[0]
    assert "What an open layer shows stays. What was interrupted (1) stays" in asked[0]
    count = 1 if answer == QMessageBox.StandardButton.Yes else 2
    qtbot.waitUntil(lambda: f"({count} result" in widget.results.place.value)
    assert len(list(cache_folder.glob("*.ome.zarr"))) == count
    assert list(cache_folder.glob("new*.ome.zarr"))
    assert list(cache_folder.glob("half*"))


def test_results_in_a_folder_of_the_users_cannot_be_removed_from_here(
    widget: DeblurWidget, tmp_path: Path
) -> None:
    widget.results.to_disk.value = True
    widget.results.use(str(tmp_path))
    assert widget.results.empty.native.isHidden()
    assert not widget.results.usual.native.isHidden()
    widget.results.usual.native.click()
    assert not widget.results.empty.native.isHidden()
