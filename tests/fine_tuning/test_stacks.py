"""Pairs out of focus stacks whose truth is known: what is learned from where,
and how noisy it is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.fine_tuning.between import between
from napari_mdeblurgan.fine_tuning.folder import begin, read_pairs
from napari_mdeblurgan.fine_tuning.held_out import Box, split
from napari_mdeblurgan.fine_tuning.outcome import conclude
from napari_mdeblurgan.fine_tuning.pairs import TuningPair, tuning_pairs
from napari_mdeblurgan.fine_tuning.patches import PairSampler
from napari_mdeblurgan.fine_tuning.settings import FineTuneSettings
from napari_mdeblurgan.fine_tuning.stacks import coarser, read_stack, stack_names, stack_pairs
from napari_mdeblurgan.fine_tuning.tuning import open_fine_tuning
from napari_mdeblurgan.model import read_card
from napari_mdeblurgan.pairs import RegisteredPair
from napari_mdeblurgan.restoration.binning import block_means
from napari_mdeblurgan.stopping import Stopped, stoppable
from napari_mdeblurgan.storage import Micrograph, write_image
from napari_mdeblurgan.trust.noise import measure_noise
from tests.focus.test_stack import LEFT, RIGHT, texture, two_halves

MIDDLE = 48  # column of the halved planes at which the plane that is sharp changes
APART = 8  # columns beside it that are left out


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    return texture()


@pytest.fixture(scope="module")
def planes(sharp: np.ndarray) -> dict[int, RegisteredPair]:
    """What can be learned from of a stack of five planes: by the number of the plane."""
    return found(two_halves(sharp), registered=True)


def found(stack: np.ndarray, axes: str = "ZYX", **options: Any) -> dict[int, RegisteredPair]:
    outcomes = stack_pairs("stack", Micrograph(stack, axes), **options)
    return {number: each.pair for number, each in enumerate(outcomes) if each.pair is not None}


def halves(valid: np.ndarray) -> tuple[float, float]:
    """The valid share of the left and of the right half."""
    left, right = valid[:, : 2 * (MIDDLE - APART)], valid[:, 2 * (MIDDLE + APART) :]
    return float(left.mean()), float(right.mean())


def test_a_plane_is_learned_from_where_it_is_blurred_and_another_is_sharp(
    planes: dict[int, RegisteredPair],
) -> None:
    assert set(planes) == {0, 1, 2, 3, 4}
    left, right = halves(planes[LEFT].valid)
    assert left < 0.05
    assert right > 0.9
    left, right = halves(planes[RIGHT].valid)
    assert left > 0.9
    assert right < 0.05
    assert min(halves(planes[2].valid)) > 0.9
    assert "% of its field is clearly sharper in other planes" in " ".join(
        planes[2].registration.problems
    )


def test_the_truth_is_the_sharp_scene_on_the_pixels_of_the_plane(
    planes: dict[int, RegisteredPair], sharp: np.ndarray
) -> None:
    for pair in planes.values():
        (window,) = pair.windows
        error = np.square(pair.high[0] - window.normalise(sharp))[pair.valid].mean()
        blurred = np.square(pair.low[0].repeat(2, 0).repeat(2, 1) - window.normalise(sharp))[
            pair.valid
        ].mean()
        assert error < 0.15 * blurred


def test_a_halved_plane_is_as_noisy_as_it_was() -> None:
    random = np.random.default_rng(0)
    plane = (0.5 + 0.02 * random.standard_normal((1, 256, 256))).astype(np.float32)
    plane[:, :, 128:] += 0.3 + 0.03 * random.standard_normal((1, 256, 128)).astype(np.float32)
    low = coarser(plane, 2, steps=(0.0,), seed=1)
    assert low.shape == (1, 128, 128)
    for columns in (slice(0, 60), slice(68, 128)):
        fine = plane[:, :, 2 * columns.start : 2 * columns.stop]
        assert low[:, :, columns].std() == pytest.approx(float(fine.std()), rel=0.2)
        assert low[:, :, columns].mean() == pytest.approx(float(fine.mean()), abs=0.005)


def test_a_plane_without_noise_is_halved_and_nothing_else(sharp: np.ndarray) -> None:
    blurred = ndimage.gaussian_filter(sharp, 2)[None]
    assert (
        np.abs(
            coarser(blurred, 2, steps=(0.0,), seed=0) - block_means(blurred, binning=2, y=1)
        ).max()
        < 0.01
    )


def test_planes_that_drift_keep_their_pixels_and_the_truth_is_laid_on_them(
    sharp: np.ndarray,
) -> None:
    stack = two_halves(sharp, noise=0.0)
    stack[0] = ndimage.shift(stack[0], (3.3, -2.6), order=3, mode="nearest")
    pair = found(stack)[0]
    (window,) = pair.windows
    own = window.normalise(block_means(stack[0][pair.high_crop], binning=2, y=0))
    np.testing.assert_allclose(pair.low[0], own, atol=0.01)
    seen = ndimage.gaussian_filter(block_means(pair.high[0], binning=2, y=0), 1.0)
    moved, _, _ = phase_cross_correlation(pair.low[0], seen, upsample_factor=20, normalization=None)
    assert np.abs(moved).max() < 0.2


def test_a_colour_that_moves_with_focus_moves_in_the_truth_too(sharp: np.ndarray) -> None:
    grey = two_halves(sharp, noise=0.0)
    green = np.stack(
        [ndimage.shift(p, (0.5 * n, 0), order=3, mode="nearest") for n, p in enumerate(grey)]
    )
    pair = found(np.stack([grey, green, grey], axis=-1), "ZYXS", ordered=True)[4]
    for low, high in zip(pair.low, pair.high, strict=True):
        seen = ndimage.gaussian_filter(block_means(high, binning=2, y=0), 1.5)
        moved, _, _ = phase_cross_correlation(low, seen, upsample_factor=20, normalization=None)
        assert np.abs(moved).max() < 0.2


def test_channels_are_learned_from_where_the_one_with_most_detail_says(sharp: np.ndarray) -> None:
    stack = two_halves(sharp)
    pairs = found(np.stack([stack, 1 - stack], axis=1), "ZCYX", registered=True)
    assert pairs[2].low.shape == (2, 96, 96)
    assert len(pairs[2].windows) == 2
    assert not pairs[2].rgb
    inner = slice(16, -16), slice(16, -16)
    assert (
        np.corrcoef(pairs[2].high[0][inner].ravel(), pairs[2].high[1][inner].ravel())[0, 1] < -0.95
    )


def noise(count: int) -> np.ndarray:
    return np.stack([ndimage.gaussian_filter(texture(seed=n), 0.5) for n in range(count)])


@pytest.mark.parametrize(
    ("stack", "axes", "said"),
    [
        (
            np.zeros((1, 192, 192), np.float32),
            "ZYX",
            "stack: A focus stack has at least two planes",
        ),
        (np.zeros((3, 192, 192), np.float32), "ZYX", "shows anything"),
        (noise(3), "ZYX", "stack: No two planes of this stack show the same place"),
        (
            np.stack([ndimage.gaussian_filter(texture(), 12)] * 3),
            "ZYX",
            "nothing is sharp in any plane",
        ),
        (
            two_halves(texture(96)),
            "ZYX",
            "pixels, too few to learn from one end and judge by the other",
        ),
        (np.zeros((2, 3, 192, 192), np.float32), "TZYX", "has the axes TZYX"),
    ],
)
def test_what_cannot_be_learned_from_is_told_in_a_sentence(
    stack: np.ndarray, axes: str, said: str
) -> None:
    with pytest.raises(ImageError, match=said):
        stack_pairs("stack", Micrograph(stack, axes))


def test_a_result_of_this_program_is_no_truth(tmp_path: Path) -> None:
    for number, plane in enumerate(two_halves(texture())[:2]):
        write_image(tmp_path / f"{number}.tif", Micrograph(plane, "YX", restored=True))
    with pytest.raises(ImageError, match="result of this program"):
        stack_pairs("stack", read_stack(tmp_path))


def test_stacks_are_called_as_their_files_and_no_two_the_same() -> None:
    assert stack_names([Path("a/x.ome.tif"), Path("b/x.tif"), Path("c/planes.d")]) == [
        "x",
        "x (2)",
        "planes",
    ]


# ---- learning from them


@pytest.fixture
def begun(
    base_file: Path, planes: dict[int, RegisteredPair], pair: Callable[..., RegisteredPair]
) -> Callable[..., Any]:
    """``begun(others, steps=…)``: a fine-tuning on the planes, and on other pairs."""

    def make(others: Any = (), **changes: Any) -> Any:
        given = {
            "minutes": 60.0,
            "steps": 4,
            "batch": 2,
            "patch": 24,
            "threads": 1,
            "precision": "float32",
        }
        settings = FineTuneSettings(
            base=str(base_file), name="tuned", device="cpu", **given | changes
        )
        return begin(settings, tuning_pairs([*planes.values(), *others], read_card(base_file)))

    return make


def test_no_part_that_is_held_out_is_learned_from_in_any_plane(
    planes: dict[int, RegisteredPair], base_file: Path
) -> None:
    pairs = tuning_pairs(list(planes.values()), read_card(base_file))
    assert len(pairs) >= 4  # of two objectives, whole images would be held out
    parts = split(pairs, 16)
    assert parts.gap == 16
    assert max(box.x1 for box in parts.training) + 16 <= min(box.x0 for box in parts.held_out)
    assert {box.pair for box in parts.training} & {box.pair for box in parts.held_out}


def test_planes_of_a_stack_are_learned_from_as_often_as_each_other(
    planes: dict[int, RegisteredPair], base_file: Path
) -> None:
    pairs = tuning_pairs(list(planes.values()), read_card(base_file))
    sampler = PairSampler(pairs, split(pairs, 16).training, batch=2, patch=24, turns=False, seed=0)
    assert len(sampler.shares) > 2
    assert np.ptp(sampler.shares) < 1e-9
    patches = sampler.draw(0)
    assert patches.known is not None
    assert patches.known.shape == (2, 1, 48, 48)
    for number in range(20):
        drawn = sampler.draw(number).known
        assert drawn is not None
        assert drawn.mean(dim=(1, 2, 3)).min() >= 0.25


@pytest.mark.parametrize(("stack", "turned"), [("stack", True), ("", False)])
def test_patches_of_a_stack_are_turned_unasked(stack: str, turned: bool) -> None:
    ramp = np.broadcast_to(np.arange(96, dtype=np.float32), (1, 96, 96))
    pair = TuningPair("p", ramp, ramp.repeat(2, 1).repeat(2, 2), np.ones((192, 192), bool), stack)
    sampler = PairSampler([pair], [Box(0, 0, 96, 0, 96)], batch=16, patch=24, turns=False, seed=0)
    rising = {bool(each[0, 0, -1] > each[0, 0, 0] + 1) for each in sampler.draw(0).blurred}
    assert rising == ({True, False} if turned else {True})


def test_a_stack_makes_a_model_that_tells_so_and_can_be_resumed(begun: Callable[..., Any]) -> None:
    folder = begun(steps=3)
    assert {each.stack for each in read_pairs(folder)} == {"stack"}
    tuning = open_fine_tuning(folder)
    for progress in tuning.steps():
        if progress.step == 2:
            tuning.stop()
    again = open_fine_tuning(folder)
    assert [progress.step for progress in again.steps()] == [3]
    card = read_card(Path(conclude(again).path))
    assert "fine-tuned on the focus stack stack (5 planes)" in card.trained_on
    assert "fine-tuned on 1 focus stack" in card.description
    assert card.scores["fine_tuning_pairs"] == 0
    assert 0 < card.scores["fine_tuning_way_from_base"] <= 1


def test_it_gets_better_on_the_part_that_it_never_saw(begun: Callable[..., Any]) -> None:
    tuning = open_fine_tuning(begun(steps=60, batch=4, learning_rate=0.005, averaging=0.9))
    list(tuning.steps())
    outcome = conclude(tuning)
    assert outcome.verdict.gain_db > 0.3
    assert outcome.methods[2].psnr_db > outcome.methods[1].psnr_db


def test_pairs_and_stacks_are_learned_from_together(
    begun: Callable[..., Any], pair: Callable[..., RegisteredPair]
) -> None:
    tuning = open_fine_tuning(begun([pair("grain")], steps=1))
    list(tuning.steps())
    card = read_card(Path(conclude(tuning).path))
    assert "fine-tuned on 1 pair and 1 focus stack" in card.description
    assert {
        "fine-tuned on the pair grain",
        "fine-tuned on the focus stack stack (5 planes)",
    } <= set(card.trained_on)


def test_between_two_networks_lie_their_weighted_means(tiny_model: Callable[..., Any]) -> None:
    import torch

    base = tiny_model(1).network
    tuned = copy.deepcopy(base)
    with torch.no_grad():
        for value in tuned.parameters():
            value.add_(1.0)
    middle = between(base, tuned, 0.25)
    for start, found, end in zip(
        base.parameters(), middle.parameters(), tuned.parameters(), strict=True
    ):
        torch.testing.assert_close(found, start + 0.25)
        torch.testing.assert_close(end, start + 1)
    assert between(base, tuned, 1) is tuned


def test_noise_is_measured_as_it_is_put_back(planes: dict[int, RegisteredPair]) -> None:
    pair = planes[2]
    whole = two_halves(texture())[2]
    (window,) = pair.windows
    before = measure_noise([np.asarray(window.normalise(whole), np.float32)[..., None]]).typical
    assert measure_noise([pair.low[0][..., None]]).typical == pytest.approx(before, rel=0.3)


def test_a_stack_that_is_looked_at_can_be_stopped(sharp: np.ndarray) -> None:
    asked: list[bool] = []

    def tenth() -> bool:
        asked.append(True)
        return len(asked) == 10

    with pytest.raises(Stopped), stoppable(tenth):
        found(two_halves(sharp), registered=False)
    assert len(asked) == 10
