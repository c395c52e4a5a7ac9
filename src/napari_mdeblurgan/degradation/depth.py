"""What thickness does to an image: parts of a specimen that lie at different heights, each blurred
in its own way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import zoom
from torch import Tensor

from napari_mdeblurgan.degradation.artificial import random_area
from napari_mdeblurgan.degradation.optics import blur

_DARKEST = 1e-3  # transmitted light below this share counts as this much: absorbance stays finite
FORMS = ("tilt", "curved", "smooth", "steps")


def height_map(random: np.random.Generator, height: int, width: int, form: str) -> Tensor:
    """Heights in a field, from 0 (lowest) to 1 (highest).

    Parameters
    ----------
    random : numpy Generator
        Moved on.
    height, width : int
        Of the field in pixels, at least 8.
    form : {"tilt", "curved", "smooth", "steps"}
        A plane, as a tilted stage makes; a bowl around a random centre, as field curvature; hills,
        as a thick section; areas of one height each, as cells on a slide.

    Returns
    -------
    Tensor
        float32, (height, width).
    """
    y, x = np.mgrid[:height, :width].astype(np.float64)
    y, x = y / height - 0.5, x / width - 0.5
    if form == "tilt":
        angle = random.uniform(0, 2 * np.pi)
        surface = np.cos(angle) * x + np.sin(angle) * y
    elif form == "curved":
        centre = random.uniform(-0.5, 0.5, 2)
        surface = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
    elif form == "smooth":
        knots = random.random((int(random.integers(3, 7)),) * 2)
        surface = zoom(knots, (height / len(knots), width / len(knots)), order=3, mode="nearest")
        surface = surface[:height, :width]
    elif form == "steps":
        surface = np.zeros((height, width))
        for _ in range(int(random.integers(1, 4))):
            surface += random.uniform(0.2, 1) * random_area(random, height, width).numpy()
    else:
        raise ValueError(f"there is no form {form!r}; choose one of {', '.join(FORMS)}")
    span = np.ptp(surface)
    flat = np.zeros_like(surface) if span == 0 else (surface - surface.min()) / span
    return torch.from_numpy(flat.astype(np.float32))


def layers(heights: Tensor, count: int) -> Tensor:
    """Shares of `count` evenly spaced layers in every place: linear between two neighbouring
    layers.

    Parameters
    ----------
    heights : Tensor
        (y, x) in [0, 1].
    count : int
        At least 1.

    Returns
    -------
    Tensor
        (count, y, x), 0 or more; their sum is 1 everywhere.
    """
    if count == 1:
        return torch.ones_like(heights)[None]
    at = torch.arange(count, dtype=heights.dtype)[:, None, None]
    return (1 - (heights[None] * (count - 1) - at).abs()).clamp_min(0)


def through_depth(
    sharp: Tensor, shares: Tensor, psfs: Sequence[np.ndarray], scale: int, absorbing: bool
) -> Tensor:
    """A specimen of several layers, each blurred by its own point-spread function, added up.

    Light that layers send out adds up (fluorescence). Where they take light away, their
    absorbances, −ln of the transmitted share, add up, so what is blurred is the light that each
    lets through, and the layers' results are multiplied (brightfield; diffraction between layers is
    left out).

    Parameters
    ----------
    sharp : Tensor
        (channels, y, x) in [0, 1]: all layers in focus; y and x multiples of `scale`.
    shares : Tensor
        (layers, y, x): which share of the light, or of the absorbance, belongs to each layer; sum
        1.
    psfs : sequence of ndarray
        One for every layer, on the grid of `sharp`.
    scale : int
        Pixels of `sharp` along the edge of one pixel of the result.
    absorbing : bool
        Whether layers take light away.

    Returns
    -------
    Tensor
        (channels, y / scale, x / scale).
    """
    if absorbing:
        absorbance = -torch.log(sharp.clamp_min(_DARKEST))
        planes = torch.exp(-shares[:, None] * absorbance[None])
    else:
        planes = shares[:, None] * sharp[None]
    blurred = [blur(plane[None], psf, scale)[0] for plane, psf in zip(planes, psfs, strict=True)]
    stacked = torch.stack(blurred)
    return stacked.prod(dim=0) if absorbing else stacked.sum(dim=0)
