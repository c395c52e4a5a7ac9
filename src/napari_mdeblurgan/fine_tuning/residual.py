"""What registration has left: small shifts of the truth that differ from place to place, taken out
before anything is learned.

A truth that lies half a pixel to the left in one pair and half a pixel to the right in the next
teaches a network to blur. A shift that all pairs have in common teaches nothing wrong: it is where
the skewed blur of the objective puts a point, and stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy.ndimage import affine_transform, gaussian_filter
from skimage.registration import phase_cross_correlation

from napari_mdeblurgan.fine_tuning.pairs import TuningPair
from napari_mdeblurgan.network.blocks import BicubicUpsampling
from napari_mdeblurgan.network.exact import exact_float32

_BLOCK = 128  # high-resolution pixels
_COARSE = 10.0  # structures larger than so many pixels tell of light, not of place
UPSAMPLING = 20
_LARGEST = 2.0  # high-resolution pixels; more was not left by a registration that was accepted
WORTH = 0.1  # below that, resampling would cost more than it mends
_FEW = 6  # blocks for a shift that changes over the field


def without_residual_shifts(pairs: Sequence[TuningPair]) -> list[TuningPair]:
    """The same pairs, each truth laid where the others' lie.

    Blocks of the truth are compared with the blurred image, enlarged bicubically; an affine shift
    is fitted to what they say, and the mean over all pairs is left as it is.

    Parameters
    ----------
    pairs : sequence of TuningPair
        Planes of one field each; not changed.
    """
    fields = [_field(pair) for pair in pairs]
    means = [field[2] for field in fields if field is not None]
    if not means:
        return list(pairs)
    common = np.median(means, axis=0)
    return [
        pair if field is None else _moved(pair, field, common)
        for pair, field in zip(pairs, fields, strict=True)
    ]


Field = tuple[np.ndarray, np.ndarray, np.ndarray]


def _field(pair: TuningPair) -> Field | None:
    """The shift of a truth as (matrix, offset, mean): at place p it is ``matrix @ p + offset``;
    None where nothing tells it.
    """
    if pair.stack:  # whose truth is made of its own planes
        return None
    low = torch.from_numpy(np.ascontiguousarray(pair.low))[None]
    with exact_float32(), torch.inference_mode():
        enlarged = BicubicUpsampling(pair.scale)(low)[0].numpy()
    blurred, sharp = (_structure(image.mean(axis=0)) for image in (enlarged, pair.high))
    places, shifts, weights = [], [], []
    window = np.hanning(_BLOCK)[:, None] * np.hanning(_BLOCK)
    for y in range(0, blurred.shape[0] - _BLOCK + 1, _BLOCK // 2):
        for x in range(0, blurred.shape[1] - _BLOCK + 1, _BLOCK // 2):
            at = slice(y, y + _BLOCK), slice(x, x + _BLOCK)
            if not pair.valid[at].all() or not blurred[at].any() or not sharp[at].any():
                continue
            shift, _, _ = phase_cross_correlation(
                blurred[at] * window,
                sharp[at] * window,
                upsample_factor=UPSAMPLING,
                normalization=None,
            )
            if np.abs(shift).max() <= _LARGEST:
                places.append((y + _BLOCK / 2, x + _BLOCK / 2))
                shifts.append(shift)
                weights.append(float(blurred[at].std()))
    if not places:
        return None
    at_places, found, weight = np.array(places), np.array(shifts), np.sqrt(np.array(weights))
    mean = np.median(found, axis=0)
    if len(places) < _FEW:
        return np.zeros((2, 2)), mean, mean
    centre = at_places.mean(axis=0)
    design = np.column_stack([np.ones(len(places)), at_places - centre])
    for _ in range(5):  # Huber's weights: blocks that do not fit the rest count less
        solution = np.linalg.lstsq(design * weight[:, None], found * weight[:, None], rcond=None)[0]
        misfit = np.linalg.norm(found - design @ solution, axis=1)
        limit = max(float(np.median(misfit)), 1e-3)
        weight = np.sqrt(np.array(weights)) * np.sqrt(
            np.minimum(1, limit / np.maximum(misfit, 1e-9))
        )
    matrix = solution[1:].T
    return matrix, solution[0] - matrix @ centre, solution[0]


def _structure(image: np.ndarray) -> np.ndarray:
    """An image without what changes slowly, as float64."""
    values = image.astype(np.float64)
    return np.asarray(values - gaussian_filter(values, _COARSE))


def _moved(pair: TuningPair, field: Field, common: np.ndarray) -> TuningPair:
    """The pair with its truth resampled, where that is worth it."""
    matrix, offset, _ = field
    corners = np.array(
        [(y, x) for y in (0, pair.high.shape[1]) for x in (0, pair.high.shape[2])], float
    )
    shifts = corners @ matrix.T + offset - common
    if np.abs(shifts).max() < WORTH or np.abs(shifts).max() > 2 * _LARGEST:
        return pair
    from_new, moved_by = (
        np.eye(2) - matrix,
        common - offset,
    )  # the value at p comes from p less its shift
    high = np.stack(
        [
            affine_transform(plane, from_new, moved_by, order=3, mode="nearest", output=np.float32)
            for plane in pair.high
        ]
    )
    valid = (
        affine_transform(
            pair.valid.astype(np.float32), from_new, moved_by, order=1, mode="constant"
        )
        > 0.999
    )
    return replace(pair, high=high, valid=valid)
