"""Restoring arrays: stitched equals whole, types and ranges are kept, work can be watched, stopped
and squeezed.
"""

from __future__ import annotations

from collections.abc import Callable

import dask.array as da
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_mdeblurgan.errors import ImageError, MdeblurganError, ModelError, OutOfMemory
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration import inference
from napari_mdeblurgan.restoration.engine import ensemble_steps, restore, restore_steps
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.steps import finished

Models = Callable[..., Model]
WHOLE = 4096


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.filterwarnings("ignore:.*NaN or infinite")
@settings(max_examples=settings().max_examples * 15 // 60)
@given(
    st.integers(2, 200),
    st.integers(2, 200),
    st.integers(64, 150),
    st.sampled_from([2, 4]),
    st.booleans(),
)
def test_tiled_equals_whole(
    tiny_model: Models, height: int, width: int, tile: int, scale: int, holes: bool
) -> None:
    image = noise(height, width, seed=height * width)
    if holes:
        image[height // 3 : height // 2, : width // 2] = np.nan
        image[-1, -1] = np.inf
    model = tiny_model(1, scale)
    if not np.isfinite(image).any():
        return
    whole = restore(image, model, tile=WHOLE, precision="float32")
    tiled = restore(image, model, tile=tile, precision="float32")
    assert np.array_equal(np.isnan(whole), np.isnan(tiled))
    assert np.nanmax(np.abs(whole - tiled)) <= 1e-5 * (np.nanmax(whole) - np.nanmin(whole))


def test_a_region_equals_the_same_part_of_the_whole(tiny_model: Models) -> None:
    image, model = noise(210, 190), tiny_model()
    whole = restore(image, model, precision="float32")
    part = restore(image, model, precision="float32", region=((37, 120), (61, 175)))
    np.testing.assert_allclose(part, whole[74:240, 122:350], rtol=0, atol=1e-5 * np.ptp(whole))


@pytest.mark.parametrize(
    "code", ["?", "i1", "u1", ">i2", "<u2", "i4", ">u4", "i8", "u8", "f2", ">f4", "f8"]
)
def test_dtype_and_byte_order_are_kept(tiny_model: Models, code: str) -> None:
    image = (np.random.default_rng(1).random((40, 50)) * 100).astype(code)
    restored = restore(image, tiny_model())
    assert restored.dtype == np.dtype(code)
    assert restored.shape == (80, 100)
    if restored.dtype.kind == "f":
        assert np.isfinite(restored.astype(float)).all()


@pytest.mark.parametrize("value", [0, 1, 137, 2**53 + 1, 2**63])
def test_a_constant_image_comes_back_constant(tiny_model: Models, value: int) -> None:
    assert (restore(np.full((30, 20), value, np.uint64), tiny_model()) == value).all()


def test_brightness_and_contrast_of_the_image_do_not_matter(tiny_model: Models) -> None:
    image, model = noise(64, 64), tiny_model()
    plain = restore(image, model, precision="float32")
    other = restore(image * 40 + 1000, model, precision="float32")
    np.testing.assert_allclose((other - 1000) / 40, plain, rtol=0, atol=1e-4 * np.ptp(plain))


def test_leading_axes_are_restored_image_by_image(tiny_model: Models) -> None:
    stack, model = noise(2, 3, 40, 30), tiny_model()
    restored = restore(stack, model, window=(-3, 3), precision="float32")
    assert restored.shape == (2, 3, 80, 60)
    single = restore(stack[1, 2], model, window=(-3, 3), precision="float32")
    np.testing.assert_allclose(restored[1, 2], single, rtol=0, atol=1e-5)


def test_alpha_is_enlarged_but_not_restored(tiny_model: Models) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 4), dtype=np.uint8)
    image[..., 3] = 128
    image[:, 20:, 3] = 255
    restored = restore(image, tiny_model(3))
    assert restored.shape == (60, 80, 4)
    assert (restored[:, :34, 3] == 128).all()
    assert (restored[:, 46:, 3] == 255).all()
    colours = restore(image[..., :3], tiny_model(3))
    assert np.array_equal(restored[..., :3], colours)


@pytest.mark.parametrize(
    ("peak", "type_"), [(1, np.float32), (255, np.float32), (255, np.float64), (4095, np.float32)]
)
def test_alpha_of_floats_stays_in_the_range_of_the_colours(
    tiny_model: Models, peak: int, type_: type
) -> None:
    image = (peak * np.random.default_rng(0).random((30, 40, 4))).astype(type_)
    image[..., :3].flat[0] = peak
    image[..., 3] = peak
    assert restore(image, tiny_model(3))[..., 3] == pytest.approx(np.full((60, 80), peak))


@pytest.mark.parametrize(("dim", "peak"), [(0.5, 50), (200, 4000), (-1, -50)])
def test_bright_spots_in_colours_as_floats_are_not_cut_off(
    tiny_model: Models, dim: float, peak: float
) -> None:
    image = (dim * np.random.default_rng(0).random((80, 80, 3))).astype(np.float32)
    image[40, 40] = peak  # too few for the window
    restored = restore(image, tiny_model(3), precision="float32", softness=0)
    spot = restored[78:84, 78:84]
    assert abs(spot[np.unravel_index(np.abs(spot).argmax(), spot.shape)]) > 0.5 * abs(peak)


def test_alpha_of_floats_does_not_overshoot(tiny_model: Models) -> None:
    image = np.random.default_rng(0).random((30, 40, 4))
    image[..., 3] = 0
    image[:, 20:, 3] = 1
    alpha = restore(image, tiny_model(3))[..., 3]
    assert alpha.min() == 0
    assert alpha.max() == 1


@pytest.mark.parametrize("softness", [0, 1.5])
@pytest.mark.parametrize("type_", [np.uint8, np.uint16, np.float32])
def test_grey_stored_in_colours_stays_grey(
    tiny_model: Models, type_: type, softness: float
) -> None:
    grey = (255 * np.random.default_rng(0).random((70, 90))).astype(type_)
    restored = restore(np.stack([grey] * 3, axis=-1), tiny_model(3), softness=softness)
    assert np.ptp(restored[..., 0]) > 100
    assert np.array_equal(restored[..., 0], restored[..., 1])
    assert np.array_equal(restored[..., 0], restored[..., 2])


@pytest.mark.filterwarnings("ignore:.*NaN or infinite")
@pytest.mark.parametrize(("softness", "colour"), [(0, 0), (1.5, 2)])
def test_tiled_equals_whole_where_grey_meets_colour(
    tiny_model: Models, softness: float, colour: int
) -> None:
    model, width = tiny_model(3), 400
    image = np.stack([noise(90, width)] * 3, axis=-1)
    image[:, :60, colour] += noise(90, 60, seed=1)
    image[20:30, 55:70] = image[40, 200] = np.nan
    plan = make_plan(image, model.card, softness=softness)
    wishes = {"precision": "float32", "softness": softness}
    whole = restore(image, model, tile=WHOLE, **wishes)
    tiled = restore(image, model, tile=64, **wishes)
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-5 * np.nanmax(np.abs(whole)))
    tints = np.nanmax(np.ptp(whole, axis=-1), axis=0, initial=0)
    assert (tints[: 2 * (60 + plan.reach)] > 0).all()
    assert not tints[2 * (60 + plan.halo) :].any()
    assert np.array_equal(tints > 0, np.nanmax(np.ptp(tiled, axis=-1), axis=0, initial=0) > 0)


def test_a_huge_but_finite_value_does_not_spoil_its_neighbours(tiny_model: Models) -> None:
    image = np.random.default_rng(0).random((64, 64))
    image[30, 30] = 1e200
    assert np.isfinite(restore(image, tiny_model())).all()


@pytest.mark.filterwarnings("ignore:.*NaN or infinite")
def test_a_masked_image_gives_a_masked_result_whatever_lies_beneath_the_mask(
    tiny_model: Models,
) -> None:
    image, masked = noise(40, 40), np.zeros((40, 40), bool)
    masked[10:12, 20] = True
    right = restore(np.where(masked, np.float32(np.nan), image), tiny_model())
    found = restore(
        np.ma.masked_array(np.where(masked, np.float32(-9999), image), masked), tiny_model()
    )
    assert np.array_equal(found.mask, masked.repeat(2, axis=0).repeat(2, axis=1))
    np.testing.assert_array_equal(found.filled(np.nan), right)


@pytest.mark.parametrize("steps", [restore_steps, ensemble_steps])
@pytest.mark.filterwarnings("ignore:.*NaN or infinite")
def test_the_steps_take_what_a_plan_can_be_made_for(tiny_model: Models, steps: Callable) -> None:
    image, model = noise(40, 40), tiny_model()
    masked = np.ma.masked_array(image, image > 0.99)
    masked.data[masked.mask] = 1e6
    for taken in (image.tolist(), masked):
        plan = make_plan(taken, model.card)
        right = finished(steps(np.ma.filled(np.ma.asarray(taken), np.nan), plan, model))
        np.testing.assert_array_equal(finished(steps(taken, plan, model)), right)


def test_missing_pixels_are_told_of(tiny_model: Models) -> None:
    image = noise(40, 40)
    image[0, 0] = np.nan
    with pytest.warns(UserWarning, match="1 value .* is NaN"):
        restore(image, tiny_model())


@pytest.mark.filterwarnings("ignore:.*NaN or infinite")
def test_missing_pixels_are_missing_in_the_result_and_nowhere_else(tiny_model: Models) -> None:
    image = noise(40, 40)
    image[10:12, 20] = np.nan
    missing = np.isnan(restore(image, tiny_model()))
    assert missing[20:24, 40:42].all()
    assert missing.sum() == 8


@pytest.mark.parametrize("as_given", [list, tuple, torch.tensor])
def test_lists_and_tensors_are_arrays_too(tiny_model: Models, as_given: Callable) -> None:
    assert restore(as_given([[1.0, 2.0], [3.0, 4.0]]), tiny_model()).shape == (4, 4)


def test_progress_grows_to_the_whole(tiny_model: Models) -> None:
    image, model = noise(3, 150, 100), tiny_model()
    seen = list(restore_steps(image, make_plan(image, model.card, tile=64), model))
    assert seen[0].done == 0
    assert seen[0].remaining_s is None
    assert [step.done for step in seen] == sorted({step.done for step in seen})
    assert seen[-1].done == seen[-1].total == 3 * 300 * 200
    assert seen[-1].fraction == 1
    assert seen[-1].remaining_s == 0


def test_closing_the_generator_ends_the_work(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, model, calls = noise(300, 300), tiny_model(), []
    forward = inference._forward
    monkeypatch.setattr(inference, "_forward", lambda *given: calls.append(1) or forward(*given))
    steps = restore_steps(image, make_plan(image, model.card, tile=64), model)
    next(steps), next(steps)
    steps.close()
    assert len(calls) == 1


def memory_for(edge: int, forward: Callable, failed: list | None = None) -> Callable:
    """A device on which images larger than `edge` squared do not fit; notes those in `failed`."""

    def limited(
        stages: object, names: object, image: torch.Tensor, *more: object
    ) -> list[torch.Tensor]:
        if image.shape[-1] * image.shape[-2] > edge**2:
            if failed is not None:
                failed.append(tuple(image.shape[-2:]))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(stages, names, image, *more)

    return limited


def test_out_of_memory_quarters_the_tiles_and_goes_on(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, model = noise(2, 300, 280), tiny_model()
    whole = restore(image, model, precision="float32")
    attempts = []
    monkeypatch.setattr(inference, "_forward", memory_for(264, inference._forward, attempts))
    plan = make_plan(image, model.card, precision="float32", tile=WHOLE)
    steps = restore_steps(image, plan, model)
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            squeezed = end.value
            break
    assert progress.done == progress.total
    assert len(attempts) <= 3  # one for each size that did not fit, in both images together
    np.testing.assert_allclose(squeezed, whole, rtol=0, atol=1e-5 * np.ptp(whole))


def test_out_of_memory_at_the_smallest_tile_is_a_clear_error(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "_forward", memory_for(1, inference._forward))
    with pytest.raises(OutOfMemory, match="smallest tile"):
        restore(noise(300, 300), tiny_model())


def test_a_device_too_full_for_the_model_is_a_clear_error(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(OutOfMemory, match="does not fit into the memory of cuda:0"):
        inference.network_on(tiny_model(), "cuda:0")


def test_bfloat16_stays_close_to_float32(tiny_model: Models) -> None:
    image, model = noise(80, 80), tiny_model()
    exact = restore(image, model, precision="float32")
    np.testing.assert_allclose(
        restore(image, model, precision="bfloat16"), exact, rtol=0, atol=0.02 * np.ptp(exact)
    )


def test_a_plan_for_another_image_is_refused(tiny_model: Models) -> None:
    model = tiny_model()
    plan = make_plan(noise(20, 20), model.card)
    with pytest.raises(ImageError, match="make a new plan"):
        next(restore_steps(noise(20, 21), plan, model))


@pytest.mark.parametrize("steps", [restore_steps, ensemble_steps])
def test_a_plan_for_another_kind_of_model_is_refused(steps: Callable, tiny_model: Models) -> None:
    plan = make_plan(noise(20, 20), tiny_model().card)
    with pytest.raises(ModelError, match=r"plan was made for the model .*make a new plan"):
        next(steps(noise(20, 20), plan, tiny_model(3)))


@pytest.mark.filterwarnings("ignore:.*NaN or infinite")
def test_a_hundred_generated_arrays_give_a_result_or_a_clear_error(tiny_model: Models) -> None:
    from benchmarks.fuzz_arrays import fitting_channels, generated_array

    for seed in range(100):
        image, wishes = generated_array(seed)
        if len(image.shape) == 3 and image.shape[-1] > 4:
            image = image[:9]  # more planes of one kind take longer and show nothing else
        model = tiny_model(fitting_channels(image, seed))
        try:
            restored = restore(image, model, **wishes)
        except MdeblurganError as error:
            assert str(error).endswith(".")
        else:
            assert restored.dtype == np.asarray(image).dtype


def test_a_tile_that_overflows_is_computed_again_in_float32(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, seen = inference._forward, []

    def overflowing(*arguments: object) -> list[torch.Tensor]:
        *_, precision = arguments
        seen.append(precision)
        return [each * (1 if precision == "float32" else np.inf) for each in forward(*arguments)]

    monkeypatch.setattr(inference, "_forward", overflowing)
    assert np.isfinite(
        restore(noise(40, 40), tiny_model(), precision="bfloat16", device="cpu")
    ).all()
    assert seen == ["bfloat16", "float32"]


@pytest.mark.parametrize(
    ("model", "told"), [("gray-x2", "'gray-x2' is no model"), (np.zeros(3), "This ndarray is no")]
)
def test_what_is_no_model_is_refused_with_what_to_pass(model: object, told: str) -> None:
    with pytest.raises(ModelError, match=f"{told}.*load_model"):
        restore(noise(40, 40), model)  # type: ignore[arg-type]


@pytest.mark.parametrize("lazy", [False, True])
def test_channels_that_come_last_are_told_of(tiny_model: Models, lazy: bool) -> None:
    image = da.from_array(noise(40, 48, 5)) if lazy else noise(40, 48, 5)
    with pytest.warns(UserWarning, match=r"40 planes of 48 × 5 pixels; .*moveaxis\(image, -1, 0"):
        assert restore(image, tiny_model()).shape == (40, 96, 10)


@pytest.mark.parametrize("shape", [(3, 40, 16), (40, 30, 8), (40, 48, 17), (40, 5)])
def test_narrow_planes_of_a_stack_are_no_reason_for_doubt(
    tiny_model: Models, shape: tuple[int, ...]
) -> None:
    assert make_plan(noise(*shape), tiny_model().card).warnings == ()
