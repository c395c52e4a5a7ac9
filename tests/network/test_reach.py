"""The receptive field that the layers compute, against the one that the gradient shows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.network.reach import Reach

CENTRE = 152
LENGTH = 320


def randomised(
    channels: int = 1, scale: int = 2, approximation: str = "affine", width: int = 4
) -> Generator:
    """A network in float64 none of whose weights is zero; its layers keep the size of what flows
    through.
    """
    random = torch.Generator().manual_seed(0)
    network = Generator(channels, scale, width, approximation).double().eval()
    with torch.no_grad():
        for values in network.parameters():
            spread = (2 / values[0].numel()) ** 0.5
            values.copy_(spread * torch.randn(values.shape, generator=random, dtype=torch.float64))
    return network


def strip(channels: int, axis: str, height: int = 16) -> Tensor:
    """Noise, long along `axis` and short across it: (1, channels, y, x)."""
    random = torch.Generator().manual_seed(1)
    shape = (1, channels, height, LENGTH) if axis == "x" else (1, channels, LENGTH, height)
    return torch.rand(shape, generator=random, dtype=torch.float64)


def lengthwise(values: Tensor, axis: str) -> Tensor:
    return values if axis == "x" else values.mT


def measured_reach(network: Generator, axis: str) -> Reach:
    """Widest span of input pixels with a gradient, over all eight positions that pooling tells
    apart.
    """
    image = strip(network.channels, axis).requires_grad_()
    output = lengthwise(network(image), axis)
    weighted = output * torch.randn(
        output.shape, generator=torch.Generator().manual_seed(2), dtype=output.dtype
    )
    left = right = 0
    for position in range(CENTRE, CENTRE + 8):
        pixel = weighted[..., position * network.scale : (position + 1) * network.scale].sum()
        (gradient,) = torch.autograd.grad(pixel, image, retain_graph=True)
        seen = lengthwise(gradient, axis).abs().sum(dim=(0, 1, 2)).nonzero()
        left, right = max(left, position - int(seen.min())), max(right, int(seen.max()) - position)
    return Reach(left, right)


@pytest.mark.parametrize("axis", ["y", "x"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [2, 4])
def test_computed_reach_holds_the_measured_one_and_little_more(
    scale: int, channels: int, axis: str
) -> None:
    network = randomised(channels, scale)
    measured, computed = measured_reach(network, axis), network.reach
    assert 0 <= computed.left - measured.left <= 3
    assert 0 <= computed.right - measured.right <= 3


@pytest.mark.parametrize("approximation", ["softmax", "none"])
def test_computed_reach_follows_the_reading_of_the_approximation(approximation: str) -> None:
    network = randomised(approximation=approximation)
    measured, computed = measured_reach(network, "x"), network.reach
    assert 0 <= computed.left - measured.left <= 3
    assert 0 <= computed.right - measured.right <= 3


@pytest.mark.parametrize("axis", ["y", "x"])
@pytest.mark.parametrize("scale", [2, 4])
def test_a_change_outside_the_reach_changes_nothing_at_all(scale: int, axis: str) -> None:
    network = randomised(scale=scale)
    image = strip(1, axis)
    changed = image.clone()
    reach = network.reach
    lengthwise(changed, axis)[..., : CENTRE - reach.left] += 1
    lengthwise(changed, axis)[..., CENTRE + 8 + reach.right :] *= 3
    kept = slice(CENTRE * scale, (CENTRE + 8) * scale)
    with torch.no_grad():
        before, after = lengthwise(network(image), axis), lengthwise(network(changed), axis)
    assert torch.equal(before[..., kept], after[..., kept])
    assert not torch.equal(before, after)


@pytest.mark.parametrize("scale", [2, 4])
def test_a_tile_with_its_halo_gives_what_the_whole_image_gives(scale: int) -> None:
    network = randomised(scale=scale)
    image = strip(1, "x", height=8)
    halo, begin, end = network.halo, 128, 144
    tile = image[..., begin - halo : end + halo]
    with torch.no_grad():
        whole = network(image)[..., begin * scale : end * scale]
        cut = network(tile)[..., halo * scale : (halo + end - begin) * scale]
    torch.testing.assert_close(cut, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("approximation", ["affine", "softmax", "nearest", "none"])
@pytest.mark.parametrize("scale", [2, 4])
def test_halo_covers_the_reach_in_whole_steps_of_the_downsampling(
    scale: int, approximation: str
) -> None:
    network = Generator(scale=scale, width=1, approximation=approximation)
    assert network.halo % network.downsampling == 0
    assert network.reach.radius <= network.halo < network.reach.radius + network.downsampling


def test_reach_does_not_depend_on_the_width_or_the_channels() -> None:
    assert Generator(1, 2, 1).reach == Generator(3, 2, 5).reach


def test_convolution_widens_both_sides_by_its_margin_at_the_present_stride() -> None:
    assert Reach(1, 2, 4).convolved(5) == Reach(9, 10, 4)


def test_pooling_looks_at_the_rest_of_its_block_and_coarsens() -> None:
    assert Reach(0, 0, 2).pooled(4) == Reach(0, 6, 8)


def test_upsampling_looks_half_a_step_to_both_sides() -> None:
    assert Reach(3, 5, 8).upsampled() == Reach(7, 9, 4)


def test_repetition_looks_back_to_its_source() -> None:
    assert Reach(3, 5, 8).repeated(2) == Reach(7, 5, 4)


def test_joined_maps_reach_as_far_as_the_widest() -> None:
    assert Reach(3, 5, 2).joined(Reach(4, 1, 2), Reach(0, 0, 2)) == Reach(4, 5, 2)


def test_maps_of_other_strides_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="equal stride"):
        Reach(0, 0, 1).joined(Reach(0, 0, 2))


def test_radius_is_the_wider_side() -> None:
    assert Reach(3, 5).radius == Reach(5, 3).radius == 5
