"""A first look at the planes of a stack: how sharp, how noisy, how bright, and small pictures of
them laid on each other.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from napari_mdeblurgan.focus.energy import energies
from napari_mdeblurgan.focus.in_threads import in_parallel
from napari_mdeblurgan.focus.plane_parts import middle, reduced_plane
from napari_mdeblurgan.focus.plane_registration import resampled, shown_pixels
from napari_mdeblurgan.pairs.affine import reduction
from napari_mdeblurgan.trust.noise import measure_noise

TILE_MULTIPLE = 8  # tiles begin at multiples of it: the pixels of the coarsest scale
OVERVIEW = 200  # pixels of the shorter edge at which the order of the planes is looked for
MIDDLE_EDGE = 1024  # pixels of an edge of the part that noise and brightness are measured in
ROUNDING = 5e-7  # of the largest value: noise that comes of calculating
_BELOW_ZERO = 0.01  # of the squares of all values: more are not light and its noise
BRIGHTER = 2.0  # times: planes that differ by more in brightness are no planes of one stack


def details_steps(stack: Any) -> Generator[None, None, tuple[list[float], list[float]]]:
    """How strong the detail of every plane is, and the variance of its noise."""
    strengths, variances = [], []
    with closing(in_parallel(_detail, stack)) as details:
        for strength, variance in details:
            strengths.append(strength)
            variances.append(variance)
            yield
    return strengths, variances


def contrast(plane: Any) -> float:
    """Between the darkest and the brightest of the middle of a plane, but for 1
    % of each; above 0.
    """
    return float(np.subtract(*np.percentile(_middle(plane), (99, 1)))) or 1.0


def overviews_steps(
    stack: Any, transforms: Sequence[np.ndarray | None], reference: int
) -> Generator[None, None, list[np.ndarray]]:
    """Small grey images of the planes, laid on each other; NaN where a plane shows nothing, all of
    one that was left out.
    """
    height, width = stack[reference].shape[:2]
    factor = max(1, min(height, width) // OVERVIEW)
    down, shape = reduction(factor), (height // factor, width // factor)
    found = []
    for plane, transform in zip(stack, transforms, strict=True):
        if transform is None:
            found.append(np.full(shape, np.nan, np.float32))
            continue
        small = grey_plane(reduced_plane(plane, factor))
        place = down @ np.linalg.inv(transform) @ np.linalg.inv(down)
        laid = resampled(small, place, shape)
        laid[~shown_pixels(place, shape, (small.shape[0], small.shape[1]))] = np.nan
        found.append(laid)
        yield
    return found


def brightness_gains(overviews: Sequence[np.ndarray], reference: int) -> tuple[float, ...]:
    """By which planes are made as bright as the reference: by least squares, so that what is bright
    decides; values around zero are no amounts of light, and are left as they are.
    """
    known, found = overviews[reference], []
    if not all(_light(each) for each in overviews):
        return (1.0,) * len(overviews)
    for each in overviews:
        both = np.isfinite(known) & np.isfinite(each)
        power = float((each[both].astype(np.float64) ** 2).sum())
        gain = (
            float((each[both].astype(np.float64) * known[both]).sum()) / power if power > 0 else 1.0
        )
        found.append(gain if 1 / BRIGHTER < gain < BRIGHTER else 1.0)
    return tuple(found)


def _light(image: np.ndarray) -> bool:
    """Whether the values may be amounts of light: hardly any are below zero."""
    squares = np.square(image[np.isfinite(image)].astype(np.float64))
    below = np.square(image[image < 0].astype(np.float64))
    return float(below.sum()) <= _BELOW_ZERO * float(squares.sum())


def grey_plane(image: np.ndarray) -> np.ndarray:
    """(y, x) float32: of colours the mean."""
    return image.mean(axis=-1, dtype=np.float32) if image.ndim == 3 else image


def _middle(plane: Any) -> np.ndarray:
    """(y, x) float32: the middle of a plane, grey."""
    part = plane[middle(plane.shape, MIDDLE_EDGE)]
    return grey_plane(np.asarray(part).astype(np.float32))


def _detail(plane: Any) -> tuple[float, float]:
    """Of the middle of a plane: energy of the fine detail beyond what may be noise, and the
    variance of the noise.
    """
    seen = _middle(plane)
    variance = max(_variance(seen), (ROUNDING * float(np.abs(seen).max(initial=0))) ** 2)
    height, width = (length // TILE_MULTIPLE * TILE_MULTIPLE for length in seen.shape)
    energy, doubt = energies(seen[:height, :width], variance, scales=1)[0]
    return float(np.maximum(energy - doubt, 0).mean()), variance


def _variance(seen: np.ndarray) -> float:
    low, high = float(seen.min()), float(seen.max())
    if high <= low:
        return 0.0
    sigma = measure_noise([((seen - low) / (high - low))[..., None]]).typical * (high - low)
    return sigma**2
