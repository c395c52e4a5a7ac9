"""**Output: same pixels**: the result has the pixels of its image and lies on them, in memory and
on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.restoration.binning import block_means
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from tests.widgets.maps_shown import show_each_map
from tests.widgets.scan_blocks import Blocks, begin, blocks, small_tiles
from tests.widgets.test_halving import PLACED, lies_on

if TYPE_CHECKING:
    from magicgui.widgets import ComboBox
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

__all__ = ["blocks", "small_tiles"]  # fixtures


def press(box: ComboBox, key: Qt.Key, qtbot: QtBot) -> None:
    """Press a key on a drop-down: down for **Same pixels**, up for what the model makes."""
    qtbot.keyClick(box.native, key)


@pytest.fixture
def same(widget: DeblurWidget, qtbot: QtBot) -> DeblurWidget:
    """The widget once **Same pixels** was chosen."""
    press(widget.controls.output, Qt.Key.Key_Down, qtbot)
    assert widget.controls.output.native.currentText() == "Same pixels"
    return widget


@pytest.mark.parametrize("channels", [1, 3])
def test_the_result_has_the_images_pixels_and_lies_on_them(
    viewer: Viewer, same: DeblurWidget, noise: Noise, run: Run, channels: int
) -> None:
    source = viewer.add_image(
        noise(*((45, 62, 3) if channels == 3 else (45, 62))), name="cells", **PLACED
    )
    run()
    result = viewer.layers["cells [sharp ×1]"]
    np.testing.assert_array_equal(result.scale, source.scale)
    lies_on_all_of(result, source)
    model = load_model("tiny-colour" if channels == 3 else "tiny-grey")
    np.testing.assert_array_equal(
        result.data, restore(source.data, model, output_scale=1, device="cpu")
    )
    assert result.metadata["mdeblurgan"]["scale"] == 1


def lies_on_all_of(result: Any, source: Any) -> None:
    assert result.data.shape == source.data.shape
    for corner in ((0, 0), (44, 61)):
        np.testing.assert_allclose(
            result.data_to_world(corner), source.data_to_world(corner), atol=1e-9
        )


def test_the_models_pixels_are_offered_first_and_the_choice_is_remembered(
    viewer: Viewer, widget: DeblurWidget, qtbot: QtBot
) -> None:
    box = widget.controls.output.native
    assert [box.itemText(number) for number in range(box.count())] == ["×2", "Same pixels"]
    assert box.currentText() == "×2"
    press(widget.controls.output, Qt.Key.Key_Down, qtbot)
    assert DeblurWidget(viewer).controls.output.native.currentText() == "Same pixels"
    press(widget.controls.output, Qt.Key.Key_Up, qtbot)
    assert DeblurWidget(viewer).controls.output.native.currentText() == "×2"


def test_the_choice_says_what_the_chosen_model_makes(
    viewer: Viewer,
    same: DeblurWidget,
    noise: Noise,
    models_folder: Path,
    tiny_model: Callable[..., Any],
) -> None:
    from napari_mdeblurgan.model import save_model

    model = tiny_model(1, 4)
    save_model(model.network, model.card, models_folder / "tiny-x4.safetensors")
    viewer.add_image(noise(), name="cells")
    same.offer_models("tiny-x4")
    box = same.controls.output.native
    assert box.itemText(0) == "×4"
    assert box.currentText() == "Same pixels"


def test_maps_and_preview_have_the_same_pixels(
    viewer: Viewer, same: DeblurWidget, noise: Noise, run: Run, wait_for_end: Run, monkeypatch: Any
) -> None:
    source = viewer.add_image(noise(64, 80), name="cells", **PLACED)
    same.controls.trust.value = True
    run()
    show_each_map(same)
    for name in ("sharp ×1", "consistency, × noise", "estimate used"):
        lies_on(viewer.layers[f"cells [{name}]"], source)
        assert viewer.layers[f"cells [{name}]"].data.shape == (64, 80)
    region = (20, 64), (10, 52)
    monkeypatch.setattr(
        "napari_mdeblurgan.widgets.layers.view.visible_region", lambda *_: (region, True)
    )
    same.controls.preview.native.click()
    wait_for_end()
    whole, preview = viewer.layers["cells [sharp ×1]"], viewer.layers["cells [preview]"]
    np.testing.assert_array_equal(preview.data, whole.data[20:64, 10:52])
    np.testing.assert_allclose(preview.data_to_world((0, 0)), whole.data_to_world((20, 10)))


def test_a_result_on_disk_is_that_in_memory_and_another_one_than_the_models(
    viewer: Viewer, same: DeblurWidget, noise: Noise, run: Run, qtbot: QtBot, cache_folder: Path
) -> None:
    source = viewer.add_image(noise(130, 146), name="scan", scale=(0.5, 0.25), units="µm")
    same.results.to_disk.value = True
    run()
    result = viewer.layers["scan [sharp ×1]"]
    lies_on(result, source)
    expected = restore(source.data, load_model("tiny-grey"), output_scale=1, device="cpu")
    np.testing.assert_allclose(np.asarray(result.data[0]).astype(int), expected.astype(int), atol=2)
    (path,) = cache_folder.glob("scan sharp ×1 *.ome.zarr")
    assert read_image(path).pixel_size == {"Y": 0.5, "X": 0.25}
    run()
    assert "had been made before" in same.controls.status.value
    press(same.controls.output, Qt.Key.Key_Up, qtbot)
    run()
    assert viewer.layers["scan [sharp ×2]"].data[0].shape == (260, 292)
    assert len(list(cache_folder.glob("*.ome.zarr"))) == 2


def test_an_interrupted_result_is_resumed_only_at_its_own_pixels(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    blocks: Blocks,
    qtbot: QtBot,
    cache_folder: Path,
) -> None:
    viewer.add_image(noise(1000, 1000), name="scan")
    widget.results.to_disk.value = True
    begin(qtbot, widget, blocks, done=1)
    widget.controls.cancel.native.click()
    blocks.let_on()
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)
    assert widget.controls.run.text == "Resume"
    press(widget.controls.output, Qt.Key.Key_Down, qtbot)
    assert widget.controls.run.text == "Deblur + SR"
    widget.controls.run.native.click()
    qtbot.waitUntil(
        lambda: "scan [sharp ×1]" in viewer.layers and not widget.running, timeout=60_000
    )
    assert viewer.layers["scan [sharp ×1]"].data[0].shape == (1000, 1000)
    assert [path.name.endswith(".partial") for path in sorted(cache_folder.iterdir())] == [
        False,
        True,
    ]
    press(widget.controls.output, Qt.Key.Key_Up, qtbot)
    qtbot.waitUntil(lambda: widget.controls.run.text == "Resume")


def test_the_batch_makes_results_of_the_same_pixels(
    viewer: Viewer, noise: Noise, tmp_path: Path, qtbot: QtBot
) -> None:
    write_image(tmp_path / "a.tif", Micrograph(noise(), "YX", {"X": 0.5, "Y": 0.5}, "µm"))
    batch = BatchWidget(viewer)
    viewer.window.add_dock_widget(batch, name="Batch")
    batch.controls.grey_model.value, batch.controls.rgb_model.value = "tiny-grey", "tiny-colour"
    box = batch.controls.same_pixels.native
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    batch.add(str(tmp_path / "a.tif"))
    batch.controls.output.value = str(tmp_path / "out")
    qtbot.mouseClick(batch.controls.run.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not batch.running, timeout=60_000)
    found = read_image(tmp_path / "out" / "a.ome.tif")
    assert found.pixel_size == {"X": 0.5, "Y": 0.5}
    model = load_model("tiny-grey")
    np.testing.assert_array_equal(found.data, restore(noise(), model, output_scale=1))
    means = block_means(
        restore(noise().astype(np.float32), model, precision="float32"), binning=2, y=0
    )
    assert np.abs(found.data - means.clip(0, 255)).mean() < 3


def test_resume_is_offered_for_the_choices_alone_that_a_result_was_begun_with(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, blocks: Blocks, qtbot: QtBot
) -> None:
    viewer.add_image(noise(1000, 1000), name="scan")
    widget.results.to_disk.value = True
    begin(qtbot, widget, blocks, done=1)
    controls = widget.controls
    controls.cancel.native.click()
    blocks.let_on()
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)
    assert controls.run.text == "Resume"
    for box in (controls.halve, controls.ensemble):
        box.native.click()
        assert controls.run.text == "Deblur + SR"
        box.native.click()
        assert controls.run.text == "Resume"
    for name, words in (("tiny-grey-2", "Deblur + SR"), ("tiny-grey", "Resume")):
        names = [
            controls.model.native.itemText(number)
            for number in range(controls.model.native.count())
        ]
        way = names.index(name) - names.index(controls.model.value)
        for _ in range(abs(way)):
            press(controls.model, Qt.Key.Key_Down if way > 0 else Qt.Key.Key_Up, qtbot)
        assert controls.model.value == name
        qtbot.waitUntil(lambda words=words: controls.run.text == words)
