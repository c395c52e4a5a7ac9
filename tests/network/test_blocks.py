"""The layers: sizes, homogeneity, and the two fixed filters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mdeblurgan.network.blocks import (
    BicubicUpsampling,
    Convolution,
    LocalMean,
    Pooling,
    ResidualBlock,
    SubPixelUpsampling,
    Upsampling,
    cubic,
)
from napari_mdeblurgan.network.reach import Reach

LAYERS: list[tuple[Callable[[], nn.Module], int, float]] = [
    (lambda: Convolution(2, 3, 5), 3, 1),
    (lambda: ResidualBlock(2, slope=0.1), 2, 1),
    (lambda: Pooling(2, 3, 4), 3, 0.25),
    (lambda: Upsampling(2, 3), 3, 2),
    (lambda: SubPixelUpsampling(2, 3), 3, 2),
]
NAMES = ["convolution", "residual block", "pooling", "upsampling", "sub-pixel"]


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(("make", "features", "factor"), LAYERS, ids=NAMES)
def test_a_layer_changes_the_size_by_its_factor(
    make: Callable[[], nn.Module], features: int, factor: float
) -> None:
    output = make().double()(noise(1, 2, 8, 16))
    assert output.shape == (1, features, 8 * factor, 16 * factor)


@pytest.mark.parametrize("make", [layer[0] for layer in LAYERS], ids=NAMES)
def test_a_layer_scales_with_what_it_is_given(make: Callable[[], nn.Module]) -> None:
    layer, features = make().double(), noise(1, 2, 8, 8) - 0.5
    torch.testing.assert_close(layer(3 * features), 3 * layer(features))
    assert not layer(torch.zeros(1, 2, 8, 8).double()).any()


@pytest.mark.parametrize("make", [layer[0] for layer in LAYERS[:4]], ids=NAMES[:4])
def test_a_layers_reach_is_what_its_gradient_shows(make: Callable[[], nn.Module]) -> None:
    features = noise(1, 2, 64, 64).requires_grad_()
    output = make().double()(features)
    factor = 64 // output.shape[-1] if output.shape[-1] < 64 else 1
    repeat = output.shape[-1] // 64 or 1
    reach = Reach(0, 0, repeat)
    reach = make().reach(reach)
    left = right = 0
    for index in range(output.shape[-1] // 2, output.shape[-1] // 2 + 4):
        (gradient,) = torch.autograd.grad(
            output[..., index].square().sum(), features, retain_graph=True
        )
        seen = gradient.abs().sum(dim=(0, 1, 2)).nonzero() * repeat
        position = index * factor
        left, right = max(left, position - int(seen.min())), max(right, int(seen.max()) - position)
    assert (reach.left, reach.right) == (left, right)


def test_the_local_mean_of_a_flat_image_is_its_level_up_to_the_edge() -> None:
    mean = LocalMean().double()(torch.full((1, 3, 5, 9), 0.4).double())
    torch.testing.assert_close(mean, torch.full_like(mean, 0.4), rtol=0, atol=1e-6)


def test_the_local_mean_is_a_gaussian_of_four_pixels() -> None:
    from scipy.ndimage import gaussian_filter

    image = noise(1, 1, 40, 48)
    expected = gaussian_filter(image[0, 0].numpy(), 4.0, mode="nearest", radius=8)
    torch.testing.assert_close(
        LocalMean().double()(image)[0, 0], torch.from_numpy(expected), rtol=0, atol=1e-6
    )


def test_the_local_mean_keeps_channels_apart() -> None:
    image = noise(1, 3, 16, 16)
    image[:, 1] = 0
    assert not LocalMean().double()(image)[:, 1].any()


def test_the_cubic_kernel_interpolates_and_sums_to_one() -> None:
    taps = torch.arange(-3, 4, dtype=torch.float64)
    assert cubic(taps).tolist() == [0, 0, 0, 1, 0, 0, 0]
    for shift in (0.1, 0.25, 0.5, 0.9):
        assert cubic(taps - shift).sum() == pytest.approx(1)


@pytest.mark.parametrize("factor", [2, 4])
def test_bicubic_upsampling_is_torchs_away_from_the_edge(factor: int) -> None:
    image = noise(2, 3, 16, 24)
    ours = BicubicUpsampling(factor).double()(image)
    theirs = functional.interpolate(image, scale_factor=factor, mode="bicubic", antialias=True)
    inner = (..., slice(3 * factor, -3 * factor), slice(3 * factor, -3 * factor))
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours[inner], theirs[inner], rtol=0, atol=1e-6)


@pytest.mark.parametrize("factor", [2, 4])
def test_bicubic_upsampling_repeats_the_edge(factor: int) -> None:
    image = noise(1, 1, 8, 8)
    ours = BicubicUpsampling(factor).double()(image)
    theirs = functional.interpolate(
        functional.pad(image, (8, 8, 8, 8), mode="replicate"),
        scale_factor=factor,
        mode="bicubic",
        antialias=True,
    )
    torch.testing.assert_close(
        ours, theirs[..., 8 * factor : -8 * factor, 8 * factor : -8 * factor], rtol=0, atol=1e-6
    )


def test_bicubic_upsampling_keeps_a_ramp_straight() -> None:
    ramp = torch.arange(16, dtype=torch.float64).expand(1, 1, 8, 16)
    enlarged = BicubicUpsampling(2).double()(ramp)[0, 0, 8, 6:-6]
    torch.testing.assert_close(
        enlarged, (torch.arange(6, 26, dtype=torch.float64) + 0.5) / 2 - 0.5, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("inputs", [16, 20, 24])
def test_pooling_in_bfloat16_is_that_in_float32_but_for_rounding(inputs: int, factor: int) -> None:
    torch.manual_seed(0)
    layer, x = Pooling(inputs, 32, factor), torch.randn(2, inputs, 96, 136).bfloat16()
    wanted = layer(x.float()).detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = layer(x).detach()
        assert torch.equal(layer(x.float()), made)
    assert made.dtype is torch.bfloat16
    assert float((made.float() - wanted).std() / wanted.std()) < 0.01
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x), made)
        beside = layer(x.contiguous(memory_format=torch.channels_last)).float()
    # summed in another order on some processors
    assert float((beside - wanted).std() / wanted.std()) < 0.01
    assert float((beside - made.float()).abs().max() / wanted.std()) < 0.03
