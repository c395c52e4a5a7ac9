"""The dock widget as a user meets it, in a real viewer on a virtual screen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]

GREY, COLOUR = "tiny-grey", "tiny-colour"


# ---- what is offered and followed


def test_says_what_to_do_without_any_layer(widget: DeblurWidget) -> None:
    assert widget.controls.status.value.startswith("Open an image first")
    assert not widget.controls.run.enabled
    assert not widget.controls.preview.enabled


@pytest.mark.parametrize("kind", ["labels", "shapes", "points"])
def test_active_layer_of_another_kind_is_named(
    viewer: Viewer, widget: DeblurWidget, kind: str
) -> None:
    if kind == "labels":
        viewer.add_labels(np.zeros((8, 8), int), name="cells")
    else:
        getattr(viewer, f"add_{kind}")(name="cells")
    assert widget.image is None
    assert f"'cells' is a {kind.capitalize()} layer" in widget.controls.status.value
    assert not widget.controls.run.enabled


def test_message_goes_when_an_image_comes(
    viewer: Viewer, widget: DeblurWidget, noise: Noise
) -> None:
    viewer.add_labels(np.zeros((8, 8), int))
    viewer.add_image(noise())
    assert widget.controls.status.value == ""
    assert widget.controls.run.enabled


def test_follows_the_active_image_layer(viewer: Viewer, widget: DeblurWidget, noise: Noise) -> None:
    first, second = viewer.add_image(noise()), viewer.add_image(noise())
    labels = viewer.add_labels(np.zeros((8, 8), int))
    assert widget.image is second
    viewer.layers.selection.active = first
    assert widget.image is first
    viewer.layers.selection.active = labels
    assert widget.image is first


def test_keeps_its_image_when_another_layer_is_renamed_or_removed(
    viewer: Viewer, widget: DeblurWidget, noise: Noise
) -> None:
    first, second = viewer.add_image(noise()), viewer.add_image(noise())
    viewer.layers.selection.active = first
    first.name = "renamed"
    assert widget.image is first
    assert widget.controls.image.current_choice == "renamed"
    viewer.layers.remove(second)
    assert widget.image is first
    viewer.layers.remove(first)
    assert widget.image is None


@pytest.mark.parametrize("renamed", [0, 1])
def test_keeps_its_image_when_that_is_given_the_name_of_another(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, renamed: int
) -> None:
    viewer.add_image(noise(), name="a")
    viewer.add_image(noise(), name="b")
    layer, other = viewer.layers[renamed], viewer.layers[1 - renamed]
    viewer.layers.selection.active = layer
    layer.name = other.name
    assert layer.name == f"{other.name} [1]"
    assert widget.image is layer
    assert widget.controls.image.current_choice == layer.name
    assert len(widget.controls.image.choices) == 2


def test_nothing_is_chosen_anew_when_its_image_is_renamed(
    viewer: Viewer, widget: DeblurWidget, noise: Noise
) -> None:
    viewer.add_image(noise(3, 20, 24))
    stack = viewer.add_image(noise(5, 20, 24), name="stack")
    widget.slices.ranges[0].value = (1, 2)
    stack.name = "renamed"
    assert widget.image is stack
    assert widget.slices.ranges[0].value == (1, 2)


def test_model_is_picked_by_the_layer(viewer: Viewer, widget: DeblurWidget, noise: Noise) -> None:
    grey = viewer.add_image(noise())
    assert widget.controls.model.value == GREY
    viewer.add_image(noise(16, 16, 3), rgb=True)
    assert widget.controls.model.value == COLOUR
    viewer.layers.selection.active = grey
    assert widget.controls.model.value == GREY
    assert widget.controls.about.value == "A tiny network of random weights."


def offered(widget: DeblurWidget) -> list[str]:
    """What is read in the list of the drop-down **Model**."""
    box = widget.controls.model.native
    return [box.itemText(number) for number in range(box.count())]


def test_models_for_the_other_kind_are_not_offered_and_each_kind_keeps_its_own_choice(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, qtbot: QtBot
) -> None:
    assert set(offered(widget)) >= {GREY, COLOUR, "gray-x2", "rgb-x2"}  # no image yet
    grey = viewer.add_image(noise(), name="nuclei")
    assert set(offered(widget)) >= {GREY, "tiny-grey-2", "gray-x2", "gray-x4"}
    assert not {COLOUR, "rgb-x2", "rgb-x4"} & set(offered(widget))
    choose_with_keys(widget, "tiny-grey-2", qtbot)
    colour = viewer.add_image(noise(16, 16, 3), rgb=True)
    assert set(offered(widget)) >= {COLOUR, "rgb-x2", "rgb-x4"}
    assert not {GREY, "tiny-grey-2", "gray-x2"} & set(offered(widget))
    choose_with_keys(widget, "rgb-x2", qtbot)
    for image, name in ((grey, "tiny-grey-2"), (colour, "rgb-x2")):
        viewer.layers.selection.active = image
        assert widget.controls.model.value == name
    again = DeblurWidget(viewer)
    assert again.controls.model.value == "rgb-x2"
    assert offered(again) == offered(widget)
    channels = viewer.add_image(noise(3, 16, 16), rgb=False)
    assert widget.image is channels
    assert widget.controls.model.value == "tiny-grey-2"


def choose_with_keys(widget: DeblurWidget, name: str, qtbot: QtBot) -> None:
    """Go to an entry of the drop-down **Model** by the arrow keys."""
    box = widget.controls.model.native
    way = offered(widget).index(name) - box.currentIndex()
    for _ in range(abs(way)):
        qtbot.keyClick(box, Qt.Key.Key_Down if way > 0 else Qt.Key.Key_Up)
    assert widget.controls.model.value == name


def test_where_no_model_is_for_the_kind_of_an_image_none_is_offered(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey_only = [card for card in widget._models.cards if card.channels == 1]
    monkeypatch.setattr(
        "napari_mdeblurgan.widgets.deblur.model_choice.list_models", lambda: grey_only
    )
    widget.offer_models()
    grey = viewer.add_image(noise(), name="nuclei")
    viewer.add_image(noise(16, 16, 3), rgb=True)
    assert offered(widget) == []
    assert "There is no model for colour images" in widget.controls.status.value
    assert not widget.controls.run.enabled
    viewer.layers.selection.active = grey
    assert widget.controls.model.value == GREY
    assert widget.controls.run.enabled


def test_a_new_model_for_the_other_kind_waits_for_an_image_of_its_kind(
    viewer: Viewer, widget: DeblurWidget, noise: Noise
) -> None:
    viewer.add_image(noise(16, 16, 3), rgb=True)
    widget.offer_models("tiny-grey-2")
    assert widget.controls.model.value == COLOUR
    viewer.add_image(noise())
    assert widget.controls.model.value == "tiny-grey-2"


def test_each_entry_tells_what_its_model_is_for(
    viewer: Viewer, widget: DeblurWidget, noise: Noise
) -> None:
    viewer.add_image(noise())
    box = widget.controls.model.native
    said = {
        box.itemText(n): box.itemData(n, Qt.ItemDataRole.ToolTipRole) for n in range(box.count())
    }
    assert said[GREY] == "A tiny network of random weights."
    assert "grey" in said["gray-x2"].lower()
    assert box.view().minimumWidth() >= box.view().sizeHintForColumn(0)


def test_slice_box_is_offered_for_stacks_alone(
    viewer: Viewer, widget: DeblurWidget, noise: Noise
) -> None:
    viewer.add_image(noise())
    assert widget.controls.this_slice.native.isHidden()
    viewer.add_image(noise(3, 40, 48))
    assert not widget.controls.this_slice.native.isHidden()


def test_devices_are_found_once_the_widget_is_seen(
    viewer: Viewer, widget: DeblurWidget, qtbot: QtBot
) -> None:
    assert widget.controls.device.choices == ("auto",)
    viewer.window._qt_window.show()
    qtbot.waitUntil(lambda: len(widget.controls.device.choices) > 1, timeout=60_000)
    assert "cpu" in widget.controls.device.choices
    assert widget.controls.device.value == "auto"
    words = widget.controls.device.native.itemText(0)
    assert words in ("Automatic (CPU)", "Automatic (Apple GPU)") or "cuda" in words


def test_opening_the_widget_does_not_import_torch() -> None:
    code = (
        "import sys, napari_mdeblurgan.widgets.deblur.widget as w; w.ModelChoice(w.Remembered()); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


def test_every_control_has_a_tooltip(widget: DeblurWidget) -> None:
    controls = widget.controls
    shown = [
        controls.image,
        controls.model,
        controls.device,
        controls.this_slice,
        controls.preview,
        controls.run,
    ]
    assert all(
        control.tooltip
        for control in [*shown, controls.progress, controls.cancel, controls.compare]
    )


def test_whole_name_of_the_image_is_in_the_tooltip(
    viewer: Viewer, widget: DeblurWidget, noise: Noise
) -> None:
    layer = viewer.add_image(
        noise(), name="2024-03-17 kidney, section 12, DAPI, 40x, second try, flat-fielded"
    )
    assert widget.controls.image.tooltip.startswith(f"{layer.name}\n")
    layer.name = "another name that is too long for the drop-down, by far"
    assert widget.controls.image.tooltip.startswith(f"{layer.name}\n")
    assert widget.controls.image.native.toolTip() == widget.controls.image.tooltip
    viewer.layers.clear()
    assert widget.controls.image.tooltip.startswith("The image layer to sharpen.")


# ---- the whole way


def test_result_is_what_the_engine_makes(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    image = noise()
    source = viewer.add_image(image, name="nuclei")
    run()
    assert [layer.name for layer in viewer.layers] == ["nuclei", "nuclei [sharp ×2]"]
    result = viewer.layers[1]
    assert result.data.dtype == np.uint8
    np.testing.assert_array_equal(result.data, restore(image, load_model(GREY)))
    assert source.visible
    assert widget.image is source
    assert "'nuclei [sharp ×2]' was made in" in widget.controls.status.value


def test_result_looks_like_its_source_and_lies_on_it(
    viewer: Viewer, noise: Noise, run: Callable[[], None]
) -> None:
    source = viewer.add_image(
        noise(dtype=np.uint16),
        colormap="green",
        contrast_limits=(10, 90),
        gamma=0.7,
        blending="additive",
        opacity=0.8,
        interpolation2d="linear",
        scale=(0.5, 0.25),
        translate=(3, 4),
        rotate=30,
        units="µm",
        axis_labels=("y", "x"),
    )
    run()
    result = viewer.layers[1]
    assert result.data.dtype == np.uint16
    assert result.colormap.name == "green"
    for name in (
        "contrast_limits",
        "contrast_limits_range",
        "gamma",
        "blending",
        "opacity",
        "interpolation2d",
        "units",
        "axis_labels",
        "rgb",
    ):
        assert getattr(result, name) == getattr(source, name), name
    for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):
        of_source, of_result = (np.array(corner) * n.data.shape - 0.5 for n in (source, result))
        np.testing.assert_allclose(result.data_to_world(of_result), source.data_to_world(of_source))


def test_colour_image_stays_colour(viewer: Viewer, noise: Noise, run: Callable[[], None]) -> None:
    viewer.add_image(noise(24, 24, 3) / 400, rgb=True)
    run()
    assert viewer.layers[1].rgb


def test_colour_image_stays_as_bright_as_it_is_shown(
    viewer: Viewer, noise: Noise, run: Callable[[], None]
) -> None:
    source = viewer.add_image(noise(24, 24, 3) / 400, rgb=True, contrast_limits=(0.1, 0.5))
    source.contrast_limits_range = 0, 2
    run()
    assert viewer.layers[1].contrast_limits == [0.1, 0.5]
    assert viewer.layers[1].contrast_limits_range == [0, 2]
    assert viewer.layers[1].data.shape == (48, 48, 3)


def test_metadata_tells_how_it_was_made(
    viewer: Viewer, noise: Noise, run: Callable[[], None]
) -> None:
    viewer.add_image(noise(), name="nuclei")
    run()
    made = viewer.layers[1].metadata["mdeblurgan"]
    assert made["model"] == GREY
    assert made["sha256"] == load_model(GREY).card.weights_sha256
    assert made["source"] == "nuclei"
    assert made["scale"] == 2
    assert {"version", "window", "device", "precision", "tile", "seconds", "date"} <= made.keys()


def test_running_twice_adds_a_second_layer_of_another_name(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    source = viewer.add_image(noise(), name="nuclei")
    run()
    run()
    assert len({layer.name for layer in viewer.layers}) == 3
    assert widget.image is source
    np.testing.assert_array_equal(viewer.layers[1].data, viewer.layers[2].data)


def test_stack_is_restored_whole_or_the_shown_plane_alone(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    source = viewer.add_image(noise(3, 24, 32), scale=(2, 1, 1), name="stack")
    viewer.dims.set_current_step(0, 1)
    run()
    whole = viewer.layers[1]
    assert whole.data.shape == (3, 48, 64)
    widget.controls.this_slice.value = True
    run()
    plane = viewer.layers[2]
    assert plane.data.shape == (1, 48, 64)
    np.testing.assert_array_equal(plane.data[0], whole.data[1])
    assert plane.data_to_world((0, 0, 0))[0] == source.data_to_world((1, 0, 0))[0]


@pytest.mark.parametrize("three_d", [True, False])
def test_slice_that_nobody_sees_is_refused_in_a_sentence(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Callable[[], None], three_d: bool
) -> None:
    viewer.add_image(noise(3, 24, 24), name="stack")
    widget.controls.this_slice.value = True
    if three_d:
        viewer.dims.ndisplay = 3
    else:
        viewer.dims.order = (1, 0, 2)
    widget.controls.run.native.click()
    assert not widget.running
    expected = "needs the 2-D view" if three_d else "needs y and x on the canvas"
    assert widget.controls.status.value.startswith(f"'This slice only' {expected}")
    widget.controls.this_slice.value = False
    run()
    assert viewer.layers[1].data.shape == (3, 48, 48)


def test_multiscale_source_is_restored_at_full_resolution(
    viewer: Viewer, noise: Noise, run: Callable[[], None]
) -> None:
    image = noise(64, 64)
    viewer.add_image([image, image[::2, ::2]], multiscale=True)
    run()
    assert viewer.layers[1].data.shape == (128, 128)
    assert not viewer.layers[1].multiscale


def test_lazy_source_is_restored_like_one_in_memory(
    viewer: Viewer, noise: Noise, run: Callable[[], None]
) -> None:
    image = noise(2, 40, 48)
    viewer.add_image(
        da.from_array(image, chunks=(1, 32, 32)), name="lazy", contrast_limits=(0, 255)
    )
    run()
    np.testing.assert_array_equal(viewer.layers[1].data, restore(image, load_model(GREY)))
    (window,) = viewer.layers[1].metadata["mdeblurgan"]["window"]
    assert 0 <= window[0] < window[1] <= 255


def test_result_that_fits_neither_in_memory_nor_on_the_disk_is_refused_before_work(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Callable[[], None],
    cache_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_mdeblurgan.widgets.runs.to_disk.DISK_SHARE", 0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    viewer.add_image(noise())
    run()
    assert len(viewer.layers) == 1
    assert "are free there; make room, choose another folder" in widget.controls.status.value
    assert not list(cache_folder.iterdir())
