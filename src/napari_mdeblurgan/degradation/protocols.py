"""The conditions that models are judged under: fixed degradations whose point-spread function is
known.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from napari_mdeblurgan.degradation.camera import Camera, Degraded
from napari_mdeblurgan.degradation.degradable import (
    OpticsError,
    check_sharp,
    check_whole,
    take_numbers,
)
from napari_mdeblurgan.degradation.gaussian_blur import downsample, gaussian_protocol
from napari_mdeblurgan.degradation.optics import Optics, blur, defocus_psf, margin_of

LARGEST_SIGMA = 1000
_MOST_POINTS = 2048  # along the radius of a point-spread function: the most takes a second or two


@dataclass(frozen=True, slots=True)
class Condition:
    """One degradation, the same for every image.

    Attributes
    ----------
    protocol : str
        "gaussian" (needs `sigma`) or "physical" (needs `optics` and `camera`).
    label : str
        What is written above a column of a table.
    sigma : float or None
        Standard deviation of the Gaussian blur, in low-resolution pixels.
    optics : Optics or None
        Objective, and the low-resolution pixel.
    defocus_um : float
        Distance from the focal plane in µm.
    camera : Camera or None
        Noise, offset and bits.

    Raises
    ------
    OpticsError
        Where something is missing or impossible.
    """

    protocol: str
    label: str
    sigma: float | None = None
    optics: Optics | None = None
    defocus_um: float = 0.0
    camera: Camera | None = None

    def __post_init__(self) -> None:
        take_numbers(self, defocus_um="the defocus")
        if self.sigma is not None:
            take_numbers(self, sigma="the standard deviation")
        if self.protocol == "gaussian":
            if self.sigma is None or not 0 <= self.sigma <= LARGEST_SIGMA:
                raise OpticsError(
                    f"the Gaussian protocol needs a standard deviation of 0 to {LARGEST_SIGMA:,} "
                    "pixels."
                )
        elif self.protocol == "physical":
            if not (isinstance(self.optics, Optics) and isinstance(self.camera, Camera)):
                raise OpticsError(
                    "the physical protocol needs an objective and a camera; give both."
                )
            if not math.isfinite(self.defocus_um):
                raise OpticsError(
                    f"the defocus is {self.defocus_um}; give a number of micrometres."
                )
        else:
            raise OpticsError(
                f"there is no protocol {self.protocol!r}; choose gaussian or physical."
            )

    @property
    def bits(self) -> int:
        """Of the whole numbers that come out: the camera's, or the 8 of the Gaussian protocol."""
        return self.camera.bits if self.camera is not None else 8

    def psf(self, scale: int = 2) -> np.ndarray:
        """The true point-spread function on the low-resolution grid: what deconvolution is told.

        For the physical protocol it is that of the objective averaged over low-resolution pixels.
        The reduction of the Gaussian protocol, which comes before the blur, is not part of it.

        Parameters
        ----------
        scale : int
            Reduction along y and x. Neither protocol depends on it: the low-resolution pixel is
            fixed.

        Returns
        -------
        ndarray
            float64, square, odd edge, sum 1.
        """
        check_whole(scale, "the scale", 1)
        if self.optics is not None:
            return defocus_psf(self.optics, self.defocus_um, _radius(self.optics, self.defocus_um))
        sigma = self.sigma or 0.0
        radius = max(1, math.ceil(4 * sigma))
        line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-3)) ** 2)
        line /= line.sum()
        return np.outer(line, line)

    def degrade(self, sharp: Tensor, seed: int = 0, scale: int = 2) -> Degraded:
        """Degrade images; the same seed gives the same noise, another condition gives other noise.

        Physical: blur by the point-spread function on the high-resolution grid, average over the
        low-resolution pixels, noise, offset, rounding. The truth has the same offset and gain, no
        noise and no rounding.

        Parameters
        ----------
        sharp : Tensor
            float32, (batch, channels, y, x) in [0, 1]; y and x multiples of `scale`.
        seed : int
            Of the noise.
        scale : int
            Reduction along y and x.

        Raises
        ------
        ImageError
            If the images are too small for the blur.
        OpticsError
            If the blur is too wide to be computed.
        """
        check_sharp(sharp, seed, scale)
        sharp_low = downsample(sharp, scale)
        if self.optics is None or self.camera is None:
            assert self.sigma is not None
            return Degraded(gaussian_protocol(sharp, self.sigma, scale), sharp_low, sharp)
        fine = replace(self.optics, pixel_size_um=self.optics.pixel_size_um / scale)
        radius = _radius(fine, self.defocus_um)
        margin_of(sharp, radius, scale)
        light = blur(sharp, defocus_psf(fine, self.defocus_um, radius), scale)
        random = np.random.default_rng((seed, zlib.crc32(repr(self).encode())))
        blurred = self.camera.take(light, random)
        return Degraded(blurred, self.camera.shown(sharp_low), self.camera.shown(sharp))


def _radius(optics: Optics, defocus_um: float) -> int:
    """Pixels that hold nearly all light: the geometric blur and, around it, six radii of the Airy
    disk.
    """
    sine = optics.numerical_aperture / optics.refractive_index
    geometric_um = abs(defocus_um) * sine / math.sqrt(1 - sine**2)
    airy_um = 0.61 * optics.wavelength_um / optics.numerical_aperture
    reach_um = geometric_um + 6 * airy_um
    step_um = min(optics.pixel_size_um / 3, optics.unit_um)
    if not max(reach_um, optics.pixel_size_um) <= _MOST_POINTS * step_um:
        raise OpticsError(
            f"a blur that reaches {reach_um:,.0f} µm cannot be computed in pixels of "
            f"{optics.pixel_size_um:g} µm; give a smaller defocus, or check the aperture, the "
            "wavelength and the pixel size."
        )
    return max(1, math.ceil(reach_um / optics.pixel_size_um))


def _gaussian(sigma: float) -> Condition:
    return Condition("gaussian", f"σ = {sigma} px", sigma=sigma)


def _physical(defocus_um: float) -> Condition:
    return Condition(
        "physical",
        f"defocus {defocus_um} µm",
        optics=Optics(numerical_aperture=0.15, wavelength_um=0.53, pixel_size_um=1.3),
        defocus_um=defocus_um,
        camera=Camera(photons=1000, read_noise_e=3, offset=0.02, bits=8),
    )


GAUSSIAN = tuple(map(_gaussian, (0.7, 1.2, 2.0)))
PHYSICAL = tuple(map(_physical, (0, 15, 30)))
STRONG = (*map(_gaussian, (3.0, 4.5)), *map(_physical, (60, 90)))
