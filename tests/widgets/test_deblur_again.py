"""The dock Deblur + SR, opened again: what it remembers and knows of, and what nobody needs."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.runs.job import Job
from napari_mdeblurgan.widgets.shared.choices import Choices, write_choices

if TYPE_CHECKING:
    from napari import Viewer

    Noise = Callable[..., np.ndarray]


# ---- what is remembered


def test_last_choices_come_back_the_next_time(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, choices_folder: Path
) -> None:
    viewer.add_image(noise())
    widget.controls.model.value = "tiny-grey-2"
    assert "tiny-grey-2" in (choices_folder / "choices.json").read_text()
    assert DeblurWidget(viewer).controls.model.value == "tiny-grey-2"


def test_last_model_is_offered_even_where_the_first_in_the_list_would_fit(
    viewer: Viewer, noise: Noise
) -> None:
    write_choices(Choices(grey_model="tiny-grey-2"))
    widget = DeblurWidget(viewer)
    viewer.add_image(noise())
    widget.reset_choices()
    assert widget.controls.model.value == "tiny-grey-2"


# ---- what another widget has made, and what nobody needs any more


def test_a_reopened_widget_knows_the_results_and_previews_that_are_there(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Callable[[], None],
    wait_for_end: Callable[[], None],
) -> None:
    source = viewer.add_image(noise(), name="nuclei")
    run()
    widget.controls.preview.native.click()
    wait_for_end()
    viewer.window.remove_dock_widget(widget.native)
    again = DeblurWidget(viewer)
    viewer.window.add_dock_widget(again)
    assert "nuclei [preview]" not in again.controls.image.choices
    assert [layer.name for layer in again.controls.image.choices] == ["nuclei", "nuclei [sharp ×2]"]
    viewer.layers.selection.active = source
    assert again.controls.compare.enabled
    again.compare()
    assert not viewer.layers["nuclei [sharp ×2]"].visible


def test_a_reopened_widget_knows_of_which_image_a_result_is_whatever_that_is_called_by_now(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    source = viewer.add_image(noise(), name="nuclei")
    run()
    source.name = "monday"
    other = viewer.add_image(noise(20, 20), name="nuclei")
    viewer.window.remove_dock_widget(widget.native)
    for _ in range(2):
        again = DeblurWidget(viewer)
        dock = viewer.window.add_dock_widget(again)
        viewer.layers.selection.active = other
        assert again.image is other
        assert not again.controls.compare.enabled
        viewer.layers.selection.active = source
        assert again.controls.compare.enabled
        viewer.window.remove_dock_widget(dock)


def test_an_image_is_not_kept_after_its_layers_are_gone(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    viewer.add_image(noise().view(np.memmap), name="nuclei")  # of a type that nothing else is of
    run()
    viewer.layers.clear()
    gc.collect()
    jobs = [each for each in gc.get_objects() if type(each) is Job]
    assert not any(type(job.data) is np.memmap for job in jobs)


def test_result_is_not_selected_where_nothing_was(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    source = viewer.add_image(noise(), name="nuclei")
    viewer.layers.selection.clear()
    run()
    assert not viewer.layers.selection
    assert widget.image is source
