"""Saving a result: the dialog, names without an ending, what cannot be saved, and a full disk."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from napari_mdeblurgan.storage.provenance import is_result
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.keep import saver
from tests.widgets.keep.clicks import FORMATS, RESULT, click, result

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]
    Save = Callable[..., str]
    Reopened = Callable[[Path], list[Any]]

__all__ = ["result"]  # fixtures


@FORMATS
def test_cancel_leaves_nothing_and_the_earlier_file_as_it_was(
    widget: DeblurWidget,
    result: Image,
    qtbot: QtBot,
    answer: Callable[..., None],
    tmp_path: Path,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
    save: Save,
) -> None:
    path, begun, kept = tmp_path / "out" / f"sharp{ending}", threading.Event(), saver.save_kept
    path.parent.mkdir()
    save(path)
    before = read_image(path).data
    result.data = result.data[::-1].copy()
    go_on = threading.Event()

    def slow(*arguments: Any, tell: Callable[[float], None], **more: Any) -> Any:
        def held(share: float) -> None:
            begun.set()
            assert go_on.wait(30)
            tell(share)

        return kept(*arguments, tell=held, **more)

    monkeypatch.setattr(saver, "save_kept", slow)
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    monkeypatch.setattr("napari_mdeblurgan.storage.writing.TOLD_BYTES", 0)
    answer(path)
    click(qtbot, widget)
    qtbot.waitUntil(begun.is_set)
    assert widget.controls.save.text.startswith("Cancel · ")
    click(qtbot, widget)
    go_on.set()
    qtbot.waitUntil(lambda: not widget.saver.saving)
    assert widget.controls.status.value.startswith("Cancelled; sharp")
    assert widget.controls.save.text == "Save result…"
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    np.testing.assert_array_equal(read_image(path).data, before)


def test_the_dialog_proposes_a_name_and_a_type_can_be_chosen_there(
    widget: DeblurWidget,
    result: Image,
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[Any, ...]] = []

    def dialog(*arguments: Any) -> tuple[str, str]:
        asked.append(arguments)
        return str(tmp_path / arguments[2]), saver.FILTERS[".ome.zarr"]

    monkeypatch.setattr(QFileDialog, "getSaveFileName", dialog)
    click(qtbot, widget)
    qtbot.waitUntil(lambda: not widget.saver.saving)
    assert asked[0][2] == "nuclei (sharp ×2).ome.tif"
    assert [each.name for each in tmp_path.glob("*sharp*")] == ["nuclei (sharp ×2).ome.zarr"]


def test_dialogs_begin_in_the_folder_of_the_image(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Run,
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def dialog(*arguments: Any) -> tuple[str, str]:
        asked.append(arguments[2])
        return "", ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", dialog)
    (tmp_path / "29 Nov").mkdir()
    write_image(tmp_path / "29 Nov" / "nuclei.tif", Micrograph(noise(), "YX"))
    viewer.open(tmp_path / "29 Nov" / "nuclei.tif", plugin="napari")
    widget.controls.trust.value = True
    run()
    qtbot.waitUntil(lambda: bool(widget.controls.headline.value))
    click(qtbot, widget)
    qtbot.mouseClick(widget.controls.report.native, Qt.MouseButton.LeftButton)
    assert asked == [
        str(tmp_path / "29 Nov" / "nuclei (sharp ×2).ome.tif"),
        str(tmp_path / "29 Nov" / "nuclei (sharp ×2) trust.html"),
    ]


@pytest.mark.parametrize(
    ("typed", "name"),
    [("a", "a.ome.tif"), ("a.tif", "a.ome.tif"), ("a 0.5 µm", "a 0.5 µm.ome.tif")],
)
def test_a_name_without_the_ending_gets_it_and_replaces_only_after_a_question(
    result: Image,
    save: Save,
    tmp_path: Path,
    typed: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    questions: list[str] = []
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(
        QMessageBox, "question", lambda *_: (questions.append(_[2]), answers[len(questions) - 1])[1]
    )
    (tmp_path / name).write_bytes(b"precious")
    save(tmp_path / typed)
    assert (tmp_path / name).read_bytes() == b"precious"
    assert questions == [f"{name} is there already. Replace it?"]
    save(tmp_path / typed)
    assert is_result(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a.png", "let its name end in .ome.tif or .ome.zarr"),
        ("nowhere/a.ome.tif", "there is no folder"),
        ("file/a.ome.tif", "is a file; choose another folder"),
        ("full.ome.zarr", "is a folder that holds something else than a result"),
    ],
)
def test_what_cannot_be_saved_so_is_said_in_a_sentence(
    result: Image,
    save: Save,
    tmp_path: Path,
    name: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    (tmp_path / "file").write_text("")
    (tmp_path / "full.ome.zarr").mkdir()
    (tmp_path / "full.ome.zarr" / "thesis.txt").write_text("words")
    before = sorted(tmp_path.rglob("*"))
    said = save(tmp_path / name)
    assert sentence in said
    assert ".part" not in said
    assert [each for each in sorted(tmp_path.rglob("*")) if each not in before] == []


def test_what_nobody_expected_is_said_and_no_more(
    result: Image, save: Save, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr(saver, "save_kept", broken)
    with qtbot.captureExceptions() as raised:
        said = save(tmp_path / "a.ome.tif")
        qtbot.wait(50)
    assert said == f"Saving {RESULT!r} failed unexpectedly (ValueError: a fault); see the log."
    assert raised == []


@FORMATS
def test_a_full_disk_is_said_and_leaves_nothing(
    result: Image, save: Save, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tifffile.TiffWriter.write", full)
    monkeypatch.setattr("napari_mdeblurgan.storage.ome_zarr.ome_zarr_chunks.ChunkStore.write", full)
    folder = tmp_path / "out"
    folder.mkdir()
    assert "the disk is full; make room or choose another folder" in save(folder / f"a{ending}")
    assert list(folder.iterdir()) == []
