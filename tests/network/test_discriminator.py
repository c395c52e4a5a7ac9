"""The discriminator: what it answers, what it cannot see, and that it can be taught."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_mdeblurgan.network.discriminator import Discriminator, frozen
from napari_mdeblurgan.training.losses.terms import discriminator_loss


def grain(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def judge() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(1, width=3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(16, 16), (17, 40), (65, 31)])
def test_an_image_of_any_size_gets_one_logit(channels: int, size: tuple[int, int]) -> None:
    assert Discriminator(channels, width=2)(grain(2, channels, *size)).shape == (2,)


def test_strided_convolutions_halve_the_size_and_double_the_feature_maps(
    judge: Discriminator,
) -> None:
    shapes = [tuple(maps.shape[1:]) for maps in judge.features(grain(1, 1, 64, 32))]
    assert shapes == [(3, 32, 16), (6, 16, 8), (12, 8, 4), (24, 4, 2)]


def test_there_is_no_batch_norm_and_one_dense_layer_after_the_pooling() -> None:
    kinds = [type(layer).__name__ for layer in Discriminator(3).modules()]
    assert (kinds.count("Conv2d"), kinds.count("Linear"), kinds.count("LeakyReLU")) == (8, 1, 8)
    assert not any("Norm" in kind for kind in kinds)


def test_each_image_is_judged_by_itself(judge: Discriminator) -> None:
    images = grain(3, 1, 32, 32)
    torch.testing.assert_close(judge(images)[1:2], judge(images[1:2]))


def test_probability_is_the_sigmoid_of_the_logit(judge: Discriminator) -> None:
    images = grain(2, 1, 32, 32)
    probability = judge.probability(images)
    torch.testing.assert_close(torch.log(probability / (1 - probability)), judge(images))


def test_judging_features_is_judging_the_image(judge: Discriminator) -> None:
    images = grain(2, 1, 32, 32)
    assert torch.equal(judge.judge(judge.features(images)), judge(images))


def test_brightness_is_no_clue(judge: Discriminator) -> None:
    image = 0.5 * grain(1, 1, 32, 32)
    torch.testing.assert_close(judge(image + 0.4), judge(image), rtol=0, atol=1e-5)


def test_the_brightness_of_a_colour_is_no_clue() -> None:
    torch.manual_seed(0)
    judge, image = Discriminator(3, width=3), 0.5 * grain(1, 3, 32, 32)
    tinted = image + torch.tensor([0.4, 0.0, 0.2])[:, None, None]
    torch.testing.assert_close(judge(tinted), judge(image), rtol=0, atol=1e-5)


def test_exposure_is_hardly_a_clue(judge: Discriminator) -> None:
    image, other = grain(1, 1, 32, 32), grain(1, 1, 32, 32, seed=1)
    change = (judge(0.5 * image) - judge(image)).abs()
    assert change < 0.1 * (judge(other) - judge(image)).abs()


def test_a_flat_image_is_judged_without_trouble(judge: Discriminator) -> None:
    image = torch.full((1, 1, 32, 32), 0.3, requires_grad=True)
    judge(image).sum().backward()
    assert image.grad is not None
    assert image.grad.isfinite().all()


def coarse_grain(batch: int, seed: int) -> Tensor:
    return torch.nn.functional.interpolate(
        grain(batch, 1, 8, 8, seed=seed), scale_factor=4, mode="bicubic"
    )


def test_it_learns_to_tell_fine_grain_from_coarse() -> None:
    torch.manual_seed(0)
    judge = Discriminator(1, width=4)
    optimizer = torch.optim.Adam(judge.parameters(), lr=3e-3)
    for step in range(30):
        optimizer.zero_grad()
        discriminator_loss(
            judge(grain(4, 1, 32, 32, seed=step)), judge(coarse_grain(4, seed=step))
        ).backward()
        optimizer.step()
    assert judge.probability(grain(4, 1, 32, 32, seed=100)).min() > 0.8
    assert judge.probability(coarse_grain(4, seed=100)).max() < 0.2


def test_a_frozen_discriminator_passes_gradients_on_and_keeps_none(judge: Discriminator) -> None:
    image = grain(1, 1, 32, 32).requires_grad_()
    with frozen(judge):
        judge(image).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert all(weights.grad is None for weights in judge.parameters())
    assert all(weights.requires_grad for weights in judge.parameters())


def test_weights_that_were_frozen_before_stay_so(judge: Discriminator) -> None:
    judge.dense.requires_grad_(False)
    with frozen(judge):
        assert not any(weights.requires_grad for weights in judge.parameters())
    assert [name for name, weights in judge.named_parameters() if not weights.requires_grad] == [
        "dense.weight",
        "dense.bias",
    ]


@pytest.mark.parametrize("shape", [(1, 1, 15, 40), (1, 3, 32, 32), (1, 32, 32)])
def test_an_image_that_does_not_fit_is_refused(
    judge: Discriminator, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="with y and x at least 16"):
        judge(torch.zeros(shape))


@pytest.mark.parametrize(("channels", "width"), [(2, 8), (1, 0)])
def test_impossible_parameters_are_refused(channels: int, width: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Discriminator(channels, width)
