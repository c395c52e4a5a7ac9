"""The dock Focus stack, by clicks: what it offers, what it makes, what it says,
and how it is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_mdeblurgan.focus import FocusChoice, all_in_focus, followed
from napari_mdeblurgan.widgets.focus_stack import FocusStackWidget
from tests.focus.test_stack import LEFT, PLANES, RIGHT, inner, texture
from tests.widgets.focus_stack_dock import EDGE, PLACE, dock, names, press, run, stack

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

__all__ = ["dock", "press", "run", "stack"]  # fixtures

NAMES = ["stack", "stack [all in focus]", "stack [confidence]", "stack [height, µm]"]


def test_the_image_lies_on_the_stack_and_looks_like_it_and_the_maps_are_hidden(
    viewer: Viewer, dock: FocusStackWidget, run: Callable[..., None], stack: np.ndarray
) -> None:
    source = viewer.add_image(
        stack, name="stack", colormap="magma", contrast_limits=(10, 200), gamma=0.8, **PLACE
    )
    assert dock.step.text() == "2.000 µm"
    run()
    assert names(viewer) == NAMES
    image, confidence, height = viewer.layers[1:]
    np.testing.assert_array_equal(image.data, all_in_focus(stack, registered=True).image)
    for layer in (image, confidence, height):
        assert tuple(layer.scale) == (0.5, 0.25)
        assert tuple(layer.translate) == (3, -4)
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 2
        assert layer.axis_labels == ("y", "x")
    assert (image.colormap.name, tuple(image.contrast_limits), image.gamma) == (
        "magma",
        (10, 200),
        0.8,
    )
    assert [layer.visible for layer in viewer.layers] == [True, True, False, False]
    for layer in (confidence, height):
        assert layer.colorbar.visible
        assert layer.name_overlay.visible  # the name has the unit
        assert layer.colorbar.position == layer.name_overlay.position  # one below the other
    left, right = inner(height.data)
    assert [np.median(left), np.median(right)] == pytest.approx([2 * LEFT, 2 * RIGHT], abs=0.4)
    low, high = height.contrast_limits
    assert 0 <= low < 2 * LEFT < 2 * RIGHT < high <= 2 * (PLANES - 1)
    assert viewer.layers.selection == {source}
    assert "was made in" in dock.status.text()


def test_heights_are_in_planes_where_the_step_is_not_known(
    viewer: Viewer, dock: FocusStackWidget, run: Callable[..., None], stack: np.ndarray
) -> None:
    viewer.add_image(stack, name="stack", scale=(3, 1, 1))
    assert dock.step.text() == "unknown"
    run()
    assert names(viewer)[-1] == "stack [height, planes]"
    assert np.median(inner(viewer.layers[-1].data)[1]) == pytest.approx(RIGHT, abs=0.2)


def test_a_step_that_is_typed_makes_micrometres(
    viewer: Viewer,
    dock: FocusStackWidget,
    run: Callable[..., None],
    stack: np.ndarray,
    qtbot: QtBot,
) -> None:
    viewer.add_image(stack, name="stack")
    dock.step.selectAll()
    qtbot.keyClicks(dock.step, "0.5")
    qtbot.keyClick(dock.step, Qt.Key.Key_Return)
    run()
    assert names(viewer) == NAMES
    assert np.median(inner(viewer.layers[-1].data)[1]) == pytest.approx(0.5 * RIGHT, abs=0.1)


def test_a_stack_behind_another_axis_is_seen_at_every_depth(
    viewer: Viewer, dock: FocusStackWidget, run: Callable[..., None], stack: np.ndarray
) -> None:
    both = np.stack([stack, stack[::-1]])
    place = {
        name: (1.0 if name != "axis_labels" else "t", *value)
        for name, value in PLACE.items()
        if name != "units"
    }
    source = viewer.add_image(both, name="stack", **place)
    assert dock.axis.currentText() == f"z ({PLANES} planes)"
    run()
    image, _, height = viewer.layers[1:]
    assert image.data.shape == height.data.shape == (2, 1, EDGE, EDGE)
    np.testing.assert_allclose(image._extent_augmented.world, source._extent_augmented.world)
    np.testing.assert_array_equal(image.data[0, 0], all_in_focus(stack, registered=True).image)
    for step in range(PLANES):
        viewer.dims.set_current_step(1, step)
        assert viewer.dims.point[1] == 10 + 2 * step
        assert not image._slice.empty
        assert image._slice.image.raw.max() > 0
    assert np.median(inner(height.data[1, 0])[0]) == pytest.approx(PLANES - 1 - LEFT, abs=0.2)


def test_the_chosen_channel_decides(
    viewer: Viewer, dock: FocusStackWidget, run: Callable[..., None], stack: np.ndarray
) -> None:
    dull = np.random.default_rng(0).integers(90, 110, stack.shape).astype(np.uint8)
    viewer.add_image(
        np.stack([dull, stack]), name="stack", axis_labels=("c", "z", "y", "x"), channel_axis=None
    )
    assert [dock.channel.itemText(at) for at in range(3)] == [
        "Most detail",
        "Channel 0",
        "Channel 1",
    ]
    run()
    assert "Channel 1 has most detail and decided." in dock.status.text()
    image, height = viewer.layers[1], viewer.layers[3]
    assert (image.data.shape, height.data.shape) == ((2, 1, EDGE, EDGE), (EDGE, EDGE))
    found = all_in_focus(stack, registered=True)
    np.testing.assert_array_equal(image.data[1, 0], found.image)
    np.testing.assert_array_equal(image.data[0, 0], followed(found, dull))
    dock.channel.setCurrentIndex(1)
    run()
    other = all_in_focus(dull, registered=True)
    newest = viewer.layers["stack [all in focus] [1]"]
    np.testing.assert_array_equal(newest.data[0, 0], other.image)


def test_single_planes_that_are_selected_are_a_stack(
    viewer: Viewer, dock: FocusStackWidget, run: Callable[..., None], stack: np.ndarray
) -> None:
    colours = np.stack([stack, stack // 2, 255 - stack], axis=-1)
    for number, plane in enumerate(colours):
        viewer.add_image(plane, name=f"he_{number:02}", rgb=True, scale=(0.5, 0.5))
    viewer.layers.select_all()
    assert dock.stack.currentText() == f"The {PLANES} selected layers"
    assert dock.axis.isHidden()
    run()
    image = viewer.layers[PLANES]
    assert image.name == "he [all in focus]"
    assert image.rgb
    assert tuple(image.scale) == (0.5, 0.5)
    np.testing.assert_array_equal(image.data, all_in_focus(colours, registered=True).image)


def test_a_pyramid_of_dask_is_taken_at_its_finest_level_and_other_orders_of_axes_are_kept(
    viewer: Viewer, dock: FocusStackWidget, run: Callable[..., None], stack: np.ndarray
) -> None:
    turned = da.from_array(stack, chunks=(1, 64, 64)).transpose(2, 1, 0)  # x, y, z
    viewer.add_image(
        [turned, turned[::2, ::2]], multiscale=True, name="stack", axis_labels=("x", "y", "z")
    )
    run()
    image = viewer.layers[1]
    assert image.data.shape == (EDGE, EDGE, 1)
    np.testing.assert_array_equal(image.data[..., 0].T, all_in_focus(stack, registered=True).image)


@pytest.mark.parametrize(
    ("shape", "labels", "told"),
    [
        (None, None, "Open a focus stack first"),
        ((80, 80), ("y", "x"), "is a single plane; a focus stack has at least two"),
        ((1, 80, 80), ("z", "y", "x"), "Along z 'stack' has a single plane"),
        ((5, 80, 80), ("t", "y", "x"), "not for focus but for time"),
    ],
)
def test_what_is_no_focus_stack_is_told_before_anything_is_begun(
    viewer: Viewer, dock: FocusStackWidget, shape: tuple[int, ...] | None, labels: Any, told: str
) -> None:
    if shape:
        viewer.add_image(np.zeros(shape, np.uint8), name="stack", axis_labels=labels)
    assert told in dock.status.text()
    assert not dock.run.isEnabled()
    assert not dock.preview.isEnabled()


def test_an_axis_of_another_name_is_taken_when_it_is_chosen(
    viewer: Viewer, dock: FocusStackWidget, run: Callable[..., None], stack: np.ndarray
) -> None:
    viewer.add_image(stack, name="stack", axis_labels=("t", "y", "x"))
    assert dock.axis.currentText() == "Choose an axis"
    dock.axis.setCurrentIndex(1)
    run()
    assert names(viewer)[1] == NAMES[1]


def test_what_cannot_be_put_together_is_told_in_a_sentence(
    viewer: Viewer, dock: FocusStackWidget, run: Callable[..., None], press: Callable[..., None]
) -> None:
    viewer.add_image(np.full((3, 80, 80), 7, np.uint8), name="flat")
    run()
    assert (
        dock.status.text()
        == "No plane of this stack shows anything; check that it was read rightly."
    )
    viewer.add_image(np.stack([texture(EDGE, seed) for seed in range(2)]), name="two places")
    press(dock.register)
    run()
    assert "cannot be registered" in dock.status.text()
    assert names(viewer) == ["flat", "two places"]


def test_cancel_lets_go_at_once_and_adds_nothing(
    viewer: Viewer,
    dock: FocusStackWidget,
    run: Callable[..., None],
    press: Callable[..., None],
    qtbot: QtBot,
) -> None:
    big = np.random.default_rng(0).integers(0, 255, (12, 400, 400)).astype(np.uint8)
    viewer.add_image(big, name="big")
    press(dock.run)
    qtbot.waitUntil(lambda: "%" in dock.bar.format(), timeout=60_000)
    worker = dock._runner._worker
    began = time.monotonic()
    press(dock.cancel)
    assert not dock.running
    assert time.monotonic() - began < 2
    assert dock.status.text() == "Cancelled; nothing was added."
    qtbot.waitUntil(lambda: not worker.is_running)
    assert names(viewer) == ["big"]
    assert dock.run.isEnabled()


def test_a_layer_may_be_deleted_while_it_is_worked_on(
    viewer: Viewer,
    dock: FocusStackWidget,
    press: Callable[..., None],
    qtbot: QtBot,
    stack: np.ndarray,
) -> None:
    viewer.add_image(stack, name="stack")
    press(dock.run)
    viewer.layers.remove("stack")
    qtbot.waitUntil(lambda: not dock.running, timeout=120_000)
    assert names(viewer) == ["stack [all in focus]", "stack [confidence]", "stack [height, planes]"]


def test_the_image_looks_as_its_stack_does_when_it_comes(
    viewer: Viewer,
    dock: FocusStackWidget,
    press: Callable[..., None],
    qtbot: QtBot,
    stack: np.ndarray,
) -> None:
    layer = viewer.add_image(stack, name="stack")
    press(dock.run)
    layer.contrast_limits, layer.colormap = (20, 90), "magma"
    qtbot.waitUntil(lambda: not dock.running, timeout=120_000)
    made = viewer.layers["stack [all in focus]"]
    assert (tuple(made.contrast_limits), made.colormap.name) == ((20, 90), "magma")
    assert viewer.layers["stack [confidence]"].colormap.name != "magma"


def test_the_image_of_several_layers_has_the_contrast_that_all_of_them_have_by_then(
    viewer: Viewer,
    dock: FocusStackWidget,
    press: Callable[..., None],
    qtbot: QtBot,
    stack: np.ndarray,
) -> None:
    planes = [viewer.add_image(plane, name=f"plane {at}") for at, plane in enumerate(stack)]
    viewer.layers.selection = set(viewer.layers)
    press(dock.run)
    for at, layer in enumerate(planes):
        layer.contrast_limits, layer.gamma = (20 + at, 90 + at), 0.5
    qtbot.waitUntil(lambda: not dock.running, timeout=120_000)
    made = next(layer for layer in viewer.layers if "all in focus" in layer.name)
    assert (tuple(made.contrast_limits), made.gamma) == ((20, 89 + len(planes)), 0.5)


def test_the_image_of_several_layers_has_their_contrast_where_one_is_gone_by_then(
    viewer: Viewer,
    dock: FocusStackWidget,
    press: Callable[..., None],
    qtbot: QtBot,
    stack: np.ndarray,
) -> None:
    for at, plane in enumerate(stack):
        viewer.add_image(plane, name=f"plane {at}", contrast_limits=(10 + at, 50 + 40 * at))
    gone = viewer.layers[-1]
    viewer.layers.selection = set(viewer.layers)
    press(dock.run)
    viewer.layers.remove(gone)
    qtbot.waitUntil(lambda: not dock.running, timeout=120_000)
    made = next(layer for layer in viewer.layers if "all in focus" in layer.name)
    assert tuple(made.contrast_limits) == (10, 10 + 40 * len(stack))


def test_the_last_layer_that_is_left_of_a_stack_of_several_does_not_lend_its_look(
    viewer: Viewer,
    dock: FocusStackWidget,
    press: Callable[..., None],
    qtbot: QtBot,
    stack: np.ndarray,
) -> None:
    for number, plane in enumerate(stack):
        viewer.add_image(plane, name=f"plane {number}", colormap="gray" if number else "red")
    viewer.layers.selection = set(viewer.layers)
    press(dock.run)
    for layer in list(viewer.layers)[1:]:
        viewer.layers.remove(layer)
    qtbot.waitUntil(lambda: not dock.running, timeout=120_000)
    made = next(layer for layer in viewer.layers if "all in focus" in layer.name)
    assert made.colormap.name == "gray"


def test_a_dock_may_be_closed_while_it_works(
    viewer: Viewer,
    dock: FocusStackWidget,
    press: Callable[..., None],
    qtbot: QtBot,
    stack: np.ndarray,
) -> None:
    viewer.add_image(stack, name="stack")
    press(dock.run)
    worker = dock._runner._worker
    viewer.window.remove_dock_widget(dock)
    assert not dock.running
    qtbot.waitUntil(lambda: not worker.is_running, timeout=60_000)
    viewer.add_image(stack, name="another")
    assert names(viewer) == ["stack", "another"]


def test_other_layers_follow_the_choice(
    viewer: Viewer, dock: FocusStackWidget, run: Callable[..., None], stack: np.ndarray
) -> None:
    viewer.add_image(stack, name="stack", **PLACE)
    run()
    assert dock.following.isHidden()
    viewer.add_image(255 - stack, name="red", colormap="red", **PLACE)
    viewer.add_image(stack[:-1], name="shorter", **PLACE)
    assert not dock.following.isHidden()
    assert [dock.follower.itemText(at) for at in range(dock.follower.count())] == ["red"]
    viewer.add_image(stack // 2, name="green", **PLACE)
    assert dock.follower.itemText(2) == "All 2 that fit"
    dock.follower.setCurrentIndex(2)
    run(dock.follow)
    found = all_in_focus(stack, registered=True)
    choice = FocusChoice(found.height, found.transforms, found.reference, found.order, found.depth)
    for name, other in (("red", 255 - stack), ("green", stack // 2)):
        image = viewer.layers[f"{name} [all in focus]"]
        assert np.abs(image.data.astype(int) - followed(choice, other)).max() <= 1
        assert tuple(image.scale) == (0.5, 0.25)
        assert viewer.layers.index(image) == viewer.layers.index(name) + 1
    assert viewer.layers["red [all in focus]"].colormap.name == "red"
    assert "'green [all in focus]' was made" in dock.status.text()
