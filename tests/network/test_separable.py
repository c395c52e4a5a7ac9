"""Separable filters on processors give what torch's convolutions give."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_mdeblurgan.network.blocks import BicubicUpsampling, Fixed, LocalMean
from napari_mdeblurgan.network.separable import can_filter, filtered

KINDS = {
    "local mean": LocalMean(),
    "twice": BicubicUpsampling(2),
    "four times": BicubicUpsampling(4),
}


@given(
    kind=st.sampled_from(sorted(KINDS)),
    shape=st.tuples(*(st.integers(1, most) for most in (2, 3, 40, 70))),
)
def test_a_filter_in_inference_equals_torch_s_own(kind: str, shape: tuple[int, ...]) -> None:
    layer: Fixed = KINDS[kind]
    image = torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))
    exact = layer.double()(image.double())
    own = layer.float()(image)
    with torch.inference_mode():
        assert can_filter(image)
        made = layer(image)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, own, rtol=0, atol=1e-6)
    torch.testing.assert_close(made, exact.float(), rtol=0, atol=1e-6)


def test_an_edge_s_pixels_count_for_those_beyond_it() -> None:
    line = ((0.25, 0.5, 0.25),)
    image = torch.tensor([[[[4.0, 8.0, 0.0]]]])
    assert filtered(image, line).tolist() == [[[[5.0, 5.0, 2.0]]]]


def test_each_pixel_becomes_as_many_as_there_are_lines() -> None:
    lines = (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)  # the pixel itself, and the next one
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert filtered(image, lines)[0, 0].tolist() == [
        [1.0, 2.0, 2.0, 2.0],
        [3.0, 4.0, 4.0, 4.0],
        [3.0, 4.0, 4.0, 4.0],
        [3.0, 4.0, 4.0, 4.0],
    ]


@pytest.mark.parametrize("kind", ["training", "float64", "autocast", "meta"])
def test_torch_s_own_way_elsewhere(kind: str) -> None:
    image = torch.rand(1, 1, 8, 8, device="meta" if kind == "meta" else "cpu")
    image = image.double() if kind == "float64" else image
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind == "autocast")
    with torch.inference_mode(kind != "training"), autocast:
        assert not can_filter(image)
