"""What a camera makes of light: pixels, photons, noise, an offset and whole numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from napari_mdeblurgan.degradation.degradable import OpticsError, check_whole, take_numbers
from napari_mdeblurgan.degradation.gaussian_blur import quantise


class Degraded(NamedTuple):
    """Images of one scene as the same camera has them: float32, 0 is black and 1 is full scale,
    offset included.

    Attributes
    ----------
    blurred : Tensor
        (batch, channels, y, x): what is to be restored.
    sharp_low : Tensor
        (batch, channels, y, x): the truth on the same grid, without noise.
    sharp : Tensor
        (batch, channels, scale · y, scale · x): the truth, without noise.
    softness : Tensor or None
        (batch,): standard deviation, in pixels of the truth, of the Gaussian blur that a restored
        image is to have before it is compared with the truth. None stands for 0.
    """

    blurred: Tensor
    sharp_low: Tensor
    sharp: Tensor
    softness: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera whose full scale is what the brightest light of an image, 1, gives.

    Attributes
    ----------
    photons : float
        Photoelectrons of a pixel at full scale; their number is Poisson distributed.
    read_noise_e : float
        Standard deviation of the Gaussian noise of reading out, in electrons.
    offset : float
        What the camera shows without light, as a share of full scale, in [0, 1).
    bits : int
        Of the whole numbers that come out: 8, 12 or 16, say.

    Raises
    ------
    OpticsError
        Where a value is impossible.
    """

    photons: float
    read_noise_e: float = 0.0
    offset: float = 0.0
    bits: int = 8

    def __post_init__(self) -> None:
        take_numbers(
            self,
            photons="the number of photons",
            read_noise_e="the read noise",
            offset="the camera's offset",
            bits="the number of bits",
        )
        check_whole(self.bits, "the number of bits", 1)
        if not (math.isfinite(self.photons) and self.photons > 0):
            raise OpticsError(
                f"{self.photons:g} photons at full scale give no image; give a positive number."
            )
        if not (math.isfinite(self.read_noise_e) and self.read_noise_e >= 0):
            raise OpticsError(f"the read noise is {self.read_noise_e:g} electrons; give 0 or more.")
        if not 0 <= self.offset < 1:
            raise OpticsError(
                f"the camera's offset is {self.offset:g}; give a share of full scale between 0 "
                "and 1."
            )
        if not 1 <= self.bits <= 16:
            raise OpticsError(f"the camera has {self.bits} bits; give 1 to 16.")

    def shown(self, light: Tensor) -> Tensor:
        """Light in [0, 1] on the camera's scale, without noise: the offset and the rest of full
        scale above it.
        """
        return self.offset + (1 - self.offset) * light

    def expose(self, light: Tensor, random: np.random.Generator) -> Tensor:
        """Take a picture: photon noise, read noise, offset; not yet clipped or rounded.

        Parameters
        ----------
        light : Tensor
            Any shape, in [0, 1]; darker than 0 counts as 0.
        random : numpy Generator
            Where the noise comes from.
        """
        expected = light.detach().clamp_min(0).double().cpu().numpy() * self.photons
        electrons = random.poisson(expected) + self.read_noise_e * random.standard_normal(
            expected.shape, np.float32
        )
        return self.shown(torch.from_numpy(electrons / self.photons).to(light))

    def take(self, light: Tensor, random: np.random.Generator) -> Tensor:
        """Take a picture as the camera gives it out: `expose`, clipped and rounded to its bits."""
        return quantise(self.expose(light, random), self.bits)
