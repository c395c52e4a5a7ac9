"""Convolutions that do what comes behind them in one pass give what torch's own ones give."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from napari_mdeblurgan.network import fused
from napari_mdeblurgan.network.blocks import Convolution, Pooling, Upsampling, activated, added
from napari_mdeblurgan.network.generator import Generator

needs_fusing = pytest.mark.skipif(
    not fused._available(), reason="this processor or this build of torch has no fused convolutions"
)


def noise(*shape: int) -> Tensor:
    made = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    return made.contiguous(memory_format=torch.channels_last)


def in_bfloat16() -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16)


def near(one: Tensor, exact: Tensor) -> bool:
    """Within the rounding of bfloat16, whose values have 8 bits."""
    return bool(((one.float() - exact).abs() <= 0.01 * exact.abs().max()).all())


@needs_fusing
@pytest.mark.parametrize("slope", [0.0, 0.1])
@pytest.mark.parametrize(
    "make",
    [
        lambda: Convolution(6, 5),
        lambda: Convolution(6, 5, 1),
        lambda: Pooling(6, 5, 4),
        lambda: nn.Conv2d(6, 5, 3, padding=1),
        lambda: Upsampling(6, 5),
    ],
    ids=["3×3", "1×1", "pooling", "with a bias", "upsampling"],
)
def test_a_layer_and_its_activation(make: Callable[[], nn.Module], slope: float) -> None:
    layer, x = make(), noise(2, 6, 16, 20)
    with torch.inference_mode():
        exact = activated(layer, x, slope)
        with in_bfloat16():
            assert fused.can_fuse(x)
            made = activated(layer, x, slope)
    assert made.dtype == torch.bfloat16
    assert made.shape == exact.shape
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert near(made, exact)
    assert exact.abs().max() > 0.1


@needs_fusing
def test_a_network_gives_the_same() -> None:
    network = Generator(width=4).eval()
    for weight in network.parameters():  # an untrained network is bicubic enlargement
        nn.init.normal_(weight, std=0.1)
    image = torch.rand((1, 1, 64, 64), generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        exact = network(image)
        with in_bfloat16():
            made = network(image)
            torch.backends.mkldnn.enabled, before = False, torch.backends.mkldnn.enabled
            try:
                unfused = network(image)
            finally:
                torch.backends.mkldnn.enabled = before
    change = (exact - network.super_resolution.enlarge(image)).std()
    assert (made - exact).std() < 0.02 * change
    assert (unfused - exact).std() < 0.02 * change


@needs_fusing
@pytest.mark.parametrize("spent", [False, True])
def test_a_layer_and_a_sum(spent: bool) -> None:
    layer, x = Convolution(6, 5), noise(2, 6, 16, 20)
    to = noise(2, 5, 16, 20).bfloat16().contiguous(memory_format=torch.channels_last)
    before = to.clone()
    with torch.inference_mode():
        exact = before.float() + layer(x)
        with in_bfloat16():
            made = added(layer, x, to, spent)
    assert near(made, exact)
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert (made.data_ptr() == to.data_ptr()) == spent
    assert spent or torch.equal(to, before)


def test_a_sum_without_fusing_leaves_what_it_is_added_to() -> None:
    layer, x, to = Convolution(6, 5), noise(1, 6, 8, 8), noise(1, 5, 8, 8)
    before = to.clone()
    trained = added(layer, x, to)
    with torch.inference_mode():
        made = added(layer, x, to)
    torch.testing.assert_close(made, before + layer(x))
    torch.testing.assert_close(made, trained)
    assert torch.equal(to, before)


def test_torch_s_own_way_where_nothing_is_gained() -> None:
    x = noise(1, 2, 8, 8)
    with in_bfloat16():
        assert not fused.can_fuse(x)  # to be trained
    with torch.inference_mode():
        assert not fused.can_fuse(x)  # in float32
        with torch.autocast("cpu", dtype=torch.float16):
            assert not fused.can_fuse(x)
        with in_bfloat16(), torch.device("meta"):
            assert not fused.can_fuse(torch.zeros(1, 2, 8, 8))


def test_without_such_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        """Of a torch that does not have them."""

    monkeypatch.setattr(torch.ops, "mkldnn", Old())
    fused._available.cache_clear()
    try:
        with torch.inference_mode(), in_bfloat16():
            assert not fused.can_fuse(noise(1, 2, 8, 8))
            made = activated(Convolution(2, 3), noise(1, 2, 8, 8), 0.1)
        assert made.shape == (1, 3, 8, 8)
    finally:
        fused._available.cache_clear()
