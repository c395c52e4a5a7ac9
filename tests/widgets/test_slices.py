"""Stacks and several layers: which slices are restored, over what the intensity windows are
measured, in which order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import pytest
from qtpy.QtWidgets import QAbstractSlider, QLabel

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.layers.axes import letters

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]


def windows(viewer: Viewer, layer: int) -> list[tuple[float, float]]:
    return viewer.layers[layer].metadata["mdeblurgan"]["window"]


@pytest.mark.parametrize("kind", ["memory", "dask", "disk"])
def test_range_of_slices_is_a_cut_out_of_the_whole_and_lies_where_it_was(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run, kind: str
) -> None:
    image = noise(6, 24, 32)
    data = da.from_array(image, chunks=(1, 24, 32)) if kind == "dask" else image
    widget.results.to_disk.value = kind == "disk"
    source = viewer.add_image(
        data, name="stack", scale=(3, 1, 1), contrast_limits=(0, 255), axis_labels=("z", "y", "x")
    )
    widget.slices.ranges[0].value = (2, 4)
    run()
    result = viewer.layers[1]
    assert result.data.shape == (3, 48, 64)
    level = result.data[0] if kind == "disk" else result.data
    np.testing.assert_allclose(
        np.asarray(level), restore(image, load_model("tiny-grey"))[2:5], atol=1
    )
    assert result.data_to_world((0, 0, 0))[0] == source.data_to_world((2, 0, 0))[0] == 6
    assert result.axis_labels == ("z", "y", "x")
    assert result.metadata["mdeblurgan"]["slices"] == [(2, 5)]


def test_the_tab_key_goes_through_the_rows_of_a_stack_from_top_to_bottom(
    viewer: Viewer, widget: DeblurWidget, noise: Noise
) -> None:
    for shape in ((4, 16, 24), (2, 3, 16, 24)):
        viewer.add_image(noise(*shape), name="stack")
        slices = widget.slices
        sliders = [row.native.findChild(QAbstractSlider) for row in slices.ranges.values()]
        wanted = [slices.axes.native, *sliders, slices.window.native, widget.controls.run.native]
        found, each = [], wanted[0]
        for _ in range(1000):
            found += [each] if each in wanted else []
            each = each.nextInFocusChain()
            if each is wanted[0]:
                break
        assert found == wanted


@pytest.mark.parametrize("labels", ["tzcyx", "cztyx", "ztcyx"])
def test_stack_of_five_axes_in_any_order_keeps_them(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run, labels: str
) -> None:
    image = noise(2, 3, 2, 16, 24)
    viewer.add_image(image, name="stack", scale=(1, 2, 3, 0.5, 0.5), axis_labels=tuple(labels))
    widget.results.to_disk.value = True
    run()
    result = viewer.layers[1]
    assert result.data.shape == (2, 3, 2, 32, 48)
    assert result.axis_labels == tuple(labels)
    assert tuple(result.scale) == (1, 2, 3, 0.25, 0.25)
    channel = labels.index("c")
    expected = restore(image, load_model("tiny-grey"), channel_axis=channel)
    np.testing.assert_allclose(np.asarray(result.data[0]), expected, atol=1)
    assert len(windows(viewer, 1)) == image.shape[channel]


def test_window_is_one_per_stack_by_default_per_channel_where_labels_tell_and_per_slice_on_request(
    viewer: Viewer, widget: DeblurWidget, run: Run
) -> None:
    image = np.random.default_rng(0).integers(0, 100, (2, 3, 16, 16)).astype(np.uint16)
    image[1] *= 40
    image[:, 2] *= 2
    viewer.add_image(image, name="plain")
    run()
    assert len(windows(viewer, 1)) == 1
    viewer.layers.clear()
    viewer.add_image(image, name="fluorescence", axis_labels=("c", "z", "y", "x"))
    run()
    dim, bright = windows(viewer, 1)
    assert dim[1] < 200 < 4000 < bright[1]
    widget.slices.window.value = "One per slice"
    run()
    assert len(windows(viewer, -1)) == 6
    expected = np.stack(
        [[restore(plane, load_model("tiny-grey")) for plane in stack] for stack in image]
    )
    np.testing.assert_array_equal(viewer.layers[-1].data, expected)


def test_range_of_channels_has_the_windows_of_those_channels(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run
) -> None:
    image = noise(3, 16, 16, dtype=np.uint16) * np.array([1, 10, 100], np.uint16)[:, None, None]
    viewer.add_image(image, name="channels", axis_labels=("channel", "y", "x"))
    run()
    whole = windows(viewer, 1)
    widget.slices.ranges[0].value = (1, 2)
    run()
    assert windows(viewer, -1) == whole[1:]


def test_controls_for_slices_are_shown_for_stacks_alone(
    viewer: Viewer, widget: DeblurWidget, noise: Noise
) -> None:
    viewer.add_image(noise(24, 24))
    assert widget.slices.widget.native.isHidden()
    viewer.add_image(noise(3, 1, 24, 24))
    assert not widget.slices.widget.native.isHidden()
    assert list(widget.slices.ranges) == [0]
    widget.controls.this_slice.value = True
    assert widget.slices._rows.native.isHidden()


def test_all_selected_layers_are_restored_one_after_another_each_by_a_model_that_fits(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run
) -> None:
    grey, colour = (
        viewer.add_image(noise(), name="grey"),
        viewer.add_image(noise(24, 24, 3), rgb=True, name="colour"),
    )
    viewer.add_labels(np.zeros((8, 8), int), name="cells")
    viewer.layers.selection = {grey, colour, viewer.layers["cells"]}
    assert widget.controls.run.text == "Deblur + SR (2 layers)"
    run()
    assert [layer.name for layer in viewer.layers] == [
        "grey",
        "grey [sharp ×2]",
        "colour",
        "colour [sharp ×2]",
        "cells",
    ]
    np.testing.assert_array_equal(
        viewer.layers[1].data, restore(grey.data, load_model("tiny-grey"))
    )
    np.testing.assert_array_equal(
        viewer.layers[3].data, restore(colour.data, load_model("tiny-colour"))
    )
    assert all(
        f"'{name} [sharp ×2]' was made" in widget.controls.status.value
        for name in ("grey", "colour")
    )


def test_one_bad_layer_among_several_is_named_and_the_others_are_done(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run
) -> None:
    bad = viewer.add_image(np.full((16, 16), np.nan), contrast_limits=(0, 1), name="bad")
    good = viewer.add_image(noise(), name="good")
    viewer.layers.selection = {bad, good}
    run()
    assert [layer.name for layer in viewer.layers] == ["bad", "good", "good [sharp ×2]"]
    assert "NaN" in widget.controls.status.value
    assert "'good [sharp ×2]' was made" in widget.controls.status.value


@pytest.mark.parametrize(
    ("labels", "rgb", "expected"),
    [
        (("-3", "-2", "-1"), False, "ZYX"),
        (("-4", "-3", "-2", "-1"), False, "TZYX"),
        (("Time", "channel", "y", "x"), False, "TCYX"),
        (("c", "q", "y", "x"), False, "CZYX"),
        (("z", "y", "x"), True, "ZYXS"),
        (("-2", "-1"), False, "YX"),
        (("z", "z", "y", "x"), False, "ZTYX"),
    ],
)
def test_letters_follow_the_labels(labels: tuple[str, ...], rgb: bool, expected: str) -> None:
    assert letters(labels, rgb) == expected


def test_more_axes_than_a_file_has_room_for_are_refused() -> None:
    with pytest.raises(ImageError, match="no room for the 6 axes"):
        letters(("a", "b", "c", "d", "y", "x"), False)


def test_the_words_before_the_choices_of_a_stack_are_not_cut_off(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, qtbot: QtBot
) -> None:
    viewer.window._qt_window.show()
    viewer.add_image(noise(2, 3, 16, 24), name="stack", axis_labels=("position", "z", "y", "x"))
    qtbot.wait(50)
    labels = [each for each in widget.slices.widget.native.findChildren(QLabel) if each.isVisible()]
    words = {each.text(): each for each in labels}
    assert {"position", "z", "Planes", "Intensity"} <= set(words)
    for text in ("position", "Planes", "Intensity"):
        assert words[text].width() >= words[text].sizeHint().width()
