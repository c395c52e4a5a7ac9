"""After a run: which image is the next source, what Compare switches, what stays to be read, and
where the buttons are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QAbstractButton, QFileDialog

from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.runs.results import clean_name

if TYPE_CHECKING:
    from magicgui.widgets import PushButton
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

RESULT = "nuclei [sharp ×2]"


def click(qtbot: QtBot, button: PushButton) -> None:
    qtbot.mouseClick(button.native, Qt.MouseButton.LeftButton)


def test_sources_of_a_run_stay_chosen_and_compare_switches_all_its_pairs(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, qtbot: QtBot, wait_for_end: Run
) -> None:
    sources = [viewer.add_image(noise(), name=name) for name in ("a", "b", "c")]
    viewer.layers.selection = set(sources)
    click(qtbot, widget.controls.run)
    wait_for_end()
    assert widget.image in sources
    assert set(widget.images) == set(sources)
    results = [viewer.layers[f"{name} [sharp ×2]"] for name in "abc"]
    for seen in (False, True):
        click(qtbot, widget.controls.compare)
        assert [each.visible for each in results] == [seen] * 3
    viewer.layers.selection = {sources[0]}
    click(qtbot, widget.controls.run)
    wait_for_end()
    viewer.layers.selection.active = sources[1]
    click(qtbot, widget.controls.compare)
    assert [each.visible for each in results] == [True, False, False]


def test_a_result_is_restored_only_if_it_is_chosen_and_then_with_a_warning(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, qtbot: QtBot, wait_for_end: Run
) -> None:
    source = viewer.add_image(noise(), name="nuclei")
    click(qtbot, widget.controls.run)
    wait_for_end()
    viewer.layers.selection.active = viewer.layers[RESULT]
    assert widget.image is source
    box = widget.controls.image.native
    qtbot.keyClick(box, Qt.Key.Key_End)
    assert widget.image is viewer.layers[RESULT]
    assert f"{RESULT!r} is a result already" in widget.controls.status.value
    assert "Choose 'nuclei'" in widget.controls.status.value
    viewer.layers.remove(source)
    viewer.layers.remove(RESULT)
    assert widget.image is None


def test_without_its_source_a_result_is_not_chosen_by_itself(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, qtbot: QtBot, wait_for_end: Run
) -> None:
    viewer.add_image(noise(), name="nuclei")
    click(qtbot, widget.controls.run)
    wait_for_end()
    viewer.layers.remove("nuclei")
    assert widget.image is None
    assert not widget.controls.run.enabled
    assert "All images here are results" in widget.controls.status.value


def test_the_verdict_stays_while_other_things_are_done(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    qtbot: QtBot,
    wait_for_end: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proposed: list[str] = []

    def chosen(_parent: Any, _title: str, name: str, _kinds: str) -> tuple[str, str]:
        proposed.append(name)
        return str(tmp_path / "page.html"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", chosen)
    widget.controls.trust.value = True
    source = viewer.add_image(noise(), name="nuclei")
    began = time.monotonic()
    click(qtbot, widget.controls.run)
    wait_for_end()
    passed = time.monotonic() - began
    told = float(
        widget.controls.status.value.split("was made in ")[1].split("\N{NO-BREAK SPACE}")[0]
    )
    assert passed - 1 < told < passed + 0.1
    verdict = f"{RESULT}: "
    assert widget.controls.details.value.startswith(verdict)
    click(qtbot, widget.controls.report)
    qtbot.waitUntil(lambda: "was saved as" in widget.controls.status.value, timeout=60_000)
    assert proposed == ["nuclei (sharp ×2) trust.html"]
    assert widget.controls.details.value.startswith(verdict)
    viewer.add_image(noise(), name="other")
    assert widget.controls.details.value.startswith(verdict)
    viewer.layers.selection.active = source
    click(qtbot, widget.controls.run)
    click(qtbot, widget.controls.cancel)
    wait_for_end()
    assert "Cancelled" in widget.controls.status.value
    assert widget.controls.details.value.startswith(verdict)


def test_a_late_click_on_cancel_meets_no_other_button(
    make_napari_viewer: Callable[..., Viewer], noise: Noise, qtbot: QtBot
) -> None:
    viewer = make_napari_viewer(show=True)
    widget = DeblurWidget(viewer)
    viewer.window.add_dock_widget(widget)
    viewer.add_image(noise(), name="nuclei")
    widget.controls.trust.value = False
    qtbot.wait(100)
    click(qtbot, widget.controls.run)
    qtbot.wait(50)
    cancel = widget.controls.cancel.native
    places = [
        cancel.mapTo(widget.native, QPoint(x, y))
        for x in (1, cancel.width() // 2, cancel.width() - 2)
        for y in (1, cancel.height() // 2, cancel.height() - 2)
    ]
    assert {widget.native.childAt(place) for place in places} == {cancel}
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)
    qtbot.wait(50)
    met = [widget.native.childAt(place) for place in places]
    assert not [each for each in met if isinstance(each, QAbstractButton)]


def test_why_nothing_can_be_restored_is_told_after_the_run_as_well(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, gate: Any, qtbot: QtBot, wait_for_end: Run
) -> None:
    viewer.add_image(noise(), name="nuclei")
    click(qtbot, widget.controls.run)
    qtbot.waitUntil(lambda: gate.begun == 1, timeout=60_000)
    viewer.layers.clear()
    gate.let_on(gate.TILES)
    wait_for_end()
    assert not widget.controls.run.enabled
    assert "was made in" in widget.controls.status.value
    assert "All images here are results of restorations" in widget.controls.status.value


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (RESULT, "nuclei (sharp ×2)"),
        ("a/b:c*?\n[x] ", "a_b_c_(x)"),
        ("...", "image"),
    ],
)
def test_names_of_saved_files_are_clean(name: str, expected: str) -> None:
    assert clean_name(name) == expected
