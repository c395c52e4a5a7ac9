"""Specimens of several layers, against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_mdeblurgan.degradation import Optics, blur, defocus_psf
from napari_mdeblurgan.degradation.depth import FORMS, height_map, layers, through_depth

SHARP = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05
POINT = np.ones((1, 1))
OPTICS = Optics(numerical_aperture=0.15, wavelength_um=0.53, pixel_size_um=0.65)


@pytest.mark.parametrize("form", FORMS)
def test_heights_lie_between_0_and_1_and_reach_both(form: str) -> None:
    heights = height_map(np.random.default_rng(1), 40, 56, form)
    assert heights.shape == (40, 56)
    assert (heights.min().item(), heights.max().item()) == (0, 1)


def test_a_tilted_field_is_a_plane() -> None:
    heights = height_map(np.random.default_rng(2), 40, 56, "tilt")
    for axis in (0, 1):
        assert torch.diff(heights, n=2, dim=axis).abs().max() < 1e-5


def test_a_stepped_field_has_areas_of_one_height() -> None:
    heights = height_map(np.random.default_rng(3), 40, 56, "steps")
    assert 2 <= len(heights.unique()) <= 8


def test_every_place_belongs_wholly_to_its_layers() -> None:
    shares = layers(height_map(np.random.default_rng(4), 40, 56, "smooth"), 4)
    assert shares.min() >= 0
    torch.testing.assert_close(shares.sum(dim=0), torch.ones(40, 56))
    assert torch.equal(
        layers(torch.tensor([[0.0, 1 / 3, 1.0]]), 4).argmax(dim=0), torch.tensor([[0, 1, 3]])
    )


@pytest.mark.parametrize("absorbing", [False, True])
def test_layers_that_are_all_in_focus_give_the_sharp_image(absorbing: bool) -> None:
    shares = layers(height_map(np.random.default_rng(5), 48, 64, "curved"), 4)
    torch.testing.assert_close(through_depth(SHARP, shares, [POINT] * 4, 1, absorbing), SHARP)


@pytest.mark.parametrize("absorbing", [False, True])
def test_a_specimen_of_one_height_is_blurred_as_a_plane_is(absorbing: bool) -> None:
    psf = defocus_psf(OPTICS, 20, 20)
    shares = layers(torch.zeros(48, 64), 1)
    expected = blur(SHARP[None], psf, 2)[0]
    torch.testing.assert_close(through_depth(SHARP, shares, [psf], 2, absorbing), expected)


def test_light_adds_up_and_absorbance_multiplies_what_is_let_through() -> None:
    shares, psf = torch.full((2, 48, 64), 0.5), defocus_psf(OPTICS, 20, 20)
    sum_of_both = through_depth(SHARP, shares, [POINT, psf], 1, absorbing=False)
    torch.testing.assert_close(sum_of_both, (SHARP + blur(SHARP[None], psf)[0]) / 2)
    product = through_depth(SHARP, shares, [POINT, psf], 1, absorbing=True)
    torch.testing.assert_close(product, SHARP.sqrt() * blur(SHARP.sqrt()[None], psf)[0])
