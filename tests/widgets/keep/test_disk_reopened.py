"""A result that was made on disk, opened again: the layer that was shown, with its verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_mdeblurgan.storage import open_image
from napari_mdeblurgan.storage.provenance import entries_of, read_provenance
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from tests.widgets.keep.conftest import told

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]
    Reopened = Callable[[Path], list[Any]]


@pytest.fixture
def to_disk(widget: DeblurWidget, qtbot: QtBot) -> DeblurWidget:
    """The dock with **Save to disk** ticked, and an objective that makes results softer."""
    for name, value in (("magnification", 20), ("numerical_aperture", 0.5), ("wavelength_nm", 530)):
        widget.sharpness.group.boxes[name].value = value
    qtbot.mouseClick(widget.results.to_disk.native, Qt.MouseButton.LeftButton)
    widget.results.to_disk.value = True
    return widget


def of_disk(layer: Any) -> np.ndarray:
    return np.asarray(layer.data[0] if layer.multiscale else layer.data)


@pytest.mark.parametrize("colours", [(), (3,)])
@pytest.mark.parametrize("edge", [90, 600])
def test_it_is_as_soft_coloured_and_called_as_it_was(
    viewer: Viewer,
    to_disk: DeblurWidget,
    noise: Noise,
    run: Run,
    reopened: Reopened,
    cache_folder: Path,
    colours: tuple[int, ...],
    edge: int,
) -> None:
    look: dict[str, Any] = {"contrast_limits": (20.0, 200.0)}
    look |= {} if colours else {"colormap": "green"}
    place = {"scale": (0.325, 0.325), "translate": (3, -2), "units": "um"}
    viewer.add_image(noise(edge, edge + 10, *colours), name="scan", **place, **look)
    run()
    layer = viewer.layers["scan [sharp ×2]"]
    softness = layer.metadata["mdeblurgan"]["softness"]
    assert softness > 0.3
    shown, was = of_disk(layer), told(layer)
    (path,) = cache_folder.iterdir()
    assert not np.array_equal(np.asarray(open_image(path).data), shown)  # the bare network's
    (again,) = reopened(path)
    np.testing.assert_array_equal(of_disk(again), shown)
    assert {name: repr(value) for name, value in told(again).items()} == {
        name: repr(value) for name, value in was.items()
    }
    if not colours:
        assert again.colormap.name == "green"
    made = again.metadata["mdeblurgan"]
    assert made["softness"] == softness
    assert made["source"] == "scan"
    assert "shown_softened" not in made


@pytest.mark.parametrize("planes", [(), (3,)])
def test_hot_pixels_of_a_result_with_the_images_own_pixels_are_single_there_too(
    viewer: Viewer,
    to_disk: DeblurWidget,
    noise: Noise,
    run: Run,
    reopened: Reopened,
    cache_folder: Path,
    planes: tuple[int, ...],
) -> None:
    image = noise(*planes, 90, 100).astype(np.uint16)
    image[..., 40, 50] = 60_000
    viewer.add_image(image, name="scan", scale=(0.2,) * image.ndim, units="um")
    to_disk.controls.output.value = "Same pixels"
    run()
    shown = of_disk(viewer.layers["scan [sharp ×1]"])
    assert (shown[..., 40, 50] == 60_000).all()
    assert (shown == 60_000).sum() == image.size // 9000
    assert shown[..., 40, 51].max() < 400
    (path,) = cache_folder.iterdir()
    assert not np.array_equal(np.asarray(open_image(path).data), shown)  # the bare network's
    (again,) = reopened(path)
    np.testing.assert_array_equal(of_disk(again), shown)


def test_its_verdict_is_there_again(
    viewer: Viewer,
    to_disk: DeblurWidget,
    noise: Noise,
    run: Run,
    reopened: Reopened,
    cache_folder: Path,
) -> None:
    viewer.add_image(noise(90, 100), name="scan", scale=(0.325, 0.325), units="um")
    to_disk.controls.trust.value = True
    run()
    viewer.layers.selection.active = viewer.layers["scan [sharp ×2]"]
    line, details = to_disk.controls.headline.value, to_disk.controls.details.value
    assert line
    (path,) = cache_folder.iterdir()
    (again,) = reopened(path)
    viewer.layers.selection.active = again
    assert to_disk.controls.headline.value == line
    assert details.split(": ", 1)[1] in to_disk.controls.details.value


def test_what_is_saved_of_it_once_more_is_blurred_once(
    viewer: Viewer,
    to_disk: DeblurWidget,
    noise: Noise,
    run: Run,
    reopened: Reopened,
    save: Callable[..., str],
    cache_folder: Path,
    tmp_path: Path,
) -> None:
    viewer.add_image(noise(90, 100), name="scan", scale=(0.325, 0.325), units="um")
    run()
    (path,) = cache_folder.iterdir()
    (again,) = reopened(path)
    viewer.layers.selection.active = again
    shown = of_disk(again)
    assert "saved as" in save(tmp_path / "copy.ome.tif")
    (copy,) = reopened(tmp_path / "copy.ome.tif")
    np.testing.assert_array_equal(of_disk(copy), shown)
    assert copy.name == again.name
    np.testing.assert_array_equal(copy.contrast_limits, again.contrast_limits)
    np.testing.assert_allclose(copy.data_to_world((1, 2)), again.data_to_world((1, 2)))


def test_a_later_run_without_trust_keeps_the_verdict_in_the_file(
    viewer: Viewer, to_disk: DeblurWidget, noise: Noise, run: Run, cache_folder: Path
) -> None:
    viewer.add_image(noise(90, 100), name="scan")
    to_disk.controls.trust.value = True
    run()
    (path,) = cache_folder.iterdir()
    (before,) = entries_of(read_provenance(path))
    assert before["trust"]["headline"]["text"]
    viewer.layers.remove(viewer.layers["scan [sharp ×2]"])
    to_disk.controls.trust.value = False
    run()
    (after,) = entries_of(read_provenance(path))
    assert after["trust"] == before["trust"]
