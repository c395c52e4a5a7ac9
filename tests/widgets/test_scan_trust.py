"""Trust for a result on disk: its maps are made on disk too, shown lazily, cancelled and gone on
with, and go with it.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtGui import QTextDocument

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.restoration import fitting
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.stopping import look_up
from napari_mdeblurgan.storage import read_image
from napari_mdeblurgan.storage.map_places import maps_path
from napari_mdeblurgan.trust.assess import assess
from napari_mdeblurgan.trust.mapped import Mapped
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.runs import trust
from napari_mdeblurgan.widgets.runs.results import listed_results
from tests.widgets.event_loop import watched
from tests.widgets.maps_shown import show_each_map, show_map

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

NAMES = [
    "scan",
    "scan [sharp ×2]",
    "scan [estimate used]",
    "scan [defocus, px]",
    "scan [consistency, × noise]",
    "scan [error bar, grey levels]",
]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_mdeblurgan.widgets.runs.to_disk.SCAN_TILE", 512)
    monkeypatch.setattr(fitting, "LARGEST_TILE", 128)


@pytest.fixture
def trusting(widget: DeblurWidget) -> DeblurWidget:
    widget.results.to_disk.value = True
    widget.controls.trust.value = True
    return widget


def names(viewer: Viewer) -> list[str]:
    return [layer.name for layer in viewer.layers]


def cancelled_in_the_middle(
    widget: DeblurWidget, wait: Run, monkeypatch: pytest.MonkeyPatch
) -> list[Any]:
    """Press the button, and Cancel while the second tile is finished and others are read, which
    takes long; returns the tiles that were finished, also in later runs.
    """
    done: list[Any] = []
    read, finish, begun, cancelled = (
        Mapped.read,
        Mapped.finish,
        itertools.count(),
        threading.Event(),
    )

    def slow(mapped: Mapped, place: Any) -> Any:
        while next(begun) >= 2 and not cancelled.is_set():
            look_up()
            time.sleep(0.01)
        return read(mapped, place)

    def counted(mapped: Mapped, place: Any, given: Any, made: Any) -> Any:
        done.append(place.tile)
        if len(done) == 2 and not cancelled.is_set():
            widget._runner._worker.quit()
        return finish(mapped, place, given, made)

    monkeypatch.setattr(Mapped, "read", slow)
    monkeypatch.setattr(Mapped, "finish", counted)
    widget.controls.run.native.click()
    wait()
    assert len(done) == 2
    cancelled.set()
    return done


def test_maps_lie_lazy_above_the_result_once_they_were_shown(
    viewer: Viewer, trusting: DeblurWidget, noise: Noise, run: Run, cache_folder: Path
) -> None:
    image = noise(200, 250)
    source = viewer.add_image(
        image, name="scan", scale=(0.5, 0.25), translate=(3, 4), rotate=30, units="µm"
    )
    run()
    assert names(viewer) == NAMES[:2]
    show_each_map(trusting)
    assert names(viewer) == NAMES
    (path,) = cache_folder.glob("*.ome.zarr")
    model = load_model("tiny-grey")
    plan = make_plan(image, model.card)
    whole = assess(image, np.asarray(viewer.layers[1].data[0]), plan, model)
    for layer, name in zip(
        viewer.layers[2:], ("choice", "defocus", "consistency", "error"), strict=True
    ):
        assert not layer.visible
        finest = layer.data[0] if layer.multiscale else layer.data
        assert hasattr(finest, "dask")
        assert layer.multiscale == (max(finest.shape) > 1024)
        for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):
            of_source, of_map = (
                np.array(corner) * size - 0.5 for size in (image.shape, finest.shape)
            )
            np.testing.assert_allclose(layer.data_to_world(of_map), source.data_to_world(of_source))
        stored = np.asarray(finest)
        np.testing.assert_array_equal(stored, read_image(maps_path(path, name)).data)
        far = np.abs(np.nan_to_num(stored.astype(float) - whole.map(name).data)) > 0.05 * np.nanmax(
            stored, initial=0
        )
        assert far.mean() < 0.01
        layer.visible = True
    assert isinstance(viewer.layers[2], Labels)
    assert "the noise" in trusting.controls.details.value
    assert str(path) in trusting.controls.status.value
    assert trusting.controls.run.text == "Deblur + SR"


def test_result_is_shown_whole_while_it_is_still_assessed(
    viewer: Viewer,
    trusting: DeblurWidget,
    noise: Noise,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    seen: list[tuple[list[str], bool, str]] = []
    add = trusting._runner._on_step

    def noted(step: Any) -> None:
        add(step)
        seen.append(
            (names(viewer), trusting.scans.open_path is None, trusting.controls.status.value)
        )

    monkeypatch.setattr(trusting._runner, "_on_step", noted)
    viewer.add_image(noise(200, 250), name="scan")
    run()
    assessed = [each for each in seen if each[2].startswith(trust.CHECKING)]
    assert len(assessed) > 3
    assert all(each[0] == NAMES[:2] and each[1] for each in assessed)


def test_cancelled_assessment_leaves_the_result_whole_and_resume_goes_on(
    viewer: Viewer,
    trusting: DeblurWidget,
    noise: Noise,
    wait_for_end: Run,
    cache_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = noise(200, 250)
    viewer.add_image(image, name="scan")
    done = cancelled_in_the_middle(trusting, wait_for_end, monkeypatch)
    assert names(viewer) == NAMES[:2]
    assert "the result is whole" in trusting.controls.status.value
    assert trusting.controls.run.text == "Resume"
    result = viewer.layers[1]
    np.testing.assert_allclose(
        np.asarray(result.data[0]), restore(image, load_model("tiny-grey")), atol=1
    )
    (found,) = listed_results(cache_folder)
    assert found.finished
    assert not maps_path(found.path, "error").exists()
    monkeypatch.setattr(
        "napari_mdeblurgan.restoration.scan.opening", lambda *_, **__: pytest.fail("restored again")
    )
    monkeypatch.setattr(
        "napari_mdeblurgan.restoration.plan.measuring", lambda *_: pytest.fail("measured again")
    )
    trusting.controls.run.native.click()
    wait_for_end()
    show_each_map(trusting)
    assert names(viewer) == NAMES
    assert viewer.layers[1] is result
    assert len({(tile.y.start, tile.x.start) for tile in done}) == len(done) == 4
    assert trusting.controls.run.text == "Deblur + SR"
    trusting.controls.run.native.click()
    wait_for_end()
    show_each_map(trusting)
    assert names(viewer) == NAMES
    assert len(done) == 4


def test_finished_scan_gets_its_maps_later_and_they_are_shown_again_without_work(
    viewer: Viewer, trusting: DeblurWidget, noise: Noise, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer.add_image(noise(150, 100), name="scan")
    trusting.controls.trust.value = False
    run()
    assert names(viewer) == NAMES[:2]
    trusting.controls.trust.value = True
    run()
    show_each_map(trusting)
    assert names(viewer) == NAMES
    first = trusting.controls.status.value
    del viewer.layers[1:]
    monkeypatch.setattr(Mapped, "work", lambda *_: pytest.fail("a tile was assessed again"))
    run()
    show_each_map(trusting)
    assert names(viewer) == NAMES
    assert trusting.controls.status.value == first


def test_emptying_the_folder_removes_the_maps_and_keeps_a_result_whose_map_is_shown(
    viewer: Viewer, trusting: DeblurWidget, noise: Noise, run: Run, cache_folder: Path, qtbot: QtBot
) -> None:
    viewer.add_image(noise(150, 100), name="scan")
    run()
    show_map(trusting, "error")
    del viewer.layers[1:-1]
    assert names(viewer) == ["scan", "scan [error bar, grey levels]"]
    for left in (1, 0):
        trusting.results.remove(listed_results(cache_folder))
        qtbot.waitUntil(lambda left=left: len(list(cache_folder.iterdir())) == left)
        qtbot.waitUntil(lambda left=left: len(trusting.results.results) == left)
        del viewer.layers[1:]


def test_report_on_a_scan_is_saved(
    viewer: Viewer,
    trusting: DeblurWidget,
    noise: Noise,
    run: Run,
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_mdeblurgan.trust.excerpt.LARGEST_PIXELS", 1000)
    monkeypatch.setattr("napari_mdeblurgan.trust.excerpt.EXCERPT_EDGE", 100)
    viewer.add_image(noise(200, 250), name="scan")
    run()
    path = tmp_path / "page.html"
    monkeypatch.setattr(trust, "ask_for_report_path", lambda *_: path)
    trusting.controls.report.native.click()
    qtbot.waitUntil(lambda: "was saved as" in trusting.controls.status.value)
    assert "A part that is rich in detail: pixels " in path.read_text()


def test_eight_orientations_on_disk_are_another_result_with_their_disagreement(
    viewer: Viewer, trusting: DeblurWidget, noise: Noise, run: Run, cache_folder: Path
) -> None:
    viewer.add_image(noise(150, 100), name="scan")
    run()
    trusting.controls.ensemble.value = True
    run()
    assert len(list(cache_folder.glob("*.ome.zarr"))) == 2
    eight = viewer.layers["scan [sharp ×2] [1]"]
    assert eight.metadata["mdeblurgan"]["orientations"] == 8
    viewer.layers.selection.active = eight
    show_map(trusting, "disagreement")
    spread = np.asarray(viewer.layers["scan [disagreement, grey levels]"].data)
    one = np.asarray(viewer.layers["scan [sharp ×2]"].data[0], float)
    off = np.abs(one - np.asarray(eight.data[0])).mean()
    assert 0 < off < 3 * spread.mean()


def test_event_loop_is_never_late_for_long_while_a_scan_is_assessed(
    make_napari_viewer: Callable[..., Viewer], noise: Noise, qtbot: QtBot
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(700, 500)
    widget = DeblurWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.results.to_disk.value = widget.controls.trust.value = True
    viewer.add_image(noise(1200, 1200), name="scan", visible=False)
    widget.controls.run.native.click()
    qtbot.waitUntil(
        lambda: widget.controls.status.value.startswith(trust.CHECKING), timeout=120_000
    )
    enough = time.monotonic() + 3
    with watched() as late:  # a fast machine is through before
        qtbot.waitUntil(lambda: not widget.running or time.monotonic() > enough)
    assert len(late) > 10
    assert np.percentile(late, 95) <= 0.05
    if widget.running:
        widget.controls.cancel.native.click()
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)


def test_legend_is_shown_while_the_choice_is_seen(
    viewer: Viewer, trusting: DeblurWidget, noise: Noise, run: Run
) -> None:
    viewer.add_image(noise(), name="scan")
    run()
    legend = trusting.controls.legend
    assert not legend.value
    show_map(trusting, "choice")
    assert legend.value
    viewer.layers["scan [estimate used]"].visible = False
    assert not legend.value
    viewer.layers["scan [estimate used]"].visible = True
    assert all(name in legend.value for name in ("the image itself", "first estimate", "deblurred"))
    lines = QTextDocument()
    lines.setHtml(legend.value)
    assert (
        "\u25a0\u00a0first\u00a0estimate" in lines.toRawText()
    )  # its colour and both words are on one line
    viewer.layers["scan [estimate used]"].visible = False
    assert not legend.value
