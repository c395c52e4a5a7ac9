"""The whole generator: shapes, what it leaves alone, and what it is before it
has learned anything.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_mdeblurgan.network import Generator, build_generator

READINGS = ("affine", "softmax", "nearest", "none")


def randomised(
    channels: int = 1, scale: int = 2, approximation: str = "affine", width: int = 4
) -> Generator:
    """A network in float64 none of whose weights is zero."""
    random = torch.Generator().manual_seed(0)
    network = Generator(channels, scale, width, approximation).double().eval()
    with torch.no_grad():
        for values in network.parameters():
            spread = (1 / values[0].numel()) ** 0.5
            values.copy_(spread * torch.randn(values.shape, generator=random, dtype=torch.float64))
    return network


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def run(network: Generator, image: Tensor) -> Tensor:
    with torch.no_grad():
        return network(image)


@pytest.mark.parametrize("size", [(8, 8), (8, 40), (24, 16), (56, 72)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [2, 4])
def test_output_is_the_input_enlarged_by_the_scale(
    scale: int, channels: int, size: tuple[int, int]
) -> None:
    height, width = size
    output = run(randomised(channels, scale, width=2), noise(2, channels, height, width))
    assert output.shape == (2, channels, scale * height, scale * width)
    assert output.isfinite().all()


@pytest.mark.parametrize("approximation", READINGS)
def test_the_steps_on_the_way_have_the_size_of_the_input(approximation: str) -> None:
    image = noise(2, 3, 16, 24).float()
    with torch.no_grad():
        steps = randomised(3, approximation=approximation).float().explain(image)
    for step in (steps.encoder_decoder, steps.deblurred, steps.approximated):
        assert step.shape == image.shape
    assert steps.weights.shape == steps.distances.shape == (2, 3, 16, 24)
    assert {step.dtype for step in steps} == {torch.float32}


def test_the_output_is_that_of_the_explained_steps() -> None:
    network, image = randomised(), noise(1, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(network(image), network.explain(image).output)


@pytest.mark.parametrize("size", [(15, 16), (16, 12), (9, 9)])
def test_a_size_that_pooling_cannot_halve_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        Generator(width=1)(torch.zeros(1, 1, *size))


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (1, 8, 8), (8, 8), (1, 1, 1, 8, 8)])
def test_an_image_of_other_channels_or_axes_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Generator(channels=1, width=1)(torch.zeros(shape))


@pytest.mark.parametrize(
    "facts", [{"channels": 2}, {"scale": 3}, {"width": 0}, {"approximation": "sum"}]
)
def test_unfit_parameters_are_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(facts.values())))):
        Generator(**facts)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0, -2.5])
@pytest.mark.parametrize("approximation", READINGS)
@pytest.mark.parametrize("scale", [2, 4])
def test_a_flat_image_stays_flat(scale: int, approximation: str, level: float) -> None:
    output = run(
        randomised(scale=scale, approximation=approximation).float(),
        torch.full((1, 1, 24, 24), level),
    )
    torch.testing.assert_close(output, torch.full_like(output, level), rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("approximation", READINGS)
def test_a_constant_added_to_the_image_is_added_to_the_output(
    approximation: str, channels: int
) -> None:
    network, image = randomised(channels, approximation=approximation), noise(1, channels, 32, 32)
    torch.testing.assert_close(
        run(network, image + 0.7), run(network, image) + 0.7, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("approximation", ["affine", "softmax", "none"])
@pytest.mark.parametrize("gain", [0.5, 3.0])
def test_twice_the_contrast_in_is_nearly_twice_the_contrast_out(
    gain: float, approximation: str
) -> None:
    network, image = randomised(approximation=approximation), noise(1, 1, 32, 32)

    def correction(image: Tensor) -> Tensor:
        return run(network, image) - network.super_resolution.enlarge(image)

    expected = gain * correction(image)
    assert expected.std() > 0.01
    assert (correction(gain * image) - expected).std() < 0.01 * expected.std()


@pytest.mark.parametrize("approximation", READINGS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [2, 4])
def test_an_untrained_network_is_bicubic_enlargement(
    scale: int, channels: int, approximation: str
) -> None:
    image, network = (
        noise(1, channels, 24, 32),
        Generator(channels, scale, 4, approximation).double().eval(),
    )
    bicubic = functional.interpolate(image, scale_factor=scale, mode="bicubic", antialias=True)
    inner = (..., slice(3 * scale, -3 * scale), slice(3 * scale, -3 * scale))
    torch.testing.assert_close(run(network, image)[inner], bicubic[inner], rtol=0, atol=1e-6)


def test_training_reaches_every_weight() -> None:
    network = randomised(3, 4).train()
    steps = network.explain(noise(1, 3, 32, 32))
    (
        steps.output.square().mean() + steps.distances.mean() + steps.deblurred.square().mean()
    ).backward()
    idle = [
        name
        for name, values in network.named_parameters()
        if values.grad is None or not values.grad.any()
    ]
    assert idle == []


@pytest.mark.parametrize("approximation", READINGS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [2, 4])
def test_the_architecture_builds_the_same_network_again(
    scale: int, channels: int, approximation: str
) -> None:
    network = Generator(channels, scale, 3, approximation)
    again = build_generator(network.architecture)
    assert again.architecture == network.architecture
    again.load_state_dict(network.state_dict())


@pytest.mark.parametrize("change", [{"name": "another"}, {"depth": 3}, {"scale": 5}])
def test_an_unknown_architecture_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown|unfit|scale"):
        build_generator(Generator(width=1).architecture | change)


def test_an_architecture_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown network None"):
        build_generator({"width": 2})
