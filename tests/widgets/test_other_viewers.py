"""A dock beside other viewers, and in an installation that lacks what it needs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from napari_mdeblurgan.widgets.deblur import DeblurWidget

if TYPE_CHECKING:
    from napari import Viewer

    Noise = Callable[..., np.ndarray]


def test_a_run_goes_on_when_another_viewer_that_was_used_since_is_closed(
    make_napari_viewer: Callable[..., Viewer], viewer: Viewer, widget: DeblurWidget, noise: Noise, run, monkeypatch
) -> None:
    viewer.add_image(noise())
    other = make_napari_viewer()
    monkeypatch.setattr("napari._qt.qthreading.current_viewer", lambda: other)
    closed: list[bool] = []

    def in_between(*words: object) -> None:
        if not closed:
            closed.append(other.window._task_status_manager.is_busy())
            other.window._task_status_manager.cancel_all()  # as napari does at closing

    widget._runner._on_step = in_between  # type: ignore[assignment]
    run()
    assert closed == [False]
    assert len(viewer.layers) == 2


def test_without_torch_the_dock_says_so(viewer: Viewer, widget: DeblurWidget, noise: Noise, run, monkeypatch) -> None:
    viewer.add_image(noise())
    monkeypatch.setitem(sys.modules, "torch", None)
    run()
    assert widget.controls.status.value == (
        "PyTorch, which the models run on, is not installed; install it with `pip install torch`, and start anew."
    )
    assert len(viewer.layers) == 1
