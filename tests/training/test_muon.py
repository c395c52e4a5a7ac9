"""Muon: orthogonal steps for kernels, Adam for the rest."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.training.optimisers.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(16, 144), (64, 16), (32, 32)])
def test_an_orthogonalised_matrix_keeps_its_directions_and_evens_their_strengths(
    shape: tuple[int, int],
) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    strengths = torch.linalg.svdvals(orthogonalised(matrix))
    assert strengths.min() > 0.5
    assert strengths.max() < 1.3
    turned = u.T @ orthogonalised(matrix) @ vh.T  # diagonal, if the singular vectors are the same
    assert torch.allclose(turned, torch.diag(turned.diagonal()), atol=1e-4)


def test_a_gradient_of_zero_leaves_a_kernel_where_it_is() -> None:
    layer = nn.Conv2d(8, 8, 3, bias=False)
    before = layer.weight.detach().clone()
    layer.weight.grad = torch.zeros_like(layer.weight)
    Muon([layer.weight], lr=0.1).step()
    assert torch.equal(layer.weight, before)


def test_parameters_that_are_no_large_kernels_move_as_under_adam() -> None:
    def small() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 1, 3))

    image = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    moved = []
    for make in (
        lambda p: Muon(p, lr=1e-2),
        lambda p: torch.optim.Adam(p, lr=1e-2, betas=(0.9, 0.99)),
    ):
        network = small()
        optimizer = make(list(network.parameters()))
        for _ in range(3):
            optimizer.zero_grad()
            network(image).square().mean().backward()
            optimizer.step()
        moved.append(
            torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
        )
    assert torch.allclose(*moved, atol=1e-7)


def test_a_step_is_as_large_as_the_learning_rate_says() -> None:
    layer = nn.Conv2d(16, 16, 3, bias=False)
    before = layer.weight.detach().clone()
    layer.weight.grad = (
        torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(0)) * 1e-6
    )
    Muon([layer.weight], lr=1e-2).step()
    step = (layer.weight.detach() - before).square().mean().sqrt()
    assert 0.1e-2 < step < 0.3e-2


def test_an_optimizer_put_back_goes_on_as_if_never_stopped() -> None:
    torch.manual_seed(0)
    network = Generator(width=8)
    image, truth = torch.rand(1, 1, 16, 16), torch.rand(1, 1, 32, 32)

    def learn(network: nn.Module, optimizer: Muon, steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            (network(image) - truth).square().mean().backward()
            optimizer.step()

    optimizer = Muon(network.parameters(), lr=1e-3)
    learn(network, optimizer, 2)
    other = copy.deepcopy(network)
    resumed = Muon(other.parameters(), lr=1e-3)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    learn(network, optimizer, 2)
    learn(other, resumed, 2)
    assert all(
        torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True)
    )
