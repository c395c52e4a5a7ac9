"""What tells how far a restored pixel may be off: one number per pixel and feature, all logarithms of lengths in windows."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from napari_mdeblurgan.network.blocks import BicubicUpsampling
from napari_mdeblurgan.network.exact import exact_float32
from napari_mdeblurgan.trust.consistency import Difference, local_rms
from napari_mdeblurgan.trust.noise import Noise
from napari_mdeblurgan.trust.pieces import Piece
from napari_mdeblurgan.trust.psf import PointSpread
from napari_mdeblurgan.trust.samples import grey

FEATURES = (
    "slope",
    "curvature",
    "contrast",
    "surroundings",
    "change",
    "residual",
    "noise",
    "blur",
    "distance",
    "closest",
)
WITH_DISAGREEMENT = (*FEATURES, "disagreement")
FINE_PX, COARSE_PX = 0.5, 2.0  # standard deviations of averages, in pixels of the input
LEAST = 1e-4


def features(
    piece: Piece,
    difference: Difference,
    noise: Noise,
    psf: PointSpread,
    explanation: np.ndarray | None,
    spread: np.ndarray | None,
) -> np.ndarray:
    """Features of a tile on the result's grid.

    Parameters
    ----------
    piece : Piece
        With gaps filled.
    difference : Difference
        From `compare`.
    noise, psf
        Of the image.
    explanation : ndarray or None
        (y, x, 6) of the tile; None if the network has nothing to say, which then counts as distances of 0.
    spread : ndarray or None
        (factor · y, factor · x, colours) of the tile: standard deviation of the eight restorations, if they were made.

    Returns
    -------
    ndarray
        (features, factor · y, factor · x) float32 in the order of `FEATURES` or `WITH_DISAGREEMENT`.
    """
    f, inside, result_inside = piece.factor, piece.inside, piece.result_inside
    image = grey(piece.restored)
    slope = np.hypot(*np.gradient(image))
    found = [
        _smooth(slope, FINE_PX * f)[result_inside],
        _smooth(np.abs(ndimage.laplace(image, mode="nearest")), FINE_PX * f)[result_inside],
        _deviation(image, FINE_PX * f)[result_inside],
        _deviation(image, COARSE_PX * f)[result_inside],
        _smooth(np.abs(image - _enlarged(grey(piece.blurred), f)), FINE_PX * f)[result_inside],
    ]
    coarse = [np.nan_to_num(local_rms(difference.values)[inside]), grey(noise.sigma(piece.blurred))[inside]]
    coarse.append(np.full_like(coarse[0], psf.sigma_px * LEAST))
    distances = np.zeros((*coarse[0].shape, 3), np.float32) if explanation is None else explanation[..., 3:]
    coarse += [distances[..., 2], distances.min(axis=-1)]
    found += [plane.repeat(f, axis=0).repeat(f, axis=1) for plane in coarse]
    if spread is not None:
        found.append(grey(spread))
    return np.log(np.stack(found).astype(np.float32) + np.float32(LEAST))


def _smooth(plane: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(plane, sigma, mode="nearest", truncate=3.0)


def _deviation(plane: np.ndarray, sigma: float) -> np.ndarray:
    """Local standard deviation."""
    off = plane - _smooth(plane, sigma)
    return np.sqrt(_smooth(off * off, sigma))


def _enlarged(plane: np.ndarray, factor: int) -> np.ndarray:
    with exact_float32(), torch.inference_mode():
        return BicubicUpsampling(factor)(torch.from_numpy(plane)[None, None])[0, 0].numpy()
