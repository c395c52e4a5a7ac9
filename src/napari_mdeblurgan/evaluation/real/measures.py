"""How close a result is to a real truth, where it is judged: PSNR, SSIM, GMSD and Fourier ring
correlation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.metrics import structural_similarity

GRADIENT_CONSTANT = 170 / 255**2  # of GMSD, for a peak of 1
MEASURED_TILE = 64  # pixels: edge of the tiles that are compared ring by ring
TILE_JUDGED = 0.5  # share of a tile that must be judged
THRESHOLD = (
    1 / 7
)  # correlation below which detail is not held to be true (Rosenthal & Henderson 2003)


@dataclass(frozen=True, slots=True)
class Closeness:
    """How close a result is to the truth.

    Attributes
    ----------
    psnr_db : float
        Peak signal-to-noise ratio, after the linear fit.
    ssim : float
        Structural similarity, mean over what is judged.
    gmsd : float
        Gradient magnitude similarity deviation; 0 is best.
    frc : float or None
        Fourier ring correlation, mean over all frequencies up to the limit of the truth's pixels;
        None where no tile of 64 pixels is judged.
    frc_limit : float or None
        Frequency from which the correlation is below 1/7, as a share of the limit of the truth's
        pixels.
    """

    psnr_db: float
    ssim: float
    gmsd: float
    frc: float | None
    frc_limit: float | None


def closeness(result: np.ndarray, truth: np.ndarray, judged: np.ndarray, peak: float) -> Closeness:
    """All measures at once, after a linear fit of the result's grey values to the truth's.

    Parameters
    ----------
    result, truth : ndarray
        (y, x) or (y, x, colours), real.
    judged : ndarray
        (y, x) bool: where they are compared.
    peak : float
        The range of grey values that errors are measured against.
    """
    fitted = linearly_fitted(result, truth, judged)
    rings = ring_correlation(fitted, truth, judged)
    return Closeness(
        psnr_db=psnr_where(fitted, truth, judged, peak),
        ssim=ssim_where(fitted, truth, judged, peak),
        gmsd=gmsd_where(fitted, truth, judged, peak),
        frc=None if rings is None else float(rings.mean()),
        frc_limit=None if rings is None else ring_limit(rings),
    )


def linearly_fitted(result: np.ndarray, truth: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """gain · result + offset, for each colour those that come closest to the truth where it is
    judged; float64.
    """
    fitted = np.empty(result.shape)
    colours = result.shape[2] if result.ndim == 3 else 1
    for colour in range(colours):
        at = (..., colour) if result.ndim == 3 else (...,)
        x, y = result[at][judged].astype(np.float64), truth[at][judged].astype(np.float64)
        spread = float(((x - x.mean()) ** 2).mean())
        gain = float(((x - x.mean()) * (y - y.mean())).mean()) / spread if spread > 0 else 0.0
        fitted[at] = (result[at].astype(np.float64) - x.mean()) * gain + y.mean()
    return fitted


def psnr_where(result: np.ndarray, truth: np.ndarray, judged: np.ndarray, peak: float) -> float:
    """PSNR in dB; infinite where the two are the same."""
    error = float(np.mean((result[judged].astype(np.float64) - truth[judged]) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(peak**2 / error))


def ssim_where(result: np.ndarray, truth: np.ndarray, judged: np.ndarray, peak: float) -> float:
    """Structural similarity (Wang et al. 2004), Gaussian weights of 1.5 pixels, mean of what is
    judged and of the colours. From scikit-image, which gives it at every pixel, up to the border.
    """
    _, similarity = structural_similarity(
        result.astype(np.float64),
        truth.astype(np.float64),
        data_range=peak,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=-1 if result.ndim == 3 else None,
        full=True,
    )
    return float(similarity[judged].mean())


def gmsd_where(result: np.ndarray, truth: np.ndarray, judged: np.ndarray, peak: float) -> float:
    """Gradient magnitude similarity deviation (Xue et al. 2014): of the mean of all colours,
    reduced 2 × 2; 0 is best.
    """
    height, width = (length // 2 * 2 for length in judged.shape)
    slopes = []
    for image in (result, truth):
        grey = greyed(image) / peak
        halved = ndimage.uniform_filter(grey, 2, mode="nearest", origin=-1)[:height:2, :width:2]
        slopes.append(np.hypot(ndimage.prewitt(halved, 0), ndimage.prewitt(halved, 1)) / 3)
    one, other = slopes
    similarity = (2 * one * other + GRADIENT_CONSTANT) / (one**2 + other**2 + GRADIENT_CONSTANT)
    blocks = judged[:height, :width].reshape(height // 2, 2, width // 2, 2)
    whole = blocks.all(axis=(1, 3))
    return float(similarity[whole if whole.any() else blocks.any(axis=(1, 3))].std())


def greyed(image: np.ndarray) -> np.ndarray:
    """The mean of all colours; (y, x) float64."""
    return image.mean(axis=-1, dtype=np.float64) if image.ndim == 3 else image.astype(np.float64)


def ring_correlation(
    result: np.ndarray, truth: np.ndarray, judged: np.ndarray
) -> np.ndarray | None:
    """Fourier ring correlation (Saxton & Baumeister 1982) of two images: how much of the detail of
    each fineness is true.

    The images are cut into overlapping tiles of 64 pixels under a Hann window; those that are
    judged for the larger part add to each ring. What is only brighter or dimmer at a frequency
    changes nothing; noise and invented detail do.

    Parameters
    ----------
    result, truth : ndarray
        (y, x) or (y, x, colours); the mean of the colours counts.
    judged : ndarray
        (y, x) bool.

    Returns
    -------
    ndarray or None
        (32,) float64: correlation from the lowest frequency to the highest that pixels can hold;
        None where no tile counts.
    """
    one, other = greyed(result), greyed(truth)
    window = np.multiply.outer(*(np.hanning(MEASURED_TILE + 2)[1:-1],) * 2)
    frequency = (
        np.hypot(np.fft.fftfreq(MEASURED_TILE)[:, None], np.fft.fftfreq(MEASURED_TILE)[None, :])
        * MEASURED_TILE
    )
    ring = np.rint(frequency).astype(int)
    rings = MEASURED_TILE // 2
    sums = np.zeros((3, ring.max() + 1))
    for y in _starts(judged.shape[0]):
        for x in _starts(judged.shape[1]):
            at = slice(y, y + MEASURED_TILE), slice(x, x + MEASURED_TILE)
            if (
                judged[at].shape != (MEASURED_TILE, MEASURED_TILE)
                or judged[at].mean() < TILE_JUDGED
            ):
                continue
            a, b = (np.fft.fft2((image[at] - image[at].mean()) * window) for image in (one, other))
            for row, values in enumerate(((a * b.conj()).real, np.abs(a) ** 2, np.abs(b) ** 2)):
                sums[row] += np.bincount(ring.ravel(), values.ravel())
    if not sums[2].any():
        return None
    cross, power, other_power = sums[:, 1 : rings + 1]
    product = np.sqrt(power * other_power)
    return np.divide(cross, product, out=np.zeros_like(cross), where=product > 0)


def _starts(length: int) -> list[int]:
    """Where tiles begin so that they overlap by half and reach both edges."""
    if length < MEASURED_TILE:
        return []
    count = -(-(length - MEASURED_TILE) // (MEASURED_TILE // 2)) + 1
    return [round(at) for at in np.linspace(0, length - MEASURED_TILE, count)]


def ring_limit(rings: np.ndarray) -> float:
    """The frequency from which the correlation is below 1/7, as a share of the highest; 1 where it
    never is.
    """
    below = np.nonzero(rings < THRESHOLD)[0]
    if not below.size:
        return 1.0
    first = int(below[0])
    if first == 0:
        return 0.0
    before, after = rings[first - 1], rings[first]
    return float(first + (before - THRESHOLD) / (before - after)) / len(rings)
