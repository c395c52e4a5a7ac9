"""What training sees: degradations of many kinds and strengths, drawn anew for every patch."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from napari_mdeblurgan.training.degradation.artificial import padded, with_shapes
from napari_mdeblurgan.training.degradation.camera import Camera, Degraded
from napari_mdeblurgan.training.degradation.gaussian import downsample, gaussian_blur, quantise
from napari_mdeblurgan.training.degradation.optics import Optics, OpticsError, blur, defocus_psf

AIRY_SIGMA = 0.21  # of λ / NA: the Gaussian closest to an Airy pattern
WAVELENGTH_UM = 0.53
AIRY_REACH = 7.5  # of the same: 2.6 radii of the Airy disk
LIMITS = {
    "sigma": (0, 8),
    "softness": (0, 8),
    "grain": (0, 1),
    "airy_sigma": (0.05, 4),
    "numerical_aperture": (0.01, 0.95),
    "defocus_radius": (0, 16),
    "photons": (1, 1e9),
    "read_noise_e": (0, 1e4),
    "offset": (0, 0.9),
    "jpeg_quality": (1, 100),
}


@dataclass(frozen=True, slots=True)
class Mixture:
    """Shares of the kinds of degradation, and the ranges that their strengths are drawn from.

    Attributes
    ----------
    gaussian, gaussian_noisy, physical : float
        Shares of the patches, in proportion: Gaussian blur without noise, with noise, and objective and camera.
    sigma : (float, float)
        Standard deviation of the Gaussian blur in low-resolution pixels, uniform.
    grain : (float, float)
        Standard deviation of the noise of `gaussian_noisy`, as a share of full scale, uniform.
    airy_sigma : (float, float)
        Width of the physical point-spread function in focus: the standard deviation, in low-resolution pixels, of the
        Gaussian closest to it, uniform.
    numerical_aperture : (float, float)
        Of the objective, in air, uniform.
    defocus_radius : (float, float)
        Geometric radius of the blur out of focus, in low-resolution pixels, uniform.
    photons : (float, float)
        At full scale, log-uniform.
    read_noise_e : (float, float)
        In electrons, uniform.
    offset : (float, float)
        Of the camera, as a share of full scale, uniform.
    noiseless : float
        Share of the physical patches that have no noise.
    rounded : float
        Share of the patches that are rounded to 8 bits.
    jpeg : float
        Share of the patches that are compressed.
    jpeg_quality : (int, int)
        Lowest and highest quality, uniform.
    shapes : float
        Share of the patches that get areas of one colour before they are degraded.
    padding : float
        Share of the patches of which a part is black, white or grey, with edges that no blur has touched.
    soft : float
        Share of the patches whose truth is softened first: what is soft by itself is not to be sharpened.
    softness : (float, float)
        Standard deviation of that Gaussian blur in pixels of the truth, uniform.
    """

    gaussian: float = 0.5
    gaussian_noisy: float = 0.15
    physical: float = 0.35
    sigma: tuple[float, float] = (0.2, 2.4)
    grain: tuple[float, float] = (0.0, 0.03)
    airy_sigma: tuple[float, float] = (0.3, 0.9)
    numerical_aperture: tuple[float, float] = (0.08, 0.45)
    defocus_radius: tuple[float, float] = (0.0, 4.0)
    photons: tuple[float, float] = (150.0, 20000.0)
    read_noise_e: tuple[float, float] = (1.0, 6.0)
    offset: tuple[float, float] = (0.0, 0.05)
    noiseless: float = 0.2
    rounded: float = 0.8
    jpeg: float = 0.08
    jpeg_quality: tuple[int, int] = (70, 95)
    shapes: float = 0.0
    padding: float = 0.0
    soft: float = 0.0
    softness: tuple[float, float] = (0.4, 1.6)

    def __post_init__(self) -> None:
        shares = (self.gaussian, self.gaussian_noisy, self.physical)
        if not (min(shares) >= 0 and 0 < sum(shares) < math.inf):
            raise OpticsError("the shares of the degradations must be 0 or more, and one of them above 0.")
        for name in ("noiseless", "rounded", "jpeg", "shapes", "padding", "soft"):
            if not 0 <= getattr(self, name) <= 1:
                raise OpticsError(f"{name} is {getattr(self, name):g}; give a share between 0 and 1.")
        for name, (lowest, highest) in LIMITS.items():
            start, stop = getattr(self, name)
            if start > stop:
                raise OpticsError(f"{name} is drawn from {start:g} to {stop:g}; give the smaller number first.")
            if not lowest <= start <= stop <= highest:
                raise OpticsError(
                    f"{name} is drawn from {start:g} to {stop:g}; give a range within {lowest:g} to {highest:g}."
                )

    @property
    def reach(self) -> int:
        """Low-resolution pixels from its centre that a physical point-spread function is followed to."""
        return math.ceil(self.defocus_radius[1] + AIRY_REACH * self.airy_sigma[1])

    def draw(self, sharp: Tensor, random: np.random.Generator, scale: int = 2) -> Degraded:
        """Degrade every image of a batch in its own way; all chance comes from `random`.

        Edges are mirrored: what lies within some 10 low-resolution pixels of them is not quite what a larger image would give.

        Parameters
        ----------
        sharp : Tensor
            float32 on the CPU, (batch, channels, y, x) in [0, 1]; y and x multiples of `scale`, larger than the widest blur.
        random : numpy Generator
            Moved on.
        scale : int
            Reduction along y and x.
        """
        shares = np.array([self.gaussian, self.gaussian_noisy, self.physical])
        if self.shapes:
            drawn = random.random(len(sharp)) < self.shapes
            sharp = torch.stack([with_shapes(i, random) if d else i for i, d in zip(sharp, drawn, strict=True)])
        if self.soft:
            drawn = random.random(len(sharp)) < self.soft
            widths = np.where(drawn, random.uniform(*self.softness, len(sharp)), 0.0)
            sharp = gaussian_blur(sharp, torch.from_numpy(widths.astype(np.float32)))
        kinds = random.choice(len(shares), size=len(sharp), p=shares / shares.sum())
        low = downsample(sharp, scale)
        blurred, sharp_low, truth = torch.empty_like(low), low.clone(), sharp.clone()
        gaussian = torch.from_numpy(np.flatnonzero(kinds < 2))
        if len(gaussian):
            blurred[gaussian] = self._gaussian(low[gaussian], kinds[gaussian.numpy()] == 1, random)
        for index in np.flatnonzero(kinds == 2):
            light = blur(sharp[index : index + 1], self._psf(random, scale), scale)[0]
            camera, noisy = self._camera(random), random.random() >= self.noiseless
            blurred[index] = camera.expose(light, random) if noisy else camera.shown(light)
            sharp_low[index], truth[index] = camera.shown(low[index]), camera.shown(sharp[index])
        rounded = torch.from_numpy(random.random(len(sharp)) < self.rounded)[:, None, None, None]
        blurred = torch.where(rounded, quantise(blurred), blurred.clamp(0, 1))
        for index in np.flatnonzero(random.random(len(sharp)) < self.jpeg):
            blurred[index] = compressed(blurred[index], int(random.integers(*self.jpeg_quality, endpoint=True)))
        degraded = Degraded(blurred, sharp_low, truth)
        if self.padding:
            for index in np.flatnonzero(random.random(len(sharp)) < self.padding):
                padded(degraded, int(index), random)
        return degraded

    def _gaussian(self, low: Tensor, noisy: np.ndarray, random: np.random.Generator) -> Tensor:
        sigma = torch.from_numpy(random.uniform(*self.sigma, len(low)).astype(np.float32))
        blurred = gaussian_blur(low, sigma)
        for index in np.flatnonzero(noisy):
            grain = random.standard_normal(low.shape[1:], dtype=np.float32)
            blurred[index] += float(random.uniform(*self.grain)) * torch.from_numpy(grain)
        return blurred

    def _psf(self, random: np.random.Generator, scale: int) -> np.ndarray:
        """A point-spread function on the high-resolution grid."""
        aperture = float(random.uniform(*self.numerical_aperture))
        low_pixel_um = AIRY_SIGMA * WAVELENGTH_UM / aperture / float(random.uniform(*self.airy_sigma))
        defocus_um = float(random.uniform(*self.defocus_radius)) * low_pixel_um / math.tan(math.asin(aperture))
        return defocus_psf(Optics(aperture, WAVELENGTH_UM, low_pixel_um / scale), defocus_um, self.reach * scale)

    def _camera(self, random: np.random.Generator) -> Camera:
        photons = math.exp(random.uniform(*np.log(self.photons)))
        return Camera(photons, float(random.uniform(*self.read_noise_e)), float(random.uniform(*self.offset)))


def compressed(image: Tensor, quality: int) -> Tensor:
    """An image after a JPEG file of 8 bits: (channels, y, x) in [0, 1]; three channels are colours, others stand alone."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    pictures = [pixels.transpose(1, 2, 0)] if len(pixels) == 3 else list(pixels)
    decoded = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(picture)).save(file, format="JPEG", quality=quality)
        decoded.append(np.asarray(Image.open(file)))
    result = np.moveaxis(decoded[0], -1, 0) if len(pixels) == 3 else np.stack(decoded)
    return torch.from_numpy(result.astype(np.float32)) / 255
