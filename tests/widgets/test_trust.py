"""Trust in the dock widget: maps above the result, a sentence, a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from napari.layers import Labels

from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.runs import trust
from tests.widgets.maps_shown import show_each_map, show_map

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]

MAPS = [
    "nuclei [estimate used]",
    "nuclei [defocus, px]",
    "nuclei [consistency, × noise]",
    "nuclei [error bar, grey levels]",
]


@pytest.fixture
def trusting(widget: DeblurWidget) -> DeblurWidget:
    widget.controls.trust.value = True
    return widget


def names(viewer: Viewer) -> list[str]:
    return [layer.name for layer in viewer.layers]


def test_maps_lie_above_the_result_once_they_were_shown(
    viewer: Viewer, trusting: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    source = viewer.add_image(
        noise(), name="nuclei", scale=(0.5, 0.25), translate=(3, 4), rotate=30, units="µm"
    )
    run()
    assert names(viewer) == ["nuclei", "nuclei [sharp ×2]"]
    show_each_map(trusting)
    assert names(viewer) == ["nuclei", "nuclei [sharp ×2]", *MAPS]
    for layer in viewer.layers[2:]:
        assert not layer.visible
        for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):
            of_source, of_map = (np.array(corner) * n.data.shape - 0.5 for n in (source, layer))
            np.testing.assert_allclose(layer.data_to_world(of_map), source.data_to_world(of_source))
    assert isinstance(viewer.layers["nuclei [estimate used]"], Labels)
    assert viewer.layers["nuclei [error bar, grey levels]"].data.shape == (80, 96)
    assert viewer.layers["nuclei [consistency, × noise]"].contrast_limits == [0, 6]


def test_a_sentence_says_how_far_the_result_can_be_trusted(
    viewer: Viewer, trusting: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    viewer.add_image(noise(), name="nuclei")
    run()
    assert "the noise" in trusting.controls.details.value
    assert "uncalibrated: relative only" in trusting.controls.details.value


def test_without_the_tick_there_are_no_maps_and_the_result_is_the_same(
    viewer: Viewer, trusting: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    viewer.add_image(noise(), name="nuclei")
    run()
    show_each_map(trusting)
    first = viewer.layers["nuclei [sharp ×2]"].data
    trusting.controls.trust.value = False
    run()
    assert names(viewer).count("nuclei [estimate used]") == 1
    assert len(viewer.layers) == 7
    np.testing.assert_array_equal(viewer.layers[1].data, first)


def test_results_are_assessed_unless_the_user_has_said_no(viewer: Viewer) -> None:
    widget = DeblurWidget(viewer)
    assert widget.controls.trust.value
    widget.controls.trust.value = False
    assert not DeblurWidget(viewer).controls.trust.value


def test_maps_are_not_offered_for_restoration(
    viewer: Viewer, trusting: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    source = viewer.add_image(noise(), name="nuclei")
    run()
    show_map(trusting, "error")
    assert [layer.name for layer in trusting.controls.image.choices] == [
        "nuclei",
        "nuclei [sharp ×2]",
    ]
    viewer.layers.selection.active = viewer.layers["nuclei [error bar, grey levels]"]
    assert trusting.image is source


def test_a_preview_is_not_assessed(
    viewer: Viewer, trusting: DeblurWidget, noise: Noise, wait_for_end: Callable[[], None]
) -> None:
    viewer.add_image(noise(), name="nuclei")
    trusting.controls.preview.native.click()
    wait_for_end()
    assert names(viewer) == ["nuclei", "nuclei [preview]"]
    assert not trusting.controls.report.enabled


def test_the_shown_plane_alone_is_assessed_in_its_place(
    viewer: Viewer, trusting: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    source = viewer.add_image(noise(3, 24, 32), scale=(2, 1, 1), name="nuclei")
    viewer.dims.set_current_step(0, 1)
    trusting.controls.this_slice.value = True
    run()
    show_map(trusting, "consistency")
    layer = viewer.layers["nuclei [consistency, × noise]"]
    assert layer.data.shape == (1, 24, 32)
    assert layer.data_to_world((0, 0, 0))[0] == source.data_to_world((1, 0, 0))[0]


@pytest.mark.parametrize("shape", [(40, 48), (2, 40, 48), (40, 48, 3)])
def test_the_report_is_saved_where_the_user_says(
    viewer: Viewer,
    trusting: DeblurWidget,
    noise: Noise,
    run: Callable[[], None],
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, ...],
) -> None:
    viewer.add_image(
        noise(*shape),
        name="nuclei",
        scale=(0.5,) * len(shape[: 2 if shape[-1] == 3 else 3]),
        units="µm",
    )
    assert not trusting.controls.report.enabled
    run()
    assert trusting.controls.report.enabled
    path = tmp_path / "page.html"
    monkeypatch.setattr(trust, "ask_for_report_path", lambda *_: path)
    trusting.controls.report.native.click()
    qtbot.waitUntil(lambda: "was saved as" in trusting.controls.status.value)
    page = path.read_text()
    assert "nuclei" in page
    assert "µm" in page


def test_a_report_that_cannot_be_written_is_told_in_a_sentence(
    viewer: Viewer,
    trusting: DeblurWidget,
    noise: Noise,
    run: Callable[[], None],
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer.add_image(noise(), name="nuclei")
    run()
    monkeypatch.setattr(
        trust, "ask_for_report_path", lambda *_: tmp_path / "no folder" / "page.html"
    )
    trusting.controls.report.native.click()
    qtbot.waitUntil(lambda: "make it first" in trusting.controls.status.value)


def test_nothing_is_kept_of_a_result_that_is_gone(
    viewer: Viewer, trusting: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    viewer.add_image(noise(), name="nuclei")
    run()
    viewer.layers.remove("nuclei [sharp ×2]")
    assert not trusting.controls.report.enabled


def test_maps_that_would_not_fit_in_memory_are_left_out(
    viewer: Viewer,
    trusting: DeblurWidget,
    noise: Noise,
    run: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer.add_image(noise(), name="nuclei")
    monkeypatch.setattr(
        trust, "SHARE_OF_MEMORY", 40 * 48 * 39 / psutil.virtual_memory().available / 2
    )
    run()
    assert names(viewer) == ["nuclei", "nuclei [sharp ×2]"]
    assert "too little memory" in trusting.controls.status.value


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError("NAS is gone"), "Assessing 'nuclei' failed: NAS is gone. The result itself is"),
        (MemoryError(), trust.NO_ROOM),
    ],
)
def test_a_result_whose_assessment_fails_is_there_all_the_same(
    viewer: Viewer,
    trusting: DeblurWidget,
    noise: Noise,
    run: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    why: str,
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr("napari_mdeblurgan.trust.assess.assessing", fails)
    viewer.add_image(noise(), name="nuclei")
    run()
    assert names(viewer) == ["nuclei", "nuclei [sharp ×2]"]
    assert why in trusting.controls.status.value
    assert "was made in" in trusting.controls.status.value
    assert not trusting.controls.report.enabled


def test_cancelling_while_it_is_assessed_adds_nothing(
    viewer: Viewer,
    trusting: DeblurWidget,
    noise: Noise,
    wait_for_end: Callable[[], None],
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from napari_mdeblurgan.trust import trust_plan as plan

    plan_trust = plan.plan_trust

    def cancelling(*arguments: object, **wishes: object) -> object:
        trusting._runner._worker.quit()
        return plan_trust(*arguments, **wishes)

    monkeypatch.setattr(plan, "plan_trust", cancelling)
    viewer.add_image(noise(), name="nuclei")
    trusting.controls.run.native.click()
    wait_for_end()
    assert names(viewer) == ["nuclei"]


def test_eight_orientations_give_their_mean_and_a_map_of_where_they_disagree(
    viewer: Viewer, trusting: DeblurWidget, noise: Noise, run: Callable[[], None]
) -> None:
    from napari_mdeblurgan import load_model
    from napari_mdeblurgan.restoration.engine import ensemble_steps
    from napari_mdeblurgan.restoration.plan import make_plan

    image, model = noise(), load_model("tiny-grey")
    viewer.add_image(image, name="nuclei")
    trusting.controls.ensemble.value = True
    run()
    show_each_map(trusting)
    steps = ensemble_steps(image, make_plan(image, model.card), model)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            mean, spread = end.value
            break
    np.testing.assert_array_equal(viewer.layers["nuclei [sharp ×2]"].data, mean)
    np.testing.assert_allclose(
        viewer.layers["nuclei [disagreement, grey levels]"].data, spread, rtol=1e-5
    )
    assert names(viewer)[2:] == [
        "nuclei [estimate used]",
        "nuclei [disagreement, grey levels]",
        "nuclei [defocus, px]",
        "nuclei [consistency, × noise]",
        "nuclei [error bar, grey levels]",
    ]


def test_eight_orientations_are_made_only_if_asked_and_the_wish_is_remembered(
    viewer: Viewer,
) -> None:
    widget = DeblurWidget(viewer)
    assert not widget.controls.ensemble.value
    assert "eight times as" in widget.controls.ensemble.tooltip
    widget.controls.ensemble.value = True
    assert DeblurWidget(viewer).controls.ensemble.value


def test_a_preview_is_not_made_of_eight_orientations(
    viewer: Viewer,
    trusting: DeblurWidget,
    noise: Noise,
    wait_for_end: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "napari_mdeblurgan.restoration.engine.ensemble_steps",
        lambda *_: pytest.fail("a preview was made eight times"),
    )
    trusting.controls.ensemble.value = True
    viewer.add_image(noise(), name="nuclei")
    trusting.controls.preview.native.click()
    wait_for_end()
    assert names(viewer) == ["nuclei", "nuclei [preview]"]


def test_what_is_to_be_known_of_the_image_is_said_before_and_while_it_is_restored(
    viewer: Viewer,
    trusting: DeblurWidget,
    noise: Noise,
    gate: Any,
    qtbot: QtBot,
    wait_for_end: Callable[[], None],
) -> None:
    image = np.full((64, 64), 90, np.uint8)
    image[20:40, 20:40] = 200
    viewer.add_image(image, name="nuclei")
    trusting.controls.run.native.click()
    qtbot.waitUntil(lambda: gate.begun == 1, timeout=60_000)
    qtbot.waitUntil(lambda: "blur σ ≈" in trusting.controls.status.value, timeout=60_000)
    gate.let_on(3)
    qtbot.waitUntil(lambda: gate.begun == 4, timeout=60_000)
    qtbot.wait(200)
    assert trusting.controls.status.value.startswith("Restoring… ")
    assert "blur σ ≈" in trusting.controls.status.value
    trusting.controls.cancel.native.click()
    gate.let_on(1)
    wait_for_end()
    assert trusting.controls.status.value == "Cancelled; nothing was added."


@pytest.mark.parametrize(
    ("colormap", "blending"), [("gray", "additive"), ("green", "translucent_no_depth")]
)
def test_a_map_over_an_image_in_a_colour_keeps_the_colours_of_its_bar(
    viewer: Viewer,
    trusting: DeblurWidget,
    noise: Noise,
    run: Callable[[], None],
    colormap: str,
    blending: str,
) -> None:
    viewer.add_image(noise(), name="nuclei", colormap=colormap)
    run()
    show_map(trusting, "error")
    assert viewer.layers["nuclei [error bar, grey levels]"].blending == blending
