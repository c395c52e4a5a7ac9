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


def choice(explanation: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """The candidate of the largest weight: 1, 2 or 3 in the order of `CANDIDATES`; 0 where the
    image has no number.

    Parameters
    ----------
    explanation : ndarray
        (y, x, 6), see `Explanation`.
    missing : ndarray
        (y, x) bool.

    Returns
    -------
    ndarray
        (y, x) uint8.

    Notes
    -----
    What is passed on is a sum of all three, whose weights may be negative or above 1; the label
    tells which counts most.
    """
    largest = explanation[..., :3].argmax(axis=-1).astype(np.uint8) + np.uint8(1)
    return np.where(missing, np.uint8(_NOTHING), largest)
