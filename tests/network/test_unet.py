"""U-Net + SR: trained, stored and tiled like a generator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.model import ModelCard, read_card, save_model
from napari_mdeblurgan.network import Generator, UNetSuperResolution, build_generator
from napari_mdeblurgan.network.reach import Reach

CENTRE = 96


def randomised(channels: int = 1, scale: int = 2, width: int = 4) -> UNetSuperResolution:
    """A network in float64 none of whose weights is zero."""
    random = torch.Generator().manual_seed(0)
    network = UNetSuperResolution(channels, scale, width).double().eval()
    with torch.no_grad():
        for values in network.parameters():
            spread = (2 / max(1, values[0].numel())) ** 0.5
            values.copy_(spread * torch.randn(values.shape, generator=random, dtype=torch.float64))
    return network


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [2, 4])
def test_output_is_the_input_enlarged_by_the_scale(scale: int, channels: int) -> None:
    with torch.no_grad():
        steps = randomised(channels, scale).explain(noise(2, channels, 24, 16))
    assert steps.output.shape == (2, channels, 24 * scale, 16 * scale)
    assert steps.deblurred.shape == (2, channels, 24, 16)
    assert steps.weights.shape == (2, 3, 24, 16)


def test_super_resolution_starts_from_the_deblurred_image_alone() -> None:
    network, image = randomised(), noise(1, 1, 24, 24)
    with torch.no_grad():
        steps = network.explain(image)
        again = network.super_resolution(
            steps.deblurred, steps.deblurred - network.local_mean(steps.deblurred)
        )
    assert torch.equal(steps.approximated, steps.deblurred)
    assert torch.equal(steps.output, again)
    assert not torch.equal(steps.deblurred, image)


def test_an_untrained_network_is_bicubic_enlargement() -> None:
    image, network = noise(1, 1, 24, 32), UNetSuperResolution(width=4).double().eval()
    bicubic = functional.interpolate(image, scale_factor=2, mode="bicubic", antialias=True)
    with torch.no_grad():
        output = network(image)
    torch.testing.assert_close(output[..., 6:-6, 6:-6], bicubic[..., 6:-6, 6:-6], rtol=0, atol=1e-6)


def test_training_reaches_every_weight() -> None:
    network = randomised(3).train()
    steps = network.explain(noise(1, 3, 32, 32))
    (steps.output.square().mean() + steps.deblurred.square().mean()).backward()
    idle = [
        name
        for name, values in network.named_parameters()
        if values.grad is None or not values.grad.any()
    ]
    assert idle == []


def test_it_has_more_parameters_than_the_generator_it_is_compared_with() -> None:
    ours, theirs = (
        sum(p.numel() for p in network.parameters())
        for network in (Generator(), UNetSuperResolution())
    )
    assert 2 * ours < theirs < 3 * ours


def test_computed_reach_holds_the_measured_one_and_little_more() -> None:
    network = randomised()
    image = noise(1, 1, 16, 2 * CENTRE).requires_grad_()
    output = network(image)
    weighted = output * torch.randn(
        output.shape, generator=torch.Generator().manual_seed(2), dtype=output.dtype
    )
    left = right = 0
    for position in range(CENTRE, CENTRE + 8):
        pixel = weighted[..., 2 * position : 2 * position + 2].sum()
        (gradient,) = torch.autograd.grad(pixel, image, retain_graph=True)
        seen = gradient.abs().sum(dim=(0, 1, 2)).nonzero()
        left, right = max(left, position - int(seen.min())), max(right, int(seen.max()) - position)
    measured, computed = Reach(left, right), network.reach
    assert 0 <= computed.left - measured.left <= 3
    assert 0 <= computed.right - measured.right <= 3
    assert network.halo % network.downsampling == 0
    assert computed.radius <= network.halo


@pytest.mark.parametrize("size", [(15, 16), (16, 12)])
def test_a_size_that_pooling_cannot_halve_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        UNetSuperResolution(width=2)(torch.zeros(1, 1, *size))


def test_an_image_of_other_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        UNetSuperResolution(1, width=2)(torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize("facts", [{"channels": 2}, {"scale": 3}, {"width": 1}])
def test_unfit_parameters_are_refused(facts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(facts.values())))):
        UNetSuperResolution(**facts)


def test_the_architecture_builds_the_same_network_again() -> None:
    network = UNetSuperResolution(3, 4, 4)
    again = build_generator(network.architecture)
    assert isinstance(again, UNetSuperResolution)
    assert again.architecture == network.architecture
    again.load_state_dict(network.state_dict())


def test_parameters_of_the_other_network_are_refused() -> None:
    with pytest.raises(ValueError, match="unfit"):
        build_generator(UNetSuperResolution(width=2).architecture | {"approximation": "affine"})


def test_a_model_file_holds_it_and_tiles_leave_no_trace(tmp_path: Path) -> None:
    network = randomised().float()
    facts = {"scale": network.scale, "channels": network.channels, "halo": network.halo}
    card = ModelCard(name="u", description="U-Net + SR", architecture=network.architecture, **facts)
    save_model(network, card, tmp_path / "u.safetensors")
    assert read_card(tmp_path / "u.safetensors").architecture["name"] == "unet-sr"
    model = load_model(tmp_path / "u.safetensors")
    assert all(
        torch.equal(value, model.network.state_dict()[name])
        for name, value in network.state_dict().items()
    )
    image = np.random.default_rng(0).random((90, 201), dtype=np.float32)
    whole, tiled = (restore(image, model, tile=tile, precision="float32") for tile in (512, 64))
    np.testing.assert_allclose(tiled, whole, atol=1e-5 * float(np.ptp(whole)))
