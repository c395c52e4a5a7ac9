"""The finest detail that stands out of the noise: decorrelation analysis (Descloux, Grußmayer &
Radenovic 2019).

An image is compared with itself after every frequency was given the same strength, within a circle
of growing radius: while the circle takes in signal the two become more alike, once it takes in
noise less so. The radius where they are most alike, at the best of several high-pass filters, is
the highest frequency with signal.

Of an image that a network made, this tells how fine its detail looks, not whether the detail was
there: what a network invents has no noise by which it could be told from signal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RINGS = 100  # circles between no frequency and the highest
_FILTERS = 12
LEAST_PEAK = 0.02  # correlation below which a peak is none
_DROP = 0.001
TAPER = 0.125  # of each side fades out, so that opposite sides do not meet in a step
_SMALLEST = 64


def resolution_px(parts: Sequence[np.ndarray]) -> float | None:
    """Period of the finest detail in pixels, 2 or more: the finest of what the parts of an image
    hold.

    Parameters
    ----------
    parts : sequence of ndarray
        (y, x), 64 pixels and more along both, without NaN.

    Returns
    -------
    float or None
        None if no part has any detail that stands out, or all are too small.
    """
    found = [cut_off(part) for part in parts if min(part.shape) >= _SMALLEST]
    known = sorted(frequency for frequency in found if frequency is not None)
    return None if not known else 2 / known[-1 - len(known) // 4]  # a quarter may be led astray


def cut_off(plane: np.ndarray) -> float | None:
    """Highest frequency with signal as a share of the highest that pixels can hold, in (0, 1]; None
    if there is none.
    """
    strength, power, count, radius = _rings(plane)
    if not power.sum() > 0:
        return None
    whole = _peak(_correlation(strength, power, count), radius)
    if whole is None:
        return None
    found = [whole]
    for sigma in np.geomspace(
        0.15, 2 / max(whole, 0.02), _FILTERS
    ):  # of the Gaussian that is taken away, in pixels
        kept = 1 - np.exp(-2 * (sigma * np.pi * radius / 2) ** 2)
        peak = _peak(_correlation(strength * kept, power * kept**2, count), radius)
        if peak is not None:
            found.append(peak)
    return max(found)


def _rings(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sum of the magnitudes, of the squares and number of the frequencies in each ring, and its
    radius.
    """
    plane = np.asarray(plane, dtype=np.float64)
    plane = (plane - plane.mean()) * np.multiply.outer(*(_taper(length) for length in plane.shape))
    magnitude = np.abs(np.fft.rfft2(plane - plane.mean()))
    radius = (
        np.hypot(np.fft.fftfreq(plane.shape[0])[:, None], np.fft.rfftfreq(plane.shape[1])[None, :])
        * 2
    )
    ring = np.minimum((radius * RINGS).astype(int), RINGS)  # beyond the circle nothing is looked at
    sums = [
        np.bincount(ring.ravel(), v.ravel(), RINGS + 1)[:RINGS]
        for v in (magnitude, magnitude**2, np.ones_like(radius))
    ]
    return sums[0], sums[1], sums[2], (np.arange(RINGS) + 1) / RINGS


def _taper(length: int) -> np.ndarray:
    edge = max(1, int(length * TAPER))
    line = np.ones(length)
    line[:edge] = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    line[-edge:] = line[:edge][::-1]
    return line


def _correlation(strength: np.ndarray, power: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Of the image with its whitened self within each circle."""
    return np.cumsum(strength) / np.sqrt(np.maximum(power.sum() * np.cumsum(count), 1e-300))


def _peak(correlation: np.ndarray, radius: np.ndarray) -> float | None:
    """Where the correlation is largest before it falls; None if it only ever falls, or never rises
    to anything.
    """
    end = len(correlation)
    while end > 1:
        at = int(correlation[:end].argmax())
        if at == 0:
            return None
        if at < end - 1 and correlation[at] - correlation[at:end].min() >= _DROP:
            return float(radius[at]) if correlation[at] > LEAST_PEAK else None
        end -= 1
    return None
