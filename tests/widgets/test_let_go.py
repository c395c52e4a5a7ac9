"""What is over is let go: work with the image that it was given, and docks that were closed."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
import pytest

from napari_mdeblurgan.widgets.shared.closing import InWords, worker_of

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    from napari_mdeblurgan.widgets.deblur import DeblurWidget

NAMES = ("Deblur + SR", "Batch", "Fine-tune", "Focus stack")


def is_gone(it: ref[Any]) -> bool:
    """Whether nothing holds it any more."""
    gc.collect()
    return it() is None


def test_work_that_has_ended_holds_neither_its_image_nor_who_waited_for_it(
    viewer: Viewer, qtbot: QtBot
) -> None:
    class Waiting:
        def hear(self, result: object) -> None:
            pass

    image, waiting = np.zeros((9, 9)), Waiting()
    work = InWords(lambda given: given.sum(), "a sum")
    worker = worker_of(viewer, work, image, _connect={"returned": waiting.hear})
    held = [ref(image), ref(waiting), ref(worker)]
    status = viewer.window._qt_window._window._task_status_manager
    assert status.get_status() == ["M-Deblurgan: Executing a sum"]
    with qtbot.waitSignal(worker.finished):
        worker.start()
    del image, waiting, worker
    qtbot.waitUntil(lambda: all(is_gone(each) for each in held))
    assert not status.is_busy()


@pytest.mark.parametrize("trusted", [False, True])
def test_an_image_whose_layers_were_removed_is_let_go(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Callable[..., np.ndarray],
    run: Callable[[], None],
    qtbot: QtBot,
    trusted: bool,
) -> None:
    image = noise()
    held = ref(image)
    viewer.add_image(image, name="noise")  # else napari looks for one among our variables
    widget.controls.trust.value = trusted
    run()
    result = ref(viewer.layers[1].data)
    viewer.layers.clear()
    del image
    qtbot.waitUntil(lambda: is_gone(held))
    assert is_gone(result)


@pytest.mark.parametrize("name", NAMES)
def test_a_dock_that_was_closed_is_let_go(viewer: Viewer, qtbot: QtBot, name: str) -> None:
    viewer.window._qt_window.show()
    viewer.add_image(np.random.default_rng(0).random((40, 50)))
    dock, widget = viewer.window.add_plugin_dock_widget("napari-mdeblurgan", name)
    held = ref(widget)
    qtbot.wait(500)  # it has looked for devices and for results by then
    dock.destroyOnClose()
    del dock, widget
    qtbot.waitUntil(lambda: is_gone(held))
