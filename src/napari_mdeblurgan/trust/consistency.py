"""Is the restored image, blurred again, the image that it was made from?

In the spirit of SQUIRREL (Culley et al. 2018): what was painted in, or taken away, leaves a difference that noise does not explain.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.trust.noise import Noise
from napari_mdeblurgan.trust.pieces import Piece
from napari_mdeblurgan.trust.psf import PointSpread

AVERAGED_PX = 1.5  # standard deviation of the neighbourhood, in pixels of the input
REACH_PX = 6
NOTABLE = 3.0  # times the noise
LEAST_LIGHT = 0.5


def residual(piece: Piece, psf: PointSpread, limits: tuple[float, float]) -> np.ndarray:
    """The restored image, blurred and reduced, less the input; (y, x, colours) in windows, with the piece's margin.

    NaN where the input has no number, or where less than half of what a pixel should see was restored.

    Parameters
    ----------
    piece : Piece
        What to compare.
    psf : PointSpread
        From `estimate_psf`.
    limits : (float, float)
        The darkest and brightest that the camera can show, in windows: there, more light makes no difference.
    """
    known = np.isfinite(piece.restored)
    again = psf.applied(np.where(known, piece.restored, np.float32(0)))
    if not known.all():
        light = psf.applied(known.astype(np.float32))
        again = np.where(light > LEAST_LIGHT, again / np.maximum(light, LEAST_LIGHT), np.float32(np.nan))
    difference: np.ndarray = np.clip(again, *limits) - piece.blurred
    return difference


def in_noise(difference: np.ndarray, piece: Piece, noise: Noise) -> np.ndarray:
    """Root mean square of a difference over the neighbourhood, in units of the noise; (y, x) float32 with the margin.

    1 is what noise alone gives; NaN where the input has no number.
    """
    relative = difference / noise.sigma(piece.blurred)
    return local_rms(relative)


def local_rms(values: np.ndarray) -> np.ndarray:
    """Root mean square over the colours and a Gaussian neighbourhood of what is known of (y, x, colours)."""
    squares = np.square(values).mean(axis=-1)
    known = np.isfinite(squares)
    weight = _average(known.astype(np.float32))
    mean = _average(np.where(known, squares, np.float32(0))) / np.maximum(weight, 1e-6)
    return np.where(known, np.sqrt(np.maximum(mean, 0)), np.float32(np.nan)).astype(np.float32)


def _average(plane: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(plane, AVERAGED_PX, mode="nearest", truncate=REACH_PX / AVERAGED_PX)
