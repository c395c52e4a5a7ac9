"""The dock Focus stack: its preview, what becomes of its results, and what stays chosen."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtWidgets import QAbstractButton

from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.focus_stack import FocusStackWidget
from napari_mdeblurgan.widgets.layers.origin import is_map, is_result_layer
from napari_mdeblurgan.widgets.runs.runner import Runner
from napari_mdeblurgan.widgets.shared import wording
from tests.focus.test_stack import texture, two_halves
from tests.widgets.focus_stack_dock import PLACE, dock, names, press, run, stack
from tests.widgets.maps_shown import show_map

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

__all__ = ["dock", "press", "run", "stack"]  # fixtures


def test_a_height_map_that_was_cut_is_not_followed(
    viewer: Viewer, dock: FocusStackWidget, run: Callable[..., None], stack: np.ndarray
) -> None:
    viewer.add_image(stack, name="stack")
    run()
    viewer.layers[-1].data = viewer.layers[-1].data[:-8]
    viewer.add_image(stack, name="red")
    run(dock.follow)
    assert "has changed its size" in dock.status.text()


def test_the_preview_shows_the_view_and_gives_way_to_the_whole(
    viewer: Viewer,
    dock: FocusStackWidget,
    run: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer.add_image(two_halves(texture(200)), name="stack", scale=(1, 2, 2))
    monkeypatch.setattr(
        "napari_mdeblurgan.widgets.focus_stack.stack_preview.STACK_PREVIEW_PIXELS", 140**2
    )
    run(dock.preview)
    assert names(viewer) == ["stack", "stack [focus preview]"]
    preview = viewer.layers[1]
    assert preview.data.shape == (140, 140)
    assert tuple(preview.translate) == (60, 60)
    assert "zoom in to preview all of it" in dock.status.text()
    run()
    assert names(viewer)[:2] == ["stack", "stack [all in focus]"]
    assert len(viewer.layers) == 4


def test_it_goes_on_in_deblur_with_what_is_chosen_there(
    viewer: Viewer,
    dock: FocusStackWidget,
    run: Callable[..., None],
    press: Callable[..., None],
    qtbot: QtBot,
) -> None:
    viewer.window._qt_window.show()
    viewer.add_image(two_halves(texture(80)), name="stack", **PLACE)
    press(dock.onward)
    run()
    deblur = next(
        each for each in viewer.window.dock_widgets.values() if isinstance(each, DeblurWidget)
    )
    assert deblur.running
    assert deblur.image is viewer.layers["stack [all in focus]"]
    qtbot.waitUntil(lambda: not deblur.running, timeout=120_000)
    sharp = viewer.layers["stack [all in focus] [sharp ×2]"]
    assert sharp.data.shape == (160, 160)
    assert tuple(sharp.scale) == (0.25, 0.125)
    show_map(deblur, "error")
    assert "stack [all in focus] [error bar, grey levels]" in names(viewer)
    assert deblur.image is viewer.layers["stack [all in focus]"]
    assert deblur.controls.compare.enabled
    assert "Deblur + SR goes on with it." in dock.status.text()
    assert not deblur.native.visibleRegion().isEmpty()


def test_an_image_in_focus_may_be_restored_and_learned_from_unless_its_stack_was_restored(
    viewer: Viewer, dock: FocusStackWidget, run: Callable[..., None], stack: np.ndarray
) -> None:
    viewer.add_image(stack, name="stack")
    run()
    _, image, confidence, height = viewer.layers
    assert not is_result_layer(image)
    assert not is_map(image)
    assert is_map(confidence)
    assert is_map(height)
    viewer.layers.clear()
    viewer.add_image(
        stack, name="restored", metadata={"mdeblurgan": {"model": "gray-x2", "scale": 2}}
    )
    run()
    assert is_result_layer(viewer.layers[1])


def test_what_was_ticked_is_ticked_the_next_time(
    viewer: Viewer, dock: FocusStackWidget, press: Callable[..., None]
) -> None:
    dock.register.setChecked(True)
    for box in (dock.register, dock.ordered, dock.onward):
        press(box)
    again = FocusStackWidget(viewer)
    viewer.window.add_dock_widget(again)
    assert [box.isChecked() for box in (again.register, again.ordered, again.onward)] == [
        False,
        False,
        True,
    ]


def test_the_chosen_stack_stays_chosen_when_layers_come_and_the_selected_one_is_taken(
    viewer: Viewer, dock: FocusStackWidget, stack: np.ndarray
) -> None:
    first, second = (viewer.add_image(stack, name=name) for name in ("first", "second"))
    assert dock.layers == (second,)
    viewer.layers.selection = {first}
    assert dock.layers == (first,)
    dock.stack.setCurrentIndex(1)
    viewer.layers.insert(0, type(first)(stack[0], name="plane"))
    viewer.layers.selection = {first}
    second.name = "renamed"
    assert dock.layers[0].name in ("first", "renamed")
    dock.stack.setCurrentIndex(dock.stack.findText("renamed"))
    first.name = "also renamed"
    assert dock.layers == (second,)


def test_what_was_said_of_a_stack_goes_when_another_one_is_chosen(
    viewer: Viewer, dock: FocusStackWidget, run: Callable[..., None], stack: np.ndarray
) -> None:
    first = viewer.add_image(stack, name="first", **PLACE)
    run()
    assert "'first [all in focus]' was made in" in dock.status.text()
    viewer.add_image(stack, name="second", **PLACE)
    assert dock.stack.currentText() == "second"
    assert dock.status.text() == ""
    viewer.layers.remove(first)
    assert dock.status.text() == ""


def test_a_step_follows_its_layer(
    viewer: Viewer, dock: FocusStackWidget, stack: np.ndarray
) -> None:
    layer = viewer.add_image(stack, name="stack")
    layer.units, layer.scale = ("nm",) * 3, (700, 100, 100)
    assert dock.step.text() == "0.700 µm"
    layer.axis_labels = ("t", "y", "x")
    assert dock.axis.currentText() == "Choose an axis"


def test_a_result_larger_than_the_memory_is_refused(
    viewer: Viewer,
    dock: FocusStackWidget,
    run: Callable[..., None],
    stack: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=100_000))
    monkeypatch.setattr("napari_mdeblurgan.widgets.focus_stack.stack_job.psutil", memory)
    viewer.add_image(stack, name="stack")
    run()
    said = dock.status.text().replace("\N{NO-BREAK SPACE}", " ")
    assert "'stack' needs 147 kB of memory, and 100 kB are free" in said
    assert names(viewer) == ["stack"]


def test_how_long_a_stack_takes_is_said_before_the_button_is_pressed(
    viewer: Viewer,
    dock: FocusStackWidget,
    stack: np.ndarray,
    press: Callable[[QAbstractButton], None],
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Runner, "elapsed", property(lambda _: 20.0))
    assert dock.time.text() == ""
    viewer.add_image(stack, name="stack", **PLACE)
    assert dock.time.text() == wording.TIME_UNKNOWN
    press(dock.run)
    assert dock.time.text() == ""
    qtbot.waitUntil(lambda: not dock.running, timeout=120_000)
    viewer.layers.selection.active = viewer.layers["stack"]
    assert dock.time.text() == "About 20 s on the CPU."
    viewer.add_image(np.tile(stack, (1, 2, 1)), name="larger", **PLACE)
    assert dock.time.text() == "About 40 s on the CPU."
    press(dock.register)
    assert dock.time.text() == wording.TIME_UNKNOWN
