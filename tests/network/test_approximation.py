"""The optimal approximation module, in every reading."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_mdeblurgan.network.approximation import Approximation, OptimalApproximationModule
from napari_mdeblurgan.network.reach import Reach

READINGS = ("affine", "ranked", "softmax", "nearest", "none")


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def randomised(reading: str, channels: int = 1) -> OptimalApproximationModule:
    """A module as after some training: none of its weights is zero."""
    random = torch.Generator().manual_seed(0)
    module = OptimalApproximationModule(channels, reading, hidden=4).eval()
    with torch.no_grad():
        for values in module.parameters():
            values.copy_(0.3 * torch.randn(values.shape, generator=random))
    return module


def candidates(channels: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    first, second, third = (noise(2, channels, 16, 24, seed=seed) for seed in (1, 2, 3))
    return first, second, third


def combine(
    module: OptimalApproximationModule, images: tuple[Tensor, Tensor, Tensor], gain: float = 1
) -> Approximation:
    scaled = (gain * images[0], gain * images[1], gain * images[2])
    mean = torch.full_like(images[0], 0.5 * gain)
    contrast = torch.full_like(images[0][:, :1], 0.25 * gain)
    with torch.no_grad():
        return module(scaled, mean, contrast)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("reading", READINGS)
def test_weights_sum_to_one_and_make_the_image(reading: str, training: bool, channels: int) -> None:
    module, images = randomised(reading, channels).train(training), candidates(channels)
    passed = combine(module, images)
    assert passed.weights.shape == (2, 3, 16, 24)
    torch.testing.assert_close(passed.weights.sum(dim=1), torch.ones(2, 16, 24))
    mixed = sum(passed.weights[:, [n]] * images[n] for n in range(3))
    torch.testing.assert_close(passed.image, mixed)


@pytest.mark.parametrize("reading", READINGS)
def test_equal_candidates_are_passed_on_as_they_are(reading: str) -> None:
    image = noise(1, 1, 16, 16)
    torch.testing.assert_close(combine(randomised(reading), (image, image, image)).image, image)


def test_affine_starts_at_the_deblurred_image() -> None:
    images = candidates()
    passed = combine(OptimalApproximationModule(1, "affine"), images)
    assert torch.equal(passed.image, images[2])
    assert torch.equal(passed.weights[:, 2], torch.ones(2, 16, 24))


def test_affine_weights_are_unbounded() -> None:
    module = randomised("affine")
    with torch.no_grad():
        module.to_weights.bias.copy_(torch.tensor([2.0, -3.0]))
    weights = combine(module, candidates()).weights
    assert weights.min() < 0
    assert weights.max() > 1


def test_ranked_starts_near_the_deblurred_image_and_follows_the_distances() -> None:
    start = combine(OptimalApproximationModule(1, "ranked"), candidates()).weights
    assert (start[:, 2] > 0.95).all()
    module = randomised("ranked")
    with torch.no_grad():
        module.to_weights.weight.zero_()
        module.to_weights.bias.fill_(3.0)
    passed = combine(module, candidates())
    assert torch.equal(passed.weights.argmax(dim=1), passed.distances.argmin(dim=1))


def test_softmax_starts_even_and_stays_between_zero_and_one() -> None:
    even = combine(OptimalApproximationModule(1, "softmax"), candidates()).weights
    torch.testing.assert_close(even, torch.full_like(even, 1 / 3))
    weights = combine(randomised("softmax"), candidates()).weights
    assert weights.min() > 0
    assert weights.max() < 1


def test_nearest_takes_one_candidate_per_pixel_when_used() -> None:
    passed = combine(randomised("nearest"), candidates())
    assert set(passed.weights.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(passed.weights.argmax(dim=1), passed.distances.argmin(dim=1))


def test_nearest_is_a_soft_choice_in_training() -> None:
    weights = combine(randomised("nearest").train(), candidates()).weights
    assert ((weights > 0.01) & (weights < 0.99)).any()


def test_none_passes_the_deblurred_image_straight_on() -> None:
    module, images = OptimalApproximationModule(1, "none"), candidates()
    assert torch.equal(combine(module, images).image, images[2])
    assert not list(module.parameters())


@pytest.mark.parametrize("reading", ["affine", "ranked", "softmax", "nearest"])
def test_distances_are_positive_and_grow_with_the_contrast(reading: str) -> None:
    module, images = randomised(reading), candidates()
    single, double = combine(module, images), combine(module, images, gain=2)
    assert (single.distances > 0).all()
    torch.testing.assert_close(double.distances, 2 * single.distances)
    torch.testing.assert_close(double.weights, single.weights)


@pytest.mark.parametrize("reading", ["affine", "softmax"])
def test_learning_the_distances_leaves_the_weights_alone(reading: str) -> None:
    module, images = randomised(reading).train(), candidates()
    passed = module(images, torch.full_like(images[0], 0.5), torch.full_like(images[0], 0.25))
    passed.distances.sum().backward()
    assert all(
        values.grad is None
        for values in (*module.features.parameters(), *module.to_weights.parameters())
    )
    assert module.to_distances.weight.grad is not None


def test_an_unknown_reading_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="affine, ranked, softmax, nearest, none"):
        OptimalApproximationModule(1, "average")


def test_reach_is_that_of_three_convolutions_unless_there_is_nothing_to_weigh() -> None:
    assert OptimalApproximationModule(1, "affine").reach(Reach()) == Reach(3, 3)
    assert OptimalApproximationModule(1, "none").reach(Reach()) == Reach()
