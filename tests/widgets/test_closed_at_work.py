"""A dock that is closed while it is at work says what it stopped, what is kept, how to go on."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from napari_mdeblurgan.storage import Micrograph, write_image
from napari_mdeblurgan.widgets.fine_tune.starting import closed_while
from tests.widgets.batch_dock import batch
from tests.widgets.focus_stack_dock import dock, press, stack
from tests.widgets.scan_blocks import Blocks, begin, blocks, on_disk, small_tiles

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    from napari_mdeblurgan.widgets.batch.widget import BatchWidget
    from napari_mdeblurgan.widgets.deblur import DeblurWidget
    from napari_mdeblurgan.widgets.focus_stack import FocusStackWidget

    Noise = Callable[..., np.ndarray]

__all__ = ["batch", "blocks", "dock", "on_disk", "press", "small_tiles", "stack"]  # fixtures

AGAIN = "To go on, open it again (Plugins → M-Deblurgan) and"


@pytest.fixture
def told() -> Generator[list[str], None, None]:
    """The notifications."""
    found: list[str] = []
    keep = lambda each: found.append(each.message)  # noqa: E731
    notification_manager.notification_ready.connect(keep)
    yield found
    notification_manager.notification_ready.disconnect(keep)


def test_deblur_in_memory(
    viewer: Viewer, widget: DeblurWidget, gate: Any, noise: Noise, told: list[str], qtbot: QtBot
) -> None:
    viewer.add_image(noise(), name="nuclei")
    widget.controls.run.native.click()
    qtbot.waitUntil(lambda: gate.begun == 1)
    viewer.window.remove_dock_widget(widget.native)
    assert told == [
        "Deblur + SR was closed, which stopped the restoration of 'nuclei'; nothing of it is kept. "
        f"{AGAIN} press Deblur + SR."
    ]


def test_deblur_on_disk(
    viewer: Viewer,
    on_disk: DeblurWidget,
    noise: Noise,
    blocks: Blocks,
    told: list[str],
    qtbot: QtBot,
) -> None:
    viewer.add_image(noise(1000, 1000), name="scan")
    begin(qtbot, on_disk, blocks, done=2)
    viewer.window.remove_dock_widget(on_disk.native)
    assert told == [
        "Deblur + SR was closed, which stopped the restoration of 'scan'; what is done is kept on "
        f"disk. {AGAIN} press Resume."
    ]


def test_deblur_just_resumed(
    viewer: Viewer,
    on_disk: DeblurWidget,
    noise: Noise,
    blocks: Blocks,
    told: list[str],
    qtbot: QtBot,
) -> None:
    viewer.add_image(noise(1000, 1000), name="scan")
    begin(qtbot, on_disk, blocks, done=2)
    on_disk.controls.cancel.native.click()
    qtbot.waitUntil(lambda: not on_disk.running, timeout=60_000)
    on_disk.controls.run.native.click()
    viewer.window.remove_dock_widget(on_disk.native)
    assert told[-1] == (
        "Deblur + SR was closed, which stopped the restoration of 'scan'; what is done is kept on "
        f"disk. {AGAIN} press Resume."
    )


def test_batch(
    viewer: Viewer, batch: BatchWidget, gate: Any, tmp_path: Path, noise: Noise, told: list[str]
) -> None:
    write_image(tmp_path / "a.tif", Micrograph(noise(), "YX"))
    batch.add(str(tmp_path / "a.tif"))
    batch.controls.output.value = str(tmp_path / "out")
    batch.controls.run.native.click()
    viewer.window.remove_dock_widget(batch)
    assert told == [
        "Batch was closed, which stopped the restoration of many images; the results so far are "
        f"kept in {tmp_path / 'out'}. {AGAIN} start it with the same images."
    ]


def test_focus_stack(
    viewer: Viewer,
    dock: FocusStackWidget,
    press: Callable[..., None],
    stack: np.ndarray,
    told: list[str],
) -> None:
    viewer.add_image(stack, name="moss")
    press(dock.run)
    viewer.window.remove_dock_widget(dock)
    assert told == [
        "Focus stack was closed, which stopped the focus stack of 'moss'; nothing of it is kept. "
        f"{AGAIN} press Focus stack."
    ]


def test_fine_tuning_keeps_what_it_has_reached_and_what_comes_before_it_nothing() -> None:
    said = closed_while("mine", starting=True, registering=False)
    assert "stopped the fine-tuning of 'mine'; what it has reached is kept." in said
    assert said.endswith(f"{AGAIN} press Resume.")
    for starting, doing in ((True, "the start of a fine-tuning"), (False, "the registration of")):
        said = closed_while("", starting=starting, registering=True)
        assert f"stopped {doing}" in said
        assert "nothing of it is kept" in said
    assert not closed_while("", starting=False, registering=False)


def test_nothing_is_said_of_a_dock_that_was_not_at_work_or_of_a_window_that_is_closed(
    viewer: Viewer, widget: DeblurWidget, gate: Any, noise: Noise, told: list[str], qtbot: QtBot
) -> None:
    dock, _ = viewer.window.add_plugin_dock_widget("napari-mdeblurgan", "Fine-tune")
    dock.destroyOnClose()
    viewer.add_image(noise(), name="nuclei")
    widget.controls.run.native.click()
    qtbot.waitUntil(lambda: gate.begun == 1)
    viewer.close()
    assert not told
