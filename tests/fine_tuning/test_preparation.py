from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from napari_mdeblurgan.errors import ImageError, TrainingError
from napari_mdeblurgan.fine_tuning.better import FEWEST_STEPS, judge_gain
from napari_mdeblurgan.fine_tuning.clock import TimedSchedule, WorkingClock
from napari_mdeblurgan.fine_tuning.folder import free_name, read_pairs
from napari_mdeblurgan.fine_tuning.held_out import split
from napari_mdeblurgan.fine_tuning.pairs import reduced_truth, tuning_pairs
from napari_mdeblurgan.fine_tuning.patches import PairSampler
from napari_mdeblurgan.fine_tuning.residual import without_residual_shifts
from napari_mdeblurgan.fine_tuning.settings import (
    FineTuneSettings,
    SettingsError,
    field_help,
    settings_from_json,
    settings_json,
)

# ---- pairs


def test_a_pair_that_was_not_registered_is_learned_from_only_on_the_users_word(pair, tiny_model):
    card, doubtful = tiny_model(1).card, pair(accepted=False)
    with pytest.raises(TrainingError, match="different places"):
        tuning_pairs([doubtful], card)
    assert len(tuning_pairs([doubtful], card, trust=True)) == 1


def test_a_colour_model_refuses_grey_pairs_and_a_grey_one_takes_each_colour(pair, tiny_model):
    with pytest.raises(ImageError, match="grey"):
        tuning_pairs([pair()], tiny_model(3).card)
    planes = tuning_pairs([pair(channels=3)], tiny_model(1).card)
    assert [plane.name for plane in planes] == ["grain [R]", "grain [G]", "grain [B]"]
    assert planes[0].low.shape == (1, 96, 96)


def test_of_grey_pairs_in_colours_a_grey_model_takes_one_colour(pair, tiny_model):
    one = pair()
    threefold = {name: np.repeat(getattr(one, name), 3, axis=0) for name in ("low", "high")} | {
        "windows": one.windows * 3,
        "rgb": True,
    }
    (plane,) = tuning_pairs([dataclasses.replace(one, **threefold)], tiny_model(1).card)
    (alone,) = tuning_pairs([one], tiny_model(1).card)
    np.testing.assert_array_equal(plane.low, alone.low)
    np.testing.assert_array_equal(plane.high, alone.high)


def test_a_pair_of_another_scale_is_refused(pair, tiny_model):
    with pytest.raises(ImageError, match="×4"):
        tuning_pairs([pair()], tiny_model(1, 4).card)


def test_uneven_light_of_the_blurred_image_falls_on_the_truth_too(pair, tiny_model):
    ramp = np.linspace(0.6, 1.0, 160)[None, :]
    lit, even = (
        tuning_pairs([pair(edge=160, light=light)], tiny_model(1).card)[0] for light in (ramp, 1.0)
    )
    difference = reduced_truth(lit.high, 2) - reduced_truth(even.high, 2) * ramp
    assert np.abs(difference[:, 16:-16, 16:-16]).mean() < 0.01


def test_pixels_that_are_no_numbers_are_not_learned_from(pair, tiny_model):
    broken = pair()
    broken.low[0, 10, 20] = np.nan
    (plane,) = tuning_pairs([broken], tiny_model(1).card)
    assert np.isfinite(plane.low).all()
    assert not plane.valid_low()[10, 20]
    assert plane.valid_low().sum() == 96 * 96 - 1


def test_a_truth_that_lies_a_fraction_of_a_pixel_off_is_laid_where_the_others_lie(pair, tiny_model):
    planes = tuning_pairs([pair(f"p{n}", 128, n) for n in range(3)], tiny_model(1).card)
    off = dataclasses.replace(
        planes[1], high=ndimage.shift(planes[1].high, (0, 0.6, -0.5), order=3, mode="nearest")
    )
    mended = without_residual_shifts([planes[0], off, planes[2]])
    inner = (slice(None), slice(16, -16), slice(16, -16))
    before, after = (
        np.square(each.high - planes[1].high)[inner].mean() for each in (off, mended[1])
    )
    assert after < 0.1 * before
    assert mended[0] is planes[0]  # what lies right is not resampled


def test_a_shift_that_all_pairs_have_in_common_stays(pair, tiny_model):
    planes = tuning_pairs([pair(f"p{n}", 128, n) for n in range(3)], tiny_model(1).card)
    shifted = [
        dataclasses.replace(
            each, high=ndimage.shift(each.high, (0, 0.6, -0.5), order=3, mode="nearest")
        )
        for each in planes
    ]
    for mended, put in zip(without_residual_shifts(shifted), shifted, strict=True):
        assert np.square(mended.high - put.high)[:, 16:-16, 16:-16].mean() < 1e-5


# ---- what is held out


@pytest.mark.parametrize(("count", "edge", "halo"), [(1, 96, 16), (2, 128, 200), (3, 256, 88)])
def test_few_pairs_hold_out_a_strip_of_each_behind_a_gap(pair, tiny_model, count, edge, halo):
    planes = tuning_pairs([pair(f"p{n}", edge, n) for n in range(count)], tiny_model(1).card)
    parts = split(planes, halo)
    for training, held in zip(parts.training, parts.held_out, strict=True):
        assert held.x0 - training.x1 == pytest.approx(parts.gap, abs=8)
        assert held.x0 >= training.x1 + parts.gap
    assert parts.gap == min(halo, edge // 3)
    assert not set(parts.choosing) & set(parts.judging)


def test_many_pairs_hold_out_whole_ones(pair, tiny_model):
    planes = tuning_pairs([pair(f"p{n}", 96, n) for n in range(8)], tiny_model(1).card)
    parts = split(planes, 88)
    assert len(parts.held_out) == 2
    assert not {box.pair for box in parts.held_out} & {box.pair for box in parts.training}
    assert parts.gap is None


def test_all_colours_of_a_field_are_held_out_together(pair, tiny_model):
    planes = tuning_pairs([pair(f"p{n}", 96, n, channels=3) for n in range(4)], tiny_model(1).card)
    held = {planes[box.pair].name.partition(" [")[0] for box in split(planes, 88).held_out}
    trained = {planes[box.pair].name.partition(" [")[0] for box in split(planes, 88).training}
    assert len(held) == 1
    assert len(trained) == 3
    assert not held & trained


def test_pairs_with_one_sharp_image_are_held_out_together(pair, tiny_model, begun):
    own = [dataclasses.replace(pair(f"p{n}", 96, n), truth=f"{n}") for n in range(4)]
    again = dataclasses.replace(own[2], name="p2, another focus")
    parts = split(read_pairs(begun([*own, again])), 88)
    assert {box.pair for box in parts.held_out} == {2, 4}
    assert {box.pair for box in parts.training} == {0, 1, 3}
    series = [dataclasses.replace(own[0], name=f"z{n}") for n in range(5)]
    parts = split(tuning_pairs(series, tiny_model(1).card), 8)
    assert parts.gap == 8  # one field only, of which a strip is held out
    assert len({str(box.spans) for box in parts.held_out}) == 1


def test_pairs_at_one_place_of_a_blurred_image_are_held_out_together(pair, tiny_model):
    """As a stack of the stronger objective over one image of the weaker one; fields side by side
    that overlap by a third are fields of their own.
    """
    own = [
        dataclasses.replace(
            pair(f"p{n}", 96, n),
            truth=f"{n}",
            source="overview",
            low_crop=(slice(0, 96), slice(60 * n, 60 * n + 96)),
        )
        for n in range(4)
    ]
    crop = (slice(3, 99), slice(122, 218))
    above = dataclasses.replace(own[2], name="p2, plane 1", truth="above", low_crop=crop)
    other = dataclasses.replace(above, name="another overview", truth="o", source="another")
    parts = split(tuning_pairs([*own, above, other], tiny_model(1).card), 88)
    assert {box.pair for box in parts.held_out} == {2, 4}
    assert {box.pair for box in parts.training} == {0, 1, 3, 5}


def test_pairs_that_share_next_to_nothing_are_refused_in_a_sentence(pair, tiny_model):
    with pytest.raises(ImageError, match="too small"):
        split(tuning_pairs([pair(edge=40)], tiny_model(1).card), 88)


def test_every_patch_lies_in_the_training_part_and_shows_valid_pixels_alone(pair, tiny_model):
    (plane,) = tuning_pairs([pair(edge=128)], tiny_model(1).card)
    y, x = np.indices(plane.low.shape[1:])
    plane = dataclasses.replace(
        plane, low=(1000 * y + x)[None].astype(np.float32)
    )  # a pixel tells where it is from
    plane.valid[:20, :20] = False
    parts = split([plane], 16)
    sampler = PairSampler([plane], parts.training, batch=8, patch=24, turns=False, seed=0)
    for place in sampler.places:
        ends = place.starts + sampler.patch
        assert ends[:, 1].max() <= parts.training[0].x1
        assert not ((place.starts[:, 0] < 10) & (place.starts[:, 1] < 10)).any()
    first, again = sampler.draw(3), sampler.draw(3)
    assert all((one == other).all() for one, other in zip(first[:3], again[:3], strict=True))
    assert first.sharp.shape == (8, 1, 48, 48)


def test_patches_get_smaller_where_there_is_no_room_for_them(pair, tiny_model):
    (plane,) = tuning_pairs([pair(edge=96)], tiny_model(1).card)
    parts = split([plane], 16)
    assert PairSampler([plane], parts.training, batch=1, patch=64, turns=True, seed=0).patch == 48


# ---- time


def test_the_rate_follows_the_working_time_and_goes_on_where_it_was():
    clock = WorkingClock(seconds=300.0)
    schedule = TimedSchedule(2**62, 1e-3, budget_s=600.0, clock=clock)
    assert schedule.way(1000) == pytest.approx(0.5)
    middle = schedule.rate(1000)
    assert 1e-5 < middle < 1e-3
    late = TimedSchedule(2**62, 1e-3, budget_s=600.0, clock=WorkingClock(599.9)).rate(1000)
    assert late == pytest.approx(1e-5, rel=0.05)
    with clock.running():
        assert clock.seconds >= 300.0
    assert schedule.way(10) < 0.51


# ---- names and settings


def test_a_name_that_is_taken_gets_a_number(begun, base_file):
    assert free_name("mine") == "mine"
    begun(name="mine")
    assert free_name("mine") == "mine-2"
    assert free_name("rgb-x2") == "rgb-x2-2"
    with pytest.raises(TrainingError, match="bundled"):
        begun(name="gray-x2")


def test_other_settings_than_it_was_begun_with_are_refused_but_for_the_time(begun):
    folder = begun(steps=4)
    assert begun(steps=8) == folder
    with pytest.raises(TrainingError, match="learning rate"):
        begun(learning_rate=0.5)


def test_pairs_come_back_from_the_folder_as_they_were(begun, pair, tiny_model):
    folder = begun([pair("a / b")])
    (found,), (put,) = read_pairs(folder), tuning_pairs([pair("a / b")], tiny_model(1).card)
    assert found.name == "a / b"
    for name in ("low", "high", "valid"):
        np.testing.assert_array_equal(getattr(found, name), getattr(put, name))


@pytest.mark.parametrize(
    ("field", "value"),
    [("minutes", -1.0), ("patch", 25), ("part", "head"), ("name", "../x"), ("learning_rate", 0.0)],
)
def test_settings_that_cannot_be_meant_are_named(field, value):
    with pytest.raises(SettingsError, match=field.replace("_", " ")):
        FineTuneSettings(**{"base": "gray-x2", "name": "mine", field: value})


def test_settings_survive_their_file_and_every_field_is_explained():
    settings = FineTuneSettings(base="gray-x2", name="mine", minutes=2.5, turns=True)
    assert settings_from_json(settings_json(settings)) == settings
    assert all(field_help(field.name) for field in dataclasses.fields(FineTuneSettings))
    with pytest.raises(SettingsError, match="begin it anew"):
        settings_from_json("{")


def test_settings_of_a_newer_version_ask_for_an_update():
    known = json.loads(settings_json(FineTuneSettings(base="gray-x2", name="mine")))
    with pytest.raises(SettingsError, match="newer version of the plugin, with 'novel'; update"):
        settings_from_json(json.dumps(known | {"novel": 1}))


# ---- the verdict


def test_a_clear_gain_is_better():
    base = np.linspace(25, 30, 16)
    found = judge_gain(base, base + 1.5 + 0.2 * np.sin(np.arange(16)))
    assert found.answer == "better"
    assert 1.3 < found.low_db < found.gain_db < found.high_db < 1.7
    assert "Better" in found.sentence


@pytest.mark.parametrize("shift", [0.0, -0.5, 0.02])
def test_no_gain_recommends_the_base_model(shift):
    base = np.linspace(25, 30, 16)
    found = judge_gain(base, base + shift)
    assert found.answer == "no better"
    assert "base model" in found.sentence


def test_few_squares_or_wide_scatter_are_too_little_to_tell():
    assert judge_gain([25.0, 26.0], [27.0, 28.0]).answer == "too little data"
    scattered = 25 + 3 * np.sin(np.arange(12) * 2.0)
    assert judge_gain([25.0] * 12, scattered).answer == "too little data"


@pytest.mark.parametrize("steps", [0, 4, FEWEST_STEPS - 1])
def test_a_handful_of_steps_is_too_little_to_judge(steps):
    base = np.linspace(25, 30, 16)
    found = judge_gain(base, base + 0.001, steps=steps)
    assert found.answer == "trained too little"
    assert found.sentence.startswith("Trained too little to judge")
    assert f"at least {FEWEST_STEPS} are needed" in found.sentence
    assert judge_gain(base, base + 0.001, steps=FEWEST_STEPS).answer == "no better"


def test_a_gain_that_is_clear_after_few_steps_is_one():
    base = np.linspace(25, 30, 16)
    assert judge_gain(base, base + 1.5, steps=60).answer == "better"


def test_the_documentation_tells_the_same_fewest_steps():
    page = (Path(__file__).parents[2] / "docs" / "fine-tuning.md").read_text(encoding="utf-8")
    assert f"fewer than {FEWEST_STEPS} steps" in page
