"""An assessment: planted flaws light up, tiles leave no trace, gaps stay gaps, whatever the kind of
image.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage

from napari_mdeblurgan.errors import ImageError, ModelError
from napari_mdeblurgan.model import Model, load_model
from napari_mdeblurgan.restoration import fitting
from napari_mdeblurgan.restoration.engine import restore, restore_steps
from napari_mdeblurgan.restoration.plan import RestorationPlan, make_plan
from napari_mdeblurgan.restoration.progress import Progress
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.trust.assess import Assessment, MapsInMemory, assess, assess_steps
from napari_mdeblurgan.trust.explanation import Explanation
from napari_mdeblurgan.trust.pieces import read_piece
from napari_mdeblurgan.trust.psf import PointSpread
from napari_mdeblurgan.trust.trust_plan import AssessmentOptions, plan_trust

Models = Callable[..., Model]


def plan_for(image: np.ndarray, model: Model, **wishes: Any) -> RestorationPlan:
    return make_plan(image, model.card, precision="float32", device="cpu", **wishes)


def assessed(
    image: np.ndarray, model: Model, wishes: AssessmentOptions | None = None, **plan: Any
) -> Assessment:
    made = plan_for(image, model, **plan)
    return assess(image, finished(restore_steps(image, made, model)), made, model, wishes)


# ---- at the image's own pixels


def test_a_piece_of_a_region_is_read_from_the_same_place_of_image_and_result(
    tiny_model: Models,
) -> None:
    image = np.random.default_rng(0).integers(0, 4000, (150, 130)).astype(np.uint16)
    plan = plan_for(image, tiny_model(), region=((37, 120), (21, 115)), output_scale=1)
    (window,) = plan.windows or ()
    (tile,) = plan.grid
    psf = PointSpread(np.full((3, 3), 1 / 9), 1)
    piece = read_piece(image, image[37:120, 21:115], (), tile, plan, window, psf)
    np.testing.assert_array_equal(piece.blurred, piece.restored)
    inside = zip(piece.real, piece.result_inside, strict=True)
    assert all(line[part].all() and not line.all() for line, part in inside)
    assert piece.missing is piece.lacking is None
    assert piece.filled() is piece


# ---- consistency


@pytest.fixture
def pair(scene, blurred) -> tuple[np.ndarray, np.ndarray]:
    """A blurred image and its perfect restoration."""
    sharp = scene(320)
    return blurred(sharp, 1.2, 0.01), sharp


def test_an_assessment_does_not_depend_on_what_others_have_told_numpy(
    pair: tuple[np.ndarray, np.ndarray], tiny_model: Models
) -> None:
    image, model = pair[0], tiny_model()
    usual = assessed(image, model)
    with np.errstate(all="raise"):
        again = assessed(image, model)
    assert again.sentence == usual.sentence
    assert {again, usual} == {usual, again}
    assert {*again.estimates, *usual.estimates} >= {*usual.estimates}


def consistency(image: np.ndarray, restored: np.ndarray, model: Model) -> Assessment:
    return assess(image, restored.astype(image.dtype), plan_for(image, model), model)


def test_a_perfect_restoration_differs_by_the_noise_alone(pair, tiny_model: Models) -> None:
    found = consistency(*pair, tiny_model())
    assert found.consistency == pytest.approx(1, abs=0.25)
    assert found.inconsistent < 0.002
    assert "agrees with the image" in found.sentence


@pytest.mark.parametrize("flaw", ["painted in", "removed", "moved"])
def test_a_planted_flaw_lights_up_there_and_only_there(pair, tiny_model: Models, flaw: str) -> None:
    image, sharp = pair
    flawed, (y, x) = (
        sharp.copy(),
        np.unravel_index(ndimage.gaussian_filter(sharp, 8)[40:-40, 40:-40].argmax(), (240, 240)),
    )
    y, x = y + 40, x + 40
    part = (slice(y - 10, y + 10), slice(x - 10, x + 10))
    if flaw == "painted in":
        flawed[y - 1 : y + 1, x - 10 : x + 10] += 0.4
    elif flaw == "removed":
        flawed[part] = 0.1
    else:
        flawed[part] = np.roll(sharp, 6, axis=1)[part] + 0.1
    found = consistency(image, flawed, tiny_model())
    values = found.map("consistency").data
    there = np.zeros(values.shape, bool)
    there[(y - 10) // 2 : (y + 10) // 2, (x - 10) // 2 : (x + 10) // 2] = True
    assert np.nanmax(values[there]) > 4
    elsewhere = values[~ndimage.binary_dilation(there, iterations=8)]
    assert np.nanmax(elsewhere) < 3
    assert "see the consistency map" in found.sentence


def test_light_beyond_what_the_camera_can_show_is_no_flaw(pair, tiny_model: Models) -> None:
    image, sharp = pair
    clipped = (np.minimum(image * 1.8, 1) * 255).astype(np.uint8)
    bright = np.rint(sharp * 1.8 * 255)
    found = assess(
        clipped,
        np.minimum(bright, 255).astype(np.uint8),
        plan_for(clipped, tiny_model()),
        tiny_model(),
    )
    saturated = ndimage.binary_erosion(clipped == 255, iterations=3)
    assert saturated.sum() > 50
    assert np.nanmedian(found.map("consistency").data[saturated]) < 1


# ---- tiles


@pytest.mark.parametrize("channels", [1, 3])
def test_tiled_equals_whole_for_every_map(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch, channels: int
) -> None:
    shape = (80, 67, 3) if channels == 3 else (80, 67)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    model = tiny_model(channels)
    wishes = AssessmentOptions(disagreement=True, weights=True)
    plan = plan_for(image, model)
    restored = finished(restore_steps(image, plan, model))
    whole = assess(image, restored, plan, model, wishes)
    monkeypatch.setattr(fitting, "LARGEST_TILE", 64)
    tiled = assess(image, restored, plan, model, wishes)
    assert {each.name for each in whole.maps} == {
        "consistency",
        "defocus",
        "error",
        "disagreement",
        "choice",
        "weights",
    }
    for a, b in zip(whole.maps, tiled.maps, strict=True):
        if a.name == "choice":
            assert (a.data != b.data).mean() < 1e-3
        else:
            scale = 1 if a.name == "consistency" else np.nanmax(np.abs(a.data), initial=0)
            np.testing.assert_allclose(
                a.data, b.data, rtol=1e-2 if a.name == "weights" else 2e-3, atol=2e-3 * scale
            )
    assert tiled.consistency == pytest.approx(whole.consistency, rel=1e-3)
    assert tiled.sentence == whole.sentence


def test_tiled_equals_whole_for_the_map_of_defocus(
    scene, blurred, tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves = blurred(scene(400), 1.0, 0.005)[:, :90], blurred(scene(400), 4.0, 0.005)[:, 90:]
    image = np.rint(255 * np.concatenate(halves, axis=1)).clip(0, 255).astype(np.uint8)
    model = tiny_model()
    plan = plan_for(image, model, region=((3, 200), (10, 197)))
    restored = finished(restore_steps(image, plan, model))
    whole = assess(image, restored, plan, model).map("defocus").data
    monkeypatch.setattr(fitting, "LARGEST_TILE", 64)
    tiled = assess(image, restored, plan, model).map("defocus").data
    np.testing.assert_allclose(tiled, whole, rtol=1e-3)
    assert whole.shape == (197, 187)
    assert np.nanmedian(whole[:, :50]) < 1.8
    assert np.nanmedian(whole[:, 120:]) > 3


def test_what_was_kept_on_the_way_is_what_the_network_says_afterwards(tiny_model: Models) -> None:
    image = np.random.default_rng(0).random((2, 90, 70)).astype(np.float32)
    model, wishes = tiny_model(), AssessmentOptions(weights=True)
    plan = plan_for(image, model, tile=64)
    kept = Explanation(plan)
    restored = finished(restore_steps(image, plan, model, kept.keep))
    assert np.array_equal(restored, finished(restore_steps(image, plan, model)))
    trust = plan_trust(image, restored, plan, model, wishes)
    with_it = finished(assess_steps(image, restored, trust, model, kept))
    without = finished(assess_steps(image, restored, trust, model))
    for name in ("weights", "error"):
        np.testing.assert_allclose(
            with_it.map(name).data, without.map(name).data, rtol=0.01, atol=2e-3
        )
    np.testing.assert_allclose(without.map("weights").data.sum(axis=-1), 1, atol=5e-3)


def test_a_part_is_assessed_like_that_part_of_the_whole(tiny_model: Models) -> None:
    image = np.random.default_rng(0).integers(0, 256, (160, 160), dtype=np.uint8)
    model = tiny_model()
    part = assessed(image, model, region=((40, 120), (16, 144)), window=(0, 255))
    assert part.map("consistency").data.shape == (80, 128)
    assert part.map("error").data.shape == (160, 256)
    whole = assessed(image, model, window=(0, 255))
    np.testing.assert_array_equal(part.map("choice").data, whole.map("choice").data[40:120, 16:144])


def test_a_lazy_image_is_assessed_like_one_in_memory(tiny_model: Models) -> None:
    image = np.random.default_rng(0).integers(0, 4000, (140, 120), dtype=np.uint16)
    model = tiny_model()
    plan = plan_for(image, model)
    restored = finished(restore_steps(image, plan, model))
    eager = assess(image, restored, plan, model)
    lazy = assess(da.from_array(image, chunks=50), da.from_array(restored, chunks=64), plan, model)
    for a, b in zip(eager.maps, lazy.maps, strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_a_lazy_image_is_read_by_one_thread_at_a_time(tiny_model: Models) -> None:
    image = np.random.default_rng(0).integers(0, 4000, (260, 240), dtype=np.uint16)
    model = tiny_model()
    plan = plan_for(image, model, tile=64)
    readers, reading = set[int](), threading.Lock()

    def part(block: np.ndarray) -> np.ndarray:
        assert reading.acquire(blocking=False), "somebody else reads"
        readers.add(threading.get_ident())
        time.sleep(0.002)
        reading.release()
        return block

    lazy = da.from_array(image, chunks=-1).map_blocks(part, dtype=image.dtype, meta=image[:0, :0])
    explanation = Explanation(plan)
    restored = finished(restore_steps(image, plan, model, explanation.keep))
    trust = plan_trust(image, restored, plan, model)
    found = finished(assess_steps(lazy, restored, trust, model, explanation))
    assert len(readers) == 2
    eager = finished(assess_steps(image, restored, trust, model, explanation))
    for a, b in zip(eager.maps, found.maps, strict=True):
        np.testing.assert_array_equal(a.data, b.data)


# ---- kinds of images


def test_gaps_stay_gaps_in_every_map(tiny_model: Models) -> None:
    image = np.random.default_rng(0).random((120, 100)).astype(np.float32)
    image[30:40, 50:70] = np.nan
    found = assessed(image, tiny_model(), AssessmentOptions(disagreement=True))
    gap = np.isnan(image)
    for each in found.maps:
        mask = gap.repeat(2, 0).repeat(2, 1) if each.kind.finer else gap
        if each.name == "choice":
            assert np.array_equal(each.data == 0, mask)
        else:
            assert np.isnan(each.data[mask]).all(), each.name
    assert np.isfinite(found.map("error").data[~gap.repeat(2, 0).repeat(2, 1)]).all()
    far = ndimage.binary_dilation(gap, iterations=20)
    assert np.isfinite(found.map("consistency").data[20:-20, 20:-20][~far[20:-20, 20:-20]]).all()


def test_dead_pixels_all_over_an_image_do_not_hide_the_blur(scene, blurred) -> None:
    sharp = scene(400)
    image = blurred(sharp, 1.0, 0.01)
    image[np.random.default_rng(0).random(image.shape) < 0.005] = np.nan
    model = load_model("gray-x2")
    plan = plan_for(image, model)
    again = np.where(np.isnan(image).repeat(2, 0).repeat(2, 1), np.float32(np.nan), sharp)
    found = assess(image, again, plan, model)
    assert found.estimates[0].psf.sigma_px == pytest.approx(1.0, abs=0.15)
    assert found.inconsistent < 0.01
    assert found.estimates[0].resolution_before is not None


def test_channels_are_estimated_each_on_its_own(scene, blurred, tiny_model: Models) -> None:
    image = np.stack([blurred(scene(200), 1.0, 0.005), 1000 * blurred(scene(200, 1), 2.0, 0.02)])
    found = assessed(image, tiny_model(), channel_axis=0)
    first, second = found.estimates
    assert second.examination.noise_sigma > 500 * first.examination.noise_sigma
    assert "Channel 1:" in found.sentence


def test_a_stack_has_maps_of_its_own_axes(tiny_model: Models) -> None:
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 60, 50, 4), dtype=np.uint8)
    found = assessed(image, tiny_model(3))
    assert found.map("consistency").data.shape == (2, 3, 60, 50)
    assert found.map("error").data.shape == (2, 3, 120, 100)


@pytest.mark.parametrize("shape", [(2, 2), (3, 90), (17, 9)])
@pytest.mark.parametrize("value", [None, 5])
def test_tiny_and_flat_images_are_assessed_without_trouble(
    tiny_model: Models, shape: tuple[int, int], value: int | None
) -> None:
    image = (
        np.random.default_rng(0).integers(0, 99, shape, dtype=np.uint8)
        if value is None
        else np.full(shape, value)
    )
    found = assessed(image.astype(np.uint8), tiny_model(), AssessmentOptions(disagreement=True))
    assert np.isfinite(found.map("error").data).all()
    assert found.sentence


def test_a_network_without_candidates_has_no_choice(tiny_model: Models) -> None:
    from napari_mdeblurgan.network import UNetSuperResolution

    unet = UNetSuperResolution(1, 2, 4).eval()
    model = Model(replace(tiny_model().card, halo=unet.halo, architecture=unet.architecture), unet)
    found = assessed(np.random.default_rng(0).integers(0, 256, (80, 80), dtype=np.uint8), model)
    assert found.map("choice") is None
    assert found.map("error") is not None


# ---- the rest


def test_a_model_without_a_calibration_has_a_relative_error_bar(tiny_model: Models) -> None:
    found = assessed(
        np.random.default_rng(0).integers(0, 256, (80, 80), dtype=np.uint8), tiny_model()
    )
    assert not found.calibrated
    assert "uncalibrated: relative only" in found.sentence


def test_progress_is_told_and_work_can_be_ended(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "LARGEST_TILE", 64)
    image = np.random.default_rng(0).integers(0, 256, (128, 128), dtype=np.uint8)
    model, plan = tiny_model(), plan_for(image, tiny_model())
    restored = restore(image, model, precision="float32")
    trust = plan_trust(image, restored, plan, model)
    told = [each.fraction for each in assess_steps(image, restored, trust, model)]
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 1)
    assert len(told) >= 5  # at the start, and after each of four tiles
    steps = assess_steps(image, restored, trust, model)
    while next(steps).fraction < 0.25:
        pass
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)


def test_another_image_or_model_than_those_of_the_plan_is_refused(tiny_model: Models) -> None:
    image, model = np.random.default_rng(0).random((40, 48), np.float32), tiny_model()
    plan, result = make_plan(image, model.card), restore(image, model)
    with pytest.raises(ImageError, match=r"plan was made for an image of shape \(40, 48\)"):
        assess(image[:20], result, plan, model)
    with pytest.raises(ModelError, match="plan was made for the model"):
        assess(image, result, plan, tiny_model(3))
    with pytest.raises(ImageError, match="This NoneType is no image"):
        assess(image, None, plan, model)


def test_images_in_lists_are_assessed_as_arrays_are(tiny_model: Models) -> None:
    image, model = np.random.default_rng(0).integers(0, 4000, (40, 48)), tiny_model()
    plan, result = make_plan(image, model.card), restore(image, model)
    found = assess(image.tolist(), result.tolist(), plan, model)
    assert found.sentence == assess(image, result, plan, model).sentence


def test_another_image_than_the_result_is_refused(tiny_model: Models) -> None:
    image = np.zeros((40, 40), np.uint8)
    with pytest.raises(ImageError, match="no result of this plan"):
        assess(image, image, plan_for(image, tiny_model()), tiny_model())


def test_maps_go_where_they_are_wanted_and_what_is_known_is_not_made_again(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "LARGEST_TILE", 64)
    image = np.random.default_rng(0).integers(0, 256, (128, 64), dtype=np.uint8)
    model, plan = tiny_model(), plan_for(image, tiny_model())
    restored = finished(restore_steps(image, plan, model))
    trust = plan_trust(image, restored, plan, model)
    first = MapsInMemory(trust)
    whole = finished(assess_steps(image, restored, trust, model, maps=first))

    class Half(MapsInMemory):
        def known(self, index: tuple[int, ...], tile: Any) -> dict[str, np.ndarray] | None:
            if tile.y.start:
                return None
            made = {
                name: array[fitting.target(tile, plan, array.shape[1] // 64)]
                for name, array in first._arrays.items()
            }
            self.add(index, tile, made)
            return made

    steps: list[Progress] = []
    half = assess_steps(image, restored, trust, model, maps=Half(trust))
    while True:
        try:
            steps.append(next(half))
        except StopIteration as end:
            again = end.value
            break
    assert [(step.done, step.before) for step in steps] == [(0, 0), (16384, 16384), (32768, 16384)]
    for a, b in zip(whole.maps, again.maps, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    assert again.sentence == whole.sentence
