"""What an objective makes of a point: the point-spread function from the scalar pupil function, in
and out of focus.

Sources: J. W. Goodman, Introduction to Fourier Optics, chapter 6; M. Born and E. Wolf, Principles
of Optics, §8.5 and §8.8.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import fft
from scipy.special import j0
from torch import Tensor
from torch.nn import functional

from napari_mdeblurgan.degradation.degradable import (
    OpticsError,
    check_number,
    check_whole,
    take_numbers,
)
from napari_mdeblurgan.errors import ImageError

if TYPE_CHECKING:
    from scipy.interpolate import CubicSpline

# of 1 / (wave number · NA): 19 samples of the radial profile up to the Airy pattern's first zero
RADIAL_STEP = 0.2
MOST_WAVES = 5
_MOST_SWING = 10_000  # radians: with more, finding the quadrature takes minutes
_BLOCK_EDGE = 384  # larger pixels: the transforms of such a block fit into the cache


@dataclass(frozen=True, slots=True)
class Optics:
    """An objective and the pixel grid on which its image is looked at.

    Attributes
    ----------
    numerical_aperture : float
        Of the objective, above 0 and below `refractive_index`.
    wavelength_um : float
        Of the light in vacuum, in µm.
    pixel_size_um : float
        Edge of a pixel in the specimen, in µm.
    refractive_index : float
        Of the medium between the specimen and the objective: 1 for air, 1.33 for water, 1.52 for
        oil.

    Raises
    ------
    OpticsError
        Where a length is not a positive number or the aperture is larger than the medium allows.
    """

    numerical_aperture: float
    wavelength_um: float
    pixel_size_um: float
    refractive_index: float = 1.0

    @property
    def unit_um(self) -> float:
        """1 / (wave number · NA): the distance that a point-spread function's profile is measured
        in, in µm.
        """
        return self.wavelength_um / (2 * math.pi * self.numerical_aperture)

    def __post_init__(self) -> None:
        take_numbers(
            self,
            numerical_aperture="the numerical aperture",
            wavelength_um="the wavelength",
            pixel_size_um="the pixel size",
            refractive_index="the refractive index",
        )
        for name, value in (
            ("wavelength", self.wavelength_um),
            ("pixel size", self.pixel_size_um),
            ("refractive index", self.refractive_index),
        ):
            if not (math.isfinite(value) and value > 0):
                raise OpticsError(f"the {name} is {value:g}; give a positive number.")
        if not 0 < self.numerical_aperture < self.refractive_index:
            raise OpticsError(
                f"a numerical aperture of {self.numerical_aperture:g} is impossible in a medium of "
                f"refractive index {self.refractive_index:g}; give one between 0 and the "
                "refractive index."
            )


def defocus_psf(
    optics: Optics, defocus_um: float, radius: int, spherical_waves: float = 0.0
) -> np.ndarray:
    """Intensity point-spread function of an objective, a given way out of focus.

    The amplitude is the Fourier transform of the pupil function, which is 0 outside the circle |f|
    ≤ NA / λ and exp(2πi · z · √((n / λ)² − f²)) inside it: the exact phase of a plane wave carried
    on by z, without the paraxial approximation. As the pupil is round, the transform is a Hankel
    transform, computed by Gauss-Legendre quadrature: nothing wraps around and nothing is aliased.
    Its squared modulus is averaged over the area of each pixel.

    Parameters
    ----------
    optics : Optics
        Objective and pixel grid.
    defocus_um : float
        Distance z of the specimen from the focal plane in µm. Without spherical aberration the sign
        makes no difference.
    radius : int
        Pixels on each side of the central one.
    spherical_waves : float
        Primary spherical aberration: coefficient of Zernike's polynomial √5 (6ρ⁴ − 6ρ² + 1), that
        is its root mean square over the pupil, in wavelengths; of either sign.

    Returns
    -------
    ndarray
        float64, (2 · radius + 1, 2 · radius + 1), sum 1. What would fall outside is left out before
        the sum is made 1.
    """
    if not isinstance(optics, Optics):
        raise OpticsError(f"This {type(optics).__name__} is no objective; give `Optics`.")
    check_number(defocus_um, "the defocus")
    check_number(spherical_waves, "the spherical aberration")
    check_whole(radius, "the radius", 0)
    if not math.isfinite(defocus_um):
        raise OpticsError(f"the defocus is {defocus_um}; give a number of micrometres.")
    if not abs(spherical_waves) <= MOST_WAVES:
        raise OpticsError(
            f"the spherical aberration is {spherical_waves:g} waves; give −{MOST_WAVES} to "
            f"{MOST_WAVES}."
        )
    pixel = optics.pixel_size_um / optics.unit_um
    reach = (radius + 0.5) * math.sqrt(2) * pixel
    profile = _radial_profile(optics, defocus_um, reach, spherical_waves)
    parts = 2 * math.ceil(pixel / 2) + 1  # odd, at most a quarter of the Airy disk's radius
    fine = (
        np.abs(np.arange((radius + 1) * parts) - parts // 2) / parts * pixel
    )  # from the central pixel's edge outwards
    intensity = profile(np.hypot(fine[:, None], fine[None, :]))
    corner = intensity.reshape(radius + 1, parts, radius + 1, parts).mean(axis=(1, 3))
    half = np.concatenate((corner[:0:-1], corner))
    psf = np.concatenate((half[:, :0:-1], half), axis=1)
    return psf / psf.sum()


def _radial_profile(
    optics: Optics, defocus_um: float, reach: float, spherical_waves: float
) -> CubicSpline:
    """Intensity by the distance from the axis, in units of 1 / (wave number ·
    NA), up to `reach`.
    """
    sine = optics.numerical_aperture / optics.refractive_index
    depth = 2 * np.pi * defocus_um * optics.refractive_index / optics.wavelength_um
    aberration = 2 * np.pi * math.sqrt(5) * spherical_waves
    farthest = reach + 4 * RADIAL_STEP
    # radians that the integrand turns through at most; the polynomial falls by 1.5 and rises again
    swing = farthest + abs(depth) * (1 - math.sqrt(1 - sine**2)) + 3 * abs(aberration)
    if not swing <= _MOST_SWING:
        raise OpticsError(
            f"a defocus of {defocus_um:g} µm, followed to {reach * optics.unit_um:.3g} µm from the "
            "axis, cannot be computed; give a smaller defocus, or a smaller radius."
        )
    distances = np.arange(0, farthest, RADIAL_STEP)
    nodes, weights = _quadrature(8 * math.ceil(2 + swing / 24))
    rho = (nodes + 1) / 2
    phase = depth * (np.sqrt(1 - (sine * rho) ** 2) - 1)
    phase = phase + aberration * (6 * rho**4 - 6 * rho**2 + 1)
    wave = weights * rho * np.exp(1j * phase)
    amplitude = j0(distances[:, None] * rho) @ wave
    from scipy.interpolate import (
        CubicSpline,
    )  # takes half a second, which what has no optics need not wait for

    return CubicSpline(distances, amplitude.real**2 + amplitude.imag**2)


_quadrature = lru_cache(maxsize=64)(np.polynomial.legendre.leggauss)  # nodes and weights on [-1, 1]


def blur(image: Tensor, psf: np.ndarray, scale: int = 1) -> Tensor:
    """Convolve an image with a point-spread function and average over larger pixels; edges are
    mirrored.

    The convolution is made by fast Fourier transform, and only where the larger pixels lie: the
    image is split into its `scale`² interleaved images, each is convolved with its part of the
    function, and they are added up.

    Parameters
    ----------
    image : Tensor
        (batch, channels, y, x), larger than the function's radius along y and x; y and x multiples
        of `scale`.
    psf : ndarray
        (2 · radius + 1, 2 · radius + 1).
    scale : int
        Pixels of the image along the edge of one pixel of the result.

    Returns
    -------
    Tensor
        (batch, channels, y / scale, x / scale).

    Raises
    ------
    ImageError
        If the image is too small.
    OpticsError
        If y or x is no multiple of `scale`.
    """
    height, width = image.shape[-2:]
    margin = margin_of(image, psf.shape[-1] // 2, scale)
    _whole(image, scale)
    padded = functional.pad(image, (margin, margin, margin, margin), mode="reflect")
    phases = functional.pixel_unshuffle(padded, scale).unflatten(1, (image.shape[1], scale**2))
    size = [fft.next_fast_len(length, real=True) for length in phases.shape[-2:]]
    spectrum = torch.fft.rfft2(phases, s=size) * _spectrum(psf, margin, scale, size, image)
    made = torch.fft.irfft2(spectrum.sum(dim=2), s=size)
    return made[..., : height // scale, : width // scale]


def blur_in_blocks(
    planes: np.ndarray,
    psf: np.ndarray,
    scale: int = 1,
    spectra: dict[tuple[int, ...], np.ndarray] | None = None,
) -> np.ndarray:
    """The same as `blur` to rounding, in blocks that fit into the cache and on this thread alone,
    so that another can work beside it.

    Parameters
    ----------
    planes : ndarray
        (n, y, x) float32, as for `blur`.
    psf, scale
        As for `blur`.
    spectra : dict, optional
        Keeps what the function was transformed to for the next image, if it stays the same.

    Returns
    -------
    ndarray
        (n, y / scale, x / scale) float32.
    """
    height, width = planes.shape[-2:]
    margin = margin_of(planes, psf.shape[-1] // 2, scale)
    _whole(planes, scale)
    reach = 2 * margin // scale
    lengths = height // scale, width // scale
    edges = [-(-length // -(-length // _BLOCK_EDGE)) for length in lengths]
    size = [fft.next_fast_len(edge + reach, real=True) for edge in edges]
    spectra = {} if spectra is None else spectra
    of_psf = spectra.get(tuple(size))
    if of_psf is None:
        of_psf = spectra[tuple(size)] = _spectrum_of_phases(psf, margin, scale, size)
    blurred = np.empty((len(planes), *lengths), np.float32)
    phases = np.zeros((scale**2, *size), np.float32)
    starts = [range(0, length, edge) for length, edge in zip(lengths, edges, strict=True)]
    for n, y, x in product(range(len(planes)), *starts):
        target = blurred[n, y : y + edges[0], x : x + edges[1]]
        rows, columns = (length + reach for length in target.shape)
        block = _mirrored(
            planes[n],
            (y * scale - margin, (y + rows) * scale - margin),
            (x * scale - margin, (x + columns) * scale - margin),
        )
        for phase, part in zip(phases, _phases(block, scale), strict=True):
            phase[:rows, :columns] = part
        made = _inverse(fft.rfft2(phases), of_psf, size)
        target[...] = made[: target.shape[0], : target.shape[1]]
    return blurred


def blurs_in_turn(
    planes: np.ndarray, psfs: Sequence[np.ndarray], scale: int = 1
) -> Iterator[np.ndarray]:
    """The same as `blur` to rounding with one function after the other, on this thread alone; small
    images are transformed once.

    Parameters
    ----------
    planes : ndarray
        (n, y, x) float32, as for `blur`.
    psfs : sequence of ndarray
        Of one size, as for `blur`.
    scale : int
        As for `blur`.

    Yields
    ------
    ndarray
        (n, y / scale, x / scale) float32.
    """
    height, width = planes.shape[-2:]
    margin = margin_of(planes, psfs[0].shape[-1] // 2, scale)
    _whole(planes, scale)
    rows, columns = (-margin, height + margin), (-margin, width + margin)
    phases = np.stack([_phases(_mirrored(plane, rows, columns), scale) for plane in planes])
    size = [fft.next_fast_len(length, real=True) for length in phases.shape[-2:]]
    transformed = fft.rfft2(phases, s=size)
    for psf in psfs:
        made = _inverse(transformed, _spectrum_of_phases(psf, margin, scale, size), size)
        yield made[:, : height // scale, : width // scale]


def _inverse(transformed: np.ndarray, of_psf: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """What the interleaved images, (..., scale², y, x), become together: (..., y, x)."""
    whole = transformed[..., 0, :, :] * of_psf[0]
    for number in range(1, len(of_psf)):
        whole += transformed[..., number, :, :] * of_psf[number]
    made: np.ndarray = fft.irfft2(whole, s=size, overwrite_x=True)
    return made


def _spectrum_of_phases(
    psf: np.ndarray, margin: int, scale: int, size: Sequence[int]
) -> np.ndarray:
    """What a function is transformed to: (scale², y, x) complex64."""
    parts = _phases(_pixel_sums(psf, margin, scale)[0].astype(np.float32), scale)
    spectrum: np.ndarray = fft.rfft2(np.stack(parts), s=size).conj()
    return spectrum


def _phases(plane: np.ndarray, scale: int) -> list[np.ndarray]:
    """The `scale`² images that are interleaved in one."""
    return [plane[y::scale, x::scale] for y, x in np.ndindex(scale, scale)]


def _mirrored(plane: np.ndarray, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    """A part of a plane; what lies beyond its edges is mirrored."""
    inner, beyond = [], []
    for (start, stop), length in zip((rows, columns), plane.shape, strict=True):
        inner.append(slice(max(start, 0), min(stop, length)))
        beyond.append((max(-start, 0), max(stop - length, 0)))
    part = plane[tuple(inner)]
    return np.pad(part, beyond, mode="reflect") if np.any(beyond) else part


def margin_of(image: Tensor | np.ndarray, radius: int, scale: int = 1) -> int:
    """Pixels that an image is mirrored over beyond its edges for a blur of that radius: whole
    larger pixels.

    Raises
    ------
    ImageError
        If the image has not so many.
    """
    height, width = image.shape[-2:]
    margin = -(-radius // scale) * scale
    if min(height, width) <= margin:
        raise ImageError(
            f"an image of {height} × {width} pixels is too small for a blur that reaches {margin} "
            "pixels; take a larger image or less blur."
        )
    return margin


def _whole(image: Tensor | np.ndarray, scale: int) -> None:
    """Refuse what has no whole larger pixels."""
    height, width = image.shape[-2:]
    if height % scale or width % scale:
        raise OpticsError(
            f"an image of {height} × {width} pixels has no whole pixels of {scale} × {scale}; "
            "crop it."
        )


def _spectrum(
    psf: np.ndarray, margin: int, scale: int, size: Sequence[int], image: Tensor
) -> Tensor:
    """What a function is transformed to, for an image of such a kind: (scale², y, x)."""
    sums = torch.from_numpy(_pixel_sums(psf, margin, scale)).to(image)
    kernel = functional.pixel_unshuffle(sums, scale)
    return torch.fft.rfft2(kernel, s=size).conj().resolve_conj()


def _pixel_sums(psf: np.ndarray, margin: int, scale: int) -> np.ndarray:
    """How much each pixel of the image, from `margin` before a larger pixel to `margin` behind it,
    adds to its mean.
    """
    edge = psf.shape[-1]
    start = margin - edge // 2
    sums = np.zeros((1, 2 * margin + scale, 2 * margin + scale))
    for y in range(start, start + scale):
        for x in range(start, start + scale):
            sums[..., y : y + edge, x : x + edge] += psf[::-1, ::-1]
    return sums / scale**2
