"""Which of the three candidates the optimal approximation module passed on, pixel by pixel."""

from __future__ import annotations

import numpy as np

_NOTHING = 0
LEGEND = {
    _NOTHING: "no value",
    1: "the image itself",
    2: "first estimate",
    3: "deblurred",
}  # of `approximation.CANDIDATES`


def choice(explanation: np.ndarray, missing: np.ndarray | None) -> np.ndarray:
    """The candidate of the largest weight: 1, 2 or 3 in the order of `CANDIDATES`; 0 where the
    image has no number.

    Parameters
    ----------
    explanation : ndarray
        (y, x, 6), see `Explanation`.
    missing : ndarray or None
        (y, x) bool, if there is such a place.

    Returns
    -------
    ndarray
        (y, x) uint8.

    Notes
    -----
    What is passed on is a sum of all three, whose weights may be negative or above 1; the label
    tells which counts most.
    """
    first, second, third = (explanation[..., n] for n in range(3))  # numpy is slow along short axes
    largest = (second > first).view(np.uint8)
    largest += np.uint8(1)
    np.copyto(largest, np.uint8(3), where=third > np.maximum(first, second))
    if missing is not None:
        largest[missing] = _NOTHING
    return largest
