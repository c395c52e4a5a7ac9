"""Results that were opened again from their files are results to every dock, and files are not read
again and again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import Qt

from napari_mdeblurgan.storage import Micrograph, provenance, write_image
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.fine_tune import FineTuneWidget
from napari_mdeblurgan.widgets.layers import origin

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]


@pytest.fixture
def saved(tmp_path: Path, noise: Noise) -> Path:
    """A result of this program, in a file."""
    write_image(tmp_path / "opened.tif", Micrograph(noise(), "YX", restored=True))
    return tmp_path / "opened.tif"


def test_a_result_from_a_file_is_not_the_next_source_by_itself(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, saved: Path
) -> None:
    source = viewer.add_image(noise(), name="nuclei")
    (opened,) = viewer.open(saved)
    assert viewer.layers.selection.active is opened
    assert widget.image is source
    viewer.layers.remove(source)
    assert widget.image is None
    assert "All images here are results" in widget.controls.status.value
    assert not widget.controls.run.enabled


def test_choosing_a_result_from_a_file_warns(
    viewer: Viewer, widget: DeblurWidget, saved: Path, qtbot: QtBot
) -> None:
    (opened,) = viewer.open(saved)
    qtbot.keyClick(widget.controls.image.native, Qt.Key.Key_End)
    assert widget.image is opened
    assert "'opened' is a result already" in widget.controls.status.value


def test_a_result_from_a_file_is_not_restored_along_with_what_is_selected(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, saved: Path
) -> None:
    source = viewer.add_image(noise(), name="nuclei")
    (opened,) = viewer.open(saved)
    viewer.layers.selection = {source, opened}
    viewer.layers.selection.active = source
    assert widget.images == [source]


def test_a_map_is_neither_restored_nor_learned_from(
    viewer: Viewer, widget: DeblurWidget, noise: Noise
) -> None:
    made = {"mdeblurgan": {"map": "error", "source": "nuclei", "file": ""}}
    shown = viewer.add_image(noise(), name="nuclei [error bar]", metadata=made)
    assert widget.image is None
    assert shown not in widget.controls.image.choices
    assert origin.is_ours(shown)
    assert not origin.is_result_layer(shown)


def test_a_file_is_looked_at_once_however_often_its_layer_is_selected(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[Path] = []
    look = provenance.is_result
    monkeypatch.setattr(provenance, "is_result", lambda path: looked_at.append(path) or look(path))
    source = viewer.add_image(noise(), name="nuclei")
    for _ in range(2):
        (opened,) = viewer.open(saved)
        for active in (source, opened, source):
            viewer.layers.selection.active = active
        assert origin.is_result_layer(opened)
    assert looked_at == [saved]


def test_a_file_that_was_overwritten_by_a_result_is_looked_at_anew(
    viewer: Viewer, noise: Noise, tmp_path: Path
) -> None:
    path = tmp_path / "image.tif"
    write_image(path, Micrograph(noise(), "YX"))
    (before,) = viewer.open(path)
    assert not origin.is_result_layer(before)
    path.unlink()
    time.sleep(0.01)  # the clock of the file system is coarse
    write_image(path, Micrograph(noise(), "YX", restored=True))
    (after,) = viewer.open(path)
    assert origin.is_result_layer(after)


def test_a_share_that_does_not_answer_holds_nobody_up_and_is_heard_later(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    saved: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    answer = threading.Event()
    monkeypatch.setattr(origin, "READING_PATIENCE_S", 0.01)
    look = provenance.is_result
    monkeypatch.setattr(provenance, "is_result", lambda path: answer.wait(30) and look(path))
    tuner = FineTuneWidget(viewer)
    viewer.window.add_dock_widget(tuner, name="Fine-tune")
    viewer.add_image(noise(), name="nuclei")
    (opened,) = viewer.open(saved)
    assert not origin.is_result_layer(opened)
    low = tuner.pairs.sources.low
    assert [low.itemText(row) for row in range(low.count())] == ["nuclei", "opened"]
    answer.set()
    qtbot.waitUntil(lambda: low.count() == 1)
    assert low.itemText(0) == "nuclei"
    assert origin.is_result_layer(opened)
    widget.reset_choices()
    assert (
        "'opened' is a result already" in widget.controls.status.value or widget.image is not opened
    )


@pytest.mark.parametrize("file", [7, ["a.tif"], None])
def test_a_file_that_is_no_name_in_the_metadata_of_a_layer_is_none(file: object) -> None:
    layer = Image(np.zeros((4, 4)), metadata={"mdeblurgan": {"focus": {"file": file}}})
    assert origin.file_of(layer) is None
    assert origin.proposed_place("a.tif", layer) == "a.tif"
