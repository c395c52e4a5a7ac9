"""The slider Sharpness and the user's microscope, by clicks and keys in a real viewer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QPoint, Qt

from napari_mdeblurgan.restoration.softened_result import softened_plane
from napari_mdeblurgan.storage import open_image
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.runs.soft_results import of_layer

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Press = Callable[[int], None]

LEFT, RIGHT, HOME = Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home
ONE_STEP = 0.05


@pytest.fixture
def press(qtbot: QtBot, widget: DeblurWidget) -> Press:
    """Press a key on the slider."""
    return lambda key: qtbot.keyClick(widget.sharpness.handle, key)


@pytest.fixture
def settle(qtbot: QtBot) -> Callable[..., None]:
    """Wait until layers are as soft as is wanted."""

    def wait(*layers: Image) -> None:
        def done() -> bool:
            found = [of_layer(layer) for layer in layers]
            return all(each is not None and each.settled == each.softness for each in found)

        qtbot.waitUntil(done)
        qtbot.waitUntil(
            lambda: all(told(each)[0] == of_layer(each).softness.sigma for each in layers)
        )

    return wait


def told(layer: Image) -> tuple[float, str]:
    made = layer.metadata["mdeblurgan"]
    return made["softness"], made["softness_reason"]


def by_plane(data: np.ndarray, sigma: float, *, rgb: bool = False) -> np.ndarray:
    height = data.shape[-3 if rgb else -2 :]
    planes = [softened_plane(plane, sigma, rgb=rgb) for plane in data.reshape(-1, *height)]
    return np.stack(planes).reshape(data.shape)


def test_without_a_result_there_is_nothing_to_be_sharpened(
    viewer: Viewer, widget: DeblurWidget, noise: Noise
) -> None:
    viewer.add_image(noise())
    assert not widget.sharpness.slider.enabled
    assert not widget.sharpness.auto.enabled


@pytest.mark.parametrize("kind", ["grey", "colour", "stack", "float with gaps"])
def test_keys_soften_the_result_and_a_double_click_brings_it_back(
    viewer: Viewer,
    widget: DeblurWidget,
    run: Callable[[], None],
    press: Press,
    settle: Callable[..., None],
    noise: Noise,
    qtbot: QtBot,
    kind: str,
) -> None:
    shape = {"colour": (40, 48, 3), "stack": (3, 40, 48)}.get(kind, (40, 48))
    data = noise(*shape)
    if kind == "float with gaps":
        data = data.astype(np.float32)
        data[10, 12] = np.nan
    viewer.add_image(data, rgb=kind == "colour", contrast_limits=(0, 255))
    run()
    result = viewer.layers[-1]
    bare, limits = result.data.copy(), result.contrast_limits
    assert told(result) == (0, "objective not known")
    assert widget.sharpness.auto.value
    press(LEFT)
    press(LEFT)
    settle(result)
    assert told(result) == (pytest.approx(2 * ONE_STEP), "by hand")
    press(HOME)
    settle(result)
    assert told(result) == (3, "by hand")
    assert "3.00 px" in widget.sharpness.told.value
    assert not widget.sharpness.auto.value
    np.testing.assert_array_equal(result.data, by_plane(bare, 3, rgb=kind == "colour"))
    assert (result.dtype, result.contrast_limits) == (bare.dtype, limits)
    qtbot.mouseDClick(widget.sharpness.handle, Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
    settle(result)
    np.testing.assert_array_equal(result.data, bare)
    assert widget.sharpness.auto.value
    assert told(result) == (0, "objective not known")


def test_the_last_of_many_values_wins(
    viewer: Viewer,
    widget: DeblurWidget,
    run: Callable[[], None],
    settle: Callable[..., None],
    noise: Noise,
) -> None:
    viewer.add_image(noise(150, 170))
    run()
    result = viewer.layers[-1]
    bare = result.data.copy()
    for value in (40, 10, 0, 50, 30):
        widget.sharpness.handle.setValue(value)
    settle(result)
    np.testing.assert_array_equal(result.data, by_plane(bare, 1.5))


def test_all_channels_of_a_run_follow_and_another_result_shows_its_own(
    viewer: Viewer,
    widget: DeblurWidget,
    run: Callable[[], None],
    press: Press,
    settle: Callable[..., None],
    noise: Noise,
) -> None:
    alone = viewer.add_image(noise(), name="alone")
    run()
    channels = [viewer.add_image(noise(), name=name) for name in ("red", "green")]
    viewer.layers.selection = set(channels)
    run()
    results = [viewer.layers[f"{each.name} [sharp ×2]"] for each in (alone, *channels)]
    press(HOME)
    settle(*results[1:])
    assert [told(each)[0] for each in results] == [0, 3, 3]
    viewer.layers.selection.active = results[0]
    assert widget.sharpness.handle.value() == widget.sharpness.handle.maximum()
    assert widget.sharpness.auto.value
    viewer.layers.selection.active = results[2]
    assert widget.sharpness.handle.value() == 0
    assert not widget.sharpness.auto.value


def test_what_the_user_says_of_the_microscope_is_used_and_kept(
    viewer: Viewer,
    widget: DeblurWidget,
    run: Callable[[], None],
    settle: Callable[..., None],
    noise: Noise,
    qtbot: QtBot,
) -> None:
    viewer.add_image(noise())
    run()
    result, group = viewer.layers[-1], widget.sharpness.group
    bare = result.data.copy()
    qtbot.mouseClick(group.fold.native, Qt.MouseButton.LeftButton)
    for name, text in (
        ("magnification", "20"),
        ("numerical_aperture", "0.5"),
        ("wavelength_nm", "530"),
        ("camera_pixel_um", "6.5"),
    ):
        box = group.boxes[name].native
        box.selectAll()
        qtbot.keyClicks(box, text)
        qtbot.keyClick(box, Qt.Key.Key_Return)
    settle(result)
    sigma, reason = told(result)
    assert sigma == pytest.approx(0.21 * 0.53 / (0.5 * 0.325), abs=1e-3)
    assert reason == "your microscope: objective of NA 0.5, 0.53 µm, pixels of 0.325 µm"
    np.testing.assert_array_equal(result.data, by_plane(bare, sigma))
    assert DeblurWidget(viewer).sharpness.group.microscope == group.microscope
    run()  # and with the next one from the start
    np.testing.assert_array_equal(viewer.layers[-1].data, result.data)


def test_a_wavelength_that_is_none_of_light_is_shown_as_not_known(
    widget: DeblurWidget, qtbot: QtBot
) -> None:
    group = widget.sharpness.group
    qtbot.mouseClick(group.fold.native, Qt.MouseButton.LeftButton)
    box = group.boxes["wavelength_nm"].native
    for text, shown, kept in (("530", "530 nm", "530"), ("1", "? nm", "")):
        box.selectAll()
        qtbot.keyClicks(box, text)
        qtbot.keyClick(box, Qt.Key.Key_Return)
        assert (box.text().strip(), group.microscope.wavelength_nm) == (shown, kept)


def test_a_wavelength_that_was_kept_and_is_none_of_light_is_shown_as_not_known(
    qtbot: QtBot,
) -> None:
    from napari_mdeblurgan.widgets.deblur.microscope import MicroscopeGroup
    from napari_mdeblurgan.widgets.runs.known_optics import Microscope
    from napari_mdeblurgan.widgets.shared.choices import write_choices

    write_choices(Microscope(magnification="20", numerical_aperture="0.5", wavelength_nm="5"))
    group = MicroscopeGroup(lambda: None)
    assert group.boxes["wavelength_nm"].value == 0
    assert "nm" not in group.fold.native.text()
    assert group.microscope.numerical_aperture == "0.5"


def test_the_objective_of_the_file_and_the_pixels_of_the_layer_count_first(
    viewer: Viewer,
    widget: DeblurWidget,
    run: Callable[[], None],
    noise: Noise,
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.ome.tif"
    sizes = {f"PhysicalSize{axis}": 325 for axis in "XY"} | {
        f"PhysicalSize{axis}Unit": "nm" for axis in "XY"
    }
    tifffile.imwrite(path, noise(), metadata=sizes, ome=True)
    xml = tifffile.tiffcomment(path)
    start = xml.index("<Image ")
    instrument = '<Instrument ID="I"><Objective ID="O:1" LensNA="0.5"/></Instrument>'
    tifffile.tiffcomment(path, f"{xml[:start]}{instrument}{xml[start:]}".encode())
    (layer,) = viewer.open(path, plugin="napari")
    widget.sharpness.group.boxes["numerical_aperture"].value = 1.4
    run()
    assert told(viewer.layers[-1]) == (
        pytest.approx(0.21 * 0.55 / (0.5 * 0.325), abs=1e-3),
        "objective of NA 0.5, 0.55 µm, pixels of 0.325 µm",
    )
    layer.scale, layer.units = (0.65, 0.65), ("um", "um")
    run()
    viewer.layers.selection.active = result = viewer.layers[-1]  # the newest lies on top
    assert told(result)[0] == pytest.approx(0.21 * 0.55 / (0.5 * 0.65), abs=1e-3)
    assert "nm (objective" in widget.sharpness.told.value


def test_a_result_on_disk_is_softened_as_it_is_shown_and_its_file_stays_bare(
    viewer: Viewer,
    widget: DeblurWidget,
    run: Callable[[], None],
    press: Press,
    settle: Callable[..., None],
    noise: Noise,
) -> None:
    viewer.add_image(noise(150, 170))
    widget.results.to_disk.value = True
    run()
    result = viewer.layers[-1]
    file = Path(result.metadata["mdeblurgan"]["file"])
    bare = np.asarray(open_image(file).data)
    np.testing.assert_array_equal(np.asarray(result.data[0]), bare)
    press(HOME)
    settle(result)
    np.testing.assert_array_equal(np.asarray(result.data[0]), by_plane(bare, 3))
    np.testing.assert_array_equal(np.asarray(open_image(file).data), bare)
    run()  # it has been made before, and its layer stays as it is shown
    assert viewer.layers[-1] is result
    np.testing.assert_array_equal(np.asarray(result.data[0]), by_plane(bare, 3))


def test_a_result_outlives_the_widget_that_made_it(
    viewer: Viewer,
    widget: DeblurWidget,
    run: Callable[[], None],
    press: Press,
    settle: Callable[..., None],
    noise: Noise,
    qtbot: QtBot,
) -> None:
    source = viewer.add_image(noise())
    run()
    result = viewer.layers[-1]
    bare = result.data.copy()
    press(HOME)
    settle(result)
    again = DeblurWidget(viewer)
    viewer.window.add_dock_widget(again)
    viewer.layers.selection.active = source
    assert again.sharpness.handle.value() == 0
    qtbot.keyClick(again.sharpness.auto.native, Qt.Key.Key_Space)
    settle(result)
    np.testing.assert_array_equal(result.data, bare)


def test_pixels_that_the_user_has_replaced_are_left_alone(
    viewer: Viewer, widget: DeblurWidget, run: Callable[[], None], noise: Noise
) -> None:
    viewer.add_image(noise())
    run()
    viewer.layers[-1].data = noise(80, 96)
    viewer.layers.selection.active = viewer.layers[-1]
    assert not widget.sharpness.slider.enabled


def test_the_verdict_says_for_which_softness_it_was_found(
    viewer: Viewer,
    widget: DeblurWidget,
    run: Callable[[], None],
    press: Press,
    settle: Callable[..., None],
    noise: Noise,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    from qtpy.QtWidgets import QFileDialog

    widget.controls.trust.value = True
    viewer.add_image(noise(64, 64))
    run()
    result = viewer.layers["Image [sharp ×2]"]
    assert "Found for softness" not in widget.controls.details.value
    press(HOME)
    settle(result)
    assert (
        "Found for softness 0 px, and it is shown with 3 px now: " in widget.controls.details.value
    )
    page = tmp_path / "page.html"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(page), ""))
    widget.controls.report.native.click()
    qtbot.waitUntil(page.exists)
    text = page.read_text(encoding="utf-8")
    assert "<td>Softness</td><td>3 px (by hand)</td>" in text
    assert "<td>Assessed with</td><td>softness 0 px (objective not known)</td>" in text


def test_what_a_model_has_learned_of_sharpness_counts_whatever_the_microscope() -> None:
    from napari_mdeblurgan.restoration.softness import LEARNED, Softness
    from napari_mdeblurgan.widgets.runs.known_optics import KnownOptics, Microscope, known_softness

    told = Microscope(
        magnification="20", numerical_aperture="0.5", wavelength_nm="530", camera_pixel_um="6.5"
    )
    learned = Softness(0.0, LEARNED)
    assert known_softness(KnownOptics(), told, 0.5).sigma > 0.5
    assert known_softness(KnownOptics(), told, learned) == learned
