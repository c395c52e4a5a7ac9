"""Is the restored image, blurred again, the image that it was made from?

In the spirit of SQUIRREL (Culley et al. 2018): what was painted in, or taken away, leaves a
difference that noise does not explain.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from napari_mdeblurgan.trust.pieces import AVERAGED_PX, Piece
from napari_mdeblurgan.trust.psf import PointSpread
from napari_mdeblurgan.trust.samples import grey
from napari_mdeblurgan.trust.smoothing import gaussian_average

SIGMA_PX = 1.5  # standard deviation of the neighbourhood, in pixels of the input
NOTABLE = 3.0  # times the noise
LEAST_SEEN = 0.98


class Difference(NamedTuple):
    """The restored image, blurred and reduced, less the input.

    Attributes
    ----------
    values : ndarray
        (y, x, colours) float32 in windows, with the piece's margin; NaN where the input has no
        number.
    seen : ndarray
        (y, x): share of the light of each pixel that comes from what was restored, 1 but for edges
        and gaps.
    """

    values: np.ndarray
    seen: np.ndarray


def compare(piece: Piece, psf: PointSpread, limits: tuple[float, float]) -> Difference:
    """Blur the restored image again and take the input away.

    Parameters
    ----------
    piece : Piece
        What to compare.
    psf : PointSpread
        From `estimate_psf`.
    limits : (float, float)
        The darkest and brightest that the camera can show, in windows: there, more light makes no
        difference.
    """
    restored = piece.filled().restored
    if not np.isfinite(restored[0, 0]).all():  # a colour without any number is not filled
        restored = np.nan_to_num(restored)
    again = psf.applied(restored)
    np.clip(again, *limits, out=again)
    again -= piece.blurred
    if piece.lacking is None:
        return Difference(again, psf.seen_of_lines(*piece.real))
    return Difference(again, psf.seen(np.logical_and.outer(*piece.real) & ~piece.lacking))


def in_noise(difference: Difference, sigma: np.ndarray) -> np.ndarray:
    """Root mean square of a difference over the neighbourhood, in units of the noise; (y, x)
    float32 with the margin.

    `sigma` is the standard deviation of the image's noise, (y, x, colours) in windows. 1 is what
    noise alone gives. NaN where the input has no number, and in the rim where more than a fiftieth
    of the light comes from beyond what was restored.
    """
    rms = local_rms(difference.values / sigma)
    return np.where(difference.seen < LEAST_SEEN, np.float32(np.nan), rms)


def local_rms(values: np.ndarray) -> np.ndarray:
    """Root mean square over the colours and a Gaussian neighbourhood of what is known of (y, x,
    colours).
    """
    squares = grey(np.square(values))
    known = np.isfinite(squares)
    if known.all():
        return np.sqrt(_average(squares)).astype(np.float32, copy=False)
    weight = _average(known.astype(np.float32))
    mean = _average(np.where(known, squares, np.float32(0))) / np.maximum(weight, 1e-6)
    return np.where(known, np.sqrt(np.maximum(mean, 0)), np.float32(np.nan)).astype(np.float32)


def _average(plane: np.ndarray) -> np.ndarray:
    return gaussian_average(plane, SIGMA_PX, AVERAGED_PX)
