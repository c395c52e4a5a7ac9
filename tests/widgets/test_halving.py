"""**Halve first**: the image is averaged 2 × 2 before it is restored, and the result lies on it,
pixel on pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import zarr
from qtpy.QtCore import QPoint, Qt
from scipy import ndimage

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.model import model_path, read_card, save_model
from napari_mdeblurgan.restoration.binning import binned
from napari_mdeblurgan.storage import read_image
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.deblur.orders import job_on
from napari_mdeblurgan.widgets.runs import halving
from napari_mdeblurgan.widgets.runs.halving import averaged_job
from napari_mdeblurgan.widgets.runs.known_optics import (
    KnownOptics,
    Microscope,
    known_softness,
    result_softness,
)
from napari_mdeblurgan.widgets.shared.choices import Choices, read_choices
from tests.widgets.maps_shown import show_each_map

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer
    from pytestqt.qtbot import QtBot

    from napari_mdeblurgan.model import Model

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

PLACED: dict[str, Any] = {"scale": (0.5, 0.25), "translate": (3, 4), "rotate": 30, "units": "µm"}


@pytest.fixture
def halving_widget(widget: DeblurWidget, qtbot: QtBot) -> DeblurWidget:
    """The widget after a click on **Halve first**."""
    tick(widget, qtbot)
    assert widget.controls.halve.value
    return widget


@pytest.fixture
def weak_model(tiny_model: Callable[..., Model], models_folder: Path) -> str:
    """One that knows a weak blur alone, by its name."""
    model = tiny_model(1)
    card = replace(model.card, name="weak", blur_sigma_px=(0.2, 1.5))
    save_model(model.network, card, models_folder / f"{card.name}.safetensors")
    return card.name


def tick(widget: DeblurWidget, qtbot: QtBot) -> None:
    box = widget.controls.halve.native
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))


def soft(height: int, width: int, sigma: float = 4, edge: int = 8) -> np.ndarray:
    """Cells whose edges are blurred over far more than two pixels."""
    random = np.random.default_rng(0)
    there = random.random((height // edge + 1, width // edge + 1)) > 0.6
    cells = np.kron(there, np.ones((edge, edge)))[:height, :width]
    return (
        ndimage.gaussian_filter(cells, sigma) * 50_000 + random.normal(2000, 100, (height, width))
    ).astype(np.uint16)


def lies_on(result: Layer, source: Layer, order: tuple[int, int] = (-2, -1)) -> None:
    """Corner to corner of the whole blocks of the source: the last line that makes none is left
    out.
    """
    colours = 1 if getattr(source, "rgb", False) else 0
    whole = np.array(
        (source.data[0] if isinstance(source.data, list) else source.data).shape[: source.ndim]
    )
    own = np.array((result.data[0] if getattr(result, "multiscale", False) else result.data).shape)
    own = own[: len(own) - colours] if getattr(result, "rgb", False) else own
    for axis in order:
        whole[axis] -= whole[axis] % 2
    for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):
        places = []
        for shape in (own, whole):
            place = np.zeros(source.ndim)
            for axis, end in zip(order, corner, strict=True):
                place[axis] = end * shape[axis] - 0.5
            places.append(place)
        np.testing.assert_allclose(
            result.data_to_world(places[0]), source.data_to_world(places[1]), atol=1e-9
        )


@pytest.mark.parametrize("shape", [(64, 80), (65, 81), (64, 81)])
def test_the_result_has_the_images_own_pixels_and_lies_on_them(
    viewer: Viewer, halving_widget: DeblurWidget, noise: Noise, run: Run, shape: tuple[int, int]
) -> None:
    source = viewer.add_image(noise(*shape), name="nuclei", **PLACED)
    run()
    result = viewer.layers["nuclei [halved, sharp ×2]"]
    assert result.data.shape == (64, 80)
    np.testing.assert_array_equal(result.scale, source.scale)
    lies_on(result, source)
    expected = restore(source.data, load_model("tiny-grey"), binning=2, device="cpu")
    np.testing.assert_array_equal(result.data, expected)
    assert result.metadata["mdeblurgan"]["binning"] == 2
    assert result.metadata["mdeblurgan"]["binned"] == "averaged 2 × 2 first"


def test_it_is_off_at_first_and_remembered(
    viewer: Viewer, widget: DeblurWidget, qtbot: QtBot
) -> None:
    assert not widget.controls.halve.value
    tick(widget, qtbot)
    assert DeblurWidget(viewer).controls.halve.value
    assert "2 × 2" in widget.controls.halve.tooltip


def test_without_the_tick_nothing_is_averaged(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run
) -> None:
    viewer.add_image(noise(), name="nuclei")
    run()
    result = viewer.layers["nuclei [sharp ×2]"]
    assert result.data.shape == (80, 96)
    assert "binning" not in result.metadata["mdeblurgan"]


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_are_averaged_each(
    viewer: Viewer, halving_widget: DeblurWidget, noise: Noise, run: Run, channels: int
) -> None:
    source = viewer.add_image(noise(45, 62, channels), name="leaf", rgb=True)
    run()
    result = viewer.layers["leaf [halved, sharp ×2]"]
    lies_on(result, source)
    expected = restore(source.data, load_model("tiny-colour"), binning=2, device="cpu")
    np.testing.assert_array_equal(result.data, expected)


def test_axes_may_be_in_any_order(
    viewer: Viewer, halving_widget: DeblurWidget, noise: Noise, run: Run
) -> None:
    stack = noise(3, 45, 62)
    source = viewer.add_image(
        np.moveaxis(stack, 0, 2), rgb=False, axis_labels=("y", "x", "z"), scale=(1, 2, 3)
    )
    source.name = "stack"
    run()
    result = viewer.layers["stack [halved, sharp ×2]"]
    assert result.data.shape == (44, 62, 3)
    lies_on(result, source, (0, 1))
    expected = restore(stack, load_model("tiny-grey"), binning=2, device="cpu")
    np.testing.assert_array_equal(np.moveaxis(result.data, 2, 0), expected)


@pytest.mark.parametrize("kind", ["dask", "zarr", "too large to be averaged at once"])
def test_lazy_images_are_averaged_where_they_are_read(
    viewer: Viewer,
    halving_widget: DeblurWidget,
    noise: Noise,
    run: Run,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = noise(2, 131, 146)
    lazily = {
        "dask": da.from_array(stack, chunks=(1, 33, 50)),
        "zarr": zarr.array(stack, chunks=(1, 40, 40)),
    }
    if kind not in lazily:
        monkeypatch.setattr(halving, "AT_ONCE_VALUES", 1000)
    halving_widget.controls.this_slice.value = True
    source = viewer.add_image(lazily.get(kind, stack), name="stack")
    viewer.dims.set_point(0, 1)
    run()
    result = viewer.layers["stack [halved, sharp ×2]"]
    assert result.data.shape == (1, 130, 146)
    whole = da.from_array(binned(stack, 2), chunks=(1, 64, 64))
    expected = restore(whole, load_model("tiny-grey"), device="cpu").compute()
    np.testing.assert_allclose(result.data[0].astype(int), expected[1].astype(int), atol=1)
    np.testing.assert_allclose(
        result.data_to_world((0, -0.5, -0.5)), source.data_to_world((1, -0.5, -0.5))
    )


def test_a_preview_lies_on_the_part_that_it_shows(
    viewer: Viewer,
    halving_widget: DeblurWidget,
    noise: Noise,
    run: Run,
    wait_for_end: Run,
    monkeypatch: Any,
) -> None:
    viewer.add_image(noise(65, 81), name="nuclei", **PLACED)
    run()
    region = (21, 65), (11, 52)
    monkeypatch.setattr(
        "napari_mdeblurgan.widgets.layers.view.visible_region", lambda *_: (region, True)
    )
    halving_widget.controls.preview.native.click()
    wait_for_end()
    whole, preview = viewer.layers["nuclei [halved, sharp ×2]"], viewer.layers["nuclei [preview]"]
    assert preview.metadata["mdeblurgan"]["region"] == ((20, 64), (10, 52))
    np.testing.assert_array_equal(preview.data, whole.data[20:64, 10:52])
    np.testing.assert_allclose(preview.data_to_world((0, 0)), whole.data_to_world((20, 10)))


def test_a_part_of_nothing_but_the_line_that_is_left_out_is_the_block_beside_it(
    noise: Noise,
) -> None:
    from napari.layers import Image

    job = job_on(Image(noise(65, 81)), "tiny-grey", "cpu", region=((64, 65), (80, 81)), binning=2)
    assert averaged_job(job).region == ((31, 32), (39, 40))


def test_several_layers_are_all_halved(
    viewer: Viewer, halving_widget: DeblurWidget, noise: Noise, run: Run
) -> None:
    sources = [viewer.add_image(noise(45, 62), name=name) for name in "ab"]
    viewer.layers.selection = set(sources)
    run()
    for source in sources:
        lies_on(viewer.layers[f"{source.name} [halved, sharp ×2]"], source)


@pytest.mark.parametrize("rgb", [False, True])
def test_a_result_on_disk_is_that_in_memory_and_another_one_than_without_halving(
    viewer: Viewer,
    halving_widget: DeblurWidget,
    noise: Noise,
    run: Run,
    qtbot: QtBot,
    cache_folder: Path,
    rgb: bool,
) -> None:
    source = viewer.add_image(
        noise(*((131, 146, 3) if rgb else (131, 146))), name="scan", scale=(0.5, 0.25), units="µm"
    )
    halving_widget.results.to_disk.value = True
    halving_widget.controls.trust.value = True
    run()
    show_each_map(halving_widget)
    result = viewer.layers["scan [halved, sharp ×2]"]
    lies_on(result, source)
    lies_on(viewer.layers["scan [consistency, × noise]"], source)
    lies_on(viewer.layers["scan [error bar, grey levels]"], source)
    expected = restore(
        source.data, load_model("tiny-colour" if rgb else "tiny-grey"), binning=2, device="cpu"
    )
    np.testing.assert_allclose(np.asarray(result.data[0]).astype(int), expected.astype(int), atol=2)
    (path,) = cache_folder.glob("scan halved, sharp ×2 *.ome.zarr")
    found = read_image(path)
    assert (found.pixel_size["Y"], found.pixel_size["X"]) == (0.5, 0.25)
    assert all(abs(found.position.get(axis, 0)) < 1e-9 for axis in "YX")
    run()
    assert "had been made before" in halving_widget.controls.status.value
    tick(halving_widget, qtbot)
    run()
    assert len(list(cache_folder.glob("*.ome.zarr"))) == 2


def test_maps_and_report_are_of_the_averaged_image(
    viewer: Viewer,
    halving_widget: DeblurWidget,
    noise: Noise,
    run: Run,
    tmp_path: Path,
    monkeypatch: Any,
    qtbot: QtBot,
) -> None:
    source = viewer.add_image(noise(81, 97), name="nuclei", **PLACED)
    halving_widget.controls.trust.value = True
    run()
    show_each_map(halving_widget)
    for name in ("estimate used", "defocus, px", "consistency, × noise", "error bar, grey levels"):
        lies_on(viewer.layers[f"nuclei [{name}]"], source)
    assert viewer.layers["nuclei [consistency, × noise]"].data.shape == (40, 48)
    page = tmp_path / "page.html"
    monkeypatch.setattr("napari_mdeblurgan.widgets.runs.trust.ask_for_report_path", lambda *_: page)
    halving_widget.controls.report.native.click()
    qtbot.waitUntil(lambda: "was saved as" in halving_widget.controls.status.value)
    assert "averaged 2 × 2 first" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("trust", [True, False])
@pytest.mark.parametrize("to_disk", [False, True])
def test_where_halving_is_advised_a_button_does_it(
    viewer: Viewer,
    widget: DeblurWidget,
    run: Run,
    wait_for_end: Run,
    qtbot: QtBot,
    tmp_path: Path,
    trust: bool,
    to_disk: bool,
) -> None:
    source = viewer.add_image(soft(161, 192), name="soft")
    widget.controls.trust.value = trust
    widget.results.use(str(tmp_path))
    widget.results.to_disk.value = to_disk
    button = widget.controls.halve_again
    assert button.native.isHidden()
    run()
    assert "halve it first (Halve first, or --bin 2)" in widget.controls.details.value
    assert not button.native.isHidden()
    qtbot.mouseClick(button.native, Qt.MouseButton.LeftButton)
    assert widget.controls.halve.value
    assert widget.running
    assert not button.enabled
    wait_for_end()
    lies_on(viewer.layers["soft [halved, sharp ×2]"], source)
    assert "halve it first" not in widget.controls.details.value
    assert button.native.isHidden()


def test_where_the_blur_is_stronger_the_button_averages_over_as_many_pixels_as_is_advised(
    viewer: Viewer,
    weak_model: str,
    widget: DeblurWidget,
    run: Run,
    wait_for_end: Run,
    qtbot: QtBot,
) -> None:
    source = viewer.add_image(soft(258, 288, sigma=5), name="soft")
    widget.reset_choices()
    widget.controls.model.value = weak_model
    widget.controls.trust.value = True
    run()
    assert "Bin it 3×3 first (--bin 3)" in widget.controls.details.value
    button, box = widget.controls.halve_again, widget.controls.halve
    assert button.native.text() == "Average 3 × 3 first and run again"
    qtbot.mouseClick(button.native, Qt.MouseButton.LeftButton)
    assert (box.value, box.native.text()) == (True, "Average 3 × 3 first")
    wait_for_end()
    lies_on(viewer.layers["soft [averaged 3 × 3, sharp ×2]"], source)
    tick(widget, qtbot)
    assert (box.value, box.native.text()) == (False, "Halve first")
    run()
    assert "soft [sharp ×2] [1]" in viewer.layers
    assert read_choices(Choices).halve == "no"


def test_no_button_where_nothing_is_to_be_gained(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run
) -> None:
    viewer.add_image(noise(), name="nuclei")
    widget.controls.trust.value = True
    run()
    assert widget.controls.halve_again.native.isHidden()


def test_too_few_pixels_are_said_in_a_sentence(
    viewer: Viewer, halving_widget: DeblurWidget, noise: Noise, run: Run
) -> None:
    viewer.add_image(noise(3, 40), name="strip")
    with pytest.raises(ImageError, match="too few to be binned 2 × 2"):
        averaged_job(job_on(viewer.layers["strip"], "tiny-grey", "cpu", binning=2))
    run()
    assert "too few to be binned 2 × 2" in halving_widget.controls.status.value
    assert len(viewer.layers) == 1


def test_softness_is_of_the_averaged_pixels() -> None:
    microscope = Microscope("20", "0.5", "550", "6.5")
    once, halved = (
        known_softness(KnownOptics(binning=binning), microscope, 0.5) for binning in (1, 2)
    )
    assert once.sigma == pytest.approx(2 * halved.sigma, abs=2e-3)  # each is rounded
    assert halved.sigma > 0


@pytest.mark.parametrize(("binning", "expected"), [(1, 0.5), (2, 0.6), (4, 0.6)])
def test_where_no_objective_is_known_it_is_a_fifth_more(
    viewer: Viewer, noise: Noise, binning: int, expected: float
) -> None:
    card = replace(read_card(model_path("tiny-grey")), softness=0.5)
    job = job_on(viewer.add_image(noise(64, 80)), "tiny-grey", "cpu", binning=binning)
    assert result_softness(job, card, job.data).softness.sigma == expected
