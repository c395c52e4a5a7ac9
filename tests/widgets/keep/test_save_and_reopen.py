"""**Save result…**: what is saved and opened again is what it was, in both formats; and what goes
wrong is said.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
from napari.layers._layer_actions import _project

from napari_mdeblurgan.storage import read_image
from napari_mdeblurgan.storage.map_places import map_path, maps_path
from napari_mdeblurgan.storage.provenance import is_result, read_provenance
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.keep import saver
from tests.widgets.keep.clicks import FORMATS, RESULT, result
from tests.widgets.keep.conftest import assert_same
from tests.widgets.maps_shown import show_each_map

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]
    Save = Callable[..., str]
    Reopened = Callable[[Path], list[Any]]

__all__ = ["result"]  # fixtures

KINDS = {
    "grey": (
        (24, 32),
        {"scale": (0.5, 0.25), "translate": (3, -4.1), "units": "µm", "colormap": "magenta"},
    ),
    "grey without a unit": (
        (24, 32),
        {"colormap": "viridis", "contrast_limits": (5, 200), "gamma": 0.7},
    ),
    "colour": ((24, 32, 3), {"scale": (0.5, 0.5), "units": "nm", "translate": (7, 8)}),
    "colour without a unit": ((24, 32, 3), {"contrast_limits": (5, 200), "gamma": 0.7}),
    "stack": ((3, 24, 32), {"scale": (2, 0.5, 0.5), "units": "µm", "axis_labels": ("z", "y", "x")}),
    "stack without a unit": ((3, 24, 32), {"scale": (2, 0.5, 0.5)}),
    "channels": (
        (2, 24, 32),
        {
            "scale": (1, 0.5, 0.5),
            "units": ("pixel", "µm", "µm"),
            "axis_labels": ("c", "y", "x"),
            "colormap": "green",
        },
    ),
    "mirrored": ((24, 32), {"scale": (0.5, -0.25), "translate": (3, 40), "units": "µm"}),
    "turned": ((24, 32), {"scale": (0.5, 0.25), "rotate": 30, "units": "µm"}),
}


@FORMATS
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_result_opened_again_is_what_it_was(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Run,
    save: Save,
    reopened: Reopened,
    tmp_path: Path,
    kind: str,
    ending: str,
) -> None:
    shape, attributes = KINDS[kind]
    widget.controls.trust.value = "without" not in kind
    viewer.add_image(noise(*shape), name="nuclei", **attributes)
    assert not widget.controls.save.enabled
    run()
    result = viewer.layers[RESULT]
    path = tmp_path / f"sharp{ending}"
    assert f"saved as {path}" in save(path)
    assert is_result(path)
    (again,) = reopened(path)
    assert_same(result, again)
    sentence = result.metadata["mdeblurgan"].get("trust", {}).get("sentence", "")
    assert bool(sentence) == widget.controls.trust.value
    viewer.layers.selection.active = again
    assert sentence in widget.controls.details.value


@FORMATS
def test_channels_of_a_run_are_one_file_and_become_the_same_layers(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Run,
    save: Save,
    reopened: Reopened,
    tmp_path: Path,
    ending: str,
) -> None:
    widget.controls.trust.value = True
    look = {"scale": (0.5, 0.25), "translate": (3, 4), "units": "µm", "blending": "additive"}
    sources = [
        viewer.add_image(noise(24, 32) // (n + 1), name=name, colormap=colour, **look)
        for n, (name, colour) in enumerate(
            [("DAPI", "blue"), ("GFP", "green"), ("tubulin", "inferno")]
        )
    ]
    viewer.layers.selection = set(sources)
    run()
    results = [viewer.layers[f"{name} [sharp ×2]"] for name in ("DAPI", "GFP", "tubulin")]
    path = tmp_path / f"cells{ending}"
    assert "3 channels saved as" in save(path)
    image = read_image(path)
    assert (image.axes, image.channel_names) == ("CYX", ("DAPI", "GFP", "tubulin"))
    assert image.pixel_size == {"Y": 0.25, "X": 0.125}
    assert [each.color for each in image.display][:2] == [(0, 0, 255), (0, 255, 0)]
    again = reopened(path)
    assert len(again) == 3
    for one, other in zip(results, again, strict=True):
        assert_same(one, other)


def test_layers_of_a_run_that_are_no_channels_of_one_image_are_saved_alone(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Run,
    save: Save,
    reopened: Reopened,
    tmp_path: Path,
) -> None:
    sources = [viewer.add_image(noise(24, 32), name="a"), viewer.add_image(noise(16, 32), name="b")]
    viewer.layers.selection = set(sources)
    run()
    result = viewer.layers.selection.active = viewer.layers["b [sharp ×2]"]
    assert "'b [sharp ×2]' saved as" in save(tmp_path / "b.ome.tif")
    (again,) = reopened(tmp_path / "b.ome.tif")
    assert_same(result, again)


@FORMATS
def test_maps_are_saved_with_their_result_and_lie_on_it(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Run,
    save: Save,
    tmp_path: Path,
    ending: str,
) -> None:
    widget.controls.trust.value = True
    viewer.add_image(noise(24, 32), name="nuclei", scale=(0.5, 0.25), translate=(3, 4), units="µm")
    run()
    path = tmp_path / f"sharp{ending}"
    save(path)
    show_each_map(widget)
    for name, title in (
        ("error", "error bar, grey levels"),
        ("consistency", "consistency, × noise"),
        ("choice", "estimate used"),
    ):
        layer = viewer.layers[f"nuclei [{title}]"]
        stored = read_image(map_path(path, name) if ending == ".ome.tif" else maps_path(path, name))
        np.testing.assert_array_equal(stored.data, layer.data)
        assert [stored.pixel_size[axis] for axis in "YX"] == pytest.approx(layer.scale)
        assert [stored.position[axis] for axis in "YX"] == pytest.approx(layer.translate)


def test_a_softer_result_is_saved_as_it_is_shown_and_its_verdict_says_so(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Run,
    save: Save,
    reopened: Reopened,
    tmp_path: Path,
    qtbot: QtBot,
) -> None:
    widget.controls.trust.value = True
    viewer.add_image(noise(24, 32), name="nuclei")
    run()
    result = viewer.layers[RESULT]
    widget.sharpness.slider.value -= 40
    qtbot.waitUntil(lambda: result.metadata["mdeblurgan"]["softness_reason"] == "by hand")
    save(tmp_path / "soft.ome.tif")
    (again,) = reopened(tmp_path / "soft.ome.tif")
    assert_same(result, again)
    viewer.layers.selection.active = again
    assert "Found for softness" in widget.controls.details.value


@pytest.mark.parametrize(
    ("shape", "labels"),
    [((40, 48), None), ((40, 48, 3), None), ((2, 40, 48), None), ((40, 2, 48), ("y", "z", "x"))],
)
def test_a_large_result_in_memory_is_saved_from_what_no_slider_changes(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Run,
    save: Save,
    reopened: Reopened,
    tmp_path: Path,
    shape: tuple[int, ...],
    labels: tuple[str, ...] | None,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer.add_image(noise(*shape), name="nuclei", axis_labels=labels)
    run()
    result = viewer.layers[RESULT]
    widget.sharpness.slider.value -= 40
    qtbot.waitUntil(lambda: result.metadata["mdeblurgan"]["softness"] > 0.5)
    monkeypatch.setattr(saver, "COPIED_BYTES", 0)
    monkeypatch.setattr("napari_mdeblurgan.widgets.keep.layer_images.SAVED_EDGE", 32)
    monkeypatch.setattr("napari_mdeblurgan.storage.writing.TOLD_BYTES", 0)
    save(tmp_path / "a.ome.tif")
    (again,) = reopened(tmp_path / "a.ome.tif")
    assert_same(result, again)


def test_a_preview_is_saved_only_if_it_is_selected(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, qtbot: QtBot, wait_for_end: Run
) -> None:
    source = viewer.add_image(noise(40, 48), name="nuclei")
    widget.controls.preview.native.click()
    wait_for_end()
    assert not widget.controls.save.enabled
    viewer.layers.selection.active = viewer.layers["nuclei [preview]"]
    assert widget.controls.save.enabled
    viewer.layers.selection.active = source
    assert not widget.controls.save.enabled


@FORMATS
def test_a_result_on_disk_is_saved_block_by_block_and_elsewhere_than_it_lies(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Run,
    save: Save,
    reopened: Reopened,
    tmp_path: Path,
    ending: str,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_mdeblurgan.storage.writing.TOLD_BYTES", 0)
    viewer.add_image(noise(96, 64), name="scan", scale=(0.5, 0.5), units="µm")
    widget.results.to_disk.value = True
    run()
    result = viewer.layers["scan [sharp ×2]"]
    widget.sharpness.slider.value -= 40
    qtbot.waitUntil(lambda: result.metadata["mdeblurgan"]["softness"] > 0.5)
    pixels = np.asarray(result.data[0])
    shares: list[float] = []
    kept = saver.save_kept

    def watched(*arguments: Any, tell: Callable[[float], None], **more: Any) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        assert isinstance(arguments[0].image.data, da.Array)
        return kept(*arguments, tell=lambda share: (shares.append(share), tell(share)), **more)

    monkeypatch.setattr(saver, "save_kept", watched)
    lying = Path(result.metadata["mdeblurgan"]["file"])
    assert "is what a layer shows" in save(lying)
    path = tmp_path / f"scan{ending}"
    save(path)
    assert shares[0] == 0
    assert shares[-1] == 1
    (again,) = reopened(path)
    np.testing.assert_array_equal(
        np.asarray(again.data[0] if again.multiscale else again.data), pixels
    )
    assert again.scale.tolist() == [0.25, 0.25]


def test_a_saved_result_is_a_result_whose_source_nobody_takes_for_another_image(
    viewer: Viewer,
    widget: DeblurWidget,
    result: Image,
    save: Save,
    reopened: Reopened,
    noise: Noise,
    tmp_path: Path,
) -> None:
    save(tmp_path / "a.ome.zarr")
    (again,) = reopened(tmp_path / "a.ome.zarr")
    other = viewer.add_image(noise(16, 16), name="nuclei")
    assert DeblurWidget(viewer).image is other
    assert again not in widget.images
    assert not widget.controls.compare.enabled
    assert read_provenance(tmp_path / "a.ome.zarr")["layers"][0]["made"]["model"] == "tiny-grey"


def test_the_line_that_is_said_first_belongs_to_its_result_and_comes_back_with_the_file(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Run,
    save: Save,
    reopened: Reopened,
    tmp_path: Path,
) -> None:
    line = widget.controls.headline
    assert line.value == ""
    widget.controls.trust.value = True
    viewer.add_image(noise(24, 32), name="nuclei")
    run()
    said, result = line.value, viewer.layers[RESULT]
    assert "error bar relative only" in said
    assert 'style="background-color:#' in said
    widget.controls.trust.value = False
    run()
    viewer.layers.selection.active = viewer.layers[f"{RESULT} [1]"]
    assert line.value == ""
    viewer.layers.selection.active = result
    assert line.value == said
    save(tmp_path / "a.ome.tif")
    (again,) = reopened(tmp_path / "a.ome.tif")
    viewer.layers.selection.active = again
    assert line.value == said


def test_what_was_found_of_a_stack_is_not_told_of_its_projection(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Run,
    save: Save,
    reopened: Reopened,
    tmp_path: Path,
) -> None:
    widget.controls.trust.value = True
    viewer.add_image(noise(3, 24, 32), name="nuclei")
    run()
    line, result = widget.controls.headline, viewer.layers[RESULT]
    said = line.value
    assert said
    for project in ("max", "mean"):
        viewer.layers.selection.active = result
        _project(viewer.layers, mode=project)
        viewer.layers.selection.active = projection = viewer.layers[-1]
        assert projection.ndim == 2
        assert projection.metadata["mdeblurgan"]["model"] == "tiny-grey"
        assert (line.value, widget.controls.details.value) == ("", "")
        save(tmp_path / f"{project}.ome.tif")
        (entry,) = read_provenance(tmp_path / f"{project}.ome.tif")["layers"]
        assert (entry["trust"], entry["made"]["model"]) == (None, "tiny-grey")
    viewer.layers.selection.active = result
    assert line.value == said
    save(tmp_path / "stack.ome.tif")
    (again,) = reopened(tmp_path / "stack.ome.tif")
    viewer.layers.selection.active = again
    assert line.value == said
    viewer.layers.selection = {again}
    _project(viewer.layers, mode="max")
    viewer.layers.selection.active = viewer.layers[-1]
    assert line.value == ""
