"""The training loop learns, and can be stopped and resumed without a trace."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.network.approximation import READINGS
from napari_mdeblurgan.training.dataset import PatchSampler, Source
from napari_mdeblurgan.training.degradation import Mixture
from napari_mdeblurgan.training.recipe import colour_network_from_grey
from napari_mdeblurgan.training.trainer import Schedule, Training


@pytest.fixture(scope="module")
def sampler() -> PatchSampler:
    grain = gaussian_filter(np.random.default_rng(0).random((200, 200)), 1)
    image = ((grain - grain.min()) / np.ptp(grain)).astype(np.float32)[None]
    return PatchSampler(
        (Source("grain", (image,), 1.0),), size=24, batch=2, mixture=Mixture(gaussian_noisy=0, physical=0, jpeg=0)
    )


def training(steps: int, reading: str = "affine") -> Training:
    torch.manual_seed(0)
    return Training(Generator(1, width=2, approximation=reading), Schedule(steps, 3e-3, warm_up=5, averaging=0.9))


@pytest.mark.parametrize("reading", READINGS)
def test_the_loss_falls_with_every_reading(sampler: PatchSampler, reading: str) -> None:
    same = itertools.repeat(next(sampler.batches()))
    losses = [terms["output"] for terms in training(60, reading).run(same)]
    assert len(losses) == 60
    assert losses[-1] < losses[0] - 0.3


def test_resumed_equals_never_stopped(sampler: PatchSampler, tmp_path: Path) -> None:
    straight = training(6)
    expected = list(straight.run(sampler.batches()))
    stopped = training(6)
    before = [terms for _, terms in zip(range(3), stopped.run(sampler.batches()), strict=False)]
    stopped.save(tmp_path / "checkpoint.safetensors")
    resumed = training(6)
    resumed.resume(tmp_path / "checkpoint.safetensors")
    after = list(resumed.run(sampler.batches(resumed.step)))
    assert before + after == expected
    for mine, other in zip(resumed.averaged.parameters(), straight.averaged.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_the_rate_rises_then_falls() -> None:
    schedule = Schedule(1000, 1e-3, warm_up=100)
    rates = [schedule.rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(1e-5)
    assert max(rates) > 0.9e-3
    assert rates[-1] == pytest.approx(1e-5, rel=0.01)
    assert rates[100:] == sorted(rates[100:], reverse=True)


def test_a_colour_network_from_a_grey_one_treats_grey_alike() -> None:
    grey = training(1).network
    with torch.no_grad():
        for weights in grey.parameters():
            weights.normal_(std=0.3 / weights[0].numel() ** 0.5)
    colour = colour_network_from_grey(grey)
    image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(colour(image.expand(-1, 3, -1, -1)), grey(image).expand(-1, 3, -1, -1))
