"""Adam: torch's own steps, without torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from napari_mdeblurgan.training.optimisers.adam import Adam
from napari_mdeblurgan.training.optimisers.state import optimizer_state, restore_optimizer

IMPORTS = """
import sys, torch
from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.network.discriminator import Discriminator
from napari_mdeblurgan.training.data.dataset import Patches
from napari_mdeblurgan.training.losses.loss_config import LossConfig
from napari_mdeblurgan.training.optimisers.schedule import Schedule
from napari_mdeblurgan.training.trainer import StepMethod, Training

loss = LossConfig(pixel="mse", perceptual="feature-matching", adversarial_share=0.05)
patches = Patches(torch.rand(2, 1, 24, 24), torch.rand(2, 1, 24, 24), torch.rand(2, 1, 48, 48))
for optimizer in "adam", "muon":
    method = StepMethod(optimizer=optimizer, discriminator_after=0)
    judge = Discriminator(1, 8)
    training = Training(Generator(1, width=8), Schedule(3, 1e-3), method, loss, discriminator=judge)
    assert [record.step for record in training.run([patches] * 3)] == [1, 2, 3]
    training.restore(*training.state())
    assert not {"torch._dynamo", "torch._inductor", "sympy"} & set(sys.modules), optimizer
"""


def trained(
    kind: type[torch.optim.Optimizer], steps: int
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network after so many steps at a rate that falls; one layer has a gradient at every other
    step only.
    """
    random = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 1, 3))
    optimizer = kind(network.parameters(), lr=1e-2, betas=(0.9, 0.99))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 / (1 + step)
        network[1].requires_grad_(step % 2 == 0)
        optimizer.zero_grad()
        network(torch.randn(2, 3, 12, 12, generator=random)).square().mean().backward()
        optimizer.step()
    return network, optimizer


@pytest.mark.parametrize("steps", [1, 7])
def test_steps_and_state_are_those_of_torch_to_the_last_bit(steps: int) -> None:
    (ours, optimizer), (theirs, reference) = trained(Adam, steps), trained(torch.optim.Adam, steps)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)
    state, expected = optimizer_state("a", optimizer), optimizer_state("a", reference)
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_what_torch_kept_is_gone_on_with() -> None:
    """A checkpoint of torch's own Adam."""
    (network, optimizer), (expected, reference) = trained(Adam, 0), trained(torch.optim.Adam, 4)
    network.load_state_dict(expected.state_dict())
    kept = {name: value.clone() for name, value in optimizer_state("a", reference).items()}
    restore_optimizer("a", optimizer, kept)
    for each, by in ((network, optimizer), (expected, reference)):
        each.requires_grad_(True)
        by.param_groups[0]["lr"] = 1e-3
        by.zero_grad()
        each(torch.ones(1, 3, 12, 12)).square().mean().backward()
        by.step()
    for one, other in zip(network.parameters(), expected.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_closure_is_called_for_the_gradients_and_its_loss_is_given_back() -> None:
    weight = nn.Parameter(torch.ones(3))
    optimizer = Adam([weight], lr=0.1)

    def loss() -> float:
        value = weight.square().sum()
        value.backward()
        return float(value.detach())

    assert optimizer.step(loss) == 3.0
    assert torch.allclose(weight.detach(), torch.full((3,), 0.9))


def test_a_training_imports_no_compiler() -> None:
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
