"""What a camera makes of its picture afterwards: mosaic, sharpening, compression."""

from __future__ import annotations

import math

import pytest
import torch

from napari_mdeblurgan.degradation.processing import compressed, sharpened, through_mosaic

Y, X = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")


def test_a_mosaic_of_colour_filters_keeps_even_colours_and_ramps() -> None:
    ramps = torch.stack([0.01 * X, 0.02 * Y + 0.1, 0.5 - 0.01 * X - 0.01 * Y])
    inner = (slice(None), slice(2, -2), slice(2, -2))
    torch.testing.assert_close(through_mosaic(ramps)[inner], ramps[inner])
    even = torch.tensor([0.2, 0.5, 0.9])[:, None, None].expand(3, 24, 32)
    torch.testing.assert_close(through_mosaic(even), even)


def test_each_pixel_keeps_the_colour_of_its_filter_and_takes_the_others_from_beside_it() -> None:
    image = torch.zeros(3, 8, 8)
    image[0, 4, 4] = 1  # a filter for red lies over it
    image[2, 4, 2] = 1  # and here as well: blue is not seen
    expected = torch.zeros(3, 8, 8)
    expected[0, 3:6, 3:6] = torch.tensor([[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]])
    torch.testing.assert_close(through_mosaic(image), expected)


@pytest.mark.parametrize("period", [4.0, 16.0])
def test_sharpening_raises_a_wave_by_what_unsharp_masking_says(period: float) -> None:
    wave = torch.sin(2 * math.pi * torch.arange(256.0) / period).expand(1, 64, 256)
    sigma, amount = 1.2, 0.8
    kept = math.exp(-0.5 * (2 * math.pi * sigma / period) ** 2)
    result = sharpened(0.5 + wave, amount, sigma)[..., 32:-32] - 0.5
    torch.testing.assert_close(
        result, (1 + amount * (1 - kept)) * wave[..., 32:-32], atol=1e-3, rtol=0
    )


def test_an_edge_overshoots_and_flat_areas_stay() -> None:
    edge = (X >= 16).float()[None]
    result = sharpened(edge, 1.0, 1.0)
    assert result.max() > 1.2
    torch.testing.assert_close(result[..., -4:], torch.ones(1, 24, 4), atol=1e-4, rtol=0)


def test_compression_halves_the_chroma_and_keeps_the_lightness() -> None:
    stripes = ((X % 2) == 0).float()
    red_and_green = torch.stack([stripes, 0.51 * (1 - stripes), torch.zeros_like(stripes)])
    result = compressed(red_and_green, 97)
    assert (result[0] - result[1]).std() < 0.6 * (red_and_green[0] - red_and_green[1]).std()
    grey = stripes.expand(3, 24, 32)
    assert (compressed(grey, 97) - grey).abs().max() < 0.1
