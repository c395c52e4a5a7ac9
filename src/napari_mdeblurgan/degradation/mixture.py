"""What training sees: degradations of many kinds and strengths, drawn anew for every patch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_mdeblurgan.degradation.artificial import padded, with_shapes
from napari_mdeblurgan.degradation.camera import Camera, Degraded
from napari_mdeblurgan.degradation.degradable import OpticsError, check_number, check_sharp
from napari_mdeblurgan.degradation.depth import FORMS, height_map, layers, through_depth
from napari_mdeblurgan.degradation.gaussian_blur import downsample, gaussian_blur, quantise
from napari_mdeblurgan.degradation.optics import (
    MOST_WAVES,
    Optics,
    blur,
    defocus_psf,
    margin_of,
)
from napari_mdeblurgan.degradation.processing import compressed, sharpened, through_mosaic
from napari_mdeblurgan.gaussian import AIRY_SIGMA, REACH

WAVELENGTH_UM = 0.53
AIRY_REACH = 7.5  # of the same: 2.6 radii of the Airy disk
_LAYERS = 4  # of a specimen with depth
SPOILED = 12  # low-resolution pixels along the edges, at least
HAZE_STEP = 16  # low-resolution pixels: light of far layers varies more slowly than that
_SHARES = (
    *("noiseless", "rounded", "jpeg", "shapes", "padding", "soft", "told"),
    *("depth", "haze", "curved", "mosaic", "processed"),
)
_LIMITS = {
    "sigma": (0, 8),
    "softness": (0, 8),
    "grain": (0, 1),
    "airy_sigma": (0.05, 4),
    "numerical_aperture": (0.01, 0.95),
    "defocus_radius": (0, 24),
    "depth_radius": (0, 24),
    "spherical_waves": (-MOST_WAVES, MOST_WAVES),
    "colour_focus": (0, 16),
    "haze_share": (0, 0.9),
    "gamma": (0.2, 5),
    "sharpening": (0, 5),
    "sharpening_sigma": (0.1, 4),
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
        Shares of the patches, in proportion: Gaussian blur without noise, with noise, and objective
        and camera.
    sigma : (float, float)
        Standard deviation of the Gaussian blur in low-resolution pixels, see `bias`.
    grain : (float, float)
        Standard deviation of the noise of `gaussian_noisy`, as a share of full scale, uniform.
    airy_sigma : (float, float)
        Width of the physical point-spread function in focus: the standard deviation, in
        low-resolution pixels, of the Gaussian closest to it, uniform.
    numerical_aperture : (float, float)
        Of the objective, in air, uniform.
    defocus_radius : (float, float)
        Geometric radius of the blur out of focus, in low-resolution pixels, see `bias`.
    bias : float
        Power of the uniform number that the strength of a blur is drawn by: 1 makes all strengths
        in a range equally frequent, 2 makes weak ones more frequent.
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
        Share of the patches of which a part is black, white or grey, with edges that no blur has
        touched.
    soft : float
        Share of the patches whose truth is softened first: what is soft by itself is not to be
        sharpened.
    softness : (float, float)
        Standard deviation of that Gaussian blur in pixels of the truth, uniform.
    told : float
        Share of the softened patches whose softness is known: there the restored image is compared
        with the truth after the same blur, as results with a known softness are shown.
    depth : float
        Share of the physical patches that show a specimen of several layers.
    depth_radius : (float, float)
        Difference between the geometric radii of the lowest and the highest layer, in
        low-resolution pixels, uniform.
    spherical_waves : (float, float)
        Spherical aberration of the physical patches, root mean square in wavelengths, uniform.
    colour_focus : (float, float)
        Largest difference between the geometric radii of the colours, in low-resolution pixels,
        uniform; of physical colour patches without depth.
    haze : float
        Share of the physical patches with light from layers far out of focus; the truth has it as
        well.
    haze_share : (float, float)
        Share of that light in the whole, uniform.
    curved : float
        Share of the physical patches whose values are no light, but its power of 1 / gamma.
    gamma : (float, float)
        That gamma, uniform.
    mosaic : float
        Share of the physical colour patches taken through a mosaic of colour filters.
    processed : float
        Share of all patches that the camera sharpened afterwards.
    sharpening, sharpening_sigma : (float, float)
        Amount of that unsharp masking and its standard deviation in low-resolution pixels, uniform.
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
    told: float = 0.0
    bias: float = 1.0
    depth: float = 0.0
    depth_radius: tuple[float, float] = (1.0, 10.0)
    spherical_waves: tuple[float, float] = (0.0, 0.0)
    colour_focus: tuple[float, float] = (0.0, 0.0)
    haze: float = 0.0
    haze_share: tuple[float, float] = (0.1, 0.6)
    curved: float = 0.0
    gamma: tuple[float, float] = (1.4, 2.4)
    mosaic: float = 0.0
    processed: float = 0.0
    sharpening: tuple[float, float] = (0.2, 1.0)
    sharpening_sigma: tuple[float, float] = (0.6, 1.5)

    def __post_init__(self) -> None:
        for name in ("gaussian", "gaussian_noisy", "physical", "bias", *_SHARES):
            check_number(getattr(self, name), name)
        shares = (self.gaussian, self.gaussian_noisy, self.physical)
        if not (min(shares) >= 0 and 0 < sum(shares) < math.inf):
            raise OpticsError(
                "the shares of the degradations must be 0 or more, and one of them above 0."
            )
        if not (math.isfinite(self.bias) and self.bias > 0):
            raise OpticsError(f"bias is {self.bias:g}; give a positive number.")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise OpticsError(
                    f"{name} is {getattr(self, name):g}; give a share between 0 and 1."
                )
        for name, (lowest, highest) in _LIMITS.items():
            start, stop = _two_numbers(getattr(self, name), name)
            if start > stop:
                raise OpticsError(
                    f"{name} is drawn from {start:g} to {stop:g}; give the smaller number first."
                )
            if not lowest <= start <= stop <= highest:
                raise OpticsError(
                    f"{name} is drawn from {start:g} to {stop:g}; give a range within {lowest:g} "
                    f"to {highest:g}."
                )

    @property
    def label(self) -> str:
        """What is said of an image that was degraded so."""
        return "drawn from the mixture"

    @property
    def bits(self) -> int:
        """Of the whole numbers that most images come out as."""
        return 8

    def degrade(self, sharp: Tensor, seed: int = 0, scale: int = 2) -> Degraded:
        """Degrade every image of a batch in its own way, as `draw` does; the same seed draws the
        same.

        Parameters
        ----------
        sharp : Tensor
            float32, (batch, channels, y, x) in [0, 1]; y and x multiples of `scale`.
        seed : int
            Of all that is drawn.
        scale : int
            Reduction along y and x.

        Raises
        ------
        ImageError
            If the images are too small for the widest blur.
        """
        check_sharp(sharp, seed, scale)
        margin_of(sharp, (self.reach if self.physical else self.margin) * scale, scale)
        return self.draw(sharp, np.random.default_rng(seed), scale)

    @property
    def margin(self) -> int:
        """Low-resolution pixels along the edges that what lies beyond them may change: draw so much
        more.
        """
        widest = REACH * self.sigma[1] if self.gaussian + self.gaussian_noisy else 0
        return max(SPOILED, math.ceil(0.75 * max(widest, self.reach if self.physical else 0)))

    @property
    def reach(self) -> int:
        """Low-resolution pixels from its centre that a physical point-spread function is followed
        to.
        """
        most = self.defocus_radius[1] + self.colour_focus[1] / 2
        most += self.depth_radius[1] / 2 if self.depth else 0
        return math.ceil(most + AIRY_REACH * self.airy_sigma[1])

    def draw(self, sharp: Tensor, random: np.random.Generator, scale: int = 2) -> Degraded:
        """Degrade every image of a batch in its own way; all chance comes from `random`.

        Edges are mirrored: what lies within `margin` low-resolution pixels of them is not quite
        what a larger image would give.

        Parameters
        ----------
        sharp : Tensor
            float32 on the CPU, (batch, channels, y, x) in [0, 1]; y and x multiples of `scale`,
            larger than the widest blur.
        random : numpy Generator
            Moved on.
        scale : int
            Reduction along y and x.
        """
        shares = np.array([self.gaussian, self.gaussian_noisy, self.physical])
        if self.shapes:
            drawn = random.random(len(sharp)) < self.shapes
            sharp = torch.stack(
                [with_shapes(i, random) if d else i for i, d in zip(sharp, drawn, strict=True)]
            )
        softness = torch.zeros(len(sharp))
        if self.soft:
            drawn = random.random(len(sharp)) < self.soft
            strengths = np.where(drawn, random.uniform(*self.softness, len(sharp)), 0.0)
            widths = torch.from_numpy(strengths.astype(np.float32))
            sharp = gaussian_blur(sharp, widths)
            if self.told:
                told = torch.from_numpy(random.random(len(sharp)) < self.told)
                softness = torch.where(told, widths, softness)
        kinds = random.choice(len(shares), size=len(sharp), p=shares / shares.sum())
        low = downsample(sharp, scale)
        blurred, sharp_low, truth = torch.empty_like(low), low.clone(), sharp.clone()
        gaussian = torch.from_numpy(np.flatnonzero(kinds < 2))
        if len(gaussian):
            blurred[gaussian] = self._gaussian(low[gaussian], kinds[gaussian.numpy()] == 1, random)
        for index in np.flatnonzero(kinds == 2):
            blurred[index], sharp_low[index], truth[index] = self._physical(
                sharp[index], low[index], random, scale
            )
        if self.processed:
            for index in np.flatnonzero(random.random(len(sharp)) < self.processed):
                amount, sigma = (
                    random.uniform(*self.sharpening),
                    random.uniform(*self.sharpening_sigma),
                )
                blurred[index] = sharpened(blurred[index], float(amount), float(sigma))
        rounded = torch.from_numpy(random.random(len(sharp)) < self.rounded)[:, None, None, None]
        blurred = torch.where(rounded, quantise(blurred), blurred.clamp(0, 1))
        for index in np.flatnonzero(random.random(len(sharp)) < self.jpeg):
            blurred[index] = compressed(
                blurred[index], int(random.integers(*self.jpeg_quality, endpoint=True))
            )
        degraded = Degraded(blurred, sharp_low, truth, softness)
        if self.padding:
            for index in np.flatnonzero(random.random(len(sharp)) < self.padding):
                if not softness[
                    index
                ]:  # blurring a result would touch edges that nothing has blurred
                    padded(degraded, int(index), random)
        return degraded

    def _strength(
        self, limits: tuple[float, float], random: np.random.Generator, count: int = 1
    ) -> np.ndarray:
        """Strengths of blur between two limits, see `bias`."""
        low, high = limits
        return low + (high - low) * random.random(count) ** self.bias

    def _gaussian(self, low: Tensor, noisy: np.ndarray, random: np.random.Generator) -> Tensor:
        sigma = torch.from_numpy(self._strength(self.sigma, random, len(low)).astype(np.float32))
        blurred = gaussian_blur(low, sigma)
        for index in np.flatnonzero(noisy):
            grain = random.standard_normal(low.shape[1:], dtype=np.float32)
            blurred[index] += float(random.uniform(*self.grain)) * torch.from_numpy(grain)
        return blurred

    def _physical(
        self, sharp: Tensor, low: Tensor, random: np.random.Generator, scale: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One image as objective and camera have it, and its truth on both grids."""
        if self.haze and random.random() < self.haze:
            sharp, low = self._hazy(sharp, random, scale)
        gamma = (
            float(random.uniform(*self.gamma))
            if self.curved and random.random() < self.curved
            else 1.0
        )
        light = self._light(_power(sharp, gamma), random, scale)
        camera, noisy = self._camera(random), random.random() >= self.noiseless
        picture = camera.expose(light, random) if noisy else camera.shown(light)
        if self.mosaic and len(picture) == 3 and random.random() < self.mosaic:
            picture = through_mosaic(picture)
        truth = [camera.shown(_power(image, gamma)) for image in (low, sharp)]
        if gamma != 1:
            picture, *truth = (_power(image, 1 / gamma) for image in (picture, *truth))
        return picture, truth[0], truth[1]

    def _light(self, sharp: Tensor, random: np.random.Generator, scale: int) -> Tensor:
        """What the objective makes of an image, averaged over low-resolution pixels."""
        aperture = float(random.uniform(*self.numerical_aperture))
        low_pixel_um = (
            AIRY_SIGMA * WAVELENGTH_UM / aperture / float(random.uniform(*self.airy_sigma))
        )
        optics = Optics(aperture, WAVELENGTH_UM, low_pixel_um / scale)
        waves = float(random.uniform(*self.spherical_waves))
        radius = float(self._strength(self.defocus_radius, random)[0])
        if waves and random.random() < 0.5:
            radius = -radius  # with spherical aberration the two sides of the focus differ

        def psf(radius: float) -> np.ndarray:
            defocus_um = radius * low_pixel_um / math.tan(math.asin(aperture))
            return defocus_psf(optics, defocus_um, self.reach * scale, waves)

        if self.depth and random.random() < self.depth:
            form = FORMS[int(random.integers(len(FORMS)))]
            height, width = sharp.shape[-2:]
            shares = layers(height_map(random, height, width, form), _LAYERS)
            half = float(random.uniform(*self.depth_radius)) / 2
            psfs = [psf(radius + offset) for offset in np.linspace(-half, half, _LAYERS)]
            return through_depth(sharp, shares, psfs, scale, absorbing=random.random() < 0.5)
        if self.colour_focus[1] and len(sharp) == 3:
            shift = float(random.uniform(*self.colour_focus))
            offsets = np.array([-1, random.uniform(-1, 1), 1]) * shift / 2
            random.shuffle(offsets)
            return torch.cat(
                [blur(sharp[None, [c]], psf(radius + at), scale)[0] for c, at in enumerate(offsets)]
            )
        return blur(sharp[None], psf(radius), scale)[0]

    def _hazy(
        self, sharp: Tensor, random: np.random.Generator, scale: int
    ) -> tuple[Tensor, Tensor]:
        """Mixed with slowly varying light, such as layers far out of focus send; on both grids."""
        share, step = float(random.uniform(*self.haze_share)), HAZE_STEP * scale
        other = torch.flip(sharp, dims=(-2, -1))
        height, width = sharp.shape[-2:]
        coarse = functional.adaptive_avg_pool2d(
            other[None], (-(-height // step), -(-width // step))
        )
        far = functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
        far = gaussian_blur(far, torch.tensor([float(step) / 4]))[0]
        mixed = (1 - share) * sharp + share * far
        return mixed, downsample(mixed[None], scale)[0]

    def _camera(self, random: np.random.Generator) -> Camera:
        photons = math.exp(random.uniform(*np.log(self.photons)))
        return Camera(
            photons, float(random.uniform(*self.read_noise_e)), float(random.uniform(*self.offset))
        )


def _two_numbers(given: Any, name: str) -> tuple[float, float]:
    """Both ends of a range; one sentence where it is none."""
    try:
        start, stop = given
    except (TypeError, ValueError):
        raise OpticsError(
            f"{name} is {given!r}; give the two numbers that it is drawn between."
        ) from None
    for number in (start, stop):
        check_number(number, name)
    return start, stop


def _power(image: Tensor, exponent: float) -> Tensor:
    """An image's values to a power; what interpolation made negative counts as 0."""
    return image if exponent == 1 else image.clamp_min(0) ** exponent
