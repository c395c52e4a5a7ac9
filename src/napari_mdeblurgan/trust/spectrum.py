"""Whether an image holds anything finer than two of its pixels, by its spectrum.

What is soft at the pixel, through its optics, its camera or enlargement, has edges that can look
nearly sharp, and no structure beyond half of the frequencies that its pixels can hold: the power
falls from structure well above the noise to the noise itself before it comes there. Where noise
hides all that is fine, nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_TILE = 64
_COARSE, _HALF, _NOISE = (0.1, 0.2), (0.22, 0.28), (0.36, 0.5)  # cycles per pixel
CLEAR = 8.0  # times the power of the noise
NOTHING = 1.25  # times it: what cannot be told from the noise alone


def nothing_finer(parts: Sequence[np.ndarray]) -> bool:
    """Whether structure stands out of the noise, and none of it is finer than two pixels.

    Parameters
    ----------
    parts : sequence of ndarray
        (y, x) floating point, places of the image; squares of 64 pixels of them count in which all
        is finite.

    Returns
    -------
    bool
        False, too, where there is no such square.
    """
    squares = [square for part in parts for square in _squares(part)]
    if not squares:
        return False
    taper = np.hanning(_TILE + 2)[1:-1].astype(np.float32)
    power = np.zeros((_TILE, _TILE // 2 + 1))
    for square in squares:
        centred = (square - square.mean()) * taper * taper[:, None]
        power += np.abs(np.fft.rfft2(centred)) ** 2
    frequency = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE))
    coarse, half, noise = (
        float(power[(frequency >= low) & (frequency < high)].mean())
        for low, high in (_COARSE, _HALF, _NOISE)
    )
    return coarse >= CLEAR * noise > 0 and half <= NOTHING * noise


def _squares(part: np.ndarray) -> list[np.ndarray]:
    rows, columns = (length // _TILE for length in part.shape)
    cut = part[: rows * _TILE, : columns * _TILE].reshape(rows, _TILE, columns, _TILE)
    return [
        each for each in cut.swapaxes(1, 2).reshape(-1, _TILE, _TILE) if np.isfinite(each).all()
    ]
