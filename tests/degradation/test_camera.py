"""The camera's noise, offset and levels against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_mdeblurgan.degradation import Camera, OpticsError

FLAT = torch.full((1, 1, 300, 300), 0.4)


def test_noise_has_the_variance_of_photons_and_of_reading_out() -> None:
    electrons = Camera(photons=500, read_noise_e=6).expose(FLAT, np.random.default_rng(0)) * 500
    assert electrons.mean().item() == pytest.approx(200, rel=0.002)
    assert electrons.var().item() == pytest.approx(200 + 6**2, rel=0.02)


def test_the_offset_lifts_black_and_leaves_full_scale() -> None:
    camera = Camera(photons=1e9, offset=0.1)
    assert camera.shown(torch.tensor([0.0, 0.5, 1.0])).tolist() == pytest.approx([0.1, 0.55, 1.0])
    assert camera.expose(FLAT, np.random.default_rng(0)).mean().item() == pytest.approx(
        0.1 + 0.9 * 0.4, abs=1e-4
    )


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_picture_has_whole_levels_within_full_scale(bits: int) -> None:
    light = torch.linspace(0, 1, 2500).reshape(1, 1, 50, 50)
    levels = Camera(30, 5, bits=bits).take(light, np.random.default_rng(0)).double() * (2**bits - 1)
    assert (levels - levels.round()).abs().max() < 5e-3
    assert (levels.min().item(), levels.max().round().item()) == (0, 2**bits - 1)


def test_light_below_zero_counts_as_none() -> None:
    dark = Camera(1000).expose(torch.full((4, 4), -0.2), np.random.default_rng(0))
    assert not dark.any()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0, 1, 0.1), "0 photons"),
        ((100, -1, 0.1), "read noise is -1"),
        ((100, 1, 1.0), "offset is 1"),
        ((100, 1, 0.1, 17), "17 bits"),
    ],
)
def test_an_impossible_camera_is_refused(values: tuple[float, ...], words: str) -> None:
    with pytest.raises(OpticsError, match=words):
        Camera(*values)
