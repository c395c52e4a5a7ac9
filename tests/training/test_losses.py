"""The terms of the losses: their values, their shares, and where their gradients go."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_mdeblurgan.degradation import downsample, gaussian_blur
from napari_mdeblurgan.errors import ModelError, TrainingError
from napari_mdeblurgan.network import Generator, Restoration
from napari_mdeblurgan.network.discriminator import Discriminator, frozen
from napari_mdeblurgan.training.data.dataset import Patches
from napari_mdeblurgan.training.losses.perceptual import Trunk
from napari_mdeblurgan.training.losses.terms import (
    GeneratorLoss,
    LossConfig,
    adversarial_loss,
    discriminator_loss,
    distance_loss,
    log_mse,
    mse,
    pixel_loss,
    preset,
    squared_errors,
    without_border,
)

FULL = preset("perceptual")


def grain(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def patches() -> Patches:
    sharp = functional.interpolate(grain(2, 1, 32, 32), scale_factor=2, mode="bicubic")
    low = functional.avg_pool2d(sharp, 2)
    return Patches(functional.avg_pool2d(low, 3, stride=1, padding=1), low, sharp)


@pytest.fixture
def generator() -> Generator:
    network = Generator(1, width=2)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(
                0.4 * torch.randn(weights.shape, generator=random) / weights[0].numel() ** 0.5
            )
    return network


@pytest.fixture
def judge() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(1, width=2)


@pytest.fixture
def trunk() -> Trunk:
    torch.manual_seed(0)
    return Trunk("relu2_2", divisor=16)


def off_by(patches: Patches, high: float, first: float, second: float) -> Restoration:
    """A restoration whose output and whose two candidates are wrong by a constant; its distances
    are estimated as 0.1.
    """
    low = patches.sharp_low
    return Restoration(
        patches.sharp + high,
        low + first,
        low + second,
        low + second,
        torch.zeros(2, 3, 32, 32),
        torch.full((2, 3, 32, 32), 0.1),
    )


def test_a_constant_error_has_its_square_as_mse() -> None:
    truth = grain(2, 3, 16, 16)
    assert mse(truth + 0.2, truth).item() == pytest.approx(0.04)
    assert log_mse(truth + 0.2, truth, border=0, floor=0.01).item() == pytest.approx(math.log(0.05))


def test_every_image_has_an_error_of_its_own() -> None:
    truth = grain(2, 1, 16, 16)
    wrong = truth + torch.tensor([0.1, 0.3])[:, None, None, None]
    assert squared_errors(wrong, truth).tolist() == pytest.approx([0.01, 0.09])


def test_errors_within_the_border_do_not_count() -> None:
    truth = torch.zeros(1, 1, 16, 16)
    wrong = torch.ones(1, 1, 16, 16)
    wrong[..., 3:-3, 3:-3] = 0.5
    assert mse(wrong, truth, border=3).item() == pytest.approx(0.25)
    assert without_border(wrong, 3).shape == (1, 1, 10, 10)
    assert without_border(wrong, 0).shape == (1, 1, 16, 16)


def test_the_paper_pixel_terms_are_the_weighted_squared_errors(patches: Patches) -> None:
    config = LossConfig(
        pixel="mse", output=1, deblurred=0.5, encoder_decoder=0.2, distances=0, ssim_share=0
    )
    terms = GeneratorLoss(config).terms(off_by(patches, 0.1, 0.2, 0.3), patches)
    found = {name: term.item() for name, term in terms.items()}
    assert found == pytest.approx(
        {"output": 0.01, "encoder-decoder": 0.2 * 0.04, "deblurred": 0.5 * 0.09}
    )


def test_the_logarithmic_terms_are_those_of_pixel_loss(patches: Patches) -> None:
    restored = off_by(patches, 0.1, 0.2, 0.3)
    terms = GeneratorLoss(preset("faithful")).terms(restored, patches, floor=1e-3)
    for name, value in pixel_loss(restored, patches.sharp_low, patches.sharp, floor=1e-3).items():
        assert terms[name].item() == pytest.approx(value.item())
    expected = 0.1 * distance_loss(restored, patches.blurred, patches.sharp_low)
    assert terms["distances"].item() == pytest.approx(expected.item())
    assert set(terms) == {"output", "encoder-decoder", "deblurred", "distances", "ssim"}


def test_estimated_distances_cost_least_where_they_are_true(patches: Patches) -> None:
    restored = off_by(patches, 0, 0.2, 0.3)
    true = torch.stack(
        [
            (patches.blurred - patches.sharp_low).abs()[:, 0],
            torch.full((2, 32, 32), 0.2),
            torch.full((2, 32, 32), 0.3),
        ],
        1,
    )
    costs = [
        distance_loss(
            restored._replace(distances=factor * true), patches.blurred, patches.sharp_low
        ).item()
        for factor in (0.5, 1, 2)
    ]
    assert costs[1] < min(costs[0], costs[2])


def test_every_steered_term_has_its_share_and_all_shares_make_one(
    patches: Patches, generator: Generator, judge: Discriminator, trunk: Trunk
) -> None:
    loss = GeneratorLoss(FULL, trunk)
    restored = generator.explain(patches.blurred)
    terms = loss.terms(restored, patches, fake_logits=judge(restored.output))
    assert {name: loss.shares[name] for name in FULL.targets} == pytest.approx(FULL.targets)
    assert sum(loss.shares.values()) == pytest.approx(1)
    whole = sum(terms[name].item() for name in loss.shares)
    for name, share in loss.shares.items():
        assert terms[name].item() / whole == pytest.approx(share, rel=1e-4)


def test_structural_similarity_has_its_share_beside_logarithms_which_are_negative(
    patches: Patches, generator: Generator
) -> None:
    loss = GeneratorLoss(preset("faithful"))
    terms = loss.terms(generator.explain(patches.blurred), patches)
    assert terms["output"] < 0
    assert loss.shares["ssim"] == pytest.approx(0.1)
    assert min(loss.shares.values()) >= 0


def test_the_size_of_a_logarithm_is_what_is_left_above_the_floor(patches: Patches) -> None:
    loss = GeneratorLoss(replace(preset("faithful"), ssim_share=0))
    loss.terms(off_by(patches, 0.1, 0.0, 0.0), patches, floor=0.01)
    assert loss.shares == pytest.approx({"output": 1, "encoder-decoder": 0, "deblurred": 0})
    loss.terms(off_by(patches, 0.1, 0.1, 0.3), patches, floor=0.01)
    sizes = {"output": 0.5, "encoder-decoder": 0.15 * 0.5, "deblurred": 0.25 * 0.9}
    whole = sum(sizes.values())
    assert loss.shares == pytest.approx(
        {name: size / whole for name, size in sizes.items()}, rel=1e-4
    )


def test_the_weights_follow_training_but_not_validation(patches: Patches) -> None:
    loss = GeneratorLoss(preset("faithful"))
    loss.terms(off_by(patches, 0.1, 0.1, 0.1), patches)
    before = loss.weighting.state_dict()
    loss.terms(off_by(patches, 0.5, 0.1, 0.1), patches, adapt=False)
    assert loss.weighting.state_dict() == before
    loss.terms(off_by(patches, 0.5, 0.1, 0.1), patches)
    assert loss.weighting.state_dict() != before


def test_a_term_without_what_it_needs_is_refused_and_never_left_out(
    patches: Patches, trunk: Trunk
) -> None:
    restored = off_by(patches, 0.1, 0.1, 0.1)
    with pytest.raises(ValueError, match="adversarial term needs"):
        GeneratorLoss(FULL, trunk).terms(restored, patches)
    with pytest.raises(ValueError, match="feature matching needs"):
        GeneratorLoss(replace(FULL, perceptual="feature-matching")).terms(
            restored, patches, fake_logits=torch.zeros(2)
        )


def test_vgg19_without_its_file_stops_before_any_training(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MDEBLURGAN_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"vgg19_download = true.*feature-matching"):
        GeneratorLoss(FULL)


def test_logits_of_zero_cost_ln_2_each() -> None:
    zero = torch.zeros(3)
    assert adversarial_loss(zero).item() == pytest.approx(math.log(2))
    assert discriminator_loss(zero, zero).item() == pytest.approx(2 * math.log(2))


def test_cross_entropy_of_known_logits() -> None:
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    p_real, p_fake = [[1 / (1 + math.exp(-x)) for x in each.tolist()] for each in (real, fake)]
    of_real = sum(-math.log(p) for p in p_real) / 2
    of_fake = sum(-math.log(1 - p) for p in p_fake) / 2
    assert discriminator_loss(real, fake).item() == pytest.approx(of_real + of_fake)
    assert adversarial_loss(fake).item() == pytest.approx(sum(-math.log(p) for p in p_fake) / 2)
    smooth = sum(-0.9 * math.log(p) - 0.1 * math.log(1 - p) for p in p_real) / 2
    assert discriminator_loss(real, fake, label_smoothing=0.1).item() == pytest.approx(
        smooth + of_fake
    )


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([-1e4, 1e4], requires_grad=True)
    (discriminator_loss(logits, logits) + adversarial_loss(logits)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_the_discriminator_step_does_not_touch_the_generator(
    patches: Patches, generator: Generator, judge: Discriminator
) -> None:
    output = generator(patches.blurred)
    discriminator_loss(judge(patches.sharp), judge(output.detach())).backward()
    assert all(weights.grad is None for weights in generator.parameters())
    assert all(weights.grad is not None for weights in judge.parameters())


@pytest.mark.parametrize("perceptual", ["vgg19", "feature-matching"])
def test_the_generator_step_touches_neither_the_discriminator_nor_the_trunk(
    patches: Patches, generator: Generator, judge: Discriminator, trunk: Trunk, perceptual: str
) -> None:
    loss = GeneratorLoss(
        replace(FULL, perceptual=perceptual), trunk if perceptual == "vgg19" else None
    )
    restored = generator.explain(patches.blurred)
    with frozen(judge):
        fake = judge.features(restored.output)
        real = judge.features(patches.sharp)
        terms = loss.terms(
            restored, patches, fake_logits=judge.judge(fake), fake_features=fake, real_features=real
        )
    torch.stack(list(terms.values())).sum().backward()
    assert all(weights.grad is None for weights in (*judge.parameters(), *trunk.parameters()))
    assert all(weights.grad is not None for weights in generator.parameters())


@pytest.mark.parametrize("name", ["ssim", "perceptual", "adversarial", "deblurred"])
def test_terms_on_the_output_reach_super_resolution_and_the_others_do_not(
    patches: Patches, generator: Generator, judge: Discriminator, trunk: Trunk, name: str
) -> None:
    restored = generator.explain(patches.blurred)
    terms = GeneratorLoss(FULL, trunk).terms(restored, patches, fake_logits=judge(restored.output))
    terms[name].backward()
    reached = any(
        weights.grad is not None and bool(weights.grad.any())
        for weights in generator.super_resolution.parameters()
    )
    assert reached == (name != "deblurred")


def test_a_step_down_the_adversarial_loss_raises_the_logit(
    patches: Patches, generator: Generator, judge: Discriminator
) -> None:
    before = judge(generator(patches.blurred))
    with frozen(judge):
        adversarial_loss(judge(generator(patches.blurred))).backward()
    with torch.no_grad():
        for weights in generator.parameters():
            if weights.grad is not None:
                weights -= 1e-2 * weights.grad
        assert (judge(generator(patches.blurred)) > before).all()


def test_the_presets_are_what_they_are_called() -> None:
    faithful = preset("faithful")
    assert (faithful.pixel, faithful.perceptual, faithful.adversarial_share) == (
        "log-mse",
        "none",
        0,
    )
    assert not faithful.needs_discriminator
    assert (FULL.pixel, FULL.perceptual) == ("mse", "vgg19")
    assert FULL.needs_discriminator
    assert all(0.05 <= FULL.targets[name] <= 0.15 for name in ("ssim", "perceptual"))
    with pytest.raises(TrainingError, match="faithful, perceptual, not 'pretty'"):
        preset("pretty")


def test_feature_matching_needs_a_discriminator_even_without_the_adversarial_term() -> None:
    assert LossConfig(perceptual="feature-matching").needs_discriminator


@pytest.mark.parametrize(
    "change",
    [
        {"pixel": "l1"},
        {"perceptual": "vgg16"},
        {"vgg19_layer": "relu9_9"},
        {"output": -1.0},
        {"output": math.nan},
        {"output": 0.0, "deblurred": 0.0, "encoder_decoder": 0.0},
        {"border": -1},
        {"ssim_share": 1.0},
        {"adversarial_share": -0.1},
        {"label_smoothing": 0.5},
        {"perceptual": "vgg19", "perceptual_share": 0.0},
        {"ssim_share": 0.6, "adversarial_share": 0.5},
        {"memory": 1.0},
    ],
)
def test_a_setting_that_cannot_be_is_refused(change: dict) -> None:
    with pytest.raises(TrainingError, match="must"):
        LossConfig(**change)


def test_where_softness_is_known_a_result_is_as_soft_as_the_truth_before_comparison() -> None:
    latent, softness = grain(2, 1, 64, 64), torch.tensor([0.0, 2.0])
    soft = gaussian_blur(latent, softness)
    low, soft_low = downsample(latent, 2), gaussian_blur(downsample(latent, 2), softness / 2)
    weights = torch.zeros(2, 3, 32, 32)
    restored = Restoration(latent, low, low, low, weights, weights)
    config = LossConfig(pixel="mse", ssim_share=0, distances=0, passed_on=0.5)
    told = GeneratorLoss(config).terms(restored, Patches(low, soft_low, soft, softness))
    assert {"output", "deblurred", "encoder-decoder", "passed on"} == set(told)
    assert all(term.item() == pytest.approx(0, abs=1e-10) for term in told.values())
    untold = GeneratorLoss(config).terms(restored, Patches(low, soft_low, soft))
    assert all(term.item() > 1e-4 for term in untold.values())


def test_where_the_truth_says_nothing_no_error_is_seen_and_nothing_is_learned(
    generator: Generator, patches: Patches
) -> None:
    known = torch.zeros(2, 1, 64, 64)
    known[:, :, :, :32] = 1
    config = LossConfig(ssim_share=0.1)
    wrong = patches.sharp.clone()
    wrong[..., 32:] = 1 - wrong[..., 32:]
    wrong_low = patches.sharp_low.clone()
    wrong_low[..., 16:] = 1 - wrong_low[..., 16:]
    terms = []
    for sharp, low in ((patches.sharp, patches.sharp_low), (wrong, wrong_low)):
        restored = generator.explain(patches.blurred)
        restored.output.retain_grad()
        batch = patches._replace(sharp=sharp, sharp_low=low, known=known)
        found = GeneratorLoss(config).terms(restored, batch)
        found["output"].backward(retain_graph=True)
        assert restored.output.grad is not None
        assert not restored.output.grad[..., 32:].any()
        assert restored.output.grad[..., 12:32].any()
        terms.append(
            {name: float(value.detach()) for name, value in found.items() if name != "ssim"}
        )
    assert terms[0] == pytest.approx(terms[1])
    assert {"output", "deblurred", "distances"} <= set(terms[0])
