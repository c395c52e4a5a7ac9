"""The error bar where there is something to see: over what stands out of the background, and in
shares of its signal.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.trust.noise import Noise

_EDGES = np.linspace(-0.5, 1.5, 2001)  # of brightness in windows, a thousandth each
CENTRES = (_EDGES[1:] + _EDGES[:-1]) / 2
_BAND = 4.0  # standard deviations about the level that are background
TAIL = 0.005  # of the pixels: stray ones at either end
LOPSIDED = 1 / 3  # a background lies at the dark or the bright end
_AT_ONCE = 2**16  # pixels that fit into the cache
LEAST_BACKGROUND = 0.2  # of the pixels
WIDEST = 0.15  # of the window: what varies more is no background


@dataclass(frozen=True, slots=True)
class Foreground:
    """What stands out of the background.

    Attributes
    ----------
    pixels : int
    errors : float
        Sum of the error bar's half-widths over them, in windows.
    signal : float
        Median distance of their brightness from the background's level, in windows.
    """

    pixels: int
    errors: float
    signal: float


@dataclass(slots=True)
class Brightness:
    """How bright the pixels of a result are, and how wide the error bar is at each brightness, so
    far.
    """

    counts: np.ndarray = field(default_factory=lambda: np.zeros(len(CENTRES)))
    errors: np.ndarray = field(default_factory=lambda: np.zeros(len(CENTRES)))

    def add(self, values: np.ndarray, widths: np.ndarray, times: int = 1) -> None:
        """Take pixels: brightness and half-width of the error bar, both in windows; NaN where
        nothing is known. Each counts so many `times`.
        """
        known = np.isfinite(values) & np.isfinite(widths)
        if not known.all():
            values, widths = values[known], widths[known]
        values, widths = values.ravel(), widths.ravel()
        low, last = float(_EDGES[0]), len(CENTRES) - 1
        for start in range(0, values.size, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            number = (values[part] - low) * (len(CENTRES) / (float(_EDGES[-1]) - low))
            number = np.clip(number, 0, last, out=number).astype(np.intp)
            self.counts += times * np.bincount(number, minlength=len(CENTRES))
            self.errors += times * np.bincount(number, widths[part], len(CENTRES))

    def foreground(self, noise: Noise) -> Foreground | None:
        """What is not background, or None where no background can be told; 0 pixels where there is
        nothing else.

        Parameters
        ----------
        noise : Noise
            Of the image.

        Notes
        -----
        The background's level is the mode of the brightness. On its outer side, away from the
        signal, there is nothing but background, so that its spread is measured there; uneven
        lighting is in it.
        """
        total = self.counts.sum()
        if not total:
            return None
        step = CENTRES[1] - CENTRES[0]
        at = int(
            np.argmax(
                ndimage.gaussian_filter1d(
                    self.counts, max(2.0, noise.typical / step), mode="constant"
                )
            )
        )
        level = CENTRES[at]
        sigma = max(step, float(noise.sigma(np.full(len(noise.constant), level)).mean()))
        reached = np.cumsum(self.counts) / total
        low, high = (
            CENTRES[min(int(np.searchsorted(reached, share)), len(CENTRES) - 1)]
            for share in (TAIL, 1 - TAIL)
        )
        below, above = max(level - low, 0.0), max(high - level, 0.0)
        if max(below, above) <= _BAND * sigma:
            return Foreground(0, 0.0, 0.0)
        if min(below, above) > LOPSIDED * max(below, above):
            return None
        distance = np.abs(CENTRES - level)
        outer = self.counts * ((level >= CENTRES) if below < above else (level <= CENTRES))
        band = _BAND * max(sigma, _quantile(distance, outer, 0.68))
        away = distance > band
        pixels = self.counts[away].sum()
        if band > WIDEST or total - pixels < LEAST_BACKGROUND * total:
            return None
        signal = _quantile(distance, self.counts * away, 0.5)
        return Foreground(int(pixels), float(self.errors[away].sum()), signal)


def _quantile(values: np.ndarray, counts: np.ndarray, share: float) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(counts[order])
    return float(values[order][np.searchsorted(reached, share * reached[-1])])
