"""The steered weights: right from the first batch, following slowly, the same after a resume."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_mdeblurgan.errors import TrainingError
from napari_mdeblurgan.training.losses.weighting import Weighting, shares

TARGETS = {"ssim": 0.1, "perceptual": 0.1, "adversarial": 0.05}


def weighted_shares(weighting: Weighting, sizes: dict[str, float]) -> dict[str, float]:
    weights = weighting.weights()
    return shares({name: weights.get(name, 1.0) * size for name, size in sizes.items()})


def test_shares_are_parts_of_the_sum() -> None:
    assert shares({"output": 3.0, "ssim": 1.0}) == {"output": 0.75, "ssim": 0.25}
    assert shares({"output": 0.0, "ssim": 0.0}) == {"output": 0.0, "ssim": 0.0}


def test_the_first_batch_gives_every_term_its_share_whatever_its_size() -> None:
    weighting = Weighting(TARGETS)
    sizes = {
        "output": 1e-3,
        "deblurred": 2e-3,
        "ssim": 0.3,
        "perceptual": 40.0,
        "adversarial": 0.69,
    }
    weighting.observe(sizes)
    found = weighted_shares(weighting, sizes)
    assert {name: found[name] for name in TARGETS} == pytest.approx(TARGETS)
    assert found["output"] == pytest.approx(0.25)
    assert weighting.weights()["ssim"] == pytest.approx(0.1 * (3e-3 / 0.75) / 0.3)


def test_on_average_the_shares_hold_while_the_terms_fall_at_different_rates_and_scatter() -> None:
    random, weighting, found = np.random.default_rng(0), Weighting(TARGETS), []
    for step in range(1500):
        falling = math.exp(-step / 300)
        typical = {
            "output": 0.01 * falling + 1e-4,
            "ssim": 0.1 * falling**0.5,
            "perceptual": 3.0,
            "adversarial": 0.7,
        }
        sizes = {name: size * random.lognormal(0, 0.5) for name, size in typical.items()}
        weighting.observe(sizes)
        found.append([weighted_shares(weighting, sizes)[name] for name in TARGETS])
    means = np.reshape(found, (15, 100, 3)).mean(axis=1)
    assert np.all((means[:, :2] > 0.05) & (means[:, :2] < 0.15))
    assert np.all((means[:, 2] > 0.025) & (means[:, 2] < 0.075))


def test_one_odd_batch_hardly_moves_the_weights() -> None:
    weighting = Weighting({"ssim": 0.1})
    for _ in range(200):
        weighting.observe({"output": 1.0, "ssim": 1.0})
    before = weighting.weights()["ssim"]
    weighting.observe({"output": 3.0, "ssim": 1.0})
    assert 1 < weighting.weights()["ssim"] / before < 1.06
    weighting.observe({"output": 1e-6, "ssim": 1.0})
    assert 0.4 < weighting.weights()["ssim"] / before < 1


def test_a_batch_that_is_not_finite_is_left_out() -> None:
    weighting = Weighting({"ssim": 0.1})
    weighting.observe({"output": 1.0, "ssim": 1.0})
    before = weighting.state_dict()
    weighting.observe({"output": math.nan, "ssim": 1.0})
    weighting.observe({"output": 1.0, "ssim": math.inf})
    assert weighting.state_dict() == before


def test_a_term_that_is_zero_gets_no_weight() -> None:
    weighting = Weighting({"ssim": 0.1})
    weighting.observe({"output": 1.0, "ssim": 0.0})
    assert weighting.weights() == {"ssim": 0.0}
    weighting.observe({"output": 1.0, "ssim": 2.0})
    assert weighting.weights()["ssim"] == pytest.approx(0.1 / 0.9 / 2)


def test_going_on_from_a_state_gives_the_same_weights_to_the_last_bit() -> None:
    random = np.random.default_rng(0)
    batches = [
        dict(zip(("output", *TARGETS), random.random(4).tolist(), strict=True)) for _ in range(20)
    ]
    straight, resumed = Weighting(TARGETS), Weighting(TARGETS)
    for batch in batches[:10]:
        straight.observe(batch)
    state = straight.state_dict()
    resumed.load_state_dict(state)
    assert all(type(value) is float for value in state.values())
    for batch in batches[10:]:
        straight.observe(batch)
        resumed.observe(batch)
    assert resumed.weights() == straight.weights()
    assert resumed.state_dict() == straight.state_dict()


def test_a_state_of_other_terms_or_with_impossible_values_is_refused() -> None:
    weighting = Weighting({"ssim": 0.1})
    with pytest.raises(TrainingError, match="resume with the losses that the run was started with"):
        weighting.load_state_dict({"batches": 3.0, "ratio ssim": 1.0, "ratio perceptual": 2.0})
    with pytest.raises(TrainingError, match="damaged"):
        weighting.load_state_dict({"batches": 3.0, "ratio ssim": math.nan})


@pytest.mark.parametrize(
    "targets", [{"ssim": 0.0}, {"ssim": -0.1}, {"ssim": 0.5, "perceptual": 0.5}]
)
def test_shares_that_leave_nothing_are_refused(targets: dict[str, float]) -> None:
    with pytest.raises(TrainingError, match="together below 1"):
        Weighting(targets)


@pytest.mark.parametrize("memory", [-0.1, 1.0])
def test_a_memory_out_of_range_is_refused(memory: float) -> None:
    with pytest.raises(TrainingError, match="memory"):
        Weighting({"ssim": 0.1}, memory)
