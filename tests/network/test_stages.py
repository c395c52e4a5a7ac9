"""Networks stage by stage: a part of the result equals that part of the whole, and no more is
computed than it takes.
"""

from __future__ import annotations

import copy
import itertools

import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.network.blocks import Upsampling
from napari_mdeblurgan.network.pages import empty_map
from napari_mdeblurgan.network.registry import Network
from napari_mdeblurgan.network.stages import _blocks, _widened
from napari_mdeblurgan.network.unet import UNetSuperResolution
from napari_mdeblurgan.stopping import Meter, Stopped, metered, stoppable

KINDS = ("softmax", "affine", "ranked", "nearest", "none", "unet")


def randomised(kind: str, channels: int = 1, scale: int = 2) -> Network:
    """A small network none of whose weights is zero."""
    random = torch.Generator().manual_seed(0)
    network: Network = (
        UNetSuperResolution(channels, scale, 2)
        if kind == "unet"
        else Generator(channels, scale, 2, kind)
    )
    with torch.no_grad():
        for values in network.parameters():
            values.copy_(
                (2 / values[0].numel()) ** 0.5 * torch.randn(values.shape, generator=random)
            )
    return network.double().eval()


def noise(channels: int, height: int, width: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(height * width)
    return torch.rand((1, channels, height, width), generator=random, dtype=torch.float64)


@settings(max_examples=settings().max_examples * 40 // 60)
@given(st.data())
def test_a_part_equals_that_part_of_the_whole(data: st.DataObject) -> None:
    network = randomised(
        data.draw(st.sampled_from(KINDS)),
        data.draw(st.sampled_from([1, 3])),
        data.draw(st.sampled_from([2, 4])),
    )
    height, width = (8 * data.draw(st.integers(1, 40)) for _ in range(2))
    starts = [data.draw(st.integers(0, length - 1)) for length in (height, width)]
    stops = [
        data.draw(st.integers(at + 1, length))
        for at, length in zip(starts, (height, width), strict=True)
    ]
    (y0, y1), (x0, x1) = zip(starts, stops, strict=True)
    edge = data.draw(st.sampled_from([None, 16, 50, 160]))
    image, f = noise(network.channels, height, width), network.scale
    with torch.inference_mode():
        whole = network(image)
        part = network.stages.run(image, ((y0, y1), (x0, x1)), edge)
    torch.testing.assert_close(
        part, whole[..., y0 * f : y1 * f, x0 * f : x1 * f], rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_beyond_the_halo_are_not_looked_at(kind: str) -> None:
    network = randomised(kind)
    image = noise(1, 512, 512)
    poisoned, halo = torch.full_like(image, torch.nan), network.halo
    inner = slice(240 - halo, 272 + halo)
    poisoned[..., inner, inner] = image[..., inner, inner]
    place = ((240, 272), (240, 272))
    with torch.inference_mode():
        tile = network.stages.run(image[..., inner, inner], ((halo, halo + 32), (halo, halo + 32)))
        torch.testing.assert_close(tile, network.stages.run(image, place), rtol=0, atol=1e-10)


@given(st.data())
def test_blocks_cover_a_place_and_are_of_one_size(data: st.DataObject) -> None:
    grid, edge = (
        data.draw(st.sampled_from([1, 2, 4, 8])),
        data.draw(st.sampled_from([None, 16, 100])),
    )
    place = tuple(
        (grid * at, grid * (at + length))
        for at, length in (
            (data.draw(st.integers(0, 9)), data.draw(st.integers(1, 90))) for _ in range(2)
        )
    )
    blocks, own = zip(*_blocks(place, edge, grid), strict=True)
    assert len({(y[1] - y[0], x[1] - x[0]) for y, x in blocks}) == 1
    assert all(start % grid == 0 for block in blocks for start, _ in block)
    for axis in range(2):
        covered = sorted({block[axis] for block in blocks})
        assert (covered[0][0], covered[-1][1]) == place[axis]
        assert all(after <= stop for (_, stop), (after, _) in itertools.pairwise(covered))
        parts = sorted({each[axis] for each in own})
        assert (parts[0][0], parts[-1][1]) == place[axis]
        assert all(after == stop for (_, stop), (after, _) in itertools.pairwise(parts))


@given(st.data())
def test_a_place_becomes_as_wide_as_is_fast_where_there_is_room(data: st.DataObject) -> None:
    grid, unit = (data.draw(st.sampled_from(of)) for of in ([1, 2, 4], [4, 8, 16, 32]))
    start, width = (grid * data.draw(st.integers(0, 90)) for _ in range(2))
    left, right = (data.draw(st.integers(0, 90)) for _ in range(2))
    start += -(-left // grid) * grid
    spans, within = (
        ((3, 5), (start, start + width)),
        ((0, 9), (start - left, start + width + right)),
    )
    y, (x0, x1) = _widened(spans, grid, unit, within)
    assert y == (3, 5)
    assert start - left <= x0 <= start
    assert start + width <= x1 <= start + width + right
    assert x0 % grid == x1 % grid == 0
    room = left // grid + right // grid >= -width % unit // grid
    assert x1 - x0 == (width + -width % unit if room else width)


@pytest.mark.parametrize("tile", [512, 1000, 1024, 1536])
def test_in_the_middle_of_an_image_every_upsampling_layer_is_given_a_width_that_is_fast(
    tile: int,
) -> None:
    network = Generator(width=1).eval()
    widths: list[int] = []
    for layer in network.modules():
        if isinstance(layer, Upsampling):
            layer.register_forward_pre_hook(lambda _, given: widths.append(given[0].shape[-1]))
    edge, halo = tile + 2 * network.halo, network.halo
    image = torch.zeros(1, 1, 2 * network.halo + 64, edge)
    with torch.inference_mode():
        network.stages.run(image, ((halo, halo + 64), (halo, halo + tile)), 384)
    assert len(widths) >= 5
    assert all(width % 4 == 0 for width in widths)


def test_a_map_that_stays_has_pages_of_its_own_that_are_given_back() -> None:
    before = psutil.Process().memory_info().rss
    kept = empty_map((1, 64, 512, 512), torch.empty(0, dtype=torch.bfloat16))
    assert (kept.shape, kept.dtype) == ((1, 64, 512, 512), torch.bfloat16)
    assert kept.is_contiguous(memory_format=torch.channels_last)
    kept.fill_(1)
    assert psutil.Process().memory_info().rss - before > 30e6
    assert bool((kept == 1).all())
    del kept
    assert psutil.Process().memory_info().rss - before < 20e6


def test_no_room_for_a_map_is_said_as_torch_says_it() -> None:
    with pytest.raises(MemoryError, match="no memory for a map"):
        empty_map((1, 1, 2**30, 2**33), torch.empty(0))


def test_a_tile_costs_little_more_than_its_share() -> None:
    network = Generator(1, 2, 16).to("meta")

    def operations(image: torch.Tensor, place: tuple) -> int:
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network.stages.run(image, place, 512)
        return counter.get_total_flops()

    size, halo = 1024, network.halo
    bare = operations(torch.empty((1, 1, size, size), device="meta"), ((0, size), (0, size)))
    place = ((halo, halo + size), (halo, halo + size))
    tile = operations(torch.empty((1, 1, size + 2 * halo, size + 2 * halo), device="meta"), place)
    assert 1.05 < tile / bare < 1.16
    assert ((size + 2 * halo) / size) ** 2 > 1.35


def test_stages_follow_a_copy_of_the_network() -> None:
    network, image = randomised("affine"), noise(1, 32, 32)
    place = ((0, 32), (0, 32))
    with torch.inference_mode():
        before = network.stages.run(image, place)
        for twin in (copy.deepcopy(network), copy.copy(copy.deepcopy(network))):
            for values in network.parameters():
                values.zero_()
            torch.testing.assert_close(twin.stages.run(image, place), before)
            network = twin


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_looks_up_before_every_layer_and_gives_the_same_bits(kind: str) -> None:
    network, image = randomised(kind), noise(1, 96, 96)
    place, meter, shares = ((8, 88), (8, 88)), Meter(), []

    def asked() -> bool:
        shares.append(meter.share)
        return False

    with torch.inference_mode():
        alone = network.stages.run(image, place, 40)
        with stoppable(asked), metered(meter):
            watched = network.stages.run(image, place, 40)
    assert torch.equal(alone, watched)
    assert shares == sorted(shares)
    assert max(after - before for before, after in itertools.pairwise([*shares, meter.share])) < 0.2
    assert meter.share == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_can_be_stopped_before_any_layer_and_works_again_afterwards(kind: str) -> None:
    network, image = randomised(kind), noise(1, 32, 32)
    place = ((0, 32), (0, 32))
    with torch.inference_mode():
        before = network.stages.run(image, place)
        for layer in range(12):
            count = iter(range(layer))
            with stoppable(lambda count=count: next(count, None) is None), pytest.raises(Stopped):  # type: ignore[misc]
                network.stages.run(image, place)
        assert torch.equal(network.stages.run(image, place), before)
